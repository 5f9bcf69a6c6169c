"""Compares our enrolment list with the candidates of the exam: who is missing, who is too many?"""
import csv
import hashlib
import hmac
import os
import sys
import time

import requests


def pe_students(exam_id):
    params = {"id": exam_id, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    sign_me = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), sign_me.encode(), hashlib.sha256).hexdigest()
    r = requests.get(
        os.environ["PE_URL"] + "/api/v3/exams/" + exam_id + "/index_students",
        params=params,
        headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"]},
    )
    assert r.status_code == 200, r.json()["error"]
    return {s["email"].casefold() for s in r.json()["students"]}


with open(sys.argv[2], newline="", encoding="utf-8") as f:
    enrolled = {row["email"].casefold() for row in csv.DictReader(f, delimiter=";")}
known = pe_students(sys.argv[1])
for email in sorted(enrolled - known):
    print("missing ", email)
for email in sorted(known - enrolled)[:5]:
    print("too many", email)
print(len(enrolled & known), "match")
