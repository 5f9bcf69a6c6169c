"""Walks: what page 1 read serves the later pages, for a while, and once for all who ask at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from support import KINDS, listed, mounted, read_page, upstream_of

import compat
from compat.core.call import Shim, finished
from compat.core.collected import Collected, Reading
from compat.core.walks import ASKS_UPSTREAM, KEPT_FOR, ProcessWalks, Read, Steps, WalkKey, Walks
from compat.legacy.query import Condition, Query, SortKey
from compat.legacy.routes import INDEX_STUDENTS, Answer, LegacyCall
from compat.testing.sandbox import Sandbox, SandboxAnswer
from compat.upstream.retries import Cancelled, never

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


def reads(sandbox: Sandbox) -> int:
    return len([call for call in sandbox.calls if call.interface in KINDS])


def empty() -> Collected:
    walk = Collected((), [])
    walk.settle(0)
    return walk


KEY, OTHER = (WalkKey("caller", exam_id, None, (), (), 5) for exam_id in (17, 18))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("kind", KINDS)
def test_page_one_reads_and_later_pages_do_not(sandbox: Sandbox, kind: str) -> None:
    session = mounted(upstream_of(sandbox, kind))
    first = listed(session, limit=5)
    cost = reads(sandbox)
    assert cost == -(-(60 if kind == "student_sessions" else len(sandbox.dataset.sessions)) // 25)
    for page in range(2, int(first.headers["X-Pagination-Page-Count"]) + 2):
        listed(session, limit=5, page=page)
    assert reads(sandbox) == cost
    listed(session, limit=5)
    assert reads(sandbox) == 2 * cost


def test_what_makes_another_walk(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    listed(session, limit=5)
    cost = reads(sandbox)
    others: list[dict[str, Any]] = [
        {"limit": 6},
        {"status": "exam_finished", "limit": 5},
        {"limit": 5, "filter": '{"id":{"gt":1}}'},
        {"limit": 5, "sort": '[{"id":"asc"}]'},
    ]
    for number, other in enumerate(others, 1):
        sandbox.clear_calls()
        listed(session, page=2, **other)
        assert reads(sandbox) >= 1, number
    sandbox.clear_calls()
    listed(session, 18, limit=5, page=2)
    session.headers["Authorization"] = "Token token=another"
    listed(session, limit=5, page=2)
    assert reads(sandbox) == 2 * cost


def test_the_same_query_written_in_another_way_is_the_same_walk(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    listed(session, filter='{"id":{"gt":1}}', limit=5, nonce="1")
    cost = reads(sandbox)
    listed(session, filter='{ "id": {"gt": "1"} }', limit="05", page=2, nonce="2")
    assert reads(sandbox) == cost


def test_pages_neither_repeat_nor_miss_while_the_list_changes(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    before = [each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17]
    template = next(each for each in sandbox.dataset.students if each["exam_id"] == 17)
    exam = sandbox.dataset.exams[0]
    found: list[int] = []
    for page in range(1, 5):
        answer = listed(session, limit=6, page=page)
        found += [each["id"] for each in answer.json()["students"]]
        assert answer.headers["X-Pagination-Item-Count"] == "20"
        assert sandbox.dataset.remove(before[page])
        sandbox.dataset.add(exam, {**template, "email": f"new{page}@example.com"})
    assert found == before
    after = [each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17]
    assert [each["id"] for each in listed(session).json()["students"]] == after != before


def test_a_walk_is_kept_for_ten_minutes_after_the_last_page() -> None:
    clock, made = Clock(), []
    walks = ProcessWalks(clock)

    def read() -> Collected:
        made.append(clock.now)
        return empty()

    read_page(walks, KEY, 1, read)
    for _ in range(5):
        clock.now += KEPT_FOR - 1
        read_page(walks, KEY, 2, read)
    assert len(made) == 1
    clock.now += KEPT_FOR
    read_page(walks, KEY, 3, read)
    assert (len(made), walks.number) == (2, 1)
    clock.now += KEPT_FOR + 1
    read_page(walks, OTHER, 1, read)
    assert walks.number == 1


def test_the_ten_minutes_begin_when_the_reading_ends() -> None:
    clock = Clock()
    walks = ProcessWalks(clock)

    def slow() -> Collected:
        clock.now += KEPT_FOR + 5
        return empty()

    first = read_page(walks, KEY, 1, slow)
    clock.now += 1
    assert read_page(walks, KEY, 2, slow) is first


def test_who_asks_at_once_shares_a_reading() -> None:
    with Sandbox(students=20, exams=1, latency=0.3) as sandbox:
        session = mounted(upstream_of(sandbox, "student_sessions"))
        ready = threading.Barrier(12)

        def ask(page: int) -> requests.Response:
            ready.wait(5)
            return listed(session, limit=10, page=page)

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, [1, 2] * 6))
        assert reads(sandbox) == 1
        everything = [each["id"] for each in sandbox.dataset.students]
        for page, answer in zip([1, 2] * 6, answers, strict=True):
            assert [each["id"] for each in answer.json()["students"]] == everything[:10] * (page == 1) + (
                everything[10:] * (page == 2)
            )


def test_an_error_is_shared_but_not_kept(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    sandbox.intercept = lambda request, answer: SandboxAnswer(500, {}, b"{}")
    assert [listed(session, page=page).status_code for page in (1, 2)] == [502, 502]
    sandbox.intercept = None
    assert listed(session, page=2, limit=7).status_code == 200
    assert listed(session).status_code == 200


def test_a_later_error_leaves_the_earlier_walk_gone(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    assert listed(session).status_code == 200
    sandbox.intercept = lambda request, answer: SandboxAnswer(500, {}, b"{}")
    assert listed(session).status_code == 502
    sandbox.intercept = None
    sandbox.clear_calls()
    assert listed(session, page=2).status_code == 200
    assert reads(sandbox) == 3


def test_an_interrupted_reading_does_not_hang_the_others() -> None:
    walks = ProcessWalks()

    def interrupted() -> Collected:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_page(walks, KEY, 1, interrupted)
    assert walks.number == 0
    walk = empty()
    assert read_page(walks, KEY, 2, lambda: walk) is walk


def test_a_reading_goes_on_until_the_last_who_waits_for_it_has_gone() -> None:
    walks, gone = ProcessWalks(), [False, False]
    reader = walks.steps(KEY, 1, lambda cancelled: pytest.fail("not begun yet"), lambda: gone[0])
    assert next(reader) is ASKS_UPSTREAM
    # The first goes away before it has begun to read: whoever waits for it reads in its place.
    seen: list[bool] = []
    walk = empty()

    def read(cancelled: Callable[[], bool]) -> Collected:
        for first, second in ((False, False), (True, False), (True, True)):
            gone[:] = first, second
            seen.append(cancelled())
        if cancelled():
            raise Cancelled
        return walk

    waiter = walks.steps(KEY, 2, read, lambda: gone[1])
    result = next(waiter)
    assert result is not None
    assert not result.done()
    reader.close()
    assert result.done()
    assert next(waiter) is ASKS_UPSTREAM
    joined = walks.steps(KEY, 1, lambda cancelled: walk, lambda: gone[0])
    assert next(joined) is not None
    with pytest.raises(Cancelled):
        next(waiter)
    assert seen == [False, False, True]
    # That nobody waited for it is nobody's answer: who came in that moment reads.
    assert finished(joined) is walk


def test_an_upstream_that_does_it_all_is_not_walked() -> None:
    with Sandbox(students=60, exams=2, pushdown=("status", "filter", "sort")) as sandbox:
        upstream = upstream_of(sandbox, "student_sessions", scope="exam", pushdown=("status", "filter", "sort"))
        session = mounted(upstream)
        ids = sorted(each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17)
        narrowing = f'{{"id":{{"gt":{ids[5]}}}}}'
        costs = []
        for page in (1, 2, 3):
            sandbox.clear_calls()
            answer = listed(session, limit=7, page=page, filter=narrowing, sort='[{"id":"desc"}]')
            assert len(answer.json()["students"]) == 7
            costs.append(reads(sandbox))
        # At first the filter and the sort have to show that they do something: three questions, once.
        assert costs == [4, 1, 1]
        assert [call.parameters["page"] for call in sandbox.calls] == ["3"]


def test_clients_of_one_upstream_have_walks_of_their_own(sandbox: Sandbox) -> None:
    upstream = upstream_of(sandbox, "student_sessions")
    first, second = compat.ExamStudentsClient(upstream), compat.ExamStudentsClient(upstream)
    first.index_students(17, limit=5)
    cost = reads(sandbox)
    second.index_students(17, limit=5, page=2)
    assert reads(sandbox) == 2 * cost


def test_a_key_is_the_same_text_in_every_process_and_tells_nothing() -> None:
    query = Query(
        17,
        "exam_finished",
        conditions=(Condition("email", "in", ("ann@example.com", None)), Condition("start_time", "gt", (1, "5"))),
        sort=(SortKey("name", descending=True),),
    )
    key = WalkKey.of("caller", query)
    program = (
        "from compat.legacy.query import Condition, SortKey\nfrom compat.core.walks import WalkKey\n"
        f"print(({key!r}).digest())"
    )
    there = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    assert there == key.digest()
    assert len(there) == 64
    assert "ann" not in there
    changed = [
        replace(query, **each)
        for each in ({"exam_id": 18}, {"status": None}, {"conditions": ()}, {"sort": ()}, {"limit": 299})
    ]
    digests = [WalkKey.of("caller", each).digest() for each in changed] + [WalkKey.of("another", query).digest()]
    assert len({there, *digests}) == 7
    assert WalkKey.of("caller", replace(query, page=2)) == key


class _Copied(Reading):
    """What another process would read back."""

    def __init__(self, reading: Reading) -> None:
        self.count, self.unsettled = reading.count, reading.unsettled
        self.people = json.loads(json.dumps(reading.people))
        self._records = list(reading.records(0, reading.count))

    def records(self, start: int, limit: int) -> list[tuple[bytes, int]]:
        return self._records[start : start + limit]


class _Elsewhere(Walks):
    """Walks in a place that two shims share."""

    def __init__(self) -> None:
        self.kept: dict[str, Reading] = {}

    def steps(self, key: WalkKey, number: int, read: Read, cancelled: Callable[[], bool] = never) -> Steps[Reading]:
        yield from ()
        if number == 1 or key.digest() not in self.kept:
            self.kept[key.digest()] = _Copied(read(cancelled))
        return self.kept[key.digest()]


@pytest.mark.parametrize("kind", KINDS)
def test_walks_kept_elsewhere_serve_another_shim(sandbox: Sandbox, kind: str) -> None:
    walks = _Elsewhere()
    reader, other = (Shim(upstream_of(sandbox, kind), walks=walks) for _ in range(2))
    alone = Shim(upstream_of(sandbox, kind))

    def asked(shim: Shim, page: int) -> Answer:
        query = urlencode({"limit": 7, "page": page, "sort": '[{"name":"desc"}]'})
        return shim.answer(LegacyCall(INDEX_STUDENTS, "17", query))

    first = asked(reader, 1)
    cost = reads(sandbox)
    pages = [first, *(asked(other, page) for page in (2, 3))]
    assert reads(sandbox) == cost
    assert pages == [asked(alone, page) for page in (1, 2, 3)]
