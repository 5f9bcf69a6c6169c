"""Work that says where it has to wait, so that whoever runs it need not keep a thread waiting.

The core is synchronous, and a script's own thread waits. The gateway lets the thread answer another call meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["ASKS_UPSTREAM", "Cancelled", "Steps", "all_cancelled", "finished", "never"]

_T = TypeVar("_T")

Steps = Generator["Future[Any] | None", None, _T]
"""Yields the future that it waits for, or :data:`ASKS_UPSTREAM`; to be resumed when that is done, or may begin."""

ASKS_UPSTREAM = None
"""Yielded before an upstream is asked: what follows may take long."""


class Cancelled(Exception):
    """Nobody waits any more for what was being done."""


def never() -> bool:
    """Whether work that is always waited for was cancelled."""
    return False


def all_cancelled(calls: list[Callable[[], bool]]) -> bool:
    """Whether every call that waits for a piece of work was cancelled; others may join meanwhile."""
    return bool(calls) and all(cancelled() for cancelled in tuple(calls))


def finished(steps: Steps[_T]) -> _T:
    """What steps lead to, with this thread waiting where they have to."""
    try:
        while True:
            future = next(steps)
            if future is not None:
                # Waits until it is done; what it came to is looked at by whoever asked for it.
                future.exception()
    except StopIteration as end:
        result: _T = end.value
        return result
