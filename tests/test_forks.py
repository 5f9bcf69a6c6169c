"""What is registered is made new in each forked process, and nowhere else."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from forked import fork, in_child, needs_fork, right

from compat import processes as forks
from compat.processes import ForkLock, cached_property, pause_around_fork, renew_after_fork

pytestmark = needs_fork


class Owner:
    """Holds a lock and the process that made it."""

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        self.lock = threading.Lock()
        self.process = os.getpid()


class Paused:
    """Notes what a fork does to it."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.seen: list[str] = []
        pause_around_fork(self.pause, self.resume)

    def pause(self) -> None:
        self.busy.acquire()
        self.seen.append("paused")

    def resume(self) -> None:
        self.seen.append("resumed")
        self.busy.release()


class Lazy:
    """Has a value that takes as long as the test wants."""

    computing = threading.Event()
    go_on = threading.Event()

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits

    @cached_property
    def value(self) -> int:
        if self._waits:
            self.computing.set()
            self.go_on.wait(30)
        return 1


def test_a_child_has_its_own_and_so_has_its_child() -> None:
    owner = Owner()
    assert in_child(lambda: owner.process == os.getpid() and in_child(lambda: owner.process == os.getpid()))
    assert owner.process == os.getpid()


def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    owner, held, leave = Owner(), threading.Event(), threading.Event()
    shared = ForkLock()

    def hold() -> None:
        with owner.lock, shared:
            held.set()
            leave.wait(30)

    def free() -> bool:
        with owner.lock, shared:
            return True

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        assert in_child(free)
        assert owner.lock.locked()
    finally:
        leave.set()
        thread.join()


def test_a_property_that_another_thread_computes_does_not_hold_up_the_child() -> None:
    """Before Python 3.12 all objects of a class share the lock of its property."""
    thread = threading.Thread(target=lambda: Lazy(waits=True).value)
    thread.start()
    assert Lazy.computing.wait(30)
    try:
        assert in_child(lambda: Lazy(waits=False).value)
    finally:
        Lazy.go_on.set()
        thread.join()


def test_a_fork_waits_for_what_cannot_be_made_new_and_lets_both_go_on() -> None:
    paused = Paused()
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        with paused.busy:
            begun.set()
            ended.wait(0.2)
            paused.seen.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    expected = ["worked", "paused", "resumed"]
    assert in_child(lambda: paused.seen == expected and paused.busy.acquire(blocking=False))
    thread.join()
    assert paused.seen == expected
    assert paused.busy.acquire(blocking=False)
    paused.busy.release()


class Making(Paused):
    """Makes another one while a fork waits for it, as another thread may."""

    made: Paused | None = None

    def pause(self) -> None:
        super().pause()
        self.made = self.made or Paused()


def test_what_is_made_while_a_fork_waits_is_paused_too() -> None:
    making = Making()
    assert in_child(lambda: making.made is not None and making.made.seen == ["paused", "resumed"])
    assert making.seen == ["paused", "resumed"]
    assert making.made is not None
    assert making.made.seen == ["paused", "resumed"]


MODULE = """
import half_imported_support as support
support.begun.set()
support.go_on.wait(SECONDS)
whole = True
"""


def imported_in_a_thread(name: str) -> bool:
    sys.modules.pop(name, None)
    thread = threading.Thread(target=importlib.import_module, args=(name,), daemon=True)
    thread.start()
    thread.join(30)
    return name in sys.modules


@pytest.fixture
def half_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], Any]]:
    """Begins the import of a module in a thread, which goes on with it after so many seconds, or when it is told to."""
    support: Any = ModuleType("half_imported_support")
    support.begun, support.go_on = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, support.__name__, support)
    monkeypatch.syspath_prepend(tmp_path)
    thread = threading.Thread(target=lambda: importlib.import_module("half_imported"))

    def begin(seconds: float) -> Any:
        (tmp_path / "half_imported.py").write_text(MODULE.replace("SECONDS", str(seconds)))
        thread.start()
        assert support.begun.wait(30)
        return support

    yield begin
    support.go_on.set()
    thread.join()
    sys.modules.pop("half_imported", None)


def test_a_fork_waits_for_a_module_that_another_thread_imports(half_imported: Callable[[float], Any]) -> None:
    half_imported(0.2)
    assert in_child(lambda: importlib.import_module("half_imported").whole)


def test_a_fork_does_not_wait_for_ever_for_an_import(
    half_imported: Callable[[float], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "_longest_import", 0.01)
    support = half_imported(30)
    assert in_child(lambda: not support.go_on.is_set())
    assert not support.go_on.is_set()
    # Both sides import as before, in other threads too.
    assert in_child(lambda: imported_in_a_thread("zipapp"))
    assert imported_in_a_thread("zipapp")


def test_a_module_may_fork_while_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "forking_module.py").write_text(
        "import forked\nchild = forked.in_child(lambda: __import__('zipapp'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    # Longer than a child may take.
    monkeypatch.setattr(forks, "_longest_import", 600.0)
    assert importlib.import_module("forking_module").child


# From Python 3.12 on a fork beside threads warns; what each thread ignores for itself, another's end undoes.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_threads_that_fork_at_once_do_not_end_each_others_pauses() -> None:
    paused = Paused()

    def free() -> bool:
        return paused.seen.count("paused") == paused.seen.count("resumed")

    children: list[int] = []
    threads = [threading.Thread(target=lambda: children.append(fork(free))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [right(child) for child in children] == [True] * 8
    assert paused.seen == ["paused", "resumed"] * 8


def test_registering_keeps_nothing_alive() -> None:
    owner, paused = Owner(), Paused()
    seen = [weakref.ref(owner), weakref.ref(paused)]
    del owner, paused
    gc.collect()
    assert [each() for each in seen] == [None, None]
    assert in_child(lambda: True)


_WITH_ITS_CLASS = """
import gc
from compat.processes import renew_after_fork

def make():
    class Owner:
        def renew(self): pass
    owner = Owner()
    owner.itself = owner
    renew_after_fork(owner.renew)

make()
gc.collect()
"""


def test_an_owner_that_goes_with_its_class_says_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", _WITH_ITS_CLASS], capture_output=True, check=True, timeout=60)
    assert ended.stderr == b""
