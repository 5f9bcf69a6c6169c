"""Work behind the caller's back: what bounds it, and how it ends."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import until

from compat.migration.modes import background as module
from compat.migration.modes.background import BackgroundQueue, Bounds

WAIT = 30.0


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Holds up a job until it is set."""
    event = threading.Event()
    yield event
    event.set()


def test_no_more_waits_than_may(held: threading.Event) -> None:
    told: list[str] = []
    queue = BackgroundQueue(Bounds(threads=1, waiting=3, waiting_bytes=100))
    queue.counted = told.append
    begun = threading.Event()
    queue.put(lambda: begun.set() or held.wait(WAIT))
    assert begun.wait(WAIT)
    # Bytes count, and so do jobs.
    assert [queue.put(lambda: None, size) for size in (60, 60, 40, 0, 0)] == [True, False, True, True, False]
    held.set()
    assert queue.settle(WAIT)
    assert (queue.done, queue.dropped) == (4, 2)
    assert sorted(told) == ["done"] * 4 + ["dropped"] * 2
    assert queue.put(lambda: None, 100)
    queue.close(WAIT)
    assert (queue.done, queue.dropped) == (5, 2)
    assert not queue.put(lambda: None)


def test_what_is_put_off_is_done_at_the_end_at_the_latest_and_counts_as_nothing() -> None:
    queue, done = BackgroundQueue(Bounds(threads=1, waiting=1)), threading.Event()
    assert queue.later(done.set, 0.01)
    assert done.wait(WAIT)
    assert queue.settle(WAIT)
    done.clear()
    assert queue.later(done.set, 3600)
    assert not queue.settle(0.05)
    queue.close(WAIT)
    assert done.is_set()
    assert not queue.later(done.set, 0)
    assert (queue.done, queue.dropped) == (0, 0)


def test_what_has_waited_too_long_is_dropped(held: threading.Event) -> None:
    queue = BackgroundQueue(Bounds(threads=1, oldest=0.5))
    done: list[int] = []
    queue.put(lambda: held.wait(WAIT))
    # It has to be at work, and not to wait itself, when the next one comes.
    until(lambda: queue._busy == 1)
    queue.put(lambda: done.append(1))
    time.sleep(0.6)
    held.set()
    assert queue.settle(WAIT)
    assert (done, queue.dropped) == ([], 1)
    queue.close()


def test_as_many_threads_as_may_and_none_when_idle(held: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE", 0.05)
    queue = BackgroundQueue(Bounds(threads=2))
    for _ in range(5):
        queue.put(lambda: held.wait(WAIT))
    until(lambda: queue._busy == 2)
    assert len(queue._threads) == 2
    held.set()
    assert queue.settle(WAIT)
    until(lambda: not queue._threads)
    assert queue.put(lambda: None)
    assert queue.settle(WAIT)
    assert queue.done == 6
    queue.close()


def test_a_failure_is_said_once_a_kind_and_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    queue = BackgroundQueue()
    for text in ("jan@example.org", "another"):
        queue.put(lambda text=text: _raise(ValueError(text)))
    queue.put(lambda: _raise(KeyError("jan@example.org")))
    assert queue.settle(WAIT)
    assert sorted(record.args for record in caplog.records) == [("KeyError",), ("ValueError",)]
    assert "jan@example.org" not in caplog.text
    assert queue.dropped == 3
    queue.close()


def _raise(error: Exception) -> None:
    raise error


def test_it_rests_so_that_others_have_the_processor() -> None:
    queue = BackgroundQueue(Bounds(threads=1, share=0.25))
    spent: list[float] = []

    def work() -> None:
        begun = time.thread_time()
        while time.thread_time() - begun < 0.02:
            pass
        spent.append(time.monotonic())

    for _ in range(4):
        queue.put(work)
    assert queue.settle(WAIT)
    # Between two jobs lies the rest after the first of them, three times what it took, and the second.
    assert min(later - earlier for earlier, later in itertools.pairwise(spent)) >= 0.06
    queue.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks as POSIX has them")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_begins_with_nothing(held: threading.Event) -> None:
    queue = BackgroundQueue(Bounds(threads=1))
    queue.put(lambda: held.wait(WAIT))
    queue.put(lambda: None)
    until(lambda: queue._busy == 1)
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        queue.put(lambda: os.write(sending, b"done"))
        queue.close(WAIT)
        os._exit(queue.done)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        assert stream.read() == b"done"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    held.set()
    queue.close(WAIT)


SCRIPT = """
import sys, threading, time
from compat.migration.modes.background import BackgroundQueue, Bounds

queue = BackgroundQueue(Bounds(threads=1, at_exit=float(sys.argv[1]), share=0.001))
queue.ended = lambda: print("ended", queue.done, queue.dropped, flush=True)
queue.put(lambda: sum(range(200_000)))
queue.put(lambda: print("quick", flush=True))
if sys.argv[2] == "hang":
    queue.put(threading.Event().wait)
    queue.put(lambda: print("never", flush=True))
"""


def _ended(tmp_path: Path, *arguments: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    command = [sys.executable, "-W", "error", str(path), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout


def test_the_end_of_a_process_waits_a_moment_and_no_longer(tmp_path: Path) -> None:
    # Long rests are cut short; a job that hangs is left behind, and what waits for it is dropped.
    assert _ended(tmp_path, "30", "fine") == "quick\nended 2 0\n"
    assert _ended(tmp_path, "0.5", "hang") == "quick\nended 2 1\n"
