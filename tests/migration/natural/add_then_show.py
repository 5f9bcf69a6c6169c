"""Rehearsal before the exam week: one candidate in, look, and out again."""
import hashlib
import hmac
import os
import sys
import time

import requests

ROOT = os.environ["PROCTOREXAM_URL"] + "/api/v3/exams/" + sys.argv[1]


def body(**values):
    values.update(id=sys.argv[1], nonce=time.time_ns(), timestamp=int(time.time() * 1000))
    text = "?".join(f"{k}={v}" for k, v in sorted(values.items()))
    values["signature"] = hmac.new(os.environ["PROCTOREXAM_SECRET"].encode(), text.encode(), hashlib.sha256).hexdigest()
    return values


headers = {
    "Authorization": "Token token=" + os.environ["PROCTOREXAM_TOKEN"],
    "Accept": "application/vnd.procwise.v3",
}
added = requests.post(
    ROOT + "/add_student",
    json=body(name="Test Kandidaat", email="test.kandidaat@example.org", skip_requirements="true"),
    headers=headers,
)
if added.status_code >= 400:
    print("cannot add:", added.json()["error"])
    sys.exit(1)
student = added.json()["student"]
shown = requests.get(ROOT + "/show_student", params=body(student_session_id=student["id"]), headers=headers)
assert shown.json()["student"]["email"] == "test.kandidaat@example.org"
print("status", shown.json()["student"]["status"], "skip", shown.json()["student"]["skip_requirements"])
gone = requests.delete(ROOT + "/delete_student", json=body(student_session_id=student["id"]), headers=headers)
print("deleted" if gone.ok else "NOT deleted")
