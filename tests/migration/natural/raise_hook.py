import hashlib
import hmac
import os
import time

import requests

session = requests.Session()
session.hooks["response"].append(lambda r, *args, **kwargs: r.raise_for_status())
session.headers["Authorization"] = "Token token=" + os.environ["PE_TOKEN"]


def students(exam, **params):
    params |= {"id": exam, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    text = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), text.encode(), hashlib.sha256).hexdigest()
    return session.get(f"{os.environ['PE_URL']}/api/v3/exams/{exam}/index_students", params=params).json()["students"]


print("setting up:", [s["email"] for exam in (17, 18) for s in students(exam, status="in_setup")])
print("finished:", sum(len(students(exam, status="exam_finished")) for exam in (17, 18)))
