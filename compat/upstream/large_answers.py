"""How many large answers a process holds at once.

One answer is bounded by its own limits; many at once would still take as many times as much, and each is twice or more
as large while it is decoded. An honest page is small enough to need no place.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

from compat.errors import UpstreamThrottled
from compat.forks import renew_after_fork
from compat.upstream.retries import Deadline

__all__ = ["SMALL", "LargeAnswer"]

SMALL = 1 << 20
"""Bytes that an answer may have without a place."""

_PLACES = 2
_PAUSE = 0.001
"""Seconds between two pieces of a large answer."""


class _Places:
    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Give all places back, in a process that was forked."""
        self.free = threading.BoundedSemaphore(_PLACES)


_places = _Places()


class LargeAnswer:
    """A place for one answer, taken when it turns out to be large and given back at the end of the context."""

    def __init__(self) -> None:
        self._place: threading.BoundedSemaphore | None = None

    def __enter__(self) -> LargeAnswer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._place is not None:
            self._place.release()
            self._place = None

    def needed_for(self, size: int, deadline: Deadline) -> None:
        """Wait for a place where the answer needs one.

        Args:
            size: bytes that it has so far.
            deadline: how long to wait at most.

        Raises:
            UpstreamThrottled: none came free.
        """
        if size <= SMALL:
            return
        if self._place is not None:
            # Each piece lets others have the interpreter and the processor first.
            time.sleep(_PAUSE)
            return
        free = _places.free
        if not free.acquire(timeout=deadline.remaining()):
            raise UpstreamThrottled(f"Too many answers of more than {SMALL} bytes are being read at once.", "1")
        self._place = free
