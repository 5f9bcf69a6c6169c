"""A gateway whose upstream hangs: what needs no answer from it goes on, and what nobody waits for any more ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from gateways import written
from serving import Gateway, serving, until
from wires import Sent, Wire, whole

from compat.legacy.signature import signed

SLOW, QUICK, LONG = 17, 18, 19
CALLERS = [
    {"name": name, "api_token": f"t-{name}", "secret_key": f"key of {name}", "mode": mode}
    for name, mode in (("first", "new"), ("second", "new"), ("old", "legacy"))
]


def page(exam: int, start: int, total: int, limit: int = 300) -> bytes:
    """A page of an exam's student sessions."""
    students = [{"id": number, "exam_id": exam} for number in range(start + 1, min(start + limit, total) + 1)]
    stated = (f"X-Pagination-Item-Count: {total}", f"X-Pagination-Limit: {limit}")
    return whole("200 OK", json.dumps({"students": students}).encode(), *stated)


class Upstream(Wire):
    """Answers one exam at once, and another one only when it is let go; the pages of a third come one record each."""

    def __init__(self) -> None:
        self.released = threading.Event()
        super().__init__(self._answered)

    def _answered(self, sent: Sent, connection: socket.socket) -> None:
        if f"/exams/{SLOW}/" in sent.line:
            self.released.wait(60)
            connection.sendall(page(SLOW, 0, 0))
        elif f"/exams/{QUICK}/" in sent.line:
            connection.sendall(page(QUICK, 0, 10))
        else:
            number = int(sent.line.partition("page=")[2].partition("&")[0])
            connection.sendall(page(LONG, number - 1, 50_000, 1))

    def asked(self, exam: int) -> int:
        """How many requests for an exam came."""
        return len([sent for sent in list(self.sent) if f"/exams/{exam}/" in sent.line])


@contextmanager
def gateway_before(
    folder: Path,
    upstream: Wire,
    legacy: str = "http://127.0.0.1:9",
    environment: Mapping[str, str] | None = None,
    **limits: int,
) -> Iterator[Gateway]:
    """A gateway of one worker with such limits."""
    settings: dict[str, Any] = {
        "upstream": {
            "kind": "student_sessions",
            "base_url": upstream.base_url,
            "api_token": "a",
            "secret_key": "b",
            "scope": "exam",
            "pushdown": [],
        },
        "gateway": limits,
        "store": {"url": "memory://"},
        "legacy": {"base_url": legacy},
    }
    with serving(written(folder, settings, CALLERS), environment=environment) as gateway:
        yield gateway


def head_of(exam: int, caller: str, **parameters: str) -> tuple[str, dict[str, str]]:
    """Query and headers of a call that is signed now."""
    query = urlencode(signed(parameters, f"key of {caller}", {"id": str(exam)}))
    return query, {"Authorization": f"Token token=t-{caller}"}


def ask(gateway: Gateway, exam: int, caller: str = "first", **parameters: str) -> requests.Response:
    """The answer to a call that is signed now."""
    query, headers = head_of(exam, caller, **parameters)
    return requests.get(f"{gateway.url(exam)}?{query}", headers=headers, timeout=25)


