"""Forked processes that share an upstream from before the fork: each call gets its own answer, by every entrance.

The upstream answers by what was asked. Children are forked while threads of their parent are in the middle of calls.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from asked_upstream import asked_upstream, names_of
from forked import fork, in_child, needs_fork, right
from support import FAST, OLD, mounted

import compat
from compat.core.call import Shim
from compat.testing.sandbox.sandbox import as_toml

pytestmark = [
    needs_fork,
    pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

STATUSES = ("exam_finished", "exam_started", "in_setup", "registered")
ALL = '{"id":{"gte":1}}'
"""A filter that every record passes, and that the shim has to read them all for."""
CHILDREN = THREADS = 4

List = Callable[[int, dict[str, Any]], list[str]]
"""The names of an exam's records, by the parameters of a list."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with asked_upstream() as running:
        yield running


def upstream_at(base: str, **more: Any) -> compat.StudentSessions:
    return compat.StudentSessions(base, api_token="t", secret_key="s", scope="exam", **more)


def _names(answer: requests.Response) -> list[str]:
    answer.raise_for_status()
    return [each["name"] for each in answer.json()["students"]]


def _by_session(session: Any, old: str = OLD) -> List:
    url = old + "/api/v3/exams/{}/index_students"
    return lambda exam, asked: _names(session.get(url.format(exam), params=asked, timeout=60))


@contextmanager
def _mount(base: str) -> Iterator[List]:
    with mounted(upstream_at(base)) as session:
        yield _by_session(session)


@contextmanager
def _install(base: str) -> Iterator[List]:
    compat.install(OLD, upstream_at(base))
    try:
        yield _by_session(requests)
    finally:
        compat.uninstall()


@contextmanager
def _client(base: str) -> Iterator[List]:
    client = compat.ExamStudentsClient(upstream_at(base))
    yield lambda exam, asked: [each["name"] for each in client.index_students(exam, **asked).students]


@contextmanager
def _new_client(base: str) -> Iterator[List]:
    client = compat.StudentSessionsClient(upstream_at(base))
    yield lambda exam, asked: [each["name"] for each in client.page(exam, **asked).sessions]


@contextmanager
def _given(base: str) -> Iterator[List]:
    with requests.Session() as own, mounted(upstream_at(base, session=own)) as session:
        yield _by_session(session)


@contextmanager
def _old_endpoint(base: str) -> Iterator[List]:
    """The old endpoint answers, by the connections of a session of the script's."""
    with pytest.MonkeyPatch.context() as patch, mounted(upstream_at(base), base) as session:
        patch.setenv("EXAM_COMPAT_MODE", "legacy")
        yield _by_session(session, base)


@contextmanager
def _shadow(base: str) -> Iterator[List]:
    """As above, and the new one is asked behind the calls."""
    compat.install(base, upstream_at(base))
    try:
        with pytest.MonkeyPatch.context() as patch, requests.Session() as session:
            patch.setenv("EXAM_COMPAT_MODE", "shadow")
            yield _by_session(session, base)
    finally:
        compat.uninstall()


ENTRANCES = {
    "mount": _mount,
    "install": _install,
    "client": _client,
    "new client": _new_client,
    "session": _given,
    "old endpoint": _old_endpoint,
    "shadow": _shadow,
}


@pytest.fixture(params=ENTRANCES)
def names(request: pytest.FixtureRequest, base: str) -> Iterator[List]:
    """Lists records by each entrance."""
    with ENTRANCES[request.param](base) as found:
        yield found


@dataclass
class Seen:
    """What became of calls; safe across threads."""

    calls: int = 0
    wrong: list[str] = field(default_factory=list)

    def call(self, names: List, number: int) -> None:
        """A call, or one a page of a walk; a failure is a wrong answer, and no thread may hide it."""
        try:
            self._call(names, number)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is noted
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _call(self, names: List, number: int) -> None:
        # Every third exam has several pages upstream.
        exam = number * 10 if number % 3 == 0 else number * 10 + 1
        status = STATUSES[number % len(STATUSES)]
        whole = names_of(exam, status)
        if number % 2:
            self._look(names(exam, {"status": status}), whole)
        else:
            for page in (1, 2):
                asked = {"status": status, "filter": ALL, "limit": 30, "page": page}
                self._look(names(exam, asked), whole[(page - 1) * 30 : page * 30])

    def _look(self, found: list[str], expected: list[str]) -> None:
        self.calls += 1
        if found != expected:
            kind = "short" if set(found) < set(expected) else "foreign"
            self.wrong.append(f"{kind}: {len(found)} of {len(expected)}")


