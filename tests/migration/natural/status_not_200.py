import hashlib
import hmac
import os
import sys
import time

import requests

URL = "%s/api/v3/exams/%s/index_students" % (os.environ["PE_URL"], sys.argv[1])

params = {"id": sys.argv[1], "status": sys.argv[2], "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
params["signature"] = hmac.new(
    os.environ["PE_SECRET"].encode(),
    "?".join("%s=%s" % (k, v) for (k, v) in sorted(params.items())).encode(),
    hashlib.sha256,
).hexdigest()
r = requests.get(URL, params=params, headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"]})
if r.status_code != 200:
    sys.stderr.write("ProctorExam answered %d %s\n" % (r.status_code, r.reason))
    sys.stderr.write(r.text + "\n")
    sys.exit(2)
for student in r.json()["students"]:
    print(student["email"])
