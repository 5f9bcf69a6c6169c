import hashlib
import hmac
import os
import time

import requests

exam = 18
body = {"id": exam, "limit": 12, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
body["signature"] = hmac.new(
    os.environ["PE_SECRET"].encode(),
    "?".join("{}={}".format(k, body[k]) for k in sorted(body)).encode(),
    hashlib.sha256,
).hexdigest()
response = requests.get(
    os.environ["PE_URL"] + "/api/v3/exams/{}/index_students".format(exam),
    json=body,
    headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"], "Accept": "application/vnd.procwise.v3"},
)
print(response.status_code)
print([s["name"] for s in response.json().get("students", [])])
