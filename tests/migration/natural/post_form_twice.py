# adds the invigilators as candidates of the demo exam, harmless if they are there already
import hashlib
import hmac
import os
import time
import requests

invigilators = {"Joëlle Bakker": "j.bakker@example.org", "Jürgen Weiß": "j.weiss@example.org"}
requests_session = requests.Session()
requests_session.headers.update({"Authorization": "Token token=" + os.environ["PE_TOKEN"], "Accept": "application/vnd.procwise.v3"})


def add_student(exam_id, **fields):
    fields["id"] = exam_id
    fields["timestamp"] = int(time.time() * 1000)
    fields["nonce"] = time.time_ns()
    fields["signature"] = hmac.new(
        os.environ["PE_SECRET"].encode("utf8"),
        "?".join(f"{f}={fields[f]}" for f in sorted(fields)).encode("utf8"),
        hashlib.sha256,
    ).hexdigest()
    return requests_session.post(f"{os.environ['PE_URL']}/api/v3/exams/{exam_id}/add_student", data=fields)


for attempt in ("first", "second"):
    for name, email in invigilators.items():
        r = add_student(17, name=name, email=email, skip_requirements=True)
        if r.status_code == 201:
            print(attempt, name, "added")
        elif r.status_code == 422 and "already been taken" in r.text:
            print(attempt, name, "was there")
        else:
            print(attempt, name, r.status_code)
