"""How a Redis that does not answer is asked again: once a second, so that not every call waits until it gives up."""

from __future__ import annotations

import time
from types import TracebackType

import redis

from compat.forks import ForkLock

__all__ = ["WAIT", "Patience"]

WAIT = 2.0
"""Seconds that one request waits for Redis."""

_REST = 1.0
"""Seconds after a request that Redis did not answer in time, until it is asked again."""


class Patience:
    """Stands around each request to Redis: ``with patience: …``.

    After one that was not answered in time the next ones fail at once, for a second; then one of them asks, and what
    it finds out counts for all. A Redis that refuses connections says so at once, and is asked every time.
    """

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._rests_until = 0.0

    def __enter__(self) -> None:
        if self._rests_until and not self._is_next():
            raise redis.TimeoutError("it did not answer in time a moment ago")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rests_until = time.monotonic() + _REST if isinstance(error, redis.TimeoutError) else 0.0

    def _is_next(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            # Whoever comes before this one knows more need not wait for it: connecting and asking may take two waits.
            self._rests_until = now + 2 * WAIT + _REST
            return True
