"""Readings kept for the later pages of the same walk (contract, section 4)."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from typing import Any

from compat.errors import LegacyError, UpstreamTimeout
from compat.upstream.collected import Collected

__all__ = ["KEPT_FOR", "Walks"]

KEPT_FOR = 600.0
"""Seconds that a walk is kept after the last page asked of it."""


class _LeftOff(Exception):
    """The reading that others waited for ended for a reason of its reader's own."""


@dataclass
class _Entry:
    result: Future[Collected]
    asked: float


class Walks:
    """The walks of one shim; safe across threads, and left behind when the shim is copied or pickled.

    A walk's records go when nobody holds it any more: it is forgotten here, and the last page of it has been answered.

    Args:
        clock: seconds on a clock that never goes back.
        kept_for: seconds that a walk is kept after the last page asked of it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept_for: float = KEPT_FOR) -> None:
        self._clock = clock
        self._kept_for = kept_for
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}
        self._watch: threading.Timer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"clock": self._clock, "kept_for": self._kept_for}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def page(self, key: Hashable, number: int, read: Callable[[], Collected]) -> Collected:
        """The walk that a page belongs to: page 1 reads anew, later ones take what it read.

        Whoever asks while the same walk is being read waits for that reading.

        Args:
            key: what makes pages belong together.
            number: the page, from 1.
            read: reads the upstream.
        """
        while True:
            entry, mine = self._entry(key, number)
            if mine:
                return self._read(key, entry, read)
            try:
                return entry.result.result()
            except _LeftOff:
                # Whoever read ran into a limit of its own, or was interrupted: that is nobody else's failure.
                continue
            except LegacyError as error:
                raise copy(error) from None

    def _entry(self, key: Hashable, number: int) -> tuple[_Entry, bool]:
        """The walk to take a page from, and whether it is the caller's to read."""
        with self._lock:
            now = self._clock()
            self._forget_before(now - self._kept_for)
            entry = self._entries.get(key)
            mine = entry is None or (number == 1 and entry.result.done())
            if entry is None or mine:
                entry = self._entries[key] = _Entry(Future(), now)
            entry.asked = now
            return entry, mine

    def _read(self, key: Hashable, entry: _Entry, read: Callable[[], Collected]) -> Collected:
        try:
            walk = read()
        except BaseException as error:
            self._drop(key, entry)
            shared = isinstance(error, Exception) and not isinstance(error, UpstreamTimeout)
            entry.result.set_exception(error if shared else _LeftOff())
            raise
        entry.result.set_result(walk)
        with self._lock:
            entry.asked = self._clock()
            self._watch_over()
        return walk

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def _drop(self, key: Hashable, entry: _Entry) -> None:
        with self._lock:
            if self._entries.get(key) is entry:
                del self._entries[key]

    def _forget_before(self, moment: float) -> None:
        gone = [key for key, entry in self._entries.items() if entry.asked <= moment and entry.result.done()]
        for key in gone:
            del self._entries[key]

    def _watch_over(self) -> None:
        """See to it that an abandoned walk goes even if nobody calls again."""
        if self._watch is None and self._entries:
            # Held weakly: a timer is no reason to keep the walks of a shim that is gone.
            look = weakref.WeakMethod(self._look)
            self._watch = threading.Timer(self._kept_for, lambda: (method := look()) and method())
            self._watch.daemon = True
            self._watch.start()

    def _look(self) -> None:
        with self._lock:
            self._watch = None
            self._forget_before(self._clock() - self._kept_for)
            self._watch_over()
