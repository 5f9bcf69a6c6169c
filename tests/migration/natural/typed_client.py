from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypedDict

import requests

API_VERSION: Final = "v3"


class Student(TypedDict):
    id: int
    email: str
    status: str
    incidents: list[Any]


class Page(NamedTuple):
    students: list[Student]
    number: int
    last: int


class StudentsApi:
    def __init__(self, host: str, token: str, secret: str) -> None:
        self._root = f"{host}/api/{API_VERSION}"
        self._secret = secret.encode()
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Token token={token}"

    def _signed(self, parameters: Mapping[str, object]) -> dict[str, str]:
        complete = {name: str(value) for name, value in parameters.items()}
        complete |= {"timestamp": str(int(time.time() * 1000)), "nonce": str(time.time_ns())}
        base = "?".join(f"{name}={value}" for name, value in sorted(complete.items()))
        return complete | {"signature": hmac.new(self._secret, base.encode(), hashlib.sha256).hexdigest()}

    def page(self, exam: int, number: int = 1) -> Page:
        response = self._session.get(
            f"{self._root}/exams/{exam}/index_students",
            params=self._signed({"id": exam, "page": number, "limit": 25}),
            timeout=30,
        )
        response.raise_for_status()
        headers = response.headers
        return Page(response.json()["students"], int(headers["X-Pagination-Page"]), int(headers["X-Pagination-Page-Count"]))

    def everyone(self, exam: int) -> Iterator[Student]:
        page = self.page(exam)
        yield from page.students
        while page.number < page.last:
            page = self.page(exam, page.number + 1)
            yield from page.students


def main() -> int:
    api = StudentsApi(os.environ["PROCTOREXAM_URL"], os.environ["PROCTOREXAM_TOKEN"], os.environ["PROCTOREXAM_SECRET"])
    with_incidents = [s for s in api.everyone(17) if s["incidents"]]
    for s in sorted(with_incidents, key=lambda s: (-len(s["incidents"]), s["id"])):
        print(s["id"], len(s["incidents"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
