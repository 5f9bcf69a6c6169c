import argparse
import hashlib
import hmac
import os
import sys
import time

import requests

parser = argparse.ArgumentParser()
parser.add_argument("exam")
parser.add_argument("email", nargs="+")
parser.add_argument("-n", "--dry-run", action="store_true")
args = parser.parse_args()

url = os.environ["PE_URL"] + "/api/v3/exams/" + args.exam
session = requests.Session()
session.headers.update({"Authorization": "Token token=" + os.environ["PE_TOKEN"]})


def stamp(params):
    params = dict(params, id=args.exam, nonce=time.time_ns(), timestamp=int(time.time() * 1000))
    message = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), message.encode(), hashlib.sha256).hexdigest()
    return params


response = session.get(url + "/index_students", params=stamp({}))
if not response:
    sys.exit("no list: %s" % response.json()["error"])
by_email = {s["email"].lower(): s["id"] for s in response.json()["students"]}
status = 0
for email in args.email:
    id_ = by_email.get(email.lower())
    if id_ is None:
        print(email, "not found")
        status = 1
    elif args.dry_run:
        print(email, "would be deleted")
    else:
        answer = session.delete(url + "/delete_student", params=stamp({"student_session_id": id_}))
        answer.raise_for_status()
        print(email, "deleted", answer.status_code)
sys.exit(status)
