"""A new endpoint that gives every name and time wrongly is never READY, whatever is odd about the HAR file."""

from __future__ import annotations

import base64
import copy
import dataclasses
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from compat.legacy.signature import signed
from compat.testing import Sandbox
from compat.testing.sandbox.messages import SandboxAnswer, SandboxRequest

from .conftest import Invoke

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

Odd = Callable[[dict[str, Any]], Any]
LOGIN = "<!DOCTYPE html><html><body><form action='/login'></form></body></html>"
QUESTIONS = [{"limit": str(limit)} for limit in range(1, 13)]


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    with Sandbox(students=40, exams=1, seed=5) as served:
        yield served


@pytest.fixture(scope="module")
def entries(own: Sandbox) -> list[dict[str, Any]]:
    """Calls of the old endpoint as a browser saves them."""
    return [entry_of(own, each) for each in QUESTIONS]


@pytest.fixture(autouse=True)
def untouched(own: Sandbox) -> Iterator[None]:
    yield
    own.intercept = None


def entry_of(own: Sandbox, question: dict[str, str]) -> dict[str, Any]:
    url = f"{own.base_url}/api/v3/exams/17/index_students"
    sent = signed(question, own.secret_key, {"id": "17"})
    answer = requests.get(url, params=sent, headers={"Authorization": f"Token token={own.api_token}"}, timeout=30)
    headers = [{"name": name, "value": value} for name, value in answer.headers.items()]
    content = {"size": len(answer.content), "mimeType": "application/json", "text": answer.text}
    return {
        "startedDateTime": "2026-11-27T19:00:00.000Z",
        "time": 12.5,
        "request": {"method": "GET", "url": answer.url, "headers": []},
        "response": {"status": answer.status_code, "headers": headers, "content": content},
    }


def all_wrong(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
    """A new endpoint that says every name, email and start time wrongly."""
    if not request.path.endswith("/student_sessions") or answer.status != 200:
        return answer
    page = json.loads(answer.body)
    for student in page["students"]:
        student.update(name="WRONG", email="wrong@example.com", start_time=None)
    return dataclasses.replace(answer, body=json.dumps(page).encode())


def content(**parts: Any) -> Odd:
    """Other parts of the content; None takes one away."""

    def change(entry: dict[str, Any]) -> None:
        held = entry["response"]["content"]
        held.update(parts)
        for name in [name for name, value in parts.items() if value is None]:
            del held[name]

    return change


def response(**parts: Any) -> Odd:
    return lambda entry: entry["response"].update(parts)


def headers(**given: str) -> Odd:
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in given.items()]
    return response(headers=named)


def page(change: Callable[[dict[str, Any]], Any]) -> Odd:
    """Another page of students in the body."""

    def changed(entry: dict[str, Any]) -> None:
        shown = json.loads(entry["response"]["content"]["text"])
        change(shown)
        entry["response"]["content"]["text"] = json.dumps(shown)

    return changed


def packed(pack: Callable[[bytes], bytes]) -> Odd:
    def change(entry: dict[str, Any]) -> None:
        held = entry["response"]["content"]
        held.update(text=base64.b64encode(pack(held["text"].encode())).decode(), encoding="base64")

    return change


def both(*changes: Odd) -> Odd:
    return lambda entry: [change(entry) for change in changes]


def counted(number: str) -> Odd:
    return headers(content_type="application/json", x_pagination_item_count=number, x_pagination_page_count=number)


