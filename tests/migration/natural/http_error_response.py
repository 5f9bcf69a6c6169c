import hashlib
import hmac
import logging
import os
import sys
import time

import requests
from requests.exceptions import HTTPError

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s:%(message)s")


def list_students(exam_id):
    params = {"id": exam_id, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    base = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
    response = requests.get(
        f"{os.environ['PE_URL']}/api/v3/exams/{exam_id}/index_students",
        params=params,
        headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
    )
    response.raise_for_status()
    return response.json()["students"]


try:
    students = list_students(int(sys.argv[1]))
except HTTPError as exc:
    code = exc.response.status_code
    if code == 403:
        logging.error("not allowed: %s", exc.response.json()["error"])
        sys.exit(77)
    logging.error("HTTP %s from ProctorExam", code)
    sys.exit(1)
else:
    logging.info("%d students", len(students))
    for s in students:
        if s["status"] == "exam_started":
            print(s["email"])
