import hashlib
import hmac
import json
import os
import time

import requests

session = requests.session()
session.headers = {
    "Authorization": "Token token=" + os.environ["PE_TOKEN"],
    "Accept": "application/vnd.procwise.v3",
    "Content-Type": "application/json",
}


def sign(d):
    d["signature"] = hmac.new(
        bytes(os.environ["PE_SECRET"], "utf-8"),
        bytes("?".join(["{0}={1}".format(k, d[k]) for k in sorted(d)]), "utf-8"),
        hashlib.sha256,
    ).hexdigest()
    return d


def get_students(exam_id):
    d = sign({"id": exam_id, "nonce": int(time.time() * 1e9), "timestamp": int(time.time() * 1e3)})
    # the documentation says parameters go into the body
    answer = session.get(os.environ["PE_URL"] + "/api/v3/exams/" + str(exam_id) + "/index_students", data=json.dumps(d))
    return json.loads(answer.text)


result = get_students(17)
if "students" not in result:
    print("failed:", result)
    raise SystemExit(1)
for student in result["students"][:10]:
    print(student["id"], student["webcam_check"], student["microphone_check"], student["speakers_check"])