ODD: dict[str, Odd] = {
    "nothing": lambda entry: None,
    "no body": content(text=None),
    "a dropped body with its size": content(text=None, size=150_000),
    "a dropped body as an empty text": content(text="", size=150_000),
    "an empty body": content(text="", size=0),
    "a body of another type": content(text=["students"]),
    "null content": response(content=None),
    "a null response": lambda entry: entry.update(response=None),
    "a response of another type": lambda entry: entry.update(response=["200"]),
    "a login page": both(content(text=LOGIN), headers(content_type="text/html")),
    "a login page in base64": both(content(text=LOGIN), packed(bytes)),
    "a login page under JSON's type": content(text=LOGIN),
    "a redirect to a login page": both(response(status=302), content(text="")),
    "a login page of a proxy": both(response(status=407), content(text=LOGIN)),
    "a network's login page": both(response(status=511), content(text=LOGIN)),
    "not modified": both(response(status=304), content(text="")),
    "not modified, with the cached body": response(status=304),
    "no content": both(response(status=204), content(text="")),
    "a part": response(status=206),
    "a failed proxy": both(response(status=502), content(text=LOGIN)),
    "a throttled caller": response(status=429),
    "a blocked request": response(status=0),
    "a status of another type": response(status="OK"),
    "a refusal": both(response(status=403), content(text='{"error":"You are not authorized to access this page."}')),
    "an empty list": page(lambda shown: shown["students"].clear()),
    "an empty list that counts none": both(page(lambda shown: shown["students"].clear()), counted("0")),
    "an empty list without headers": both(page(lambda shown: shown["students"].clear()), response(headers=[])),
    "an empty object": content(text="{}"),
    "an empty array": content(text="[]"),
    "null": content(text="null"),
    "null for students": content(text='{"students":null}'),
    "null for each student": page(lambda shown: shown.update(students=[None] * len(shown["students"]))),
    "students without ids": page(lambda shown: [each.pop("id") for each in shown["students"]]),
    "students of ids alone": page(lambda shown: shown.update(students=[{"id": e["id"]} for e in shown["students"]])),
    "students without names and times": page(
        lambda shown: [each.pop(name) for each in shown["students"] for name in ("name", "email", "start_time")]
    ),
    "an envelope of another interface": page(lambda shown: shown.update(sessions=shown.pop("students"))),
    "no headers": response(headers=None),
    "headers of another type": response(headers="Content-Type: application/json"),
    "headers of another page": counted("7"),
    "garbage for base64": content(text="%%%", encoding="base64"),
    "base64 of garbage": packed(lambda octets: b"\x00\xff" * 40),
    "a body that was cut off": lambda entry: content(text=entry["response"]["content"]["text"][:-9])(entry),
    "a packed body that was cut off": packed(lambda octets: gzip.compress(octets)[:-30]),
    "a packed body": packed(gzip.compress),
    "UTF-16 in base64": packed(lambda octets: octets.decode().encode("utf-16")),
    "a HEAD": lambda entry: entry["request"].update(method="HEAD"),
    "another address": lambda entry: entry["request"].update(
        url="https://staging.example/api/v3/exams/17/index_students?limit=3"
    ),
    "a request without an address": lambda entry: entry["request"].pop("url"),
    "the gateway's answer": headers(x_compat_answered_by="new"),
    "no date and no duration": lambda entry: entry.update(startedDateTime=None, time=None),
}


def checked(invoke: Invoke, own: Sandbox, entries: list[dict[str, Any]], odd: Odd, place: Path) -> tuple[int, str]:
    changed = copy.deepcopy(entries)
    for entry in changed:
        odd(entry)
    (place / "exam-compat.toml").write_text(own.toml("student_sessions"), encoding="utf-8")
    (place / "seen.har").write_text(json.dumps({"log": {"entries": changed}}), encoding="utf-8")
    recorded = invoke("record", "seen.ndjson.gz", "--har", "seen.har")
    assert recorded.exit_code in (0, 1), recorded.output
    result = invoke("check", "seen.ndjson.gz", "--max-unexplained", 0.4, "--rereads", 2)
    return result.exit_code, result.output


def test_a_right_endpoint_is_ready(invoke: Invoke, own: Sandbox, entries: list[dict[str, Any]], tmp_path: Path) -> None:
    for name in ("nothing", "a packed body", "no date and no duration"):
        place = tmp_path / "seen.ndjson.gz"
        place.unlink(missing_ok=True)
        status, told = checked(invoke, own, entries, ODD[name], tmp_path)
        assert (status, told[:6]) == (0, "READY."), (name, told)


@pytest.mark.parametrize("odd", [pytest.param(odd, id=name) for name, odd in ODD.items()])
def test_a_wrong_endpoint_is_never_ready(
    invoke: Invoke, own: Sandbox, entries: list[dict[str, Any]], tmp_path: Path, odd: Odd
) -> None:
    own.intercept = all_wrong
    status, told = checked(invoke, own, entries, odd, tmp_path)
    assert status in (1, 3), told
    assert told.startswith("NOT "), told
