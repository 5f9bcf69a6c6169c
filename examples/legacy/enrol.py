"""Adds a late applicant to an exam, shows the entry, and takes it back: the rehearsal before each exam day."""

import hashlib
import hmac
import os
import random
import sys
import time

import requests

URL = os.environ["PROCTOREXAM_URL"] + "/api/v3/exams/"
HEADERS = {
    "Authorization": "Token token=" + os.environ["PROCTOREXAM_TOKEN"],
    "Accept": "application/vnd.procwise.v3",
}


def signed(exam, **values):
    values.update(timestamp=int(time.time() * 1000), nonce=random.getrandbits(62))
    text = "?".join(f"{name}={value}" for name, value in sorted(dict(values, id=exam).items()))
    values["signature"] = hmac.new(
        os.environ["PROCTOREXAM_SECRET"].encode(), text.encode(), hashlib.sha256
    ).hexdigest()
    return values


def add(exam, name, email):
    # A form; True is written as Python writes it, and the server reads it.
    form = signed(exam, name=name, email=email, skip_requirements=True)
    return requests.post(URL + exam + "/add_student", data=form, headers=HEADERS)


def show(exam, session_id):
    return requests.get(
        URL + exam + "/show_student", params=signed(exam, student_session_id=session_id), headers=HEADERS
    )


def delete(exam, session_id):
    # JSON this time, even on a DELETE
    return requests.delete(
        URL + exam + "/delete_student", json=signed(exam, student_session_id=session_id), headers=HEADERS
    )


def main(exam):
    added = add(exam, "Rehearsal, R. & D.", "rehearsal@example.org")
    session_id = added.json()["student"]["id"]
    print("added:", added.status_code, added.json()["student"]["status"])

    # Twice is an error, and it says so in its body; the status nobody looks at.
    print("again:", add(exam, "Rehearsal", "rehearsal@example.org").json()["errors"])

    student = show(exam, session_id).json()["student"]
    print("shown:", student["name"], student["email"], student["skip_requirements"], len(student))

    print("deleted:", delete(exam, session_id).status_code)
    gone = show(exam, session_id)
    print("shown:", gone.status_code, gone.json()["error"].replace(str(session_id), "<id>"))


if __name__ == "__main__":
    main(sys.argv[1])
