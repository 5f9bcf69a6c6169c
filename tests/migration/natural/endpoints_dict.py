import hashlib
import hmac
import os
import time

import requests

HOST = os.environ["PROCTOREXAM_URL"]

ENDPOINTS = {
    "list": "/api/v3/exams/{id}/index_students",
    "show": "/api/v3/exams/{id}/show_student",
    "exam": "/api/v3/exams/{id}",
}


def url(name, **parts):
    return HOST + ENDPOINTS[name].format(**parts)


def auth(**params):
    params["timestamp"] = int(time.time() * 1000)
    params["nonce"] = time.time_ns()
    base = "?".join(f"{k}={params[k]}" for k in sorted(params))
    params["signature"] = hmac.new(os.environ["PROCTOREXAM_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
    return params


headers = {"Authorization": "Token token=" + os.environ["PROCTOREXAM_TOKEN"]}
students = requests.get(url("list", id=17), params=auth(id=17, limit=3), headers=headers).json().get("students", [])
for s in students:
    detail = requests.get(url("show", id=17), params=auth(id=17, student_session_id=s["id"]), headers=headers)
    detail.raise_for_status()
    student = detail.json()["student"]
    print(student["id"], student["name"], student["transcoding_status"])
print(len(students), "shown")
