"""Both newer interfaces over HTTP, and what a test can see and steer of them."""

from __future__ import annotations

import importlib
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from compat.testing.sandbox import Call, Sandbox, SandboxAnswer, SandboxRequest
from compat.testing.sandbox.reference import FIELDS

SESSIONS = "/api/v3/student_sessions"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(students=60, exams=3, clamp=25) as running:
        yield running


def call(
    sandbox: Sandbox, path: str, method: str = "GET", in_path: dict[str, str] | None = None, **parameters: str
) -> requests.Response:
    signed = sandbox.signed(parameters, in_path)
    return requests.request(method, sandbox.base_url + path, params=signed, headers=sandbox.headers, timeout=10)


def token(sandbox: Sandbox) -> dict[str, str]:
    answer = requests.post(
        sandbox.base_url + "/auth/1.0/token",
        data={"grant_type": "client_credentials"},
        auth=(sandbox.client_id, sandbox.client_secret),
        timeout=10,
    )
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_student_sessions_list_all_exams_by_clamped_pages(sandbox: Sandbox) -> None:
    answers = [call(sandbox, SESSIONS, page=str(page), limit="300") for page in (1, 2, 3, 4)]
    students = [each for answer in answers for each in answer.json()["students"]]
    assert [{name: each.get(name) for name in FIELDS} for each in students] == sandbox.dataset.students
    assert students == sandbox.dataset.student_sessions
    assert {answer.headers["X-Pagination-Limit"] for answer in answers} == {"25"}
    assert {answer.headers["X-Pagination-Item-Count"] for answer in answers} == {"60"}
    assert answers[0].text.count("\\u") > 0
    assert not answers[0].text.isascii()


def test_student_sessions_of_an_exam(sandbox: Sandbox) -> None:
    answer = call(sandbox, "/api/v3/exams/18/student_sessions", in_path={"exam_id": "18"})
    assert {each["exam_id"] for each in answer.json()["students"]} == {18}
    assert answer.headers["X-Pagination-Item-Count"] == "20"
    wrongly_named = call(sandbox, "/api/v3/exams/18/student_sessions", in_path={"id": "18"})
    assert wrongly_named.status_code == 403


def test_only_what_is_pushed_down_is_honoured(sandbox: Sandbox) -> None:
    ignored = call(sandbox, SESSIONS, filter="nonsense", sort="nonsense")
    assert ignored.headers["X-Pagination-Item-Count"] == "60"
    assert call(sandbox, SESSIONS, status="nonsense").status_code == 422
    found = call(sandbox, SESSIONS, status="exam_finished").json()["students"]
    assert {each["status"] for each in found} == {"exam_finished"}
    with Sandbox(students=30, pushdown=("filter", "sort")) as other:
        everything = call(other, SESSIONS, status="nonsense")
        assert everything.headers["X-Pagination-Item-Count"] == "30"
        found = call(other, SESSIONS, filter='{"attempt":{"eq":0}}', sort='[{"id":"asc"}]').json()["students"]
        expected = sorted(each["id"] for each in other.dataset.students if each["attempt"] == 0)
        assert [each["id"] for each in found] == expected
        assert call(other, SESSIONS, filter="nonsense").status_code == 422


def test_one_student_session_is_shown_changed_and_deleted() -> None:
    with Sandbox(students=9) as sandbox:
        record, neighbour = [each for each in sandbox.dataset.students if each["exam_id"] == 17][:2]
        path, where = f"{SESSIONS}/{record['id']}", {"id": str(record["id"])}
        shown = call(sandbox, path, in_path=where).json()["student"]
        assert {name: shown.get(name) for name in FIELDS} == record
        changed = call(sandbox, path, "PATCH", where, name="New Name", skip_requirements="TRUE")
        assert changed.status_code == 200
        assert changed.json()["student"]["name"] == "New Name"
        assert next(each for each in sandbox.dataset.students if each["id"] == record["id"])["skip_requirements"]
        taken = call(sandbox, path, "PATCH", where, email=neighbour["email"])
        assert (taken.status_code, set(taken.json()["errors"])) == (422, {"email"})
        assert call(sandbox, path, "PATCH", where, email=record["email"]).status_code == 200
        assert call(sandbox, path, "DELETE", where).json() == {}
        for method in ("GET", "PATCH", "DELETE"):
            gone = call(sandbox, path, method, where)
            assert gone.status_code == 404
            assert gone.json()["error"] == f"Couldn't find Student Session with 'id'='{record['id']}'"
        assert len(sandbox.dataset.students) == 8


def test_adding_a_student_session() -> None:
    with Sandbox(students=3) as sandbox:
        path, where = "/api/v3/exams/17/student_sessions", {"exam_id": "17"}
        added = call(sandbox, path, "POST", where, name="A", email="a@example.com")
        assert added.status_code == 201
        assert {"pin_code", "preserve"} <= set(added.json()["student"])
        assert call(sandbox, path, "POST", where, name="A", email="a@example.com").status_code == 422
        assert set(call(sandbox, path, "POST", where).json()["errors"]) == {"name", "email"}
        assert sandbox.dataset.students[-1]["email"] == "a@example.com"


