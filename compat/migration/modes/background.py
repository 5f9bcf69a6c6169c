"""Work behind the caller's back: bounded in number, bytes, age and processor time, and over when the process ends."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compat.processes import renew_after_fork

__all__ = ["BackgroundQueue", "Bounds", "Job"]

_IDLE = 5.0
"""Seconds without a job after which a thread ends."""

_log = logging.getLogger("compat.migration")

Job = Callable[[], object]


@dataclass(frozen=True)
class Bounds:
    """How much may be done behind.

    Attributes:
        threads: jobs at once.
        waiting: jobs that wait.
        waiting_bytes: bytes that the waiting ones hold.
        oldest: seconds after which a job that still waits is dropped: what it would compare is no longer the same, and
            a signature does not hold for ever.
        share: of the time, how much a thread may spend at work; it rests for the remainder, so that what is served has
            the processor.
        at_exit: seconds that the end of the process waits for jobs.
    """

    threads: int = 2
    waiting: int = 256
    waiting_bytes: int = 64 * 1024 * 1024
    oldest: float = 60.0
    share: float = 0.1
    at_exit: float = 2.0


@dataclass(frozen=True)
class _Waiting:
    job: Job
    size: int
    since: float


class BackgroundQueue:
    """Does jobs in a few threads of its own, and drops what is too much.

    Threads start with the first job. A process that was forked begins with an empty queue and threads of its own.

    Args:
        bounds: how much it takes.

    Attributes:
        counted: told of each job what became of it, "done" or "dropped"; from whichever thread.
        ended: called once nothing more is done, as when the process ends.
    """

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self.counted: Callable[[str], object] = _nobody
        self.ended: Callable[[], object] = _nobody
        self._begin()
        renew_after_fork(self._begin)

    def __getstate__(self) -> dict[str, Any]:
        return {"bounds": self.bounds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def put(self, job: Job, size: int = 0) -> bool:
        """Have a job done some time; never waits.

        Args:
            job: what to do; what it raises is logged by its type and forgotten.
            size: bytes that it holds meanwhile.

        Returns:
            whether it was taken.
        """
        with self._change:
            full = len(self._jobs) >= self.bounds.waiting or self._bytes + size > self.bounds.waiting_bytes
            if full or self._closing.is_set():
                self._count("dropped")
                return False
            self._jobs.append(_Waiting(job, size, time.monotonic()))
            self._bytes += size
            if len(self._jobs) > self._idle and len(self._threads) < self.bounds.threads:
                self._start()
            self._change.notify()
        return True

    @property
    def dropped(self) -> int:
        """Jobs that were not done, in this process."""
        return self._counts["dropped"]

    @property
    def done(self) -> int:
        """Jobs that were done, in this process."""
        return self._counts["done"]

    def settle(self, within: float) -> bool:
        """Wait until nothing is left to do; whether that came about within some seconds."""
        ends = time.monotonic() + within
        with self._change:
            while self._jobs or self._busy:
                left = ends - time.monotonic()
                if left <= 0:
                    return False
                self._change.wait(left)
        return True

    def close(self, within: float | None = None) -> None:
        """Take nothing more, do what is left for a moment without resting, and drop the remainder.

        Args:
            within: seconds; None for what the bounds say of the end of a process.
        """
        self._closing.set()
        self.settle(self.bounds.at_exit if within is None else within)
        with self._change:
            for _ in self._jobs:
                self._count("dropped")
            self._jobs.clear()
            self._bytes = 0
            self._change.notify_all()
        self.ended()

    def _begin(self) -> None:
        """Begin with nothing: a child owes nothing of what its parent still had to do."""
        self._change = threading.Condition()
        self._closing = threading.Event()
        self._jobs: deque[_Waiting] = deque()
        self._bytes = 0
        self._busy = 0
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._counts = {"done": 0, "dropped": 0}
        self._told_of: set[str] = set()
        self._ends_with_process = False

    def _start(self) -> None:
        if not self._ends_with_process:
            self._ends_with_process = True
            _at_the_end(weakref.ref(self))
        # A daemon: a thread that waits for an endpoint must not hold up the end of a script.
        thread = threading.Thread(target=self._work, name="exam-compat-behind", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            begun = time.thread_time()
            outcome = self._do(taken)
            spent = time.thread_time() - begun
            with self._change:
                self._busy -= 1
                self._count(outcome)
                self._change.notify_all()
            self._closing.wait(spent * (1 / self.bounds.share - 1))

    def _next(self) -> _Waiting | None:
        with self._change:
            while not self._jobs:
                self._idle += 1
                called = self._change.wait(_IDLE)
                self._idle -= 1
                if not self._jobs and (self._closing.is_set() or not called):
                    # Nobody is kept waiting for by a thread, and nothing is kept by one that nobody needs.
                    self._threads.remove(threading.current_thread())
                    return None
            taken = self._jobs.popleft()
            self._bytes -= taken.size
            self._busy += 1
            return taken

    def _do(self, taken: _Waiting) -> str:
        if time.monotonic() - taken.since > self.bounds.oldest:
            return "dropped"
        try:
            taken.job()
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and its text may hold anything
            self._tell_of(type(error).__name__)
            return "dropped"
        return "done"

    def _count(self, outcome: str) -> None:
        self._counts[outcome] += 1
        self.counted(outcome)

    def _tell_of(self, failure: str) -> None:
        """Log a failure once for each kind; at the end of a process some are to be expected."""
        if failure not in self._told_of and not self._closing.is_set():
            self._told_of.add(failure)
            _log.warning("the old and the new answer to a call could not be compared: %s", failure)


def _nobody(*_: object) -> None:
    """Is told, and calls, nothing."""


def _at_the_end(behind: weakref.ref[BackgroundQueue]) -> None:
    """Close at the end of the process; held weakly, since that is no reason to keep what nobody else does."""
    atexit.register(_close_if_there, behind)
    forking = sys.modules.get("multiprocessing.util")
    if forking is not None:
        # The children of multiprocessing end without what atexit has registered.
        forking.Finalize(None, _close_if_there, args=(behind,), exitpriority=0)


def _close_if_there(behind: weakref.ref[BackgroundQueue]) -> None:
    there = behind()
    if there is not None:
        there.close()
