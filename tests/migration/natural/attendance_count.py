"""How many candidates showed up? One line per status, for the exam coordinator.

    python attendance_count.py 17 [18 ...]
"""
import hashlib
import hmac
import os
import random
import sys
import time
from collections import Counter

import requests

BASE_URL = os.environ["PROCTOREXAM_URL"].rstrip("/") + "/api/v3"
API_TOKEN = os.environ["PROCTOREXAM_TOKEN"]
SECRET_KEY = os.environ["PROCTOREXAM_SECRET"]


def make_signature(params):
    base_string = "?".join(key + "=" + str(params[key]) for key in sorted(params))
    return hmac.new(SECRET_KEY.encode("utf-8"), base_string.encode("utf-8"), hashlib.sha256).hexdigest()


def get_students(exam_id):
    students = []
    page = 1
    while True:
        params = {
            "id": exam_id,
            "nonce": random.randint(10 ** 10, 10 ** 15),
            "timestamp": int(time.time() * 1000),
            "page": page,
            "limit": 25,
        }
        params["signature"] = make_signature(params)
        r = requests.get(
            BASE_URL + "/exams/" + str(exam_id) + "/index_students",
            params=params,
            headers={"Authorization": "Token token=" + API_TOKEN, "Accept": "application/vnd.procwise.v3"},
        )
        if r.status_code != 200:
            print("exam", exam_id, "answered", r.status_code, file=sys.stderr)
            sys.exit(1)
        students += r.json()["students"]
        if page >= int(r.headers["X-Pagination-Page-Count"]):
            break
        page += 1
    return students


for exam in sys.argv[1:]:
    counts = Counter(s["status"] for s in get_students(exam))
    print("Exam", exam)
    for status, n in sorted(counts.items()):
        print("  %-24s %4d" % (status, n))
    print("  total", sum(counts.values()))
