import functools
import hashlib
import hmac
import os
import sys
import time

import requests


def retry(exceptions, tries=4, delay=1, backoff=2):
    def decorator(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            wait = delay
            for i in range(tries):
                try:
                    return func(*args, **kwargs)
                except exceptions:
                    if i == tries - 1:
                        raise
                    time.sleep(wait)
                    wait *= backoff
        return wrapper
    return decorator


@retry((requests.ConnectionError, requests.Timeout))
def show_student(exam_id, session_id):
    params = {
        "id": exam_id,
        "student_session_id": session_id,
        "nonce": time.time_ns(),
        "timestamp": int(time.time() * 1000),
    }
    text = "?".join([f"{key}={params[key]}" for key in sorted(params)])
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), text.encode(), hashlib.sha256).hexdigest()
    return requests.get(
        f"{os.environ['PE_URL']}/api/v3/exams/{exam_id}/show_student",
        params=params,
        headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
        timeout=15,
    )


exam_id, *sessions = sys.argv[1:]
for session_id in sessions:
    response = show_student(exam_id, session_id)
    if response.status_code == 404:
        print(session_id, "unknown")
    elif response.ok:
        student = response.json()["student"]
        print(session_id, student["name"], student["status"], student["attempt"])
    else:
        print(session_id, response.status_code, response.json()["error"])
