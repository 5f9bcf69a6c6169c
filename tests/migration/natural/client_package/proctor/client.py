import hashlib
import hmac
import time

import requests

from .errors import ApiError, Forbidden


class Client:
    def __init__(self, host, token, secret):
        self.host = host
        self.secret = secret
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Token token={token}"

    def _call(self, method, exam, action, **params):
        params.update(id=exam, nonce=time.time_ns(), timestamp=int(time.time() * 1000))
        message = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
        params["signature"] = hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).hexdigest()
        response = self.session.request(method, f"{self.host}/api/v3/exams/{exam}/{action}", params=params)
        if response.status_code == 403:
            raise Forbidden(403, response.json())
        if response.status_code >= 400:
            raise ApiError(response.status_code, response.json())
        return response

    def students(self, exam, per_page=50):
        page, last = 1, 1
        while page <= last:
            response = self._call("GET", exam, "index_students", page=page, limit=per_page)
            last = int(response.headers["X-Pagination-Page-Count"])
            yield from response.json()["students"]
            page += 1

    def student(self, exam, session):
        return self._call("GET", exam, "show_student", student_session_id=session).json()["student"]
