"""Threads that fetch the pages of one walk at once, and are never waited for by the end of a process.

Those of ``concurrent.futures`` are: a page that does not come would hold up a script that has long had its answer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, ParamSpec, TypeVar

__all__ = ["PageThreads"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class PageThreads(Generic[_T]):
    """Calls functions in a few threads, in the order in which they are handed over.

    Args:
        most: threads at once; each starts when there is something for it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._waiting: queue.SimpleQueue[tuple[Future[_T], Callable[[], _T]] | None] = queue.SimpleQueue()

    def submit(self, fetch: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a function called; from one thread alone."""
        future: Future[_T] = Future()
        self._waiting.put((future, lambda: fetch(*args, **kwargs)))
        if self._started < self._most:
            self._started += 1
            threading.Thread(target=_work, args=(self._waiting,), name="exam-compat-page", daemon=True).start()
        return future

    def shutdown(self) -> None:
        """Call nothing more; what is being called is left to itself."""
        while True:
            try:
                waiting = self._waiting.get_nowait()
            except queue.Empty:
                break
            if waiting is not None:
                waiting[0].cancel()
        for _ in range(self._started):
            self._waiting.put(None)


def _work(waiting: queue.SimpleQueue[tuple[Future[_T], Callable[[], _T]] | None]) -> None:
    while (taken := waiting.get()) is not None:
        future, call = taken
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
        # Nothing is kept alive by a thread that waits.
        del taken, future, call
