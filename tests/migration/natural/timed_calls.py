"""Prints every call's duration to stderr when PE_VERBOSE is set."""
import hashlib
import hmac
import os
import sys
import time
from functools import wraps

import requests


def timed(f):
    @wraps(f)
    def inner(*a, **k):
        t0 = time.perf_counter()
        try:
            return f(*a, **k)
        finally:
            if os.environ.get("PE_VERBOSE"):
                print(f.__name__, a, "took", time.perf_counter() - t0, file=sys.stderr)
    return inner


@timed
def index_students(exam, **kw):
    kw.update(id=exam, nonce=time.time_ns(), timestamp=time.time_ns() // 1_000_000)
    kw["signature"] = hmac.new(
        os.environ["PE_SECRET"].encode(), "?".join(f"{k}={v}" for k, v in sorted(kw.items())).encode(), "sha256"
    ).hexdigest()
    res = requests.get(
        os.environ["PE_URL"] + f"/api/v3/exams/{exam}/index_students",
        headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"]},
        params=kw,
    )
    if res.status_code == 403:
        return None
    return res.json()["students"]


for exam in map(int, sys.argv[1:]):
    found = index_students(exam, status="exam_started")
    if found is None:
        print(exam, "no access")
        continue
    print(exam, "running:", ", ".join(s["email"] for s in found) or "nobody")
