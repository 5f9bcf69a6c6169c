import hashlib
import hmac
import json
import os
import sys
import time
from datetime import date

import requests


def query(exam, filter=None, sort=None, **more):
    params = {"id": exam, **more}
    if filter:
        params["filter"] = json.dumps(filter)
    if sort:
        params["sort"] = json.dumps(sort)
    params["nonce"] = time.time_ns()
    params["timestamp"] = int(time.time() * 1000)
    base_string = "?".join(f"{key}={params[key]}" for key in sorted(params))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base_string.encode(), hashlib.sha256).hexdigest()
    response = requests.get(
        f"{os.environ['PE_URL']}/api/v3/exams/{exam}/index_students",
        params=params,
        headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
    )
    if response.status_code == 422:
        print("bad query:", response.json()["errors"], file=sys.stderr)
        sys.exit(2)
    response.raise_for_status()
    return response.json()["students"]


since = date(2018, 10, 1)
late = query(
    17,
    filter={"start_time": {"gte": since.isoformat()}, "status": {"in": ["exam_finished", "exam_started"]}},
    sort=[{"start_time": "desc"}, {"id": "asc"}],
    limit=20,
)
for s in late:
    print(s["start_time"][:16], s["email"], s["operating_system"] or "-")
