"""What is kept of an upstream's answers: readings for the later pages of a walk, and translated pages.

A reading serves the later pages of the same walk (contract, section 4).

For a page the upstream is asked at every call, on condition where it gave an ``ETag`` or ``Last-Modified``. What it
answers is compared with what it answered at the same caller's last call of the same query; where that is the same, byte
for byte, or a 304, so is its translation. What is kept speaks of persons: it goes a minute after the upstream last said
it, whether or not anybody calls again, no other caller is answered from it, and what says ``no-store`` is not kept.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Mapping
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

from requests.structures import CaseInsensitiveDict

from compat.core.collected import Reading
from compat.errors import LegacyError, UpstreamTimeout
from compat.legacy.query import Condition, Query, SortKey
from compat.processes import MadeAnew, renew_after_fork
from compat.upstream.base import AskedPage, Decode, PageReader
from compat.upstream.retries import Cancelled, never
from compat.upstream.transport import Reply

__all__ = ["ASKS_UPSTREAM", "KEPT_FOR", "KeptPages", "ProcessWalks", "Read", "Steps", "WalkKey", "Walks"]

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

_PAGES_KEPT_FOR = 60.0
"""Seconds that a page is kept after the upstream last said it."""

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
_A_SECOND = timedelta(seconds=1)

_AN_ENTRY = 64 * 1024
"""Bytes that are counted for a kept page beside its two texts: ids and keys."""


@dataclass(frozen=True)
class WalkKey:
    """What makes pages belong to one walk."""

    caller: str
    exam_id: int
    status: str | None
    conditions: tuple[Condition, ...]
    sort: tuple[SortKey, ...]
    limit: int

    @classmethod
    def of(cls, caller: str, query: Query) -> WalkKey:
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


class _Forgetting(MadeAnew, ABC):
    """Keeps what goes after so many seconds, even if nobody calls again; a forked process begins with nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept_for: float = KEPT_FOR) -> None:
        self._clock = clock
        self._kept_for = kept_for
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._watch: threading.Timer | None = None

    @abstractmethod
    def _forget_old(self) -> float | None:
        """Forget what is over, and give when to look again: seconds by the clock, None where nothing is kept."""

    def _watch_over(self) -> None:
        if self._watch is None and (due := self._forget_old()) is not None:
            # Held weakly: a timer is no reason to keep what belongs to a shim that is gone.
            look = weakref.WeakMethod(self._look)
            self._watch = threading.Timer(max(due - self._clock(), 0), lambda: (method := look()) and method())
            self._watch.daemon = True
            self._watch.start()

    def _look(self) -> None:
        with self._lock:
            self._watch = None
            self._watch_over()


class ProcessWalks(_Forgetting, Walks):
    """The walks of one shim; safe across threads, and left behind when the shim is copied or pickled.

    A walk's records go when nobody holds it any more: it is forgotten here, and the last page of it has been answered.
    In a process that was forked the first page that is asked, whichever it is, reads anew.
    """

    def renew(self) -> None:
        super().renew()
        self._entries: dict[WalkKey, _Entry] = {}

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
            self._forget_old()
            now = self._clock()
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

    def _forget_old(self) -> float | None:
        now = self._clock()
        over = now - self._kept_for
        for key in [key for key, entry in self._entries.items() if entry.asked <= over and entry.result.done()]:
            del self._entries[key]
        return now + self._kept_for if self._entries else None


def _succeeded(result: Future[Reading]) -> bool:
    return result.done() and result.exception() is None


@dataclass(frozen=True)
class _Kept:
    """A page, and the answer that it was in; None where it was read without its request."""

    body: bytes = field(repr=False)
    page: Any = field(repr=False)
    size: int
    said: float
    reply: Reply | None


