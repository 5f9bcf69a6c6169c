"""The students of an exam who began since a day, the latest first: every page as it came, one a line.

    EXAM_STUDENTS_URL=http://127.0.0.1:8080 EXAM_STUDENTS_TOKEN=... EXAM_STUDENTS_SECRET=... python python_urllib.py 17

Needs Python 3.10 or newer, and nothing else.
"""

import hashlib
import hmac
import json
import os
import secrets
import sys
import time
from http.client import HTTPMessage
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

URL = os.environ["EXAM_STUDENTS_URL"]
TOKEN = os.environ["EXAM_STUDENTS_TOKEN"]
SECRET = os.environ["EXAM_STUDENTS_SECRET"]


def signature(parameters: dict[str, str]) -> str:
    """Sorted by name, joined by ?, values as they are; every parameter but the signature, the path's id among them."""
    text = "?".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def get_page(exam: str, page: int) -> tuple[str, HTTPMessage]:
    """One page: its body and its headers."""
    # Every value is made a text once, which is signed and sent; a fresh time and nonce for every call and attempt.
    parameters = {
        "filter": json.dumps({"start_time": {"gte": "2018-07-01"}}),
        "sort": json.dumps([{"start_time": "desc"}, {"id": "asc"}]),
        "limit": "5",
        "page": str(page),
        "timestamp": str(time.time_ns() // 1_000_000),
        "nonce": str(secrets.randbits(63)),
    }
    # Encoded only where they are sent.
    query = urlencode({**parameters, "signature": signature({**parameters, "id": exam})})
    request = Request(
        f"{URL}/api/v3/exams/{exam}/index_students?{query}", headers={"Authorization": f"Token token={TOKEN}"}
    )
    with urlopen(request, timeout=60) as response:
        return response.read().decode(), response.headers


def main(exam: str) -> None:
    """Print every page, and how much that was."""
    page, pages, students = 1, 1, 0
    while page <= pages:
        body, headers = get_page(exam, page)
        print(body)
        pages, students = int(headers["X-Pagination-Page-Count"]), int(headers["X-Pagination-Item-Count"])
        page += 1
    print(f"{students} students on {pages} pages")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except HTTPError as error:
        sys.exit(f"{error.code} {error.read().decode()}")
