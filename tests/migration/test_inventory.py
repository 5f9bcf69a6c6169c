"""The inventory counts exactly, whoever calls and however it ends, and scripts run on where it cannot."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from counting_process import AT, note, note_late, seen
from counting_process import __file__ as process_file
from redis_server import RedisServer

from compat.errors import StoreUnavailable
from compat.migration.inventory.calls import Inventory, inventory_at
from compat.stores.ledger import MOST_NAMES, AllCounts, Batch, Busy, CallGroup, Counts, Ledger, open_ledger

POSIX = hasattr(os, "fork")
STARTS = [each for each in ("fork", "spawn") if each in multiprocessing.get_all_start_methods()]
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def read(url: str) -> AllCounts:
    ledger = open_ledger(url)
    try:
        return ledger.counted()
    finally:
        ledger.close()


def total(url: str) -> int:
    return sum(each.number for each in read(url).usages)


def until(holds: Callable[[], object], within: float = 30) -> None:
    ends = time.monotonic() + within
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_what_is_kept_of_calls(store_url: str) -> None:
    inventory = Inventory(store_url)
    inventory.note(seen(0, parameters=("limit", "page"), fields=("name", "email"), dialect="query", user_agent="é"))
    inventory.note(seen(7200, parameters=("limit", "page"), fields=("status",), dialect="query", user_agent="é"))
    inventory.note(seen(-86400, parameters=("limit", "page"), dialect="query", user_agent="é"))
    inventory.note(seen(0, caller="Prüfungsamt", status=422, answered_by="gateway", user_agent="a\nb" + "c" * 500))
    assert inventory.flush()
    one, other = sorted(read(store_url).usages, key=lambda usage: -usage.number)
    day, hour = int(AT // 86400), int(AT // 3600)
    assert one.group == CallGroup(
        "adapter", "index_students", "", "/srv/export.py:0", "é", ("limit", "page"), "query", "new", 200
    )
    assert (one.number, one.first, one.last) == (3, AT - 86400, AT + 7200)
    assert one.fields == ("email", "name", "status")
    assert dict(one.days) == {day - 1: 1, day: 1, day + 1: 1}
    assert dict(one.hours) == {hour - 24: 1, hour: 1, hour + 2: 1}
    assert other.group.user_agent == "a?b" + "c" * 117
    assert (other.group.caller, other.group.status, other.group.answered_by) == ("Prüfungsamt", 422, "gateway")
    assert read(store_url).dropped == 0


def test_a_batch_is_added_once(store_url: str) -> None:
    ledger = open_ledger(store_url)
    counts = Counts()
    counts.add(seen(0, fields=("id",)))
    for number in (1, 1, 2):
        ledger.add(Batch("a writer", number, {CallGroup("client", "show_student"): counts}, 5, AT))
    ledger.add(Batch("another", 1, {CallGroup("client", "show_student"): counts}, 0, AT))
    (usage,) = ledger.counted().usages
    assert (usage.number, dict(usage.days), dict(usage.hours)) == (3, {int(AT // 86400): 3}, {int(AT // 3600): 3})
    assert (ledger.counted().dropped, ledger.counted().dropped_last) == (10, AT)
    ledger.close()


def test_texts_that_callers_choose_are_bounded(store_url: str) -> None:
    ledger = open_ledger(store_url)
    for begin in range(0, 300, 100):
        groups = {}
        for each in range(begin, begin + 100):
            counts = Counts()
            counts.add(seen(0))
            groups[CallGroup("gateway", "index_students", user_agent=f"agent {each}")] = counts
        ledger.add(Batch(f"writer {begin}", 1, groups, 0, AT))
    found = {each.group.user_agent: each.number for each in ledger.counted().usages}
    assert len(found) == MOST_NAMES["user_agent"] + 1
    assert found["other"] == 300 - MOST_NAMES["user_agent"]
    ledger.close()


def test_hours_go_after_some_weeks_and_days_stay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    for day in (0, 40):
        inventory = Inventory(url, clock=lambda day=day: AT + day * 86400)
        inventory.note(seen(day * 86400))
        assert inventory.flush()
    (usage,) = read(url).usages
    assert len(usage.days) == 2
    assert list(usage.hours) == [int(AT // 3600) + 40 * 24]


@pytest.mark.parametrize("start", STARTS)
def test_ten_thousand_calls_from_eight_processes(shared_url: str, start: str) -> None:
    # What is not counted yet is copied by a fork, and must not be counted twice.
    inventory = inventory_at(shared_url)
    inventory.note(seen(0))
    context = multiprocessing.get_context(start)
    processes = [context.Process(target=note, args=(shared_url, 1250)) for _ in range(8)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(120)
    assert [each.exitcode for each in processes] == [0] * 8
    assert inventory.flush()
    counted = read(shared_url)
    by_line = {each.group.call_site: each.number for each in counted.usages}
    assert by_line == {f"/srv/export.py:{line}": 2000 + (line == 0) for line in range(5)}
    assert sum(sum(each.days.values()) for each in counted.usages) == 10_001
    assert sum(sum(each.hours.values()) for each in counted.usages) == 10_001
    assert counted.dropped == 0


@pytest.mark.parametrize("start", STARTS)
def test_a_pool_that_ends_its_workers_at_once(tmp_path: Path, start: str) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    for _ in range(3):
        with multiprocessing.get_context(start).Pool(2) as pool:
            assert pool.starmap(note, [(url, 10)] * 4, chunksize=1) == [10] * 4
        pool.join()
    assert total(url) == 120


@pytest.mark.parametrize("start", STARTS)
def test_threads_that_outlive_the_function_of_their_process(tmp_path: Path, start: str) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    process = multiprocessing.get_context(start).Process(target=note_late, args=(url, 20))
    process.start()
    process.join(60)
    assert (process.exitcode, total(url)) == (0, 20)


@pytest.mark.skipif(not POSIX, reason="no fork here")
def test_a_script_and_its_fork(shared_url: str) -> None:
    subprocess.run([sys.executable, process_file, shared_url, "50", "70"], check=True, timeout=60)
    assert total(shared_url) == 120


def test_the_thread_hands_over_by_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    inventory = Inventory(url, every=0.01)
    for number in range(3):
        inventory.note(seen(number))
        until(lambda number=number: total(url) == number + 1)


class _Gate(Ledger):
    """A ledger that takes nothing before it is opened."""

    def __init__(self, inner: Ledger, error: Exception | None = None) -> None:
        self.inner, self.open, self.asked, self.error = inner, threading.Event(), threading.Event(), error

    def add(self, batch: Batch) -> None:
        self.asked.set()
        if self.error is not None and not self.open.is_set():
            raise self.error
        assert self.open.wait(30)
        self.inner.add(batch)

    def switches(self) -> Mapping[str, str]:
        return self.inner.switches()

    def set_switch(self, name: str, value: str | None) -> None:
        self.inner.set_switch(name, value)

    def counted(self) -> AllCounts:
        return self.inner.counted()

    def close(self) -> None:
        self.inner.close()


def test_it_lets_go_of_its_store_and_opens_it_again(tmp_path: Path) -> None:
    url, opened = f"sqlite:///{tmp_path}/calls.db", []

    class Watched(_Gate):
        closed = False

        def close(self) -> None:
            super().close()
            self.closed = True

    def open_with(url: str) -> Ledger:
        opened.append(Watched(open_ledger(url)))
        opened[-1].open.set()
        return opened[-1]

    inventory = Inventory(url, every=3600, open_with=open_with)
    for number in range(2):
        inventory.note(seen(number))
        inventory.close()
        assert total(url) == number + 1
        assert [each.closed for each in opened] == [True] * (number + 1)
    inventory.close()
    assert len(opened) == 2


def test_it_can_be_pickled(tmp_path: Path) -> None:
    inventory = inventory_at(f"sqlite:///{tmp_path}/calls.db")
    assert pickle.loads(pickle.dumps(inventory)) is inventory  # noqa: S301 - our own


def test_what_overflows_is_counted_as_dropped() -> None:
    gate = _Gate(open_ledger("memory://overflow"))
    inventory = Inventory("memory://overflow", every=0.001, most_waiting=100, open_with=lambda url: gate)
    inventory.note(seen(0))
    assert gate.asked.wait(30)
    # The thread waits for the store, and the callers do not.
    for number in range(250):
        inventory.note(seen(number))
    assert inventory.dropped == 150
    gate.open.set()
    until(lambda: gate.counted().dropped == 150)
    assert sum(each.number for each in gate.counted().usages) == 101


@pytest.mark.parametrize("error", [Busy("busy"), StoreUnavailable("away"), OSError("strange")])
def test_what_the_store_did_not_take_is_handed_over_later(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    url = f"memory://{type(error).__name__}"
    gate = _Gate(open_ledger(url), error)
    inventory = Inventory(url, every=0.01, open_with=lambda url: gate)
    inventory.note(seen(0))
    assert gate.asked.wait(30)
    inventory.note(seen(1))
    assert not inventory.flush(0)
    gate.open.set()
    until(lambda: sum(each.number for each in gate.counted().usages) == 2)
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == (not isinstance(error, Busy))


def test_a_store_that_is_deleted_in_the_middle(tmp_path: Path) -> None:
    inventory = Inventory(f"sqlite:///{tmp_path}/calls.db")
    inventory.note(seen(0))
    assert inventory.flush()
    for path in tmp_path.iterdir():
        path.unlink()
    inventory.note(seen(1))
    assert inventory.flush()
    assert total(f"sqlite:///{tmp_path}/calls.db") == 1


def test_a_store_whose_folder_goes_away_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    inventory = Inventory(f"sqlite:///{folder}/calls.db")
    for _ in range(3):
        inventory.note(seen(0))
        assert not inventory.flush()
    folder.mkdir()
    assert inventory.flush()
    assert total(f"sqlite:///{folder}/calls.db") == 3


def test_a_busy_store_is_waited_for_at_the_end(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    inventory = Inventory(url)
    inventory.note(seen(0))
    assert inventory.flush()
    other = sqlite3.connect(tmp_path / "calls.db-migration", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    inventory.note(seen(1))
    assert not inventory.flush(0)
    timer = threading.Timer(0.8, other.execute, ("ROLLBACK",))
    timer.start()
    assert inventory.flush(20)
    timer.join()
    other.close()
    assert total(url) == 2


_FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from counting_process import note, seen
from compat.migration.inventory.calls import inventory_at
inventory = inventory_at(sys.argv[1])
note(sys.argv[1], 10)
assert inventory.flush()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, unlimited))
for each in range(300):
    inventory.note(seen(each, call_site="x" * 200 + str(each)))
assert not inventory.flush()
if sys.argv[3] == "again":
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
print("the script's own output")
"""


@pytest.mark.parametrize(("ends", "counted"), [("again", 310), ("full", 10)])
def test_a_full_disk(tmp_path: Path, ends: str, counted: int) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    arguments = [sys.executable, "-c", _FULL, url, str(Path(process_file).parent), ends]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "the script's own output\n"), done.stderr
    assert ("300 deprecated calls are not counted: the store is away" in done.stderr) == (ends == "full")
    assert total(url) == counted


@pytest.mark.skipif(POSIX and os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    tmp_path.chmod(0o500)
    try:
        done = subprocess.run(
            [sys.executable, process_file, url, "5"], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        tmp_path.chmod(0o700)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("deprecated calls are not counted") == 1
    assert "5 deprecated calls are not counted" in done.stderr


def test_a_redis_that_is_away_for_a_while(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        inventory = Inventory(server.url)
        inventory.note(seen(0))
        assert inventory.flush()
        server.stop(signal.SIGKILL)
        for number in range(5):
            inventory.note(seen(number))
            assert not inventory.flush()
        server.start()
        assert inventory.flush()
        assert total(server.url) == 6