class KeptPages(_Forgetting):
    """Keeps pages of one shim; safe across threads, and empty in a copy and after pickling.

    Args:
        most: bytes that are kept at once, the oldest going first; 0 keeps none.
        size_of: the bytes that a page holds, given it and its body; None where it may not be kept.
    """

    def __init__(
        self,
        most: int,
        size_of: Callable[[Any, bytes], int | None],
        clock: Callable[[], float] = time.monotonic,
        kept_for: float = _PAGES_KEPT_FOR,
    ) -> None:
        self._most = most
        self._size_of = size_of
        super().__init__(clock, kept_for)

    def renew(self) -> None:
        super().renew()
        self._pages: OrderedDict[Hashable, _Kept] = OrderedDict()
        self.size = 0

    def decoder(self, key: Hashable, decode: Decode) -> Decode:
        """What decodes a page as ``decode`` does, if it has to.

        Args:
            key: the caller and the query.
        """
        return _Reader(self, key, decode) if self._most else decode

    def held(self, key: Hashable) -> _Kept | None:
        """What is kept under a key."""
        with self._lock:
            self._forget_old()
            return self._pages.get(key)

    def read(self, key: Hashable, decode: Decode, body: bytes, reply: Reply | None, held: _Kept | None) -> Any:
        """The page of a body, decoded where what was held is another's; kept from now on, if that may be."""
        page = held.page if held is not None and held.body == body else decode(body)
        may_be_kept = reply is None or (
            reply.status == HTTPStatus.OK and "no-store" not in reply.headers.get("Cache-Control", "").lower()
        )
        held_bytes = self._size_of(page, body) if may_be_kept else None
        with self._lock:
            self._drop(key)
            if held_bytes is not None and (size := len(body) + held_bytes + _AN_ENTRY) <= self._most:
                while self.size + size > self._most:
                    self._drop(next(iter(self._pages)))
                self._pages[key] = _Kept(body, page, size, self._clock(), reply)
                self.size += size
                self._watch_over()
        return page

    def _drop(self, key: Hashable) -> None:
        gone = self._pages.pop(key, None)
        if gone is not None:
            self.size -= gone.size

    def _forget_old(self) -> float | None:
        # They stand in the order in which they were said.
        over = self._clock() - self._kept_for
        while self._pages:
            key, page = next(iter(self._pages.items()))
            if page.said > over:
                return page.said + self._kept_for
            self._drop(key)
        return None


@dataclass(frozen=True)
class _Reader(PageReader):
    """Reads the pages of one caller's query."""

    pages: KeptPages
    # It holds a caller's filter, which may name a person.
    key: Hashable = field(repr=False)
    whole: Decode

    def __call__(self, body: bytes) -> Any:
        return self.pages.read(self.key, self.whole, body, None, self.pages.held(self.key))

    def asked(self, request: Hashable) -> AskedPage:
        return _Asked(self, (self.key, request))


class _Asked(AskedPage):
    """Holds on to what is kept as long as the request goes on: a 304 finds what it speaks of."""

    def __init__(self, reader: _Reader, key: Hashable) -> None:
        self._reader = reader
        self._key = key
        self._held = reader.pages.held(key)
        self._reply: Reply | None = None
        if self._held is not None and self._held.reply is not None:
            self.condition = _condition_for(self._held.reply)

    def answer(self, reply: Reply) -> Reply:
        kept = self._held.reply if self._held is not None else None
        if reply.status == HTTPStatus.NOT_MODIFIED and kept is not None and self.condition:
            # The headers of a 304 count before those of the answer that it speaks of.
            headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(kept.headers)
            headers.update(reply.headers)
            reply = Reply(kept.status, headers, kept.body, reply.limits)
            # Where that makes no page, the next attempt asks for all of it.
            self.condition = {}
        self._reply = reply
        return reply

    def decode(self, body: bytes) -> Any:
        return self._reader.pages.read(self._key, self._reader.whole, body, self._reply, self._held)


def _condition_for(reply: Reply) -> Mapping[str, str]:
    """The headers that ask whether an answer still holds; none where the upstream gave nothing to ask by.

    A time of change names an answer only if that was made a second or more after it: before, the answer may have
    changed again within the same second (RFC 9110, section 8.8.2.2).
    """
    tag = reply.headers.get("ETag", "").strip()
    if _ETAG.fullmatch(tag):
        return {"If-None-Match": tag}
    changed = reply.headers.get("Last-Modified", "").strip()
    if not changed:
        return {}
    try:
        settled = parsedate_to_datetime(reply.headers.get("Date", "")) - parsedate_to_datetime(changed) >= _A_SECOND
    except (TypeError, ValueError, OverflowError):
        return {}
    return {"If-Modified-Since": changed} if settled else {}