@contextmanager
def asked(number: int, call: Callable[[], requests.Response]) -> Iterator[list[Future[requests.Response]]]:
    """So many of a call, at once."""
    with ThreadPoolExecutor(number) as callers:
        yield [callers.submit(call) for _ in range(number)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as wire:
        try:
            yield wire
        finally:
            wire.released.set()


def test_one_callers_slow_list_leaves_the_others_served(tmp_path: Path, upstream: Upstream) -> None:
    with gateway_before(tmp_path, upstream, threads=8) as gateway:
        lists = iter(range(1, 100))
        # Each of another list: none waits for what another one reads.
        with asked(12, lambda: ask(gateway, SLOW, limit=str(next(lists)))) as slow:
            until(lambda: len([each for each in slow if each.done()]) == 9)
            assert upstream.asked(SLOW) == 3
            for _ in range(20):
                assert ask(gateway, QUICK, "second").status_code == 200
            assert len([each for each in slow if not each.done()]) == 3
            upstream.released.set()
        assert sorted(each.result().status_code for each in slow) == [200] * 3 + [429] * 9


def test_what_asks_no_upstream_goes_on_while_all_threads_are_taken(tmp_path: Path, upstream: Upstream) -> None:
    def old(sent: Sent, connection: socket.socket) -> None:
        connection.sendall(whole("200 OK", b'{"students":[]}'))

    with (
        Wire(old) as legacy,
        gateway_before(tmp_path, upstream, legacy.base_url, threads=2, max_calls_per_caller=30) as gateway,
    ):
        walked = {"limit": "5", "sort": '[{"id":"asc"}]'}
        assert ask(gateway, QUICK, "second", **walked).status_code == 200
        lists = iter(range(1, 100))
        with asked(20, lambda: ask(gateway, SLOW, limit=str(next(lists)))) as slow:
            until(lambda: upstream.asked(SLOW) == 2)
            with asked(20, lambda: requests.get(gateway.url(), timeout=25)) as wrong:
                assert {each.result().status_code for each in wrong} == {403}
            assert ask(gateway, QUICK, "second", page="0").status_code == 422
            kept = ask(gateway, QUICK, "second", page="2", **walked)
            assert (kept.status_code, len(kept.json()["students"])) == (200, 5)
            assert ask(gateway, SLOW, "old").headers["X-Compat-Answered-By"] == "legacy"
            assert requests.get(f"{gateway.admin}/healthz", timeout=25).status_code == 200
            assert not any(each.done() for each in slow)
            assert upstream.asked(SLOW) == 2
            upstream.released.set()
        assert {each.result().status_code for each in slow} == {200}


def test_who_waits_for_a_shared_reading_takes_no_place_of_others(tmp_path: Path, upstream: Upstream) -> None:
    with gateway_before(tmp_path, upstream, threads=2, max_calls_per_caller=30) as gateway:
        with asked(20, lambda: ask(gateway, SLOW, sort='[{"id":"asc"}]')) as slow:
            until(lambda: upstream.asked(SLOW) == 1)
            for _ in range(5):
                assert ask(gateway, QUICK, "second").status_code == 200
            assert not any(each.done() for each in slow)
            upstream.released.set()
        assert {each.result().status_code for each in slow} == {200}
        assert upstream.asked(SLOW) == 1


def test_while_the_upstream_fails_calls_are_told_at_once_and_the_old_endpoint_answers(tmp_path: Path) -> None:
    def old(sent: Sent, connection: socket.socket) -> None:
        connection.sendall(whole("200 OK", b'{"students":[]}'))

    def fail(sent: Sent, connection: socket.socket) -> None:
        connection.sendall(whole("502 Bad Gateway"))

    told, enough = list[str](), threading.Event()

    def keep_asking(number: int) -> None:
        while not enough.is_set():
            answer = ask(gateway, QUICK, limit=str(number))
            assert answer.status_code in (429, 502)
            told.append(answer.json()["error"])

    with (
        Wire(old) as legacy,
        Wire(fail) as upstream,
        gateway_before(tmp_path, upstream, legacy.base_url, max_calls_per_caller=10) as gateway,
        ThreadPoolExecutor(10) as callers,
    ):
        asking = [callers.submit(keep_asking, number) for number in range(1, 11)]
        until(lambda: any("It keeps failing" in each for each in told))
        assert ask(gateway, QUICK, "old").headers["X-Compat-Answered-By"] == "legacy"
        assert ask(gateway, QUICK, "second", page="0").status_code == 422
        enough.set()
        for each in asking:
            each.result()
        # Alone, a call is tried as often as ever, and says what came of that.
        assert "It keeps failing" not in ask(gateway, QUICK, "second").json()["error"]


def going_away(gateway: Gateway, exam: int, **parameters: str) -> socket.socket:
    """A connection with a call whose answer is not waited for."""
    query, headers = head_of(exam, "first", **parameters)
    connection = socket.create_connection(("127.0.0.1", int(gateway.base.rpartition(":")[2])))
    lines = [f"GET /api/v3/exams/{exam}/index_students?{query} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def test_work_that_waits_for_its_turn_is_not_begun_once_its_caller_has_gone(tmp_path: Path, upstream: Upstream) -> None:
    with gateway_before(tmp_path, upstream, threads=1, max_calls_per_caller=2) as gateway:
        holding = going_away(gateway, SLOW)
        until(lambda: upstream.asked(SLOW) == 1)
        # Its place among the calls of its caller is free again, whatever still runs.
        for limit in range(1, 6):
            with going_away(gateway, LONG, limit=str(limit)):
                until(lambda: ask(gateway, QUICK, page="0").status_code == 429)
            until(lambda: ask(gateway, QUICK, page="0").status_code == 422)
        upstream.released.set()
        assert ask(gateway, QUICK, "second").status_code == 200
        assert upstream.asked(LONG) == 0
        holding.close()


def test_a_walk_stops_once_the_last_who_waits_for_it_has_gone(tmp_path: Path, upstream: Upstream) -> None:
    with gateway_before(tmp_path, upstream, threads=4, max_calls_per_caller=3) as gateway:
        walk = {"sort": '[{"id":"asc"}]'}
        with going_away(gateway, LONG, **walk), going_away(gateway, LONG, **walk) as second:
            until(lambda: upstream.asked(LONG) > 20)
            second.close()
            seen = upstream.asked(LONG)
            # One waits for it still.
            until(lambda: upstream.asked(LONG) > seen + 50)
        last: list[int] = []

        def stands_still() -> bool:
            last.append(upstream.asked(LONG))
            threading.Event().wait(0.3)
            return upstream.asked(LONG) == last[-1]

        until(stands_still)
        assert last[-1] < 50_000
        assert ask(gateway, QUICK, "second").status_code == 200
        until(lambda: {entry["status"] for entry in gateway.entries() if entry.get("exam_id") == str(LONG)} == {0})
