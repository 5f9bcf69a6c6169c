"""Every 422 of contract 1: the parameter, the text, and the same through the client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support import OLD, listed, mounted, upstream_of

import compat
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

STATUSES = (
    "registered, before_check_req_mail, email_bounced, email_sent, after_check_req_mail, before_check_req, "
    "after_check_req, in_setup, exam_not_started, exam_started, exam_finished"
)
OPERATORS = "eq, ne, gt, gte, lt, lte, in, nin"
TIME = "Must be a time such as 2018-11-17T17:09:39.373+01:00, a date such as 2018-11-17, or epoch milliseconds"
LONG = "x" * 200

LISTS = [
    ("page", "0", "Must be at least 1."),
    ("page", "000", "Must be at least 1."),
    ("page", "x", "Must be a number."),
    ("page", "-1", "Must be a number."),
    ("page", "1.0", "Must be a number."),
    ("page", " 1", "Must be a number."),
    ("page", "٣", "Must be a number."),
    ("page", "9" * 5000, "Must be a number."),
    ("limit", "0", "Must be at least 1."),
    ("limit", "all", "Must be a number."),
    ("limit", "+5", "Must be a number."),
    ("status", "finished", f"Must be one of: {STATUSES}."),
    ("status", "EXAM_FINISHED", f"Must be one of: {STATUSES}."),
    ("sort", "name", "Must be stringified JSON: 'name'."),
    ("sort", "[NaN]", "Must be stringified JSON: '[NaN]'."),
    ("sort", "1" * 100, 'Must be a JSON array of objects such as [{"name": "asc"}]: \'' + "1" * 77 + "...'."),
    ("sort", '{"a":1}', 'Must be a JSON array of objects such as [{"name": "asc"}]: \'{"a":1}\'.'),
    ("sort", '["name"]', 'Must be a JSON array of objects such as [{"name": "asc"}]: \'["name"]\'.'),
    ("sort", '[{"nme":"asc"}]', "Must name a column of the record: 'nme' is none."),
    ("sort", '[{"incidents":"asc"}]', "Must name a column that is no array: 'incidents' is one."),
    ("sort", '[{"name":"up"}]', "Must order by asc or desc: '\"up\"' for 'name'."),
    ("sort", '[{"name":null}]', "Must order by asc or desc: 'null' for 'name'."),
    (
        "sort",
        '[{"name":"asc","name":"desc"}]',
        'Must not have a key twice: \'name\' in \'[{"name":"asc","name":"desc"}]\'.',
    ),
    ("filter", "{", "Must be stringified JSON: '{'."),
    ("filter", "[]", 'Must be a JSON object such as {"name": {"eq": "Ann"}}: \'[]\'.'),
    ("filter", '{"name":"Ann"}', "Must give 'name' an object of operators: '\"Ann\"'."),
    ("filter", '{"nme":{"eq":"Ann"}}', "Must name a column of the record: 'nme' is none."),
    ("filter", f'{{"{LONG}":{{}}}}', f"Must name a column of the record: '{LONG[:77]}...' is none."),
    ("filter", '{"rtc_session_ids":{"eq":1}}', "Must name a column that is no array: 'rtc_session_ids' is one."),
    ("filter", '{"name":{"like":"A"}}', f"Must use one of {OPERATORS}: 'like' for 'name'."),
    ("filter", '{"name":{"in":"Ann"}}', "Must give 'in' of 'name' a JSON array: '\"Ann\"'."),
    ("filter", '{"id":{"nin":1}}', "Must give 'nin' of 'id' a JSON array: '1'."),
    ("filter", '{"id":{"eq":"x"}}', "Must be an integer, or its digits as text: '\"x\"' for 'id'."),
    ("filter", '{"id":{"eq":1.5}}', "Must be an integer, or its digits as text: '1.5' for 'id'."),
    ("filter", '{"id":{"in":[1,true]}}', "Must be an integer, or its digits as text: 'true' for 'id'."),
    ("filter", '{"archived":{"eq":"yes"}}', "Must be one of: true, false, 1, 0: '\"yes\"' for 'archived'."),
    ("filter", '{"archived":{"eq":2}}', "Must be one of: true, false, 1, 0: '2' for 'archived'."),
    ("filter", '{"name":{"eq":true}}', "Must be a String: 'true' for 'name'."),
    ("filter", '{"name":{"eq":["a"]}}', "Must be a String: '[\"a\"]' for 'name'."),
    ("filter", '{"start_time":{"gt":"today"}}', f"{TIME}: '\"today\"' for 'start_time'."),
    ("filter", '{"start_time":{"gt":true}}', f"{TIME}: 'true' for 'start_time'."),
    ("filter", '{"start_time":{"gt":"2025-02-30"}}', f"{TIME}: '\"2025-02-30\"' for 'start_time'."),
    (
        "filter",
        '{"start_time":{"gt":"2025-02-01T10:00:00 01:00"}}',
        f"{TIME}; a + in a URL has to be sent as %2B: '\"2025-02-01T10:00:00 01:00\"' for 'start_time'.",
    ),
    (
        "filter",
        '{"id":{"eq":1,"eq":2}}',
        'Must not have a key twice: \'eq\' in \'{"id":{"eq":1,"eq":2}}\'.',
    ),
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Any]:
    with Sandbox(students=3) as running:
        yield upstream_of(running, "student_sessions")
        assert running.calls == []


def check(answer: requests.Response, errors: dict[str, list[str]]) -> None:
    first = next(iter(errors.values()))[0]
    assert answer.status_code == 422
    assert answer.json() == {"error": first, "errors": errors}
    assert list(answer.json()) == ["error", "errors"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Compat-Answered-By"] == "new"


@pytest.mark.parametrize(("name", "value", "message"), LISTS)
def test_a_list_parameter_is_refused_by_name(upstream: Any, name: str, value: str, message: str) -> None:
    check(listed(mounted(upstream), **{name: value}), {name: [message]})
    with pytest.raises(compat.InvalidParameter) as raised:
        compat.ExamStudentsClient(upstream).index_students(17, **{name: value})
    assert raised.value.errors == {name: [message]}
    assert raised.value.message == message
    assert str(raised.value) == f"{name}={value[:80]}: {message}"


def test_every_wrong_parameter_is_named_at_once(upstream: Any) -> None:
    answer = listed(mounted(upstream), page="0", limit="x", sort="s")
    errors = {
        "page": ["Must be at least 1."],
        "limit": ["Must be a number."],
        "sort": ["Must be stringified JSON: 's'."],
    }
    check(answer, errors)


def test_an_exam_id_is_digits(upstream: Any) -> None:
    for wrong in ("x", "17a", "-17", "1%207"):
        answer = mounted(upstream).get(f"{OLD}/api/v3/exams/{wrong}/index_students", timeout=5)
        check(answer, {"id": ["Must be a number."]})


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("page=1&page=1", "page", "Must be given once in the query: '1'."),
        ("page=1&page=2", "page", "Must be given once in the query: '2'."),
        ("page=", "page", "Param is missing or the value is empty: 'page'"),
        ("page", "page", "Param is missing or the value is empty: 'page'"),
        ("unknown=", "unknown", "Param is missing or the value is empty: 'unknown'"),
        ("status=%ff", "query", "Must be UTF-8."),
    ],
)
def test_a_query_that_contradicts_itself(upstream: Any, query: str, name: str, message: str) -> None:
    answer = mounted(upstream).get(f"{OLD}/api/v3/exams/17/index_students?{query}", timeout=5)
    check(answer, {name: [message]})


@pytest.mark.parametrize(
    ("kind", "body", "name", "message"),
    [
        (
            "application/json",
            b'{"limit":1,"limit":2}',
            "limit",
            "Must be given once in the body: the key 'limit' stands twice.",
        ),
        ("application/json", b'{"limit":""}', "limit", "Param is missing or the value is empty: 'limit'"),
        ("application/json", b'{"limit":null}', "limit", "Param is missing or the value is empty: 'limit'"),
        (
            "application/json",
            b'{"sort":[{"name":"asc"}]}',
            "sort",
            'Must be a String; JSON goes in stringified: \'[{"name":"asc"}]\'.',
        ),
        ("application/json", b'{"page":2}', "page", "Must not differ between query and body: '2'."),
        ("application/json", b"[1]", "body", "Must be a JSON object."),
        ("application/json", b"{", "body", "Must be a JSON object: it is not JSON."),
        ("application/json", b"\xff{}", "body", "Must be a JSON object: it is not JSON."),
        ("text/plain", b"page=1", "body", "Must be JSON or a form, not 'text/plain'."),
        ("application/x-www-form-urlencoded", b"limit=1&limit=2", "limit", "Must be given once in the body: '2'."),
        ("application/x-www-form-urlencoded", b"page=3", "page", "Must not differ between query and body: '3'."),
        ("application/x-www-form-urlencoded", b"status=%ff", "body", "Must be UTF-8."),
    ],
)
def test_a_body_that_contradicts(upstream: Any, kind: str, body: bytes, name: str, message: str) -> None:
    url = f"{OLD}/api/v3/exams/17/index_students?page=1"
    answer = mounted(upstream).get(url, data=body, headers={"Content-Type": kind}, timeout=5)
    check(answer, {name: [message]})


@pytest.mark.parametrize("action", ["show_student", "delete_student"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Param is missing or the value is empty: 'student_session_id'"),
        ({"student_session_id": "abc"}, "Must be a number."),
    ],
)
def test_siblings_need_a_session_id(upstream: Any, action: str, given: dict[str, str], message: str) -> None:
    method = "GET" if action == "show_student" else "DELETE"
    url = f"{OLD}/api/v3/exams/17/{action}"
    check(mounted(upstream).request(method, url, params=given, timeout=5), {"student_session_id": [message]})
    client: Any = compat.ExamStudentsClient(upstream)
    with pytest.raises(compat.InvalidParameter) as raised:
        getattr(client, action)(17, given.get("student_session_id"))
    assert raised.value.errors == {"student_session_id": [message]}


FLAG = "Must be one of: true, false, 1, 0."


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        (
            {},
            {
                "name": ["Param is missing or the value is empty: 'name'"],
                "email": ["Param is missing or the value is empty: 'email'"],
            },
        ),
        ({"name": "A", "email": "a@b", "open_time": "soon"}, {"open_time": ["Must be a number."]}),
        ({"name": "A", "email": "a@b", "skip_requirements": "yes"}, {"skip_requirements": [FLAG]}),
        ({"name": "A", "email": "a@b", "is_individual_info_html": "2"}, {"is_individual_info_html": [FLAG]}),
    ],
)
def test_adding_checks_its_parameters(upstream: Any, given: dict[str, str], errors: dict[str, list[str]]) -> None:
    url = f"{OLD}/api/v3/exams/17/add_student"
    check(mounted(upstream).post(url, data=json.dumps(given), headers={"Content-Type": "application/json"}), errors)
    check(mounted(upstream).post(url, data=given), errors) if given else None


def test_an_exam_that_is_tied_to_no_application() -> None:
    with Sandbox(students=3) as sandbox:
        upstream = upstream_of(sandbox, "paginated_sessions")
        errors = {"id": ["Must be an exam id that [exams] names: 999 is not in it."]}
        check(listed(mounted(upstream), 999), errors)
        url = f"{OLD}/api/v3/exams/999/show_student?student_session_id=5"
        check(mounted(upstream).get(url, timeout=5), errors)
        assert sandbox.calls == []


def test_paginated_sessions_are_not_written_to() -> None:
    with Sandbox(students=3) as sandbox:
        upstream = upstream_of(sandbox, "paginated_sessions")
        errors = {"id": ["Must not be written to: the paginated sessions upstream only reads."]}
        base = f"{OLD}/api/v3/exams/17"
        check(mounted(upstream).post(f"{base}/add_student", data={"name": "A", "email": "a@b"}), errors)
        check(mounted(upstream).delete(f"{base}/delete_student", params={"student_session_id": "5"}), errors)
        client = compat.ExamStudentsClient(upstream)
        with pytest.raises(compat.InvalidParameter, match="only reads"):
            client.add_student(17, "A", "a@b")
        with pytest.raises(compat.InvalidParameter, match="only reads"):
            client.delete_student(17, 5)
        assert sandbox.calls == []
