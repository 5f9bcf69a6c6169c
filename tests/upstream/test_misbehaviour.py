"""Upstreams that do not keep their word: a right answer or a clear error, and never a shorter list."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from support import KINDS, answered, edited, listed, mounted, rows_of, signed_url, upstream_of

import compat
from compat.testing.sandbox import Sandbox, SandboxAnswer, SandboxRequest
from compat.upstream.base import SET_ASIDE_FOR, PushdownTrust

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

Change = Callable[[SandboxRequest, SandboxAnswer], SandboxAnswer]


def first_times(times: int, change: Change, wanted: Callable[[SandboxRequest], bool]) -> Change:
    """A change of so many answers to the requests that are wanted; the later ones stay."""
    lock, left = threading.Lock(), [times]

    def intercept(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        with lock:
            hit = wanted(request) and left[0] > 0
            left[0] -= hit
        return change(request, answer) if hit else answer

    return intercept


def place(request: SandboxRequest) -> int:
    """How many records lie before a page, with pages of 25."""
    if "offset" in request.parameters:
        return int(request.parameters["offset"])
    return (int(request.parameters["page"]) - 1) * 25


def second_page(request: SandboxRequest) -> bool:
    return place(request) == 25


def repeat(sandbox: Sandbox, kind: str) -> Change:
    """The second page begins with the record that the first began with, and leaves one of its own out."""
    records = sandbox.dataset.student_sessions if kind == "student_sessions" else sandbox.dataset.sessions

    def change(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        return edited(answer, lambda content: rows_of(content).__setitem__(0, records[0]))

    return change


def drop(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
    return edited(answer, lambda content: rows_of(content).pop(0))


def truth(sandbox: Sandbox, kind: str, **parameters: Any) -> requests.Response:
    """What the old endpoint says; for sessions, the same shim over an upstream that behaves."""
    if kind == "student_sessions":
        url = signed_url(sandbox, sandbox.base_url, "index_students", **parameters)
        return requests.get(url, headers=sandbox.headers, timeout=9)
    intercept, sandbox.intercept = sandbox.intercept, None
    answer = listed(mounted(upstream_of(sandbox, kind)), **parameters)
    sandbox.intercept = intercept
    return answer


def same(answer: requests.Response, expected: requests.Response) -> None:
    # Escapes in arrays may differ; the characters and the order of the fields may not.
    assert (answer.status_code, json.dumps(answer.json())) == (200, json.dumps(expected.json()))
    assert len(answer.json()["students"]) > 0
    pagination = [name for name in expected.headers if name.startswith("X-Pagination-")]
    assert len(pagination) == 4
    assert {name: answer.headers[name] for name in pagination} == {name: expected.headers[name] for name in pagination}


def failed(answer: requests.Response, message: str) -> None:
    assert (answer.status_code, answer.json()) == (502, {"error": message, "errors": {}})


@pytest.mark.parametrize("scope", ["all", "exam"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"status": "exam_finished"},
        {"filter": '{"attempt":{"gte":1}}'},
        {"sort": '[{"name":"desc"},{"id":"asc"}]'},
        {"status": "registered", "filter": '{"id":{"gt":0}}', "sort": '[{"id":"asc"}]'},
    ],
)
def test_a_pushed_down_part_is_ignored(scope: str, parameters: dict[str, str]) -> None:
    with Sandbox(students=60, clamp=300, pushdown=()) as sandbox:
        upstream = upstream_of(sandbox, "student_sessions", scope=scope, pushdown=("status", "filter", "sort"))
        session = mounted(upstream)
        same(listed(session, **parameters), truth(sandbox, "student_sessions", **parameters))
        # What it was seen to ignore is left to it no more.
        assert not upstream.capabilities & {"status", "filter"} & set(list(parameters)[:1])
        same(listed(session, **parameters), truth(sandbox, "student_sessions", **parameters))


def test_a_status_that_a_fault_made_foreign_is_not_held_against_the_upstream_for_good(sandbox: Sandbox) -> None:
    """One answer of another status, once: ours is right, and after a while the upstream is trusted again."""

    def foreign(content: dict[str, Any]) -> None:
        for row in rows_of(content):
            row["status"] = "archived"

    now = [0.0]
    upstream = upstream_of(sandbox, "student_sessions")
    upstream.pushdown = PushdownTrust(upstream.capabilities, "student sessions", lambda: now[0])
    session = mounted(upstream)
    expected = truth(sandbox, "student_sessions", status="exam_finished")
    sandbox.intercept = first_times(
        1, lambda request, answer: edited(answer, foreign), lambda request: "status" in request.parameters
    )

    def pushed() -> bool:
        before = len(sandbox.calls)
        same(listed(session, status="exam_finished"), expected)
        return "status" in sandbox.calls[-1].parameters and len(sandbox.calls) > before

    assert not pushed()
    assert not pushed()
    now[0] += SET_ASIDE_FOR
    assert pushed()
    assert pushed()


def test_the_exam_scope_is_ignored(sandbox: Sandbox) -> None:
    everything = json.dumps({"students": sandbox.dataset.student_sessions}).encode()
    headers = {"X-Pagination-Item-Count": "60", "X-Pagination-Limit": "300"}
    sandbox.intercept = lambda request, answer: answered(everything, **headers)
    upstream = upstream_of(sandbox, "student_sessions", scope="exam")
    assert "exam" in upstream.capabilities
    same(listed(mounted(upstream)), truth(sandbox, "student_sessions"))
    assert "exam" not in upstream.capabilities


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["repeat", "drop"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_slip_in_one_reading_is_mended_by_reading_again(sandbox: Sandbox, kind: str, how: str, times: int) -> None:
    change = repeat(sandbox, kind) if how == "repeat" else drop
    sandbox.intercept = first_times(times, change, second_page)
    answer = listed(mounted(upstream_of(sandbox, kind)))
    assert "X-Compat-Reading" not in answer.headers
    same(answer, truth(sandbox, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unsettled", ["serve", "refuse"])
def test_an_id_that_always_comes_twice(sandbox: Sandbox, kind: str, unsettled: str) -> None:
    records = sandbox.dataset.student_sessions if kind == "student_sessions" else sandbox.dataset.sessions
    sandbox.intercept = first_times(1000, repeat(sandbox, kind), second_page)
    answer = listed(mounted(upstream_of(sandbox, kind, unsettled=unsettled)))
    failed(answer, f"The upstream lists the id {records[0]['id']} twice.")


def wandering(kind: str, repeated: Change) -> Change:
    """Every second page repeats a record, and no two pages state the same total."""
    lock, more = threading.Lock(), [0]

    def change(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        with lock:
            more[0] += 1
            moved = 60 + more[0] % 7
        if second_page(request):
            answer = repeated(request, answer)
        if kind == "student_sessions":
            return SandboxAnswer(200, {**answer.headers, "X-Pagination-Item-Count": str(moved)}, answer.body)
        return edited(answer, lambda content: content.update(total=content["total"] + more[0] % 7))

    return change


def test_a_list_that_keeps_moving_is_served_and_says_so(sandbox: Sandbox) -> None:
    sandbox.intercept = wandering("student_sessions", repeat(sandbox, "student_sessions"))
    session = mounted(upstream_of(sandbox, "student_sessions"))
    answer = listed(session)
    assert (answer.status_code, answer.headers["X-Compat-Reading"]) == (200, "unsettled")
    hidden = sandbox.dataset.students[25]["id"]
    expected = {each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17} - {hidden}
    assert {each["id"] for each in answer.json()["students"]} == expected
    assert compat.ExamStudentsClient(upstream_of(sandbox, "student_sessions")).index_students(17).unsettled
    refusing = mounted(upstream_of(sandbox, "student_sessions", unsettled="refuse"))
    failed(listed(refusing), "The upstream's list changed while it was read, 3 times over.")


def test_what_one_reading_missed_another_gives(sandbox: Sandbox) -> None:
    seen = []

    def intercept(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        if place(request) == 0:
            seen.append(request)
        missing = len(seen) % 10
        headers = {"X-Pagination-Item-Count": str(60 + len(seen))}
        return edited(answer, lambda content: rows_of(content).pop(missing), **headers)

    sandbox.intercept = intercept
    answer = listed(mounted(upstream_of(sandbox, "student_sessions")))
    assert len(seen) == 3
    assert answer.headers["X-Compat-Reading"] == "unsettled"
    expected = {each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17}
    assert {each["id"] for each in answer.json()["students"]} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_total_that_moved_once(sandbox: Sandbox, kind: str) -> None:
    def change(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        if kind == "student_sessions":
            return SandboxAnswer(200, {**answer.headers, "X-Pagination-Item-Count": "40"}, answer.body)
        return edited(answer, lambda content: content.update(total=30))

    sandbox.intercept = first_times(1, change, lambda request: place(request) == 0)
    same(listed(mounted(upstream_of(sandbox, kind))), truth(sandbox, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 1000])
def test_an_empty_page_in_the_middle(sandbox: Sandbox, kind: str, times: int) -> None:
    def change(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        return edited(answer, lambda content: rows_of(content).clear())

    expected = truth(sandbox, kind)
    sandbox.intercept = first_times(times, change, second_page)
    answer = listed(mounted(upstream_of(sandbox, kind)))
    if times == 1:
        same(answer, expected)
    elif kind == "student_sessions":
        failed(answer, "The upstream's page from record 25 on has no records, though it counts 60.")
    else:
        total = len(sandbox.dataset.sessions)
        failed(answer, f"The upstream's page at 25 has no sessions, though it counts {total}.")


def stating(kind: str, limit: int) -> Change:
    """Pages of 25 that state another limit."""

    def change(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        if kind == "student_sessions":
            return SandboxAnswer(200, {**answer.headers, "X-Pagination-Limit": str(limit)}, answer.body)
        return edited(answer, lambda content: content.update(limit=limit))

    return change


@pytest.mark.parametrize("kind", KINDS)
def test_the_stated_limit_changes_once(sandbox: Sandbox, kind: str) -> None:
    sandbox.intercept = first_times(1, stating(kind, 10), second_page)
    same(listed(mounted(upstream_of(sandbox, kind))), truth(sandbox, kind))


def test_the_stated_limit_of_sessions_does_not_matter(sandbox: Sandbox) -> None:
    sandbox.intercept = first_times(1000, stating("paginated_sessions", 10), second_page)
    same(listed(mounted(upstream_of(sandbox, "paginated_sessions"))), truth(sandbox, "paginated_sessions"))


@pytest.mark.parametrize("pages", ["first", "every"])
def test_a_page_that_states_more_than_it_gives(sandbox: Sandbox, pages: str) -> None:
    sandbox.intercept = first_times(
        1000, stating("student_sessions", 300), lambda request: pages == "every" or place(request) == 0
    )
    answer = listed(mounted(upstream_of(sandbox, "student_sessions")))
    everything = {each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17}
    found = {each["id"] for each in answer.json().get("students", ())}
    assert answer.status_code == 502 or found == everything


@pytest.mark.parametrize(
    "parameters",
    [
        {"sort": '[{"id":"asc"}]', "limit": "1", "page": "3"},
        {"filter": '{"id":{"gt":1300}}', "limit": "1"},
    ],
)
def test_a_part_that_is_ignored_where_the_page_happens_to_fit(parameters: dict[str, str]) -> None:
    with Sandbox(students=60, clamp=300, pushdown=()) as sandbox:
        upstream = upstream_of(sandbox, "student_sessions", scope="exam", pushdown=("status", "filter", "sort"))
        same(listed(mounted(upstream), **parameters), truth(sandbox, "student_sessions", **parameters))
