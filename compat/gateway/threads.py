"""Threads that calls are answered in.

What ``concurrent.futures`` and asyncio do together for a call, two futures with a lock each and a semaphore, takes more
than twice the processor's time of the hop itself.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from compat.forks import renew_after_fork

__all__ = ["Threads"]

_T = TypeVar("_T")
_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Threads:
    """Runs functions in threads for the event loop, in the order in which they come.

    Args:
        most: threads at most; each is started when none is free.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin without threads or calls, in a process that was forked."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started: list[threading.Thread] = []
        self._unfinished = 0

    def run(self, function: Callable[[], _T]) -> asyncio.Future[_T]:
        """What a function returns or raises, once a thread has called it; of the event loop's thread alone."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[_T] = loop.create_future()
        self._unfinished += 1
        if self._unfinished > len(self._started) < self._most:
            self._start()
        self._jobs.put((loop, result, function))
        return result

    async def close(self) -> None:
        """Wait for what runs or waits to run, and end the threads."""
        for _ in self._started:
            self._jobs.put(None)
        for thread in self._started:
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
        self._started.clear()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"gateway_{len(self._started)}", daemon=True)
        self._started.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, result, function = job
            returned = raised = None
            try:
                returned = function()
            except BaseException as error:  # noqa: BLE001 - whoever waits for it is told
                raised = error
            # A loop that has ended has nobody left to tell.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._finished, result, returned, raised)
            # Nothing is kept alive while the next job is waited for.
            del job, result, function, returned, raised

    def _finished(self, result: asyncio.Future[_T], returned: Any, raised: BaseException | None) -> None:
        self._unfinished -= 1
        if result.cancelled():
            return
        if raised is None:
            result.set_result(returned)
        else:
            result.set_exception(raised)
