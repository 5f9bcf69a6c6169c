"""Reads proctorexam.ini, which has one section for the account and one for each exam."""
import configparser
import hashlib
import hmac
import time

import requests

config = configparser.ConfigParser()
config.read("proctorexam.ini")
account = config["account"]


def get_exam_students(exam_id, status):
    query = {
        "id": exam_id,
        "status": status,
        "nonce": str(time.time()).replace(".", ""),
        "timestamp": round(time.time() * 1000),
    }
    text = "?".join(name + "=" + str(query[name]) for name in sorted(query))
    query["signature"] = hmac.new(account["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    return requests.get(
        account["url"] + "/api/v3/exams/" + exam_id + "/index_students/",
        params=query,
        headers={"Authorization": "Token token=" + account["token"]},
        timeout=account.getint("timeout", 30),
    )


for section in config.sections():
    if not section.startswith("exam:"):
        continue
    exam = config[section]
    answer = get_exam_students(exam["id"], exam.get("status", "exam_finished"))
    if answer.status_code == 200:
        students = answer.json()["students"]
        print(section[5:], len(students))
        if exam.getboolean("names", False):
            for s in students:
                print("   ", s["name"])
    else:
        print(section[5:], "ERROR", answer.status_code)
