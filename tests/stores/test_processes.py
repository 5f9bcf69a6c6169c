"""Stores among processes: each call once, whoever asks, whoever is killed, and whatever is full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis_server import RedisServer
from spender import TOKEN
from spender import __file__ as spender

from compat.stores import StoreUnavailable, open_store


@contextmanager
def spending(url: str, first: int, count: int, *more: int) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to spend these calls."""
    arguments = [sys.executable, spender, url, *map(str, (first, count, *more))]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def told(process: subprocess.Popen[str]) -> list[int]:
    """The calls that it said were new, until its end; of the last line, which a kill may have cut, nothing."""
    assert process.stdout is not None
    *lines, _ = process.stdout.read().split("\n")
    return [int(line) for line in lines if line.isdigit()]


def spent(url: str, call: int) -> bool:
    store = open_store(url)
    try:
        return not store.spend(TOKEN, str(call), f"{call:064x}")
    finally:
        store.close()


def test_once_among_processes(shared_url: str) -> None:
    with (
        spending(shared_url, 0, 400) as one,
        spending(shared_url, 0, 400) as two,
        spending(shared_url, 0, 400) as three,
    ):
        for process in (one, two, three):
            go(process)
        accepted = [call for process in (one, two, three) for call in told(process)]
    assert sorted(accepted) == list(range(400))


def test_what_was_answered_stays_spent_when_the_process_is_killed(shared_url: str) -> None:
    for begin in range(0, 4_000_000, 1_000_000):
        with spending(shared_url, begin, 1_000_000) as victim, spending(shared_url, begin + 500_000, 400) as other:
            go(victim)
            go(other)
            assert victim.stdout is not None
            first = victim.stdout.readline()
            time.sleep(begin / 40_000_000)
            victim.kill()
            accepted = [int(first), *told(victim)]
            # Another process goes on at once, on what the killed one left.
            assert len(told(other)) == 400
        assert accepted == list(range(begin, begin + len(accepted)))
        store = open_store(shared_url)
        assert [store.spend(TOKEN, str(call), f"{call:064x}") for call in accepted] == [False] * len(accepted)
        store.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_answered_stays_spent_when_redis_ends(tmp_path: Path, how: int) -> None:
    with RedisServer(tmp_path) as server, spending(server.url, 0, 1_000_000) as process:
        go(process)
        assert process.stdout is not None
        accepted = [int(process.stdout.readline()) for _ in range(300)]
        server.stop(how)
        line = process.stdout.readline()
        while line != "down\n":
            accepted.append(int(line))
            line = process.stdout.readline()
        server.start()
        # It goes on by itself once Redis is there again.
        while not (line := process.stdout.readline()).strip().isdigit():
            assert line == "down\n"
        store = open_store(server.url)
        assert [store.spend(TOKEN, str(call), f"{call:064x}") for call in accepted] == [False] * len(accepted)
        store.close()


def test_a_full_disk_is_no_acceptance(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    with spending(url, 0, 1_000_000, 200_000) as process:
        go(process)
        assert process.stdout is not None
        accepted = []
        while (line := process.stdout.readline()) != "down\n":
            accepted.append(int(line))
        assert accepted == list(range(len(accepted)))
        assert accepted
        go(process)
        # There is room again: calls are taken, and none of those before is taken twice.
        assert process.stdout.readline() == "again True\n"
        assert process.stdout.readline() == "done\n"
    assert all(spent(url, call) for call in accepted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_both_go_on(shared_url: str) -> None:
    store = open_store(shared_url)
    assert store.spend(TOKEN, "1", "a")
    child = os.fork()
    if child == 0:
        # pytest must not go on in the child, whatever happens.
        try:
            fine = not store.spend(TOKEN, "1", "b") and store.spend(TOKEN, "2", "b")
            store.close()
            os._exit(0 if fine else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not store.spend(TOKEN, "2", "c")
    assert store.spend(TOKEN, "3", "c")
    store.close()
    assert all(not open_store(shared_url).spend(TOKEN, each, "d") for each in "123")


def test_a_busy_file_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    import sqlite3

    from compat.stores.sqlite import SqliteStore

    path = tmp_path / "calls.db"
    store = SqliteStore(path, busy_for=0.2)
    assert store.spend(TOKEN, "1", "a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        store.spend(TOKEN, "2", "b")
    other.execute("ROLLBACK")
    other.close()
    assert store.spend(TOKEN, "2", "b")
    assert not store.spend(TOKEN, "1", "c")
    store.close()
