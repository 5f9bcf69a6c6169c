"""Background queue: work that no caller waits for, such as comparisons, counts and recordings.

It is bounded in number, bytes, age and processor time. It begins empty in a forked process, and ends with the process.
Comparisons and their recordings share one; counts have one of their own, so that an endpoint that hangs holds up none.
"""

from __future__ import annotations

import atexit
import heapq
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from compat.processes import renew_after_fork

__all__ = ["BackgroundQueue", "Bounds", "Job", "may_be_killed"]

_IDLE = 5.0
"""Seconds without a job after which a thread ends."""

_log = logging.getLogger("compat.migration")

Job = Callable[[], object]


@dataclass(frozen=True)
class Bounds:
    """Limits of a background queue.

    Attributes:
        threads: jobs at once.
        waiting: jobs that wait, holding no more than ``waiting_bytes``.
        oldest: seconds after which a job that is due and still waits is dropped: what it would compare is no longer the
            same, and a signature does not hold for ever.
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


class _Waiting(NamedTuple):
    due: float
    number: int
    job: Job
    size: int
    counts: bool


class BackgroundQueue:
    """Jobs that are done in a few threads of its own; what is too much is dropped.

    Threads start with the first job, and end when they are idle. What :meth:`later` puts off is neither bounded nor
    counted: its owner asks for one at a time.

    Args:
        bounds: how much it takes.

    Attributes:
        counted: called with what became of each job, "done" or "dropped"; from any thread.
        ended: called once nothing more is done, as when the process ends.
    """

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.bounds = bounds
        self.counted: Callable[[str], object] = _nothing
        self.ended: Callable[[], object] = _nothing
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
            whether it was taken: not where too much waits, nor when the process ends.
        """
        with self._change:
            full = len(self._jobs) >= self.bounds.waiting or self._bytes + size > self.bounds.waiting_bytes
            if full or self._is_over():
                self._count("dropped")
                return False
            self._add(job, size, counts=True)
        return True

    def later(self, job: Job, after: float) -> bool:
        """Have a job done after some seconds, or when the process ends; whether it does not end yet."""
        with self._change:
            if self._is_over():
                return False
            self._add(job, after=after)
        return True

    def _is_over(self) -> bool:
        return self._closing.is_set() or _is_ending()

    def _add(self, job: Job, size: int = 0, after: float = 0.0, *, counts: bool = False) -> None:
        heapq.heappush(self._jobs, _Waiting(time.monotonic() + after, next(self._numbers), job, size, counts))
        self._bytes += size
        if len(self._jobs) > self._idle and len(self._threads) < self.bounds.threads:
            self._start()
        self._change.notify_all()

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
                if left <= 0 or not self._threads:
                    return False
                self._change.wait(left)
        return True

    def close(self, within: float | None = None) -> None:
        """Take nothing more, do what is left for a moment without resting, and drop the remainder.

        Args:
            within: seconds; None for what the bounds say of the end of a process.
        """
        self._closing.set()
        with self._change:
            self._change.notify_all()
        self.settle(self.bounds.at_exit if within is None else within)
        with self._change:
            for waiting in self._jobs:
                if waiting.counts:
                    self._count("dropped")
            self._jobs.clear()
            self._bytes = 0
            self._change.notify_all()
        self.ended()

    def _begin(self) -> None:
        """Begin with nothing: a child owes nothing of what its parent still had to do."""
        self._change = threading.Condition()
        self._closing = threading.Event()
        self._jobs: list[_Waiting] = []
        self._numbers = count()
        self._bytes = 0
        self._busy = 0
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._counts = {"done": 0, "dropped": 0}
        self._logged: set[str] = set()
        self._ends_with_process = False

    def _start(self) -> None:
        if not self._ends_with_process:
            self._ends_with_process = True
            _close_at_exit(weakref.ref(self))
        # A daemon: a thread that waits for an endpoint must not hold up the end of a script.
        thread = threading.Thread(target=self._work, name="exam-compat-background", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The process may have no more threads: the next job tries again.
            return
        self._threads.append(thread)

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            begun = time.thread_time()
            outcome = self._do(taken)
            spent = time.thread_time() - begun
            with self._change:
                self._busy -= 1
                if taken.counts:
                    self._count(outcome)
                self._change.notify_all()
            self._closing.wait(spent * (1 / self.bounds.share - 1))

    def _next(self) -> _Waiting | None:
        """A job that is due; None where the thread is to end."""
        with self._change:
            while (pause := self._pause()) is None or pause > 0:
                self._idle += 1
                called = self._change.wait(_IDLE if pause is None else pause)
                self._idle -= 1
                if not self._jobs and (self._closing.is_set() or not called):
                    self._threads.remove(threading.current_thread())
                    return None
            taken = heapq.heappop(self._jobs)
            self._bytes -= taken.size
            self._busy += 1
            return taken

    def _pause(self) -> float | None:
        """Seconds until the next job is due; None where there is none."""
        if not self._jobs:
            return None
        return 0.0 if self._closing.is_set() else self._jobs[0].due - time.monotonic()

    def _do(self, taken: _Waiting) -> str:
        if taken.counts and time.monotonic() - taken.due > self.bounds.oldest:
            return "dropped"
        try:
            taken.job()
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and its text may hold anything
            failure = type(error).__name__
            # Once for each kind; at the end of a process some are to be expected.
            if failure not in self._logged and not self._closing.is_set():
                self._logged.add(failure)
                _log.warning("the old and the new answer to a call could not be compared: %s", failure)
            return "dropped"
        return "done"

    def _count(self, outcome: str) -> None:
        self._counts[outcome] += 1
        self.counted(outcome)


def may_be_killed() -> bool:
    """Whether this process is one that its parent ends by a signal, such as the workers of a pool."""
    return _is_child() and bool(sys.modules["multiprocessing.process"].current_process().daemon)


def _is_child() -> bool:
    # Only what is imported already: a script without processes need not have it.
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _is_ending() -> bool:
    """Whether this is a process of ``multiprocessing`` whose function has returned, while a thread of it goes on."""
    return _is_child() and bool(sys.modules["multiprocessing.util"].is_exiting())


def _close_at_exit(queue: weakref.ref[BackgroundQueue]) -> None:
    # Held weakly: the end of the process is no reason to keep what nobody else does. It comes when all threads that are
    # waited for are done, those of executors among them.
    atexit.register(_close_if_there, queue)
    forking = sys.modules.get("multiprocessing.util")
    if forking is not None:
        # The children of multiprocessing end without what atexit has registered.
        forking.Finalize(None, _close_if_there, args=(queue,), exitpriority=0)


def _close_if_there(queue: weakref.ref[BackgroundQueue]) -> None:
    there = queue()
    if there is not None:
        there.close()


def _nothing(*_: object) -> None:
    pass
