"""Each kind of fault as a client sees it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from compat.testing.sandbox import Fault, Sandbox
from compat.testing.sandbox.server import FaultSource

SESSIONS = "/api/v3/student_sessions"


def get(sandbox: Sandbox, parameters: dict[str, str] | None = None) -> requests.Response:
    signed = parameters or sandbox.signed({})
    return requests.get(sandbox.base_url + SESSIONS, params=signed, headers=sandbox.headers, timeout=10)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 599])
def test_a_status(status: int) -> None:
    with Sandbox(students=3, faults=[Fault(str(status), 1)]) as sandbox:
        answer = get(sandbox)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "errors"}
        assert answer.headers.get("Retry-After") == ("0" if status in (429, 503) else None)
        assert [(call.status, call.fault) for call in sandbox.calls] == [(status, str(status))]


@pytest.mark.parametrize("kind", ["cut", "cut-chunked", "reset"])
def test_a_connection_that_breaks(kind: str) -> None:
    broken = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    with Sandbox(students=3, faults=[Fault(kind, 1)]) as sandbox:
        with pytest.raises(broken):
            get(sandbox)
        assert [(call.status, call.fault) for call in sandbox.calls] == [(0 if kind == "reset" else 200, kind)]


def test_a_reset_comes_before_any_answer() -> None:
    with (
        Sandbox(students=3, faults=[Fault("reset", 1)]) as sandbox,
        pytest.raises(requests.ConnectionError) as caught,
    ):
        get(sandbox)
    assert "reset" in str(caught.value).lower()


def test_half_a_body_in_a_whole_answer() -> None:
    with Sandbox(students=3, faults=[Fault("truncated", 1)]) as sandbox:
        answer = get(sandbox)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        assert answer.text.startswith('{"students":[')
        with pytest.raises(requests.JSONDecodeError):
            answer.json()


def test_a_page_of_html() -> None:
    with Sandbox(students=3, faults=[Fault("html", 1)]) as sandbox:
        answer = get(sandbox)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "<h1>" in answer.text


def test_a_slow_answer_is_still_an_answer() -> None:
    with Sandbox(students=3, faults=[Fault("slow", 1)]) as sandbox:
        begun = time.monotonic()
        assert len(get(sandbox).json()["students"]) == 3
        assert time.monotonic() - begun >= 0.2


def test_latency_delays_every_answer() -> None:
    with Sandbox(students=3, latency=0.1) as sandbox:
        begun = time.monotonic()
        get(sandbox)
        assert time.monotonic() - begun >= 0.1


def test_the_deprecated_interface_has_no_faults() -> None:
    with Sandbox(students=3, faults=[Fault("500", 1)]) as sandbox:
        signed = sandbox.signed({}, {"id": "17"})
        url = sandbox.base_url + "/api/v3/exams/17/index_students"
        assert requests.get(url, params=signed, headers=sandbox.headers, timeout=10).status_code == 200


def test_tokens_and_paginated_sessions_have_them_too() -> None:
    with Sandbox(students=3, faults=[Fault("500", 1)]) as sandbox:
        client = (sandbox.client_id, sandbox.client_secret)
        data = {"grant_type": "client_credentials"}
        answer = requests.post(sandbox.base_url + "/auth/1.0/token", data=data, auth=client, timeout=10)
        assert answer.status_code == 500
        assert requests.get(sandbox.base_url + "/insights/1.0/sessions", timeout=10).status_code == 500


@pytest.mark.parametrize("kind", ["503", "truncated", "html", "cut"])
def test_a_fault_does_not_spend_the_nonce(kind: str) -> None:
    with Sandbox(students=3, faults=[Fault(kind, 1)], most_faults_in_a_row=1) as sandbox:
        signed = sandbox.signed({})
        try:
            get(sandbox, signed)
        except requests.RequestException:
            assert kind == "cut"
        assert get(sandbox, signed).status_code == 200
        assert [call.fault for call in sandbox.calls] == [kind, None]


@pytest.mark.parametrize("kind", ["500", "cut", "cut-chunked", "truncated", "html", "reset"])
def test_a_write_that_fails_was_never_made(kind: str) -> None:
    with Sandbox(students=3, faults=[Fault(kind, 1)]) as sandbox:
        signed: dict[str, Any] = sandbox.signed({"name": "A", "email": "a@b"}, {"exam_id": "17"})
        url = sandbox.base_url + "/api/v3/exams/17/student_sessions"
        try:
            requests.post(url, data=signed, headers=sandbox.headers, timeout=10)
        except requests.RequestException:
            assert kind in ("cut", "cut-chunked", "reset")
        assert len(sandbox.dataset.students) == 3
        assert len(sandbox.calls) == 1


def test_faults_in_a_row_end_for_each_page_of_its_own() -> None:
    with Sandbox(students=3, faults=[Fault("503", 1)], most_faults_in_a_row=2) as sandbox:
        for page in ("1", "2"):
            statuses = [get(sandbox, sandbox.signed({"page": page})).status_code for _ in range(6)]
            assert statuses == [503, 503, 200, 503, 503, 200]


def test_faults_come_as_often_as_told_and_by_the_seed() -> None:
    faults = [Fault("503", 0.2), Fault("cut", 0.1)]
    drawn = [FaultSource(faults, 7, None).draw(("x",)) for _ in range(3)]
    assert drawn[0] == drawn[1] == drawn[2]
    source = FaultSource(faults, 7, None)
    many = [source.draw(("x",)) for _ in range(10_000)]
    assert 1_800 < many.count("503") < 2_200
    assert 850 < many.count("cut") < 1_150


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503:0.05", Fault("503", 0.05)),
        ("cut-chunked:1", Fault("cut-chunked", 1.0)),
        ("reset:0", Fault("reset", 0.0)),
    ],
)
def test_faults_of_the_command_line(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    "text", ["503", "503:", "503:x", "503:1.5", "503:-1", "503:nan", "200:0.1", "600:0.1", "odd:0.1"]
)
def test_faults_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=text.split(":")[0]):
        Fault.parse(text)


def test_probabilities_that_exceed_all_requests() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        Sandbox(faults=[Fault("503", 0.6), Fault("cut", 0.6)])
    with pytest.raises(ValueError, match="probability"):
        Fault("503", 2)
