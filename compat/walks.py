"""Readings kept for the later pages of the same walk (contract, section 4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from compat.upstream.interface import Row

__all__ = ["KEPT_FOR", "Walk", "Walks"]

KEPT_FOR = 600.0
"""Seconds that a walk is kept after the last page asked of it."""


@dataclass(frozen=True)
class Walk:
    """The records that a query matches, in their order.

    Attributes:
        rows: the records.
        unsettled: the list kept changing while it was read.
    """

    rows: list[Row] = field(repr=False)
    unsettled: bool


@dataclass
class _Entry:
    result: Future[Walk]
    asked: float


class Walks:
    """The walks of one shim; safe across threads, and left behind when the shim is copied or pickled.

    Args:
        clock: seconds on a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_clock": self._clock}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_clock"])  # type: ignore[misc]

    def page(self, key: Hashable, number: int, read: Callable[[], Walk]) -> Walk:
        """The walk that a page belongs to: page 1 reads anew, later ones take what it read.

        Whoever asks while the same walk is being read waits for that reading.

        Args:
            key: what makes pages belong together.
            number: the page, from 1.
            read: reads the upstream.
        """
        with self._lock:
            now = self._clock()
            self._forget_before(now - KEPT_FOR)
            entry = self._entries.get(key)
            mine = entry is None or (number == 1 and entry.result.done())
            if entry is None or mine:
                entry = self._entries[key] = _Entry(Future(), now)
            entry.asked = now
        if not mine:
            return entry.result.result()
        try:
            walk = read()
        except BaseException as error:
            self._drop(key, entry)
            entry.result.set_exception(error)
            raise
        entry.result.set_result(walk)
        with self._lock:
            entry.asked = self._clock()
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
