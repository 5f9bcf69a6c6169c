"""The run-time switches as a process follows them: soon, off the caller's path, and also without their store."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from serving import until

from compat.errors import StoreUnavailable
from compat.migration.modes import rules as switched
from compat.migration.modes.rules import Mode, Scope, SwitchReader
from compat.stores.ledger import open_ledger

THREAD = "exam-compat-switches"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read often, and leave no thread that would still say something in the next test."""
    monkeypatch.setattr(switched, "_EVERY", 0.02)
    before = set(threading.enumerate())
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        if thread.name == THREAD:
            thread.join(30)
            assert not thread.is_alive()


def everyone(reading: SwitchReader) -> str | None:
    return next((str(mode) for scope, mode in reading.rules if scope == Scope()), None)


def becomes(reading: SwitchReader, mode: str | None) -> None:
    until(lambda: everyone(reading) == mode)


def test_the_first_call_finds_what_was_switched_before(store_url: str) -> None:
    ledger = open_ledger(store_url)
    ledger.set_switch("mode", "shadow")
    reading = SwitchReader(store_url, legacy=True)
    assert everyone(reading) == "shadow"
    ledger.set_switch("mode", "canary:25")
    becomes(reading, "canary:25")
    ledger.set_switch("mode", None)
    becomes(reading, None)
    reading.close()
    ledger.close()


class _Failing:
    """A store that answers until it is told not to."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def switches(self) -> Mapping[str, str]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable
        return {"mode": "legacy"}

    def close(self) -> None:
        pass


def test_the_last_known_stays_while_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = _Failing()
    monkeypatch.setattr(switched, "open_ledger", lambda url: store)
    reading = SwitchReader("redis://nowhere", legacy=True)
    assert everyone(reading) == "legacy"
    store.away = True
    before = store.asked
    until(lambda: store.asked > before + 3)
    assert everyone(reading) == "legacy"
    # Said once, however often it is asked.
    assert [record.getMessage() for record in caplog.records] == [
        "the run-time switches cannot be read, the last known ones stay: StoreUnavailable"
    ]
    reading.close()


def test_a_store_that_hangs_holds_up_the_first_call_for_a_moment_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def hang(url: str) -> Any:
        held.wait(30)
        raise StoreUnavailable

    monkeypatch.setattr(switched, "open_ledger", hang)
    monkeypatch.setattr(switched, "_FIRST", 0.05)
    reading = SwitchReader("redis://nowhere", legacy=True)
    assert everyone(reading) is None
    monkeypatch.setattr(switched, "_FIRST", 30)
    begun = time.monotonic()
    assert everyone(reading) is None
    assert time.monotonic() - begun < 20
    held.set()
    reading.close()


def test_a_switch_that_cannot_be_followed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    ledger = open_ledger("memory://strange")
    ledger.set_switch("mode", "turbo")
    ledger.set_switch("mode exam=17", "new")
    reading = SwitchReader("memory://strange", legacy=True)
    assert dict(reading.rules) == {Scope(None, "17"): Mode("new")}
    assert [record.args for record in caplog.records] == [("mode",)]
    reading.close()


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD}


def test_the_thread_ends_with_whom_it_reads_for() -> None:
    before = _threads()
    reading = SwitchReader("memory://ends", legacy=True)
    # Those of tests before may end meanwhile.
    assert _threads() <= before
    _ = reading.rules
    (own,) = _threads() - before
    del reading
    gc.collect()
    until(lambda: own not in _threads())


def test_the_store_is_let_go_of_when_reading_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    class Slow(_Failing):
        def close(self) -> None:
            time.sleep(0.2)
            let_go.set()

    monkeypatch.setattr(switched, "open_ledger", lambda url: Slow())
    reading = SwitchReader("redis://nowhere", legacy=True)
    assert reading.switches == {"mode": "legacy"}
    reading.close()
    assert let_go.is_set()


def test_a_copy_reads_for_itself() -> None:
    ledger = open_ledger("memory://copied")
    reading = SwitchReader("memory://copied", legacy=True)
    assert everyone(reading) is None
    again = pickle.loads(pickle.dumps(reading))  # noqa: S301 - our own bytes
    ledger.set_switch("mode", "legacy")
    becomes(again, "legacy")
    for each in (reading, again):
        each.close()


@pytest.fixture
def forked() -> Callable[[Callable[[], Any]], Any]:
    """What a function comes to in a forked child."""
    context = multiprocessing.get_context("fork")

    def run(work: Callable[[], Any]) -> Any:
        receiving, sending = context.Pipe(duplex=False)
        child = context.Process(target=lambda: sending.send(work()))
        child.start()
        assert receiving.poll(30)
        found = receiving.recv()
        child.join(30)
        return found

    return run


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_reads_for_itself(shared_url: str, forked: Callable[[Callable[[], Any]], Any]) -> None:
    reading = SwitchReader(shared_url, legacy=True)
    assert everyone(reading) is None
    ledger = open_ledger(shared_url)
    ledger.set_switch("mode", "legacy")
    assert forked(lambda: everyone(reading)) == "legacy"
    reading.close()
    ledger.close()
