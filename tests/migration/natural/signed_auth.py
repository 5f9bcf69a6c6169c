"""requests auth object that adds timestamp, nonce and signature to the query."""
import hashlib
import hmac
import os
import time
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase


class ProctorAuth(AuthBase):
    def __init__(self, token, secret):
        self.token = token
        self.secret = secret

    def __call__(self, r):
        params = dict(parse_qsl(urlsplit(r.url).query))
        extra = {"timestamp": str(int(time.time() * 1000)), "nonce": str(time.time_ns())}
        params.update(extra)
        base = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
        extra["signature"] = hmac.new(self.secret.encode(), base.encode(), hashlib.sha256).hexdigest()
        r.prepare_url(r.url, extra)
        r.headers["Authorization"] = "Token token=" + self.token
        return r


auth = ProctorAuth(os.environ["PE_TOKEN"], os.environ["PE_SECRET"])
r = requests.get(os.environ["PE_URL"] + "/api/v3/exams/17/index_students", params={"id": 17, "limit": 7}, auth=auth)
r.raise_for_status()
print(r.headers["X-Pagination-Item-Count"], [s["id"] for s in r.json()["students"]])
