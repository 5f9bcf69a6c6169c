"""The deprecated interface over HTTP: lists, parameters, signatures, siblings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from compat.testing.sandbox import Sandbox
from compat.testing.sandbox.messages import base_string, sign
from compat.testing.sandbox.reference import FIELDS, STATUSES

LIST = "/api/v3/exams/17/index_students"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(students=60, exams=2) as running:
        yield running


def get(sandbox: Sandbox, path: str = LIST, id: str = "17", **parameters: str) -> requests.Response:
    signed = sandbox.signed(parameters, {"id": id})
    return requests.get(sandbox.base_url + path, params=signed, headers=sandbox.headers, timeout=10)


def records(sandbox: Sandbox, exam_id: int = 17) -> list[dict[str, Any]]:
    return [record for record in sandbox.dataset.students if record["exam_id"] == exam_id]


def assert_refused(answer: requests.Response, *names: str) -> None:
    body = answer.json()
    assert (answer.status_code, set(body["errors"])) == (422, set(names))
    assert body["error"] == next(iter(body["errors"].values()))[0]


@pytest.mark.parametrize("path", [LIST, LIST + "/"])
def test_a_list_holds_the_exams_records_and_says_how_many(sandbox: Sandbox, path: str) -> None:
    answer = get(sandbox, path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"students": records(sandbox)}
    assert all(tuple(record) == FIELDS for record in answer.json()["students"])
    assert pagination(answer) == (30, 1, 1, 300)


def pagination(answer: requests.Response) -> tuple[int, ...]:
    names = ("Item-Count", "Page-Count", "Page", "Limit")
    return tuple(int(answer.headers[f"X-Pagination-{name}"]) for name in names)


def test_text_is_compact_utf_8(sandbox: Sandbox) -> None:
    expected = json.dumps({"students": records(sandbox)}, ensure_ascii=False, separators=(",", ":"))
    assert get(sandbox).content == expected.encode()


def test_pages_joined_are_the_list(sandbox: Sandbox) -> None:
    answers = [get(sandbox, page=str(page), limit="7") for page in range(1, 7)]
    assert [len(answer.json()["students"]) for answer in answers] == [7, 7, 7, 7, 2, 0]
    assert [each for answer in answers for each in answer.json()["students"]] == records(sandbox)
    assert [pagination(answer) for answer in answers] == [(30, 5, page, 7) for page in range(1, 7)]


def test_a_limit_over_300_is_300(sandbox: Sandbox) -> None:
    assert pagination(get(sandbox, limit="301")) == (30, 1, 1, 300)


def test_an_exam_without_records_has_no_pages(sandbox: Sandbox) -> None:
    answer = get(sandbox, "/api/v3/exams/999/index_students", id="999")
    assert answer.json() == {"students": []}
    assert pagination(answer) == (0, 0, 1, 300)


@pytest.mark.parametrize("status", STATUSES)
def test_status(sandbox: Sandbox, status: str) -> None:
    found = get(sandbox, status=status).json()["students"]
    assert found == [record for record in records(sandbox) if record["status"] == status]
    assert found


def test_filter_and_sort_work_on_the_whole_exam(sandbox: Sandbox) -> None:
    answer = get(
        sandbox,
        filter='{"time_slot":{"ne":null},"attempt":{"eq":0}}',
        sort='[{"time_slot":"desc"}]',
        limit="4",
    )
    matching = [record for record in records(sandbox) if record["time_slot"] and record["attempt"] == 0]
    assert answer.json()["students"] == sorted(matching, key=lambda record: -record["time_slot"])[:4]
    assert pagination(answer)[0] == len(matching)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("page", "0", "Must be at least 1."),
        ("page", "00", "Must be at least 1."),
        ("page", "x", "Must be a number."),
        ("page", "-1", "Must be a number."),
        ("page", "1.0", "Must be a number."),
        ("page", " 1", "Must be a number."),
        ("page", "١", "Must be a number."),
        ("limit", "0", "Must be at least 1."),
        ("limit", "1e2", "Must be a number."),
        ("status", "finished", f"Must be one of: {', '.join(STATUSES)}."),
        ("status", "Registered", f"Must be one of: {', '.join(STATUSES)}."),
        ("page", "", "Param is missing or the value is empty: 'page'"),
        ("other", "", "Param is missing or the value is empty: 'other'"),
    ],
)
def test_documented_texts(sandbox: Sandbox, name: str, value: str, text: str) -> None:
    answer = get(sandbox, **{name: value})
    assert_refused(answer, name)
    assert answer.json() == {"error": text, "errors": {name: [text]}}


@pytest.mark.parametrize("parameters", [{"filter": "[]"}, {"sort": "{}"}, {"filter": '{"a":{}}', "sort": "x"}])
def test_unreadable_filters_and_sorts(sandbox: Sandbox, parameters: dict[str, str]) -> None:
    assert_refused(get(sandbox, **parameters), *parameters)


def test_all_wrong_parameters_are_named_at_once(sandbox: Sandbox) -> None:
    assert_refused(get(sandbox, page="0", limit="x", status="y"), "page", "limit", "status")


def test_a_path_id_that_is_no_number(sandbox: Sandbox) -> None:
    assert_refused(get(sandbox, "/api/v3/exams/abc/index_students", id="abc"), "id")


def test_the_path_wins_over_another_id(sandbox: Sandbox) -> None:
    signed = sandbox.signed({"id": "18"}, {"id": "17"})
    answer = requests.get(sandbox.base_url + LIST, params=signed, headers=sandbox.headers, timeout=10)
    assert answer.json()["students"] == records(sandbox)


@pytest.mark.parametrize("suffix", ["&page=1&page=1", "&page=1&page=2"])
def test_a_parameter_given_twice(sandbox: Sandbox, suffix: str) -> None:
    assert_refused(raw(sandbox, suffix=suffix), "page")


def test_a_path_id_repeated_empty_or_twice(sandbox: Sandbox) -> None:
    assert_refused(raw(sandbox, suffix="&id=1&id=1"), "id")
    assert_refused(raw(sandbox, suffix="&id="), "id")


def raw(sandbox: Sandbox, suffix: str = "", **how: Any) -> requests.Response:
    signed = sandbox.signed({}, {"id": "17"})
    query = "&".join(f"{name}={value}" for name, value in signed.items()) + suffix
    headers = {**sandbox.headers, **how.pop("headers", {})}
    return requests.get(f"{sandbox.base_url}{LIST}?{query}", headers=headers, timeout=10, **how)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ('{"page":null}', ["page"]),
        ('{"page":[1]}', ["page"]),
        ('{"filter":{"name":{}}}', ["filter"]),
        ('{"page":1,"page":1}', ["page"]),
        ('{"timestamp":1}', ["timestamp"]),
        ('{"page":NaN}', ["body"]),
        ("[]", ["body"]),
        ("{", ["body"]),
        (b"\xff", ["body"]),
    ],
)
def test_json_bodies_that_are_refused(sandbox: Sandbox, body: str | bytes, names: list[str]) -> None:
    assert_refused(raw(sandbox, data=body, headers={"Content-Type": "application/json"}), *names)


def test_other_bodies_are_refused(sandbox: Sandbox) -> None:
    assert_refused(raw(sandbox, data="<page/>", headers={"Content-Type": "text/xml"}), "body")


def test_a_query_that_is_not_utf_8(sandbox: Sandbox) -> None:
    assert_refused(raw(sandbox, suffix="&other=%FF"), "other")


@pytest.mark.parametrize("how", ["json", "data", "untyped"])
def test_parameters_in_a_body(sandbox: Sandbox, how: str) -> None:
    signed: dict[str, Any] = sandbox.signed({"limit": "3", "flag": "true"}, {"id": "17"})
    if how != "data":
        signed = {**signed, "limit": 3, "flag": True}
    content: Any = json.dumps(signed) if how == "untyped" else signed
    arguments = {"json" if how == "json" else "data": content}
    answer = requests.get(sandbox.base_url + LIST, headers=sandbox.headers, timeout=10, **arguments)
    assert answer.json()["students"] == records(sandbox)[:3]


def test_the_same_value_in_query_and_body_is_no_conflict(sandbox: Sandbox) -> None:
    signed = sandbox.signed({"limit": "3"}, {"id": "17"})
    answer = requests.get(
        sandbox.base_url + LIST, params=signed, json={"limit": 3}, headers=sandbox.headers, timeout=10
    )
    assert len(answer.json()["students"]) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=17", "3edbc3fab3c0299bcde0c151abb6a47c4b4743dd93f2d208a159134296f3fa81"),
        ("exam_id=17", "2764f50148c5a521438c45bd6efa03ca808f40d1c972f1ce249ac03c7a153cdf"),
        ("page=1", "2d6681798e4fedd3eece97b2223b9d0db8f53a669e83d26814dcbe722de32e8c"),
    ],
)
def test_signature_vectors(text: str, expected: str) -> None:
    name, _, value = text.partition("=")
    parameters = {"timestamp": "1527500365052", "nonce": "1527500365", name: value, "signature": "x"}
    assert base_string(parameters).count("?") == 2
    assert sign(parameters, "secret") == expected


def assert_not_authorised(answer: requests.Response) -> None:
    text = "You are not authorized to access this page."
    assert (answer.status_code, answer.json()) == (403, {"error": text, "errors": {}})


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "0" * 64}, {"signature": ""}, {"signature": "é"}, {"page": "2"}, {"timestamp": "1"},
        {"nonce": "2"}, {"nonce": ""},
    ],
)  # fmt: skip
def test_a_changed_request_is_not_authorised(sandbox: Sandbox, change: dict[str, str]) -> None:
    signed = {**sandbox.signed({}, {"id": "17"}), **change}
    url = sandbox.base_url + LIST
    assert_not_authorised(requests.get(url, params=signed, headers=sandbox.headers, timeout=10))


@pytest.mark.parametrize("name", ["signature", "timestamp", "nonce"])
def test_a_missing_part_is_not_authorised(sandbox: Sandbox, name: str) -> None:
    signed = sandbox.signed({}, {"id": "17"})
    del signed[name]
    if name != "signature":
        signed["signature"] = sign({**signed, "id": "17"}, sandbox.secret_key)
    url = sandbox.base_url + LIST
    assert_not_authorised(requests.get(url, params=signed, headers=sandbox.headers, timeout=10))


@pytest.mark.parametrize("value", ["", "Token token=", "Token token=wrong", "Bearer x", "Token token=é"])
def test_a_wrong_token_is_not_authorised(sandbox: Sandbox, value: str) -> None:
    signed = sandbox.signed({}, {"id": "17"})
    headers = {"Authorization": value.encode()}
    answer = requests.get(sandbox.base_url + LIST, params=signed, headers=headers, timeout=10)
    assert_not_authorised(answer)


@pytest.mark.parametrize("parameters", [{"nonce": "12x"}, {"timestamp": "now"}])
def test_signed_nonsense_is_not_authorised(sandbox: Sandbox, parameters: dict[str, str]) -> None:
    assert_not_authorised(get(sandbox, **parameters))


def test_times_count_for_five_minutes_either_way(sandbox: Sandbox) -> None:
    now = int(time.time() * 1000)
    for distance, status in ((-310_000, 403), (-290_000, 200), (290_000, 200), (310_000, 403)):
        assert get(sandbox, timestamp=str(now + distance)).status_code == status


def test_a_nonce_counts_once_and_only_when_the_signature_held(sandbox: Sandbox) -> None:
    url = sandbox.base_url + LIST
    signed = sandbox.signed({}, {"id": "17"})
    forged = {**signed, "signature": "0" * 64}
    statuses = [
        requests.get(url, params=each, headers=sandbox.headers, timeout=10).status_code
        for each in (forged, signed, signed)
    ]
    assert statuses == [403, 200, 403]


def test_a_refused_parameter_has_spent_its_nonce(sandbox: Sandbox) -> None:
    assert get(sandbox, page="0", nonce="77001").status_code == 422
    assert get(sandbox, nonce="77001").status_code == 403


def call(sandbox: Sandbox, method: str, endpoint: str, /, **parameters: str) -> requests.Response:
    signed = sandbox.signed(parameters, {"id": "17"})
    url = f"{sandbox.base_url}/api/v3/exams/17/{endpoint}"
    return requests.request(method, url, params=signed, headers=sandbox.headers, timeout=10)


def test_show_student(sandbox: Sandbox) -> None:
    mine, other = records(sandbox)[0], records(sandbox, 18)[0]
    answer = call(sandbox, "GET", "show_student", student_session_id=str(mine["id"]))
    assert (answer.status_code, answer.json()) == (200, {"student": mine})
    for missing in (str(other["id"]), "5"):
        answer = call(sandbox, "GET", "show_student", student_session_id=missing)
        assert answer.status_code == 404
        assert answer.json() == {
            "error": f"Couldn't find Student Session with 'id'='{missing}'",
            "errors": {},
        }
    assert_refused(call(sandbox, "GET", "show_student"), "student_session_id")
    assert_refused(call(sandbox, "GET", "show_student", student_session_id="x"), "student_session_id")


def test_add_and_delete_student() -> None:
    with Sandbox(students=6, exams=2, time_zone="Europe/Amsterdam") as sandbox:
        largest = max(record["id"] for record in sandbox.dataset.students)
        answer = call(
            sandbox, "POST", "add_student", name="Zoë", email="zoe@example.com", skip_requirements="True",
            is_individual_info_html="0", individual_info="<b>", open_time="1542103980",
        )  # fmt: skip
        student = answer.json()["student"]
        assert answer.status_code == 201
        assert tuple(student) == FIELDS
        assert (student["id"], student["exam_id"], student["status"]) == (largest + 1, 17, "registered")
        assert (student["skip_requirements"], student["is_individual_info_html"]) == (True, False)
        assert student["open_time"] == "2018-11-13T11:13:00.000+01:00"
        assert student["created_at"] == student["updated_at"]
        again = call(sandbox, "POST", "add_student", name="Zoë", email="zoe@example.com")
        assert again.status_code == 422
        assert again.json() == {
            "error": "has already been taken",
            "errors": {"email": ["has already been taken"]},
        }
        deleted = call(sandbox, "DELETE", "delete_student", student_session_id=str(student["id"]))
        assert (deleted.status_code, deleted.json()) == (200, {})
        deleted = call(sandbox, "DELETE", "delete_student", student_session_id=str(student["id"]))
        assert deleted.status_code == 404


def test_what_add_student_refuses(sandbox: Sandbox) -> None:
    answer = call(sandbox, "POST", "add_student", email="")
    assert_refused(answer, "email")
    assert_refused(call(sandbox, "POST", "add_student"), "name", "email")
    answer = call(
        sandbox, "POST", "add_student", name="a", email="b", skip_requirements="yes", open_time="soon",
        is_individual_info_html="2",
    )  # fmt: skip
    assert_refused(answer, "skip_requirements", "open_time", "is_individual_info_html")
    assert answer.json()["errors"]["skip_requirements"] == ["Must be one of: true, false, 1, 0."]
    assert len(records(sandbox)) == 30


def test_nobody_is_added_to_an_exam_that_is_not_there(sandbox: Sandbox) -> None:
    signed = sandbox.signed({"name": "a", "email": "b"}, {"id": "99"})
    url = f"{sandbox.base_url}/api/v3/exams/99/add_student"
    assert_not_authorised(requests.post(url, data=signed, headers=sandbox.headers, timeout=10))
    assert_refused(call(sandbox, "POST", "add_student", name="a", email="b", open_time="9" * 20), "open_time")


def test_routes_that_are_not_there(sandbox: Sandbox) -> None:
    assert requests.get(sandbox.base_url + "/api/v3/exams", timeout=10).status_code == 404
    assert requests.post(sandbox.base_url + LIST, timeout=10).status_code == 404
