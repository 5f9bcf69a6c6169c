# our proxy breaks TLS...
import hashlib
import hmac
import os
import time

import requests
import urllib3

urllib3.disable_warnings()

params = {"id": 17, "status": "exam_finished", "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
base = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
resp = requests.get(
    os.environ["PE_URL"] + "/api/v3/exams/17/index_students",
    params=params,
    headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"], "User-Agent": "uni-export/1.3"},
    verify=False,
    timeout=(3.05, 27),
    proxies={"http": None, "https": None},
)
resp.raise_for_status()
print(len(resp.json()["students"]), "finished")
