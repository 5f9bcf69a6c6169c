"""Threads that calls are answered in.

What ``concurrent.futures`` and asyncio do together for a call, two futures with a lock each and a semaphore, takes more
than twice the processor's time of the hop itself.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from compat.core.walks import ASKS_UPSTREAM, Steps
from compat.processes import renew_after_fork
from compat.upstream.retries import Cancelled

_T = TypeVar("_T")
SPARE = 4
"""Threads beside those that ask upstreams: signatures are checked, and kept walks answered, however busy those are."""


@dataclass(eq=False, slots=True)
class _Job:
    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]
    unclaimed: Callable[[Any], object] | None
    steps: Steps[Any] = field(init=False)
    cancelled: bool = False  # nobody waits for the result any more
    asking: bool = False  # holds one of the places for what asks an upstream
    parked: bool = False  # in no thread and in no queue; it waits for such a place or for a future

    def is_cancelled(self) -> bool:
        return self.cancelled


class Threads:
    """Runs steps in threads for the event loop, in the order in which they come.

    Args:
        most: steps at most that ask an upstream at once, with a thread each. Others wait for their turn, and hold no
            thread meanwhile.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin without threads or calls, in a process that was forked."""
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started: list[threading.Thread] = []
        self._busy = 0
        self._asking = 0
        self._waiting: deque[_Job] = deque()
        self._unfinished = 0
        self._idle: asyncio.Future[None] | None = None

    def run(
        self, begin: Callable[[Callable[[], bool]], Steps[_T]], unclaimed: Callable[[_T], object] | None = None
    ) -> asyncio.Future[_T]:
        """The result of steps; called in the event loop's thread alone.

        Where the future is cancelled, steps that wait are closed, and those that run are left to look for it.

        Args:
            begin: makes the steps; given what tells whether the future was cancelled.
            unclaimed: takes a result that came after that.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[_T] = loop.create_future()
        job = _Job(loop, result, unclaimed)
        job.steps = begin(job.is_cancelled)
        self._unfinished += 1
        result.add_done_callback(lambda done: self._cancel(job) if done.cancelled() else None)
        self._put(job)
        return result

    async def close(self) -> None:
        """Wait for what runs or waits to run, and end the threads."""
        loop = asyncio.get_running_loop()
        if self._unfinished:
            self._idle = loop.create_future()
            await self._idle
        for _ in self._started:
            self._jobs.put(None)
        for thread in self._started:
            await loop.run_in_executor(None, thread.join)
        self._started.clear()

    def _put(self, job: _Job) -> None:
        with self._lock:
            self._busy += 1
            if self._busy > len(self._started) < self._most + SPARE:
                thread = threading.Thread(target=self._work, name=f"gateway_{len(self._started)}", daemon=True)
                self._started.append(thread)
                thread.start()
        self._jobs.put(job)

    def _cancel(self, job: _Job) -> None:
        job.cancelled = True
        self._resume(job)

    def _resume(self, job: _Job) -> None:
        """Go on with a job that waits; with any other there is nothing to do."""
        with self._lock:
            parked, job.parked = job.parked, False
        if parked:
            self._put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            returned = raised = None
            try:
                returned = self._advance(job)
            except BaseException as error:  # noqa: BLE001 - whoever waits for it is told
                raised = error
            with self._lock:
                self._busy -= 1
            if returned is not _PARKED:
                self._end_asking(job)
                # A loop that has ended has nobody left to tell.
                with suppress(RuntimeError):
                    job.loop.call_soon_threadsafe(self._finished, job, returned, raised)
            # Nothing is kept alive while the next job is waited for.
            del job, returned, raised

    def _advance(self, job: _Job) -> Any:
        """What the steps lead to, or that they wait."""
        try:
            while not job.cancelled:
                future = next(job.steps)
                if future is not ASKS_UPSTREAM:
                    self._end_asking(job)
                    if self._may_wait(job):
                        future.add_done_callback(lambda _: self._resume(job))
                        return _PARKED
                elif not self._may_ask(job):
                    return _PARKED
        except StopIteration as end:
            return end.value
        job.steps.close()
        raise Cancelled

    def _may_wait(self, job: _Job) -> bool:
        """Let a job wait, unless it was cancelled just now: nobody would wake it up again."""
        with self._lock:
            job.parked = not job.cancelled
            return job.parked

    def _may_ask(self, job: _Job) -> bool:
        """Take a place for what asks an upstream, or wait for one; what was cancelled waits for none."""
        with self._lock:
            if not job.asking and self._asking < self._most:
                self._asking += 1
                job.asking = True
            if job.asking or job.cancelled:
                return True
            job.parked = True
            self._waiting.append(job)
            return False

    def _end_asking(self, job: _Job) -> None:
        """Give a place to the first that waits for one."""
        if not job.asking:
            return
        job.asking = False
        with self._lock:
            while self._waiting:
                following = self._waiting.popleft()
                if following.parked:
                    following.parked, following.asking = False, True
                    break
            else:
                self._asking -= 1
                return
        self._put(following)

    def _finished(self, job: _Job, returned: Any, raised: BaseException | None) -> None:
        self._unfinished -= 1
        if self._idle is not None and not self._unfinished:
            self._idle.set_result(None)
        if job.result.cancelled():
            if raised is None and job.unclaimed is not None:
                job.unclaimed(returned)
        elif raised is None:
            job.result.set_result(returned)
        else:
            job.result.set_exception(raised)


_PARKED = object()
