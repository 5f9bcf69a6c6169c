import hashlib
import hmac
import os
import time
import traceback

import requests

EXAMS = os.environ.get("EXAMS", "17,18").split(",")


def download(exam):
    params = {"id": exam, "limit": 40, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    base_string = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base_string.encode(), hashlib.sha256).hexdigest()
    r = requests.get(
        os.environ["PE_URL"] + "/api/v3/exams/" + exam + "/index_students",
        params=params,
        headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"]},
    )
    r.raise_for_status()
    return r.json()


failed = []
for exam in EXAMS:
    try:
        students = download(exam)["students"]
        print("exam", exam, "->", len(students), "students,", len({s["email"].lower() for s in students}), "addresses")
    except Exception as e:
        failed.append(exam)
        print("exam", exam, "failed:", e)
if failed:
    raise SystemExit("not downloaded: " + ", ".join(failed))
