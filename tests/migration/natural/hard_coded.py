import hashlib
import hmac
import time

import requests

# TODO move to a config file
BASE = "https://acme.proctorexam.com/api/v3"
TOKEN = "0123456789abcdef"
SECRET = "s3cr3t"

params = {"id": 17, "nonce": int(time.time() * 1000000), "timestamp": int(time.time() * 1000)}
params["signature"] = hmac.new(
    SECRET.encode(), "?".join("%s=%s" % (k, params[k]) for k in sorted(params)).encode(), hashlib.sha256
).hexdigest()
r = requests.get(BASE + "/exams/17/index_students", params=params, headers={"Authorization": "Token token=" + TOKEN})
print(r.status_code)
for s in r.json()["students"]:
    print(s["name"].upper())
