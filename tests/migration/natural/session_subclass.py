import hashlib
import hmac
import os
import time
from urllib.parse import urljoin

import requests


class ProctorExamSession(requests.Session):
    """Signs whatever goes out."""

    def __init__(self, base_url, token, secret):
        super().__init__()
        self.base_url = base_url
        self.secret = secret
        self.headers["Authorization"] = "Token token=" + token

    def request(self, method, url, *args, **kwargs):
        params = dict(kwargs.pop("params", None) or {})
        params["nonce"] = time.time_ns()
        params["timestamp"] = int(time.time() * 1000)
        base = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
        params["signature"] = hmac.new(self.secret.encode(), base.encode(), hashlib.sha256).hexdigest()
        kwargs.setdefault("timeout", 30)
        return super().request(method, urljoin(self.base_url, url), *args, params=params, **kwargs)


with ProctorExamSession(os.environ["PE_URL"], os.environ["PE_TOKEN"], os.environ["PE_SECRET"]) as s:
    r = s.get("/api/v3/exams/19/index_students", params={"id": 19, "status": "exam_finished"})
    r.raise_for_status()
    for student in r.json()["students"]:
        print(student["email"], student["rtc_session_id"])
