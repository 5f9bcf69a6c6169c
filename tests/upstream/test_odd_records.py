"""Records that are not what the documents declare."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
import requests
from support import KINDS, answered, edited, listed, mounted, rows_of, upstream_of

import compat
import compat.upstream.session_codec
from compat.drift import DRIFT
from compat.testing.sandbox import Sandbox, SandboxAnswer, SandboxRequest

pytestmark = [
    pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning"),
    pytest.mark.usefixtures("reader"),
]


def changed(sandbox: Sandbox, kind: str, position: int, **values: Any) -> requests.Session:
    """A session whose upstream writes other values into the record at a position of every page that has one."""

    def change(content: dict[str, Any]) -> None:
        if len(rows_of(content)) > position:
            rows_of(content)[position].update(values)

    sandbox.intercept = lambda request, answer: edited(answer, change)
    return mounted(upstream_of(sandbox, kind))


def failed(answer: requests.Response, message: str) -> None:
    assert (answer.status_code, answer.json()) == (502, {"error": message, "errors": {}})


@pytest.fixture
def one() -> Any:
    """A sandbox of a single page and a single exam, so that every position is known."""
    with Sandbox(students=20, exams=1) as running:
        yield running


@pytest.mark.parametrize("value", ["17x", "5", 5.5, True, [1], {"a": 1}])
def test_an_id_that_is_no_integer(one: Sandbox, value: Any) -> None:
    session = changed(one, "student_sessions", 3, id=value)
    failed(listed(session), "The upstream's list holds a record that has no integer in 'id'.")


def test_an_id_that_is_null_or_absent(one: Sandbox) -> None:
    message = "The upstream's list holds a record that has no integer in 'id'."
    failed(listed(changed(one, "student_sessions", 3, id=None)), message)
    one.intercept = lambda request, answer: edited(answer, lambda content: rows_of(content)[3].pop("id"))
    failed(listed(mounted(upstream_of(one, "student_sessions"))), message)


@pytest.mark.parametrize("value", ["17", None, 1.5, False])
def test_an_exam_id_that_is_no_integer(one: Sandbox, value: Any) -> None:
    number = one.dataset.students[3]["id"]
    session = changed(one, "student_sessions", 3, exam_id=value)
    failed(listed(session), f"The upstream's student session {number} has no integer in 'exam_id'.")


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        ("student_sessions", 5, "The upstream's list holds a number where a record should be."),
        ("student_sessions", None, "The upstream's list holds null where a record should be."),
        ("paginated_sessions", "x", "The upstream's list holds a string where a session should be."),
        ("paginated_sessions", None, "The upstream's list holds null where a session should be."),
    ],
)
def test_a_record_that_is_no_object(one: Sandbox, kind: str, row: Any, message: str) -> None:
    one.intercept = lambda request, answer: edited(answer, lambda content: rows_of(content).__setitem__(2, row))
    failed(listed(mounted(upstream_of(one, kind))), message)


@pytest.mark.parametrize("name", ["id", "applicationId"])
@pytest.mark.parametrize("value", [5, None])
def test_a_session_without_its_texts(one: Sandbox, name: str, value: Any) -> None:
    session = changed(one, "paginated_sessions", 2, **{name: value})
    failed(listed(session), f"The upstream's list holds a session that has no string in '{name}'.")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("startedAtTime", "yesterday", "Must be a time."),
        ("endedAtTime", 5, "Must be a time."),
        ("startedAtTime", None, "Field may not be null."),
    ],
)
def test_a_session_whose_times_are_none(one: Sandbox, name: str, value: Any, message: str) -> None:
    number = one.dataset.sessions[2]["id"]
    session = changed(one, "paginated_sessions", 2, **{name: value})
    failed(listed(session), f"The upstream's session {number}: {name}: {message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("students", {"students": None}, "The upstream's answer is not a page: it has no list of students."),
        ("students", {"students": {"id": 1}}, "The upstream's answer is not a page: it has no list of students."),
        ("students", {}, "The upstream's answer is not a page: it has no list of students."),
    ],
)
def test_no_list_of_students(one: Sandbox, name: str, content: Any, message: str) -> None:
    headers = {"X-Pagination-Item-Count": "20", "X-Pagination-Limit": "300"}
    one.intercept = lambda request, answer: answered(content, **headers)
    failed(listed(mounted(upstream_of(one, "student_sessions"))), message)
    assert len(one.calls) == 6


@pytest.mark.parametrize("name", ["sessions", "total", "limit", "offset"])
@pytest.mark.parametrize("value", [None, "x", "absent"])
def test_no_page_of_sessions(one: Sandbox, name: str, value: Any) -> None:
    def change(content: dict[str, Any]) -> None:
        content[name] = value
        if value == "absent":
            del content[name]

    one.intercept = lambda request, answer: edited(answer, change)
    answer = listed(mounted(upstream_of(one, "paginated_sessions")))
    assert answer.status_code == 502
    assert answer.json()["error"].startswith(f"The upstream's answer is not a page: {name}: ")


@pytest.mark.parametrize("name", ["X-Pagination-Item-Count", "X-Pagination-Limit"])
@pytest.mark.parametrize("value", ["", "many", "-1", "1e3", "9" * 30])
def test_a_count_that_is_none(one: Sandbox, name: str, value: str) -> None:
    one.intercept = lambda request, answer: edited(answer, lambda content: None, **{name: value})
    answer = listed(mounted(upstream_of(one, "student_sessions")))
    failed(answer, f"The upstream's answer is not a page: it states no {name}.")


def test_an_offset_other_than_asked(sandbox: Sandbox) -> None:
    sandbox.intercept = lambda request, answer: edited(answer, lambda content: content.update(offset=0))
    answer = listed(mounted(upstream_of(sandbox, "paginated_sessions")))
    assert answer.status_code == 502
    assert re.fullmatch(r"The upstream's page begins at 0, though it was asked from \d+\.", answer.json()["error"])


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [("name", 5, "a number"), ("attempt", "two", "a string"), ("archived", None, None), ("incidents", {}, "an object")],
)
def test_another_type_is_passed_on_and_said_once(
    one: Sandbox, caplog: pytest.LogCaptureFixture, name: str, value: Any, found: str | None
) -> None:
    number = one.dataset.students[3]["id"]
    session = changed(one, "student_sessions", 3, **{name: value})
    for _ in range(2):
        record = next(each for each in listed(session).json()["students"] if each["id"] == number)
        assert record[name] == value
        assert len(record) == 57
    drift = [record for record in caplog.records if record.name == "compat.drift"]
    if found is None:
        assert drift == []
        assert DRIFT.seen() == {}
    else:
        text = f"the upstream sends {found} in '{name}', which is declared otherwise; it is passed on"
        assert [(each.levelno, each.getMessage()) for each in drift] == [(logging.WARNING, text)]
        assert DRIFT.seen() == {name: found}


def test_a_drifted_value_is_not_logged(one: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    session = changed(one, "student_sessions", 3, student_id="privately known")
    assert "privately known" in listed(session).text
    assert "student_id" in caplog.text
    assert "privately known" not in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "kind", "query"),
    [
        ("attempt", "two", "integer", {"filter": '{"attempt":{"gt":0}}'}),
        ("name", 5, "string", {"sort": '[{"name":"asc"}]'}),
        ("archived", "false", "boolean", {"filter": '{"archived":{"eq":false}}'}),
        ("open_time", "soon", "time", {"sort": '[{"open_time":"asc"}]'}),
    ],
)
def test_a_filter_or_sort_that_needs_a_drifted_value(
    one: Sandbox, name: str, value: Any, kind: str, query: dict[str, str]
) -> None:
    number = one.dataset.students[3]["id"]
    session = changed(one, "student_sessions", 3, **{name: value})
    failed(listed(session, **query), f"The upstream's student session {number} has no {kind} in '{name}'.")
    # What does not look at that column is answered.
    assert listed(session, sort='[{"id":"asc"}]').status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_another_exams_odd_record_is_nobodys_business(sandbox: Sandbox, kind: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for row in rows_of(content):
            if row.get("exam_id", 17) != 17:
                row["name"] = 5
            elif row.get("applicationId", sandbox.dataset.exams[0].application_id) != (
                sandbox.dataset.exams[0].application_id
            ):
                row["startedAtTime"] = "never"

    expected = listed(mounted(upstream_of(sandbox, kind)), sort='[{"name":"asc"}]').json()
    sandbox.intercept = lambda request, answer: edited(answer, change)
    answer = listed(mounted(upstream_of(sandbox, kind)), sort='[{"name":"asc"}]')
    assert (answer.status_code, answer.json()) == (200, expected)


def test_sessions_of_an_unknown_application_are_dropped(sandbox: Sandbox) -> None:
    first = sandbox.dataset.exams[0].application_id
    upstream: Any = upstream_of(sandbox, "paginated_sessions", exams={17: first.upper()})
    found = listed(mounted(upstream)).json()["students"]
    assert len(found) == sum(each["applicationId"] == first for each in sandbox.dataset.sessions) > 0
    assert {each["exam_id"] for each in found} == {17}


def test_two_sessions_with_one_surrogate(one: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody can find a real collision of 52 bits in a test.
    monkeypatch.setattr(compat.upstream.session_codec, "legacy_ids", lambda texts: [2**52 + 7] * len(texts))
    answer = listed(mounted(upstream_of(one, "paginated_sessions")))
    failed(answer, "Two of the upstream's sessions have the legacy id 4503599627370503.")


def test_numbers_keep_their_digits(one: Sandbox) -> None:
    number = one.dataset.students[3]["id"]
    session = changed(one, "student_sessions", 3, time_slot=10**30, rtc_session_id=2**63, id_card_file_size=-0)
    text = listed(session).text
    record = next(each for each in json.loads(text)["students"] if each["id"] == number)
    assert (record["time_slot"], record["rtc_session_id"]) == (10**30, 2**63)


def test_one_odd_page_among_those_of_an_answer_is_no_fault() -> None:
    """An id of -0 is kept by its text, so that one part of the legacy page comes as texts and the others decoded."""

    def change(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        if request.parameters.get("page") != "2":
            return answer
        number = rows_of(json.loads(answer.body))[0]["id"]
        return answered(answer.body.replace(b'"id":%d,' % number, b'"id":-0,', 1), **answer.headers)

    with Sandbox(students=60, exams=1, clamp=25) as sandbox:
        sandbox.intercept = change
        found = listed(mounted(upstream_of(sandbox, "student_sessions", scope="exam")))
    assert found.status_code == 200
    assert (len(found.json()["students"]), found.text.count('"id":-0,')) == (60, 1)
