"""A store in the memory of one process: for one worker, and for tests."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable

from compat.processes import renew_after_fork
from compat.stores.base import SPENT_FOR, Store, digests

__all__ = ["MemoryStore"]

_SPAN = 2 * 60 * 60
_BYTES = 8
_BITS = 60
_log = logging.getLogger("compat.stores")


class MemoryStore(Store):
    """Remembers while the process lives. Another worker, or the process after it, knows nothing of it.

    What is kept of a nonce is 60 bits, which Python holds in 32 bytes. They are salted by the process, so that nobody
    can look for two that meet; that a fresh call meets one of two million by chance happens once in 10^11 calls, and
    refuses that call.

    Args:
        clock: seconds on a clock that never goes back.
    """

    shared = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._spans: dict[int, set[int]] = {}
        self._lock = threading.Lock()
        self._forked = False
        self._born = int(time.time()) * 1000
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Remember by oneself from now on, in a process that was forked, beside what was spent before."""
        self._lock = threading.Lock()
        self._forked = True

    def born(self) -> int:
        return self._born

    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        keys = [
            int.from_bytes(each, "little") >> (8 * _BYTES - _BITS)
            for each in digests(token_digest, nonce, signature, _BYTES, self._salt)
        ]
        now = self._clock()
        with self._lock:
            if self._forked:
                self._forked = False
                _log.warning(
                    "a store in memory is not shared by processes: a call can be made once at each that was forked; "
                    "use sqlite:// or redis://"
                )
            span = int(now // _SPAN)
            if span not in self._spans:
                self._forget_before(now - SPENT_FOR)
                self._spans[span] = set()
            for spent in self._spans.values():
                if not spent.isdisjoint(keys):
                    return False
            self._spans[span].update(keys)
        return True

    def ping(self) -> None:
        pass

    def close(self) -> None:
        with self._lock:
            self._spans.clear()

    def _forget_before(self, moment: float) -> None:
        # A span goes as a whole, once the last moment of it is old enough.
        for span in [span for span in self._spans if (span + 1) * _SPAN <= moment]:
            del self._spans[span]
