"""Several gateways with one store: a call is accepted once between them, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from gateways import settings_for, written
from redis_server import RedisServer
from replicas import FILES, Replicas, commands, started
from serving import HEADERS, Gateway, query, serving, starting, until

from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes and signals as POSIX has them")

SENDERS = 8


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder, file=FILES / "redis.conf") as running:
        yield running


@pytest.fixture
def replicas(sandbox: Sandbox, redis: RedisServer, tmp_path: Path) -> Iterator[Replicas]:
    folder = tmp_path / "replicas"
    folder.mkdir()
    with started(folder, sandbox, redis) as running:
        yield running


class _Flood:
    """Sends different signed calls, each to all addresses at once, and notes what came back.

    Args:
        addresses: where each call goes, all at the same time.
        number: how many calls.
    """

    def __init__(self, addresses: list[str], number: int) -> None:
        self.calls = [query(limit="1") for _ in range(number)]
        self.statuses: list[list[int | None]] = [[] for _ in self.calls]
        self.sent = 0
        self._going_on = threading.Event()
        self._addresses = addresses
        self._copies = ThreadPoolExecutor(SENDERS * len(addresses))
        self._lock = threading.Lock()

    def run(self, meanwhile: Callable[[], object] = lambda: None, after: int = 0) -> None:
        """Send them all, with something else to happen once some have been; the last third waits for it."""
        with ThreadPoolExecutor(SENDERS) as senders, self._copies:
            done = senders.map(self._send, range(len(self.calls)))
            until(lambda: self.sent >= after)
            try:
                meanwhile()
            finally:
                self._going_on.set()
            list(done)

    def _send(self, number: int) -> None:
        if number >= len(self.calls) * 2 // 3:
            self._going_on.wait(60)
        ready = threading.Barrier(len(self._addresses))
        self.statuses[number] = list(self._copies.map(lambda each: self._copy(each, number, ready), self._addresses))
        with self._lock:
            self.sent += 1

    def _copy(self, address: str, number: int, ready: threading.Barrier) -> int | None:
        ready.wait(60)
        return _status(address, self.calls[number])

    def accepted(self) -> list[int]:
        """How often each call was answered."""
        return [statuses.count(200) for statuses in self.statuses]

    def lost(self) -> list[bool]:
        """Of which calls a copy got no answer, so that it may have been accepted unseen."""
        return [None in statuses for statuses in self.statuses]


def _status(address: str, call: dict[str, str]) -> int | None:
    """The status of an answer, on a connection of its own; None where none came."""
    try:
        answer = requests.get(f"{address}/api/v3/exams/17/index_students", params=call, headers=HEADERS, timeout=60)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        # The second, where a worker was killed between an answer's head and its body.
        return None
    if answer.status_code == 200:
        assert answer.json()["students"]
    return answer.status_code


def _check(flood: _Flood, again: str) -> None:
    """Each call was accepted once, and is not accepted again.

    Where an answer was lost, its call may have been accepted unseen, or by nobody: then it is at most once now.
    """
    for accepted, lost, statuses in zip(flood.accepted(), flood.lost(), flood.statuses, strict=True):
        assert accepted == 1 or (accepted == 0 and lost), statuses
        assert set(statuses) <= {200, 403, None}, statuses
    with ThreadPoolExecutor(SENDERS) as senders:
        replayed = list(senders.map(lambda call: [_status(again, call) for _ in range(2)], flood.calls))
    for accepted, statuses in zip(flood.accepted(), replayed, strict=True):
        assert statuses == [403, 403] or (accepted == 0 and statuses == [200, 403]), (accepted, statuses)


def _quick(sandbox: Sandbox, tmp_path: Path, store: str) -> Path:
    """A configuration whose calls take one request upstream."""
    (tmp_path / "quick").mkdir(exist_ok=True)
    # All of a flood may be one caller's in one process: none is refused for load, however slow the machine.
    gateway = {"max_calls_per_caller": 4 * SENDERS}
    settings = settings_for(sandbox, upstream={"scope": "exam"}, store={"url": store}, gateway=gateway)
    return written(tmp_path / "quick", settings)


@pytest.mark.parametrize("number", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_replicas_with_redis_accept_a_call_once(
    sandbox: Sandbox, redis: RedisServer, tmp_path: Path, number: int
) -> None:
    config = _quick(sandbox, tmp_path, redis.url)
    with ExitStack() as stack:
        gateways = [stack.enter_context(starting(config)) for _ in range(3)]
        for gateway in gateways:
            until(lambda gateway=gateway: gateway.ready()["ready"], gateway)
        addresses = [each.base for each in gateways]
        flood = _Flood(addresses, number)

        def kill_and_restart() -> None:
            gateways[1].process.send_signal(signal.SIGKILL)
            gateways[1].process.wait()
            port = addresses[1].rpartition(":")[2]
            again = stack.enter_context(serving(config, "--port", port))
            assert again.base == addresses[1]

        flood.run(kill_and_restart, after=number // 3)
        # The one that was killed took part before, and again after.
        third = number // 3
        assert all(each[1] is not None for each in flood.statuses[: third - SENDERS])
        assert all(each[1] is not None for each in flood.statuses[-third:])
        _check(flood, addresses[1])


@pytest.mark.parametrize("number", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_workers_with_sqlite_accept_a_call_once(sandbox: Sandbox, tmp_path: Path, number: int) -> None:
    config = _quick(sandbox, tmp_path, f"sqlite:///{tmp_path}/spent.db")
    with serving(config, "--workers", "2") as gateway:
        flood = _Flood([gateway.base] * 4, number)

        def kill_a_worker() -> None:
            first = gateway.workers()
            os.kill(first[0], signal.SIGKILL)
            until(lambda: len(gateway.workers()) == 2 and first[0] not in gateway.workers(), gateway)

        flood.run(kill_a_worker, after=number // 3)
        assert flood.lost().count(False) > number // 2
        assert not any(flood.lost()[-(number // 3) :])
        gateway.process.kill()
        gateway.process.wait()
    with serving(config, "--workers", "2") as after:
        _check(flood, after.base)


def test_the_files_of_the_page_work_as_it_says(sandbox: Sandbox, replicas: Replicas) -> None:
    assert len(replicas.gateways) == len(commands("exam-compat serve")) == 3
    pages = [_page(replicas.base, page) for page in range(1, 5)]
    assert [page.status_code for page in pages] == [200] * 4
    asked = len(sandbox.calls)
    # Whoever answered page 1: the others go on with what it read.
    for gateway in replicas.gateways:
        assert _page(gateway.base, 3).content == pages[2].content
    assert len(sandbox.calls) == asked
    ids = [student["id"] for page in pages for student in page.json()["students"]]
    assert len(set(ids)) == len(ids) == int(pages[0].headers["X-Pagination-Item-Count"])
    assert "Sunset" in pages[0].headers
    call = query()
    assert [_status(replicas.base, call) for _ in range(4)] == [200, 403, 403, 403]
    logs = [(replicas.folder / name).read_text() for name in ("access.log", "error.log")]
    assert not [log for log in logs if call["signature"] in log]


def _page(base: str, number: int) -> requests.Response:
    parameters = query(limit="6", page=str(number), sort='[{"id":"asc"}]')
    return requests.get(f"{base}/api/v3/exams/17/index_students", params=parameters, headers=HEADERS, timeout=60)


def test_replicas_are_restarted_one_by_one_and_no_call_fails(replicas: Replicas) -> None:
    ended = threading.Event()

    def call_on() -> list[int]:
        statuses = []
        while not ended.is_set():
            answer = requests.get(
                f"{replicas.base}/api/v3/exams/17/index_students", params=query(), headers=HEADERS, timeout=60
            )
            statuses.append(answer.status_code)
        return statuses

    with ExitStack() as stack, ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(call_on) for _ in range(4)]
        try:
            for gateway in replicas.gateways:
                until(lambda gateway=gateway: _answered(gateway) > 0, gateway)
                assert gateway.stop() == 0
                again = stack.enter_context(replicas.started_again(gateway))
                assert (again.base, again.process.pid != gateway.process.pid) == (gateway.base, True)
            # The last one too is found again, and takes part.
            until(lambda: _answered(again) > 0, again)
        finally:
            ended.set()
        statuses = [status for call in calls for status in call.result()]
    assert len(statuses) > 3
    assert set(statuses) == {200}


def _answered(gateway: Gateway) -> float:
    return sum(value for name, value in gateway.numbers().items() if name.startswith("exam_compat_calls_total"))


def test_redis_down_is_a_503_and_said(redis: RedisServer, replicas: Replicas) -> None:
    redis.stop()
    answer = requests.get(
        f"{replicas.base}/api/v3/exams/17/index_students", params=query(), headers=HEADERS, timeout=60
    )
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["errors"] == {}
    ready = [gateway.ready() for gateway in replicas.gateways]
    assert [each["ready"] for each in ready] == [False] * 3
    redis.start()
    until(lambda: all(gateway.ready()["ready"] for gateway in replicas.gateways))
    assert _status(replicas.base, query()) == 200