def test_adding_the_same_student_at_once_adds_one() -> None:
    with Sandbox(students=3) as sandbox:
        statuses: list[int] = []

        def add() -> None:
            path = "/api/v3/exams/17/student_sessions"
            statuses.append(call(sandbox, path, "POST", {"exam_id": "17"}, name="A", email="a@b").status_code)

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201] + [422] * 7


def test_all_paginated_sessions_by_clamped_pages(sandbox: Sandbox) -> None:
    headers = token(sandbox)
    found: list[dict[str, Any]] = []
    total = 1
    while len(found) < total:
        url = f"{sandbox.base_url}/insights/1.0/sessions?limit=1000&offset={len(found)}"
        page = requests.get(url, headers=headers, timeout=10).json()
        assert (page["limit"], page["offset"]) == (25, len(found))
        found, total = found + page["sessions"], page["total"]
    assert found == sandbox.dataset.sessions
    past = requests.get(sandbox.base_url + "/insights/1.0/sessions?offset=999", headers=headers, timeout=10).json()
    assert (past["sessions"], past["total"], past["offset"]) == ([], total, 999)


def test_sessions_user_by_user_are_all_sessions(sandbox: Sandbox) -> None:
    headers = token(sandbox)
    found: list[dict[str, Any]] = []
    for row in sandbox.dataset.roster:
        url = f"{sandbox.base_url}/insights/1.0/users/{row.user_id}/sessions"
        found += requests.get(url, headers=headers, timeout=10).json()["sessions"]
    for exam in sandbox.dataset.exams:
        mine = [each for each in found if each["applicationId"] == exam.application_id]
        expected = [each for each in sandbox.dataset.sessions if each["applicationId"] == exam.application_id]
        assert mine == expected
    unknown = requests.get(f"{sandbox.base_url}/insights/1.0/users/nobody/sessions", headers=headers, timeout=10)
    assert unknown.status_code == 404


@pytest.mark.parametrize(("name", "value"), [("limit", "0"), ("limit", "x"), ("offset", "-1"), ("offset", "")])
def test_wrong_paging_is_refused(sandbox: Sandbox, name: str, value: str) -> None:
    url = f"{sandbox.base_url}/insights/1.0/sessions?{name}={value}"
    answer = requests.get(url, headers=token(sandbox), timeout=10)
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {name})


def test_sessions_want_a_token_that_holds(sandbox: Sandbox) -> None:
    url = sandbox.base_url + "/insights/1.0/sessions"
    headers = token(sandbox)
    wrong: list[dict[str, str]] = [{}, {"Authorization": "Bearer x"}, sandbox.headers]
    for each in wrong:
        answer = requests.get(url, headers=each, timeout=10)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (
            401,
            'Bearer error="invalid_token"',
        )
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    sandbox.revoke_tokens()
    assert requests.get(url, headers=headers, timeout=10).status_code == 401


def test_tokens_end() -> None:
    with Sandbox(students=3, token_lifetime=0.2) as sandbox:
        url, headers = sandbox.base_url + "/insights/1.0/sessions", token(sandbox)
        assert requests.get(url, headers=headers, timeout=10).status_code == 200
        time.sleep(0.25)
        assert requests.get(url, headers=headers, timeout=10).status_code == 401


