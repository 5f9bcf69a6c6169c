"""What is registered is made new in each forked process, and nowhere else."""

from __future__ import annotations

import gc
import os
import threading
import warnings
import weakref

import pytest

from compat.forks import renew_after_fork

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class Owner:
    """Holds a lock and the process that made it."""

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        self.lock = threading.Lock()
        self.process = os.getpid()


def in_child(check: object) -> bool:
    """Whether a check holds in a forked process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which is what is tried
        child = os.fork()
    if child == 0:
        os._exit(0 if check() else 1)  # type: ignore[operator]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_child_has_its_own_and_so_has_its_child() -> None:
    owner = Owner()
    assert in_child(lambda: owner.process == os.getpid() and in_child(lambda: owner.process == os.getpid()))
    assert owner.process == os.getpid()


def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    owner, held, leave = Owner(), threading.Event(), threading.Event()

    def hold() -> None:
        with owner.lock:
            held.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        assert in_child(lambda: owner.lock.acquire(blocking=False))
        assert owner.lock.locked()
    finally:
        leave.set()
        thread.join()


def test_registering_keeps_nothing_alive() -> None:
    owner = Owner()
    seen = weakref.ref(owner)
    del owner
    gc.collect()
    assert seen() is None
    assert in_child(lambda: True)
