"""Joins ProctorExam with our own student service (which answers JSON too)."""
import hashlib
import hmac
import json
import os
import time
from pathlib import Path

import requests


def own_service(number):
    """The student service; a file stands in for it outside the campus network."""
    base = os.environ.get("STUDENT_SERVICE")
    if base:
        return requests.get(f"{base}/students/{number}", timeout=10).json()
    return json.loads(Path("students.json").read_text(encoding="utf-8")).get(str(number), {})


def proctorexam(exam, **query):
    query.update(id=exam, nonce=time.time_ns(), timestamp=int(time.time() * 1000))
    message = "?".join(f"{k}={v}" for k, v in sorted(query.items()))
    query["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), message.encode(), hashlib.sha256).hexdigest()
    reply = requests.get(
        f"{os.environ['PE_URL']}/api/v3/exams/{exam}/index_students",
        params=query,
        headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
    )
    reply.raise_for_status()
    return reply.json()["students"]


for student in proctorexam(17, status="exam_finished", limit=30):
    if not student["student_id"]:
        continue
    own = own_service(student["student_id"])
    print(student["student_id"], own.get("faculty", "-"), student["email"])
