"""A gateway under load while all that it needs fails now and then: whatever it answers is right, and nothing leaks."""

from __future__ import annotations

import os
import random
import resource
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from gateways import TOKEN, settings_for, written
from redis_server import RedisServer
from serving import HEADERS, Gateway, query, serving, until
from support import OLD, mounted, upstream_of

import compat
from compat.testing.sandbox import Fault, Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and limits processes by prlimit")

CONNECTIONS = 32
STUDENTS = 150
FAULTS = ("reset:0.04", "503:0.08", "500:0.01", "cut:0.04", "cut-chunked:0.04", "truncated:0.04", "slow:0.1")
DOCUMENTED = {200, 403, 502, 503, 504}


@dataclass(frozen=True)
class _Span:
    """How long, and how exactly it is looked at.

    Attributes:
        seconds: of the load while things fail.
        rounds: loads of a twelfth of that before, for what is only allocated once; they end where a round adds nothing.
        more: MiB that may be held after it beyond what was held before.
    """

    seconds: float
    rounds: int
    more: float


SPANS = [
    pytest.param(_Span(6, 4, 100), id="short"),
    pytest.param(_Span(60, 12, 30), marks=[pytest.mark.soak, pytest.mark.timeout(600)], id="minute"),
]


@dataclass(frozen=True)
class _Case:
    """A call, and what it has to be answered with."""

    exam: int
    parameters: Mapping[str, str]
    body: bytes
    count: str


@pytest.fixture(scope="module")
def cases() -> list[_Case]:
    """What the adapter answers over the same data, where nothing fails."""
    asked: list[tuple[int, dict[str, str]]] = [
        (17, {"limit": "10"}),
        (18, {"limit": "10", "page": "2"}),
        (17, {"sort": '[{"email":"desc"}]'}),
        (18, {"filter": '{"id":{"gt":0}}', "sort": '[{"updated_at":"asc"},{"id":"desc"}]', "limit": "20"}),
        (19, {"status": "exam_finished"}),
    ]
    with (
        Sandbox(students=STUDENTS, exams=3) as sandbox,
        mounted(upstream_of(sandbox, "student_sessions")) as session,
        pytest.warns(compat.LegacyApiWarning),
    ):
        answers = [
            session.get(f"{OLD}/api/v3/exams/{exam}/index_students", params=parameters, timeout=20)
            for exam, parameters in asked
        ]
    return [
        _Case(exam, parameters, answer.content, answer.headers["X-Pagination-Item-Count"])
        for (exam, parameters), answer in zip(asked, answers, strict=True)
    ]


