"""Who finished an exam, and how long it took them: a report over the deprecated exam students list.

A script as they were written against the old interface: plain requests, signed as the vendor documents. It knows
nothing of the compatibility shim, and is not edited to work with it.

    PROCTOREXAM_URL=https://acme.proctorexam.com PROCTOREXAM_TOKEN=... PROCTOREXAM_SECRET=... \
        python legacy_report.py 17
"""

import hashlib
import hmac
import json
import os
import random
import sys
import time
from collections import Counter
from datetime import datetime
from typing import Any

import requests

URL = os.environ["PROCTOREXAM_URL"]
TOKEN = os.environ["PROCTOREXAM_TOKEN"]
SECRET = os.environ["PROCTOREXAM_SECRET"]
HEADERS = {"Authorization": "Token token=" + TOKEN, "Accept": "application/vnd.procwise.v3"}
SINCE = "2018-10-28"


def signature(parameters: dict[str, Any]) -> str:
    """The vendor's recipe: all parameters, those of the path too, sorted and joined, under the secret key."""
    base_string = "?".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return hmac.new(SECRET.encode(), base_string.encode(), hashlib.sha256).hexdigest()


def get_page(exam_id: str, page: int) -> requests.Response:
    """One page of the students who finished since a day, the latest first."""
    parameters: dict[str, Any] = {
        "status": "exam_finished",
        "filter": json.dumps({"start_time": {"gte": SINCE}}),
        "sort": json.dumps([{"start_time": "desc"}, {"id": "asc"}]),
        "page": page,
        "limit": 10,
        "timestamp": int(time.time() * 1000),
        "nonce": random.getrandbits(63),
    }
    signed = {**parameters, "signature": signature({**parameters, "id": exam_id})}
    url = f"{URL}/api/v3/exams/{exam_id}/index_students"
    response = requests.get(url, params=signed, headers=HEADERS, timeout=60)
    response.raise_for_status()
    return response


def get_students(exam_id: str) -> list[dict[str, Any]]:
    """All pages, as the headers count them."""
    students: list[dict[str, Any]] = []
    page, pages = 1, 1
    while page <= pages:
        response = get_page(exam_id, page)
        students += response.json()["students"]
        pages = int(response.headers["X-Pagination-Page-Count"])
        page += 1
    return students


def moment(text: str) -> datetime:
    """A time of the list, to the second."""
    return datetime.strptime(text[:19] + text[-6:], "%Y-%m-%dT%H:%M:%S%z")


def main() -> None:
    """Print the report."""
    exam_id = sys.argv[1] if len(sys.argv) > 1 else "17"
    students = get_students(exam_id)
    minutes = [(moment(s["end_time"]) - moment(s["start_time"])).total_seconds() / 60 for s in students]
    systems = Counter(s["operating_system"] or "unknown" for s in students)
    lines = [f"Exam {exam_id}: {len(students)} students finished since {SINCE}."]
    lines += [f"  {student['name']} <{student['email']}>" for student in students[:3]]
    if minutes:
        lines.append(f"  on average {sum(minutes) / len(minutes):.0f} minutes, the longest {max(minutes):.0f}")
    lines.append("  systems: " + ", ".join(f"{name} {count}" for name, count in sorted(systems.items())))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
