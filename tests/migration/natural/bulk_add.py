"""Add candidates from a CSV file (name,email,info) to an exam.

usage: bulk_add.py EXAM_ID students.csv
"""
import csv
import hashlib
import hmac
import os
import sys
import time

import requests

url = os.environ["PE_URL"] + "/api/v3/exams/{exam}/add_student"
token = os.environ["PE_TOKEN"]
secret = os.environ["PE_SECRET"]


def add(exam, name, email, info=None):
    params = {"id": exam, "name": name, "email": email, "timestamp": int(time.time() * 1000), "nonce": time.time_ns()}
    if info:
        params["individual_info"] = info
    to_sign = "?".join("%s=%s" % (k, params[k]) for k in sorted(params.keys()))
    params["signature"] = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return requests.post(url.format(exam=exam), data=params, headers={"Authorization": "Token token=" + token})


exam, filename = sys.argv[1:3]
added = failed = 0
with open(filename, encoding="utf-8-sig", newline="") as f:
    for row in csv.DictReader(f):
        r = add(exam, row["name"], row["email"], row.get("info"))
        if r.status_code in (200, 201):
            added += 1
            print("added", r.json()["student"]["id"], row["email"])
        else:
            failed += 1
            print("FAILED", row["email"], r.status_code, r.json().get("errors"))
print(added, "added,", failed, "failed")
sys.exit(1 if failed else 0)
