"""Readings kept for the later pages of the same walk (contract, section 4)."""

from __future__ import annotations

import hashlib
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from compat.core.collected import Reading
from compat.errors import LegacyError, UpstreamTimeout
from compat.legacy.query import Condition, Query, SortKey
from compat.processes import MadeAnew, renew_after_fork
from compat.upstream.retries import Cancelled, never

__all__ = ["ASKS_UPSTREAM", "KEPT_FOR", "ProcessWalks", "Read", "Steps", "WalkKey", "Walks"]

_T = TypeVar("_T")

Steps = Generator[Future[Any] | None, None, _T]
"""Work that says where it has to wait, so that whoever runs it need not keep a thread waiting.

A script's own thread waits; the gateway lets the thread answer another call meanwhile. Yielded is the future that is
waited for, or :data:`ASKS_UPSTREAM`; to be resumed when that is done, or may begin.
"""

ASKS_UPSTREAM = None
"""Yielded before an upstream is asked: what follows may take long."""


Read = Callable[[Callable[[], bool]], Reading]
"""Reads an upstream; given what tells whether nobody waits for the reading any more."""

KEPT_FOR = 600.0
"""Seconds that a walk is kept after the last page asked of it."""


@dataclass(frozen=True)
class WalkKey:
    """What makes pages belong to one walk.

    Attributes:
        caller: who asks.
        exam_id: the exam.
        status: one of the eleven, or None for all.
        conditions: the filter.
        sort: the columns to sort by.
        limit: records a page.
    """

    caller: str
    exam_id: int
    status: str | None
    conditions: tuple[Condition, ...]
    sort: tuple[SortKey, ...]
    limit: int

    @classmethod
    def of(cls, caller: str, query: Query) -> WalkKey:
        """The key of a caller's query."""
        return cls(caller, query.exam_id, query.status, query.conditions, query.sort, query.limit)

    def digest(self) -> str:
        """The key as 64 hexadecimal digits: the same in every process, and telling nothing of the filter."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


class Walks(ABC):
    """Where the walks are kept whose later pages may be asked for; safe across threads."""

    @abstractmethod
    def steps(self, key: WalkKey, number: int, read: Read, cancelled: Callable[[], bool] = never) -> Steps[Reading]:
        """The walk that a page belongs to: page 1 reads anew, later ones take what it read.

        Whoever asks while the same walk is being read waits for that reading.

        Args:
            key: what makes pages belong together.
            number: the page, from 1.
            read: reads the upstream; given what tells whether nobody waits for the reading any more.
            cancelled: whether whoever asks has gone. A reading goes on until all who wait for it have.

        Raises:
            LegacyError: what the reading failed with, or that it cannot be kept or read back.
            Cancelled: nobody waits for it any more.
        """

    @property
    def number(self) -> int:
        """How many are kept in this process."""
        return 0


class _ReaderFailed(Exception):
    """The reading that others waited for ended for a reason of its reader's own."""


@dataclass
class _Entry:
    """A walk that is being read, or was; ``calls`` tell whether those who wait for it are gone."""

    result: Future[Reading]
    asked: float
    calls: list[Callable[[], bool]] = field(default_factory=list)

    def cancelled(self) -> bool:
        """Whether every call that waits for it was cancelled; others may join meanwhile."""
        return bool(self.calls) and all(cancelled() for cancelled in tuple(self.calls))


class ProcessWalks(MadeAnew, Walks):
    """The walks of one shim; safe across threads, and left behind when the shim is copied or pickled.

    A walk's records go when nobody holds it any more: it is forgotten here, and the last page of it has been answered.
    A process that was forked begins without any: the first page that is asked there, whichever it is, reads anew.

    Args:
        clock: seconds on a clock that never goes back.
        kept_for: seconds that a walk is kept after the last page asked of it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept_for: float = KEPT_FOR) -> None:
        self._clock = clock
        self._kept_for = kept_for
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin with none, in a process that was forked: another reads what was begun, and keeps what was read."""
        self._lock = threading.Lock()
        self._entries: dict[WalkKey, _Entry] = {}
        self._watch: threading.Timer | None = None

    def steps(self, key: WalkKey, number: int, read: Read, cancelled: Callable[[], bool] = never) -> Steps[Reading]:
        while True:
            entry, mine = self._entry(key, number, cancelled)
            if mine:
                return (yield from self._read(key, entry, read))
            if not entry.result.done():
                yield entry.result
            try:
                return entry.result.result()
            except _ReaderFailed:
                # Whoever read ran into a limit of its own, or was interrupted: that is nobody else's failure.
                continue
            except LegacyError as error:
                raise copy(error) from None

    def held(self, key: WalkKey) -> Reading | None:
        """What was read last for a key, if it was read to its end and is kept still."""
        with self._lock:
            entry = self._entries.get(key)
            return entry.result.result() if entry is not None and _succeeded(entry.result) else None

    def forget(self, key: WalkKey, reading: Reading) -> None:
        """Let go of a reading, unless another has taken its place."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and _succeeded(entry.result) and entry.result.result() is reading:
                del self._entries[key]

    def _entry(self, key: WalkKey, number: int, cancelled: Callable[[], bool]) -> tuple[_Entry, bool]:
        """The walk to take a page from, and whether it is the caller's to read."""
        with self._lock:
            now = self._clock()
            self._forget_before(now - self._kept_for)
            entry = self._entries.get(key)
            mine = entry is None or (number == 1 and entry.result.done())
            if entry is None or mine:
                entry = self._entries[key] = _Entry(Future(), now)
            entry.asked = now
            if not entry.result.done():
                entry.calls.append(cancelled)
            return entry, mine

    def _read(self, key: WalkKey, entry: _Entry, read: Read) -> Steps[Reading]:
        try:
            yield ASKS_UPSTREAM
            walk = read(entry.cancelled)
        except BaseException as error:
            self._drop(key, entry)
            shared = isinstance(error, Exception) and not isinstance(error, UpstreamTimeout | Cancelled)
            entry.result.set_exception(error if shared else _ReaderFailed())
            raise
        entry.result.set_result(walk)
        with self._lock:
            entry.calls.clear()
            entry.asked = self._clock()
            self._watch_over()
        return walk

    @property
    def number(self) -> int:
        with self._lock:
            return len(self._entries)

    def _drop(self, key: WalkKey, entry: _Entry) -> None:
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


def _succeeded(result: Future[Reading]) -> bool:
    return result.done() and result.exception() is None