def work(names: List, calls: int) -> bool:
    """Make that many calls in each of some threads; whether all of them got their own answer."""
    seen = Seen()
    numbers = count(os.getpid() * 100_000)

    def call_on() -> None:
        for _ in range(calls):
            seen.call(names, next(numbers))

    threads = [threading.Thread(target=call_on) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if seen.wrong:
        print(len(seen.wrong), "of", seen.calls, "are wrong:", seen.wrong[:5])  # noqa: T201 - for whoever looks
    return seen.calls >= THREADS * calls and not seen.wrong


@contextmanager
def busy(names: List) -> Iterator[Seen]:
    """While threads of this process call all the time."""
    seen, ending, numbers = Seen(), threading.Event(), count(1)

    def call_on() -> None:
        while not ending.is_set():
            seen.call(names, next(numbers))

    threads = [threading.Thread(target=call_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def _many(names: List, calls: int) -> None:
    with busy(names) as seen:
        while seen.calls < 4:
            time.sleep(0.001)
        children = [fork(lambda: work(names, calls)) for _ in range(CHILDREN)]
        held = [right(child) for child in children]
    assert held == [True] * CHILDREN
    assert seen.wrong == []
    # The parent has its connections still, and its walks.
    assert work(names, 2)


def test_children_of_a_busy_parent_get_their_own_answers(names: List) -> None:
    _many(names, 4)


@pytest.mark.soak
def test_two_thousand_calls_by_each_entrance(names: List) -> None:
    _many(names, 2000 // (CHILDREN * THREADS))


def test_a_child_of_a_child_has_its_own_too(names: List) -> None:
    assert work(names, 1)
    assert in_child(lambda: work(names, 1) and in_child(lambda: work(names, 2)) and work(names, 1))
    assert work(names, 1)


def test_a_later_page_is_read_anew_in_the_child_and_not_in_the_parent(names: List) -> None:
    whole = names_of(500, "registered")

    def page(number: int) -> list[str]:
        return names(500, {"status": "registered", "filter": ALL, "limit": 30, "page": number})

    assert page(1) == whole[:30]
    assert in_child(lambda: page(2) == whole[30:] and page(1) == whole[:30])
    assert page(2) == whole[30:]


def test_a_child_does_not_wait_for_locks_that_threads_of_its_parent_hold(base: str) -> None:
    upstream = upstream_at(base, retries=FAST)
    session = mounted(upstream)
    adapter = session.get_adapter(OLD)
    assert isinstance(adapter, compat.ExamStudentsAdapter)
    names = _by_session(session)
    assert work(names, 1)
    shim: Shim = adapter._shim
    walks, sender = shim._walks, upstream._transport._sender
    locks = [walks._lock, sender._lock, upstream.pushdown._lock, adapter.router.background._change]  # type: ignore[attr-defined]
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            leave.wait(120)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        assert in_child(lambda: work(names, 2) and in_child(lambda: work(names, 1)))
        inner = [getattr(lock, "_lock", lock) for lock in locks]
        assert all(lock.locked() for lock in inner if hasattr(lock, "locked"))
    finally:
        leave.set()
        thread.join()
    assert work(names, 1)


SCRIPT = """
import sys
sys.path[:0] = {folders!r}
import requests
from test_forked_callers import _by_session, _many
_many(_by_session(requests), {calls})
_many(_by_session(requests.Session()), {calls})
"""


@pytest.mark.parametrize("calls", [2, pytest.param(125, marks=pytest.mark.soak)])
def test_a_script_that_is_run_as_it_is(base: str, tmp_path: Path, calls: int) -> None:
    settings = {
        "upstream": {
            "kind": "student_sessions",
            "base_url": base,
            "api_token": "t",
            "secret_key": "s",
            "scope": "exam",
        },
        "store": {"url": f"sqlite:///{tmp_path}/calls.db"},
        "legacy": {"base_url": OLD},
    }
    config, script = tmp_path / "exam-compat.toml", tmp_path / "script.py"
    config.write_text(as_toml(settings), encoding="utf-8")
    folders = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    script.write_text(SCRIPT.format(folders=folders, calls=calls), encoding="utf-8")
    command = [sys.executable, "-m", "compat.cli", "--config", str(config), "run", str(script)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


_pooled: List


def _in_pool(calls: int) -> bool:
    return work(_pooled, calls)


def test_the_workers_of_a_pool(names: List) -> None:
    global _pooled  # noqa: PLW0603 - a pool that forks finds it there, and can be handed no function that is not global
    _pooled = names
    assert work(names, 1)
    with multiprocessing.get_context("fork").Pool(CHILDREN) as pool:
        assert pool.map(_in_pool, [3] * CHILDREN, chunksize=1) == [True] * CHILDREN


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_are_not_forked_from_here_take_a_client_along(base: str, method: str) -> None:
    client = compat.StudentSessionsClient(upstream_at(base))
    assert client.get(5)["name"] == "session 5"
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert [each["name"] for each in pool.map(client.get, [6, 7], chunksize=1)] == ["session 6", "session 7"]
    assert client.get(8)["name"] == "session 8"
