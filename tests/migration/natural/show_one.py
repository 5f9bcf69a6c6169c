import hashlib
import hmac
import os
import pprint
import sys
import time

import requests

if len(sys.argv) != 3:
    sys.exit("usage: %s EXAM SESSION" % sys.argv[0])
exam_id, session_id = sys.argv[1:]
params = {
    "id": exam_id,
    "student_session_id": session_id,
    "nonce": str(time.time_ns()),
    "timestamp": str(time.time_ns() // 1000000),
}
params["signature"] = hmac.new(
    key=os.environ["PE_SECRET"].encode(),
    msg="?".join(sorted(f"{k}={v}" for k, v in params.items())).encode(),
    digestmod=hashlib.sha256,
).hexdigest()
response = requests.get(
    f"{os.environ['PE_URL']}/api/v3/exams/{exam_id}/show_student",
    params=params,
    headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
)
try:
    response.raise_for_status()
except requests.HTTPError:
    sys.exit(response.json()["error"])
pprint.pprint(response.json()["student"])
