import csv
import hashlib
import hmac
import os
import sys
import time

import requests


def sign(p):
    return hmac.new(
        os.environ["PE_SECRET"].encode(), "?".join(f"{k}={p[k]}" for k in sorted(p)).encode(), hashlib.sha256
    ).hexdigest()


exam = int(sys.argv[1])
p = {"id": exam, "sort": '[{"name":"asc"},{"id":"asc"}]', "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
r = requests.get(
    f"{os.environ['PE_URL']}/api/v3/exams/{exam}/index_students",
    params={**p, "signature": sign(p)},
    headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
)
r.raise_for_status()
students = r.json()["students"]
writer = csv.DictWriter(sys.stdout, fieldnames=list(students[0]) if students else ["id"])
writer.writeheader()
writer.writerows(students)