class _Load:
    """Calls on many connections at once; every answer is looked at.

    Args:
        gateway: whom to call.
        cases: the calls, drawn at random.
    """

    def __init__(self, gateway: Gateway, cases: list[_Case]) -> None:
        self.statuses: Counter[int] = Counter()
        self.accepted: list[tuple[int, dict[str, str]]] = []
        self.gateway = gateway
        self._cases = cases
        self._lock = threading.Lock()

    def run(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Call for that long, with something else to happen at the same time."""
        ends = time.monotonic() + seconds
        with ThreadPoolExecutor(CONNECTIONS) as callers:
            calls = [callers.submit(self._call_until, ends, seed) for seed in range(CONNECTIONS)]
            meanwhile()
            for call in calls:
                call.result()

    def _call_until(self, ends: float, seed: int) -> None:
        draw = random.Random(seed)
        with requests.Session() as session:
            while time.monotonic() < ends:
                case = draw.choice(self._cases)
                sent = query(case.exam, **case.parameters)
                answer = self._send(session, case.exam, sent)
                self._check(answer, case)
                if answer.status_code == 200 and draw.random() < 0.3:
                    again = self._send(session, case.exam, sent)
                    assert again.status_code in (403, 503)
                    self._note(again)

    def _send(self, session: requests.Session, exam: int, sent: dict[str, str]) -> requests.Response:
        return session.get(self.gateway.url(exam), params=sent, headers=HEADERS, timeout=120)

    def _check(self, answer: requests.Response, case: _Case) -> None:
        self._note(answer)
        if answer.status_code == 200:
            assert answer.content == case.body
            assert answer.headers["X-Pagination-Item-Count"] == case.count
            with self._lock:
                self.accepted.append((case.exam, dict(_query_of(answer))))
        else:
            assert answer.status_code in DOCUMENTED - {200, 403}
            assert set(answer.json()) == {"error", "errors"}

    def _note(self, answer: requests.Response) -> None:
        with self._lock:
            self.statuses[answer.status_code] += 1

    def replay_all(self) -> None:
        """Send once more what was accepted: none of it is, on any connection."""
        with requests.Session() as session:
            answers = {self._send(session, exam, sent).status_code for exam, sent in self.accepted}
        assert answers == {403}


def _query_of(answer: requests.Response) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(answer.request.url or "").query)


@contextmanager
def _stalled(gateway: Gateway, number: int) -> Iterator[None]:
    """Clients that send calls and read none of the answers."""
    port = int(gateway.base.rpartition(":")[2])
    connections = []
    for _ in range(number):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setblocking(False)
        connections.append(connection)
        with_answers = b"".join(
            f"GET /api/v3/exams/17/index_students?{urlencode(query())} HTTP/1.1\r\n"
            f"Host: localhost\r\nAuthorization: Token token={TOKEN}\r\n\r\n".encode()
            for _ in range(60)
        )
        connection.send(with_answers)
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


@dataclass(frozen=True)
class _Held:
    """What a process holds: open files and connections, and resident memory in MiB."""

    files: int
    memory: float

    @classmethod
    def by(cls, process: int) -> _Held:
        resident = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return cls(len(os.listdir(f"/proc/{process}/fd")), resident / 2**20)


def _idle(worker: int, base: str) -> _Held:
    """What a worker holds once its callers are gone."""
    port = f":{int(base.rpartition(':')[2]):04X}"

    def nobody() -> bool:
        rows = [line.split() for line in Path(f"/proc/{worker}/net/tcp").read_text().splitlines()[1:]]
        return not [row for row in rows if row[1].endswith(port) and row[3] in ("01", "08")]

    until(nobody)
    return _Held.by(worker)


def _warm(load: _Load, worker: int, span: _Span) -> _Held:
    """What a worker holds once more calls hardly make it hold more."""
    held = _Held.by(worker)
    for _ in range(span.rounds):
        load.run(span.seconds / 12)
        earlier, held = held, _idle(worker, load.gateway.base)
        if held.memory - earlier.memory < 2:
            break
    return held


@contextmanager
def _served(tmp_path: Path, sandbox: Sandbox, store: str) -> Iterator[Gateway]:
    gateway = {"max_calls_per_caller": 2 * CONNECTIONS, "threads": CONNECTIONS}
    config = written(tmp_path, settings_for(sandbox, store={"url": store}, gateway=gateway))
    with serving(config) as running:
        yield running


def _assert_nothing_leaked(before: _Held, after: _Held, span: _Span) -> None:
    # As many connections as there are threads are kept, upstream and to Redis, however few of them the first load had
    # left. What leaks with each call that fails is hundreds.
    assert after.files <= before.files + CONNECTIONS, (before, after)
    assert after.memory <= before.memory + span.more, (before, after)


@pytest.fixture
def faulty() -> Iterator[Sandbox]:
    with Sandbox(students=STUDENTS, exams=3, faults=[Fault.parse(each) for each in FAULTS]) as sandbox:
        yield sandbox


@pytest.mark.parametrize("span", SPANS)
def test_an_upstream_that_fails_and_clients_that_stop_reading(
    tmp_path: Path, faulty: Sandbox, cases: list[_Case], span: _Span
) -> None:
    with _served(tmp_path, faulty, f"sqlite:///{tmp_path}/spent.db") as gateway:
        (worker,) = gateway.workers()
        load = _Load(gateway, cases)
        before = _warm(load, worker, span)
        with _stalled(gateway, 8):
            load.run(span.seconds)
        after = _idle(worker, gateway.base)
        assert gateway.workers() == [worker]
        assert load.statuses[200] > 5
        _assert_nothing_leaked(before, after, span)
        load.replay_all()
        assert gateway.stop() == 0
        gateway.entries()


@pytest.mark.parametrize("span", SPANS)
def test_a_redis_that_stops_and_starts(tmp_path: Path, faulty: Sandbox, cases: list[_Case], span: _Span) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as redis, _served(tmp_path, faulty, redis.url) as gateway:
        (worker,) = gateway.workers()
        load = _Load(gateway, cases)
        before = _warm(load, worker, span)

        def stop_and_start() -> None:
            time.sleep(span.seconds / 4)
            redis.stop()
            time.sleep(span.seconds / 4)
            redis.start()

        load.run(span.seconds, stop_and_start)
        after = _idle(worker, gateway.base)
        until(lambda: gateway.ready()["checks"]["store"] == "ok", gateway)
        assert load.statuses[503] > 0
        assert load.statuses[200] > 5
        _assert_nothing_leaked(before, after, span)
        load.replay_all()


@pytest.mark.parametrize("span", SPANS)
def test_a_disk_that_is_full_for_a_while(tmp_path: Path, cases: list[_Case], span: _Span) -> None:
    with (
        Sandbox(students=STUDENTS, exams=3) as whole,
        _served(tmp_path, whole, f"sqlite:///{tmp_path}/spent.db") as gateway,
    ):
        (worker,) = gateway.workers()
        load = _Load(gateway, cases)
        before = _warm(load, worker, span)
        soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)

        def fill_and_empty() -> None:
            time.sleep(span.seconds / 4)
            # To a process that may not write any file, every disk is full.
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, hard))
            time.sleep(span.seconds / 4)
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))

        load.run(span.seconds, fill_and_empty)
        after = _idle(worker, gateway.base)
        assert load.statuses[503] > 0
        assert load.statuses[200] > 5
        assert set(load.statuses) <= {200, 403, 503}
        _assert_nothing_leaked(before, after, span)
        load.replay_all()
        assert gateway.listed().status_code == 200
