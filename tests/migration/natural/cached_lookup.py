import hashlib
import hmac
import os
import sys
import time
from functools import lru_cache

import requests

_session = None


def get_session():
    global _session
    if _session is None:
        _session = requests.Session()
        _session.headers["Authorization"] = "Token token=" + os.environ["PE_TOKEN"]
    return _session


@lru_cache(maxsize=None)
def students_by_mail(exam):
    params = {"id": exam, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    base = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
    response = get_session().get(os.environ["PE_URL"] + "/api/v3/exams/%s/index_students" % exam, params=params)
    response.raise_for_status()
    return {s["email"]: s for s in response.json()["students"]}


for line in sys.stdin:
    exam, _, email = line.strip().partition(" ")
    student = students_by_mail(exam).get(email)
    print(exam, email, student["status"] if student else "?")