def test_token_answers(sandbox: Sandbox) -> None:
    url, client = sandbox.base_url + "/auth/1.0/token", (sandbox.client_id, sandbox.client_secret)
    grant = {"grant_type": "client_credentials"}
    good = requests.post(url, data=grant, auth=client, timeout=10)
    assert (good.json()["token_type"], good.json()["expires_in"]) == ("Bearer", 3600)
    assert good.headers["Cache-Control"] == "no-store"
    cases: list[tuple[Any, dict[str, str], int, str]] = [
        (None, grant, 401, "invalid_client"),
        ((sandbox.client_id, "wrong"), grant, 401, "invalid_client"),
        (client, {}, 400, "invalid_request"),
        (client, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (client, {**grant, "scope": "everything"}, 400, "invalid_scope"),
    ]
    for auth, data, status, code in cases:
        answer = requests.post(url, data=data, auth=auth, timeout=10)
        assert (answer.status_code, answer.json()["error"]) == (status, code)
    twice = requests.post(url, data=[*grant.items(), *grant.items()], auth=client, timeout=10)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    garbled = requests.post(url, data=grant, headers={"Authorization": "Basic ?"}, timeout=10)
    assert garbled.status_code == 401


def test_calls_are_remembered_without_secrets() -> None:
    with Sandbox(students=3) as sandbox:
        call(sandbox, SESSIONS, limit="2")
        call(sandbox, "/api/v3/exams/17/index_students", in_path={"id": "17"})
        requests.get(sandbox.base_url + "/insights/1.0/sessions?limit=2", headers=token(sandbox), timeout=10)
        calls = sandbox.calls
        assert [each.interface for each in calls] == [
            "student_sessions",
            "legacy",
            "token",
            "paginated_sessions",
        ]
        assert [each.status for each in calls] == [200] * 4
        assert calls[3] == Call("paginated_sessions", "GET", "/insights/1.0/sessions", {"limit": "2"}, 200, None)
        assert calls[0].parameters["limit"] == "2"
        assert "nonce" in calls[0].parameters
        shown = repr((calls, sandbox))
        for secret in (sandbox.secret_key, sandbox.api_token, sandbox.client_secret, "signature"):
            assert secret not in shown
        sandbox.clear_calls()
        assert (sandbox.calls, len(calls)) == ([], 4)


def test_an_intercept_alters_the_newer_interfaces_only() -> None:
    seen: list[SandboxRequest] = []

    def alter(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        seen.append(request)
        return replace(answer, status=299, body=b'{"students":[]}', headers={"X-Altered": "yes"})

    with Sandbox(students=3) as sandbox:
        sandbox.intercept = alter
        assert sandbox.intercept is alter
        altered = call(sandbox, SESSIONS, limit="2")
        assert (altered.status_code, altered.json(), altered.headers["X-Altered"]) == (
            299,
            {"students": []},
            "yes",
        )
        assert call(sandbox, "/api/v3/exams/17/index_students", in_path={"id": "17"}).status_code == 200
        token(sandbox)
        assert [(each.interface, each.method, each.path) for each in seen] == [("student_sessions", "GET", SESSIONS)]
        assert seen[0].parameters["limit"] == "2"
        sandbox.intercept = None
        assert call(sandbox, SESSIONS).status_code == 200


def test_settings_name_everything_that_a_shim_needs() -> None:
    with Sandbox(students=3, time_zone="Europe/Amsterdam", pushdown=()) as sandbox:
        settings = sandbox.settings("student_sessions")
        assert settings["upstream"]["base_url"] == settings["legacy"]["base_url"] == sandbox.base_url
        assert settings["upstream"]["pushdown"] == []
        assert settings["legacy"]["time_zone"] == "Europe/Amsterdam"
        assert settings["exams"] == {str(exam.id): exam.application_id for exam in sandbox.dataset.exams}
        flat = sandbox.settings("paginated_sessions")["upstream"]
        assert flat["path"] == "/insights/1.0/sessions"
        assert "roster" not in flat
        fanned = sandbox.settings("paginated_sessions", fan_out=True)["upstream"]
        assert fanned["path"] == "/insights/1.0/users/{user_id}/sessions"
        roster = Path(fanned["roster"])
        header = roster.read_text(encoding="utf-8").splitlines()[0]
        assert header == "user_id,email,name,student_id,external_id"
        with pytest.raises(ValueError, match="'sessions' is not an upstream"):
            sandbox.settings("sessions")
    assert not roster.exists()


@pytest.mark.parametrize("fan_out", [False, True])
@pytest.mark.parametrize("kind", ["student_sessions", "paginated_sessions"])
def test_the_toml_says_the_same(kind: str, fan_out: bool) -> None:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    with Sandbox(students=3) as sandbox:
        caller = {"name": "sandbox", "api_token": sandbox.api_token, "secret_key": sandbox.secret_key}
        assert toml.loads(sandbox.toml(kind, fan_out)) == {**sandbox.settings(kind, fan_out), "callers": [caller]}


def test_connections_stay_open_and_stopping_ends_them() -> None:
    before = threading.active_count()
    with Sandbox(students=3) as sandbox:
        port = int(sandbox.base_url.rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        for _ in range(3):
            connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        assert threading.active_count() > before
    with connection:
        assert connection.recv(1) == b""
    assert threading.active_count() <= before
    sandbox.stop()
    with pytest.raises(RuntimeError, match="not started"):
        _ = sandbox.base_url
    assert "not started" in repr(sandbox)


def test_a_body_of_unknown_length_is_refused(sandbox: Sandbox) -> None:
    answer = requests.post(sandbox.base_url + "/auth/1.0/token", data=iter([b"a"]), timeout=10)
    assert answer.status_code == 411


@pytest.mark.parametrize("seconds", [0.0, 0.05], ids=["", "on a busy machine"])
def test_a_sandbox_starts_again_and_serves_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    sandbox = Sandbox(students=3)
    with sandbox:
        pass
    at_the_end = sandbox._ends.callback
    monkeypatch.setattr(sandbox._ends, "callback", lambda call: (time.sleep(seconds), at_the_end(call))[1])
    thread = threading.Thread(target=sandbox.serve_forever)
    thread.start()
    for _ in range(100):
        if "not started" not in repr(sandbox):
            break
        time.sleep(0.02)
    assert call(sandbox, SESSIONS).status_code == 200
    with pytest.raises(RuntimeError, match="already"):
        sandbox.start()
    sandbox.stop()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"clamp": 0}, "clamp"), ({"pushdown": ("page",)}, "'page'"), ({"time_zone": "Mars"}, "'Mars'")],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Sandbox(**arguments)


def test_answers_are_valid_json_of_the_documented_shape(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/insights/1.0/sessions?limit=1"
    answer = requests.get(url, headers=token(sandbox), timeout=10)
    assert list(json.loads(answer.content)) == ["limit", "offset", "total", "sessions"]
