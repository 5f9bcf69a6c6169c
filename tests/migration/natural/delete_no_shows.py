# Clean-up after the exam: removes everyone who is still on "registered".
# Asks before it does anything.
import hashlib
import hmac
import os
import random
import sys
import time

import requests

HOST = os.environ["PROCTOREXAM_URL"]
HEADERS = {"Authorization": "Token token=" + os.environ["PROCTOREXAM_TOKEN"]}


def sign(params):
    params["timestamp"] = int(round(time.time() * 1000))
    params["nonce"] = random.randrange(10 ** 14)
    message = "?".join("=".join([k, str(v)]) for k, v in sorted(params.items()))
    mac = hmac.new(os.environ["PROCTOREXAM_SECRET"].encode(), message.encode(), hashlib.sha256)
    params["signature"] = mac.hexdigest()
    return params


def list_registered(exam_id):
    r = requests.get(
        HOST + "/api/v3/exams/%s/index_students" % exam_id,
        params=sign({"id": exam_id, "status": "registered"}),
        headers=HEADERS,
    )
    r.raise_for_status()
    return r.json()["students"]


def delete(exam_id, session_id):
    r = requests.delete(
        HOST + "/api/v3/exams/%s/delete_student" % exam_id,
        json=sign({"id": exam_id, "student_session_id": session_id}),
        headers=HEADERS,
    )
    return r.status_code == 200


exam_id = sys.argv[1]
victims = list_registered(exam_id)
for v in victims:
    print(v["id"], v["name"], v["email"])
if not victims:
    print("nothing to delete")
    sys.exit()
answer = input("Delete these %d? [y/N] " % len(victims))
if answer.strip().lower() != "y":
    print("aborted")
    sys.exit(1)
for v in victims:
    print(v["id"], "deleted" if delete(exam_id, v["id"]) else "NOT deleted")
