"""Pages that were translated a moment ago, used again while the upstream answers a query with the same bytes.

The upstream is asked at every call, on condition where it gave an ``ETag`` or ``Last-Modified``. What it answers is
compared with what it answered at the same caller's last call of the same query; where that is the same, byte for byte,
or a 304, so is its translation. What is kept speaks of persons: it goes a minute after the upstream last said it,
whether or not anybody calls again, no other caller is answered from it, and what says ``no-store`` is not kept.
"""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from requests.structures import CaseInsensitiveDict

from compat.processes import renew_after_fork
from compat.upstream.base import AskedPage, Decode, PageReader
from compat.upstream.transport import Reply

__all__ = ["KEPT_FOR", "KeptPages"]

KEPT_FOR = 60.0
"""Seconds that a page is kept after the upstream last said it."""

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
_A_SECOND = timedelta(seconds=1)

_AN_ENTRY = 64 * 1024
"""Bytes that are counted for an entry beside its two texts: ids and keys."""


@dataclass(frozen=True)
class _Kept:
    """A page, and the answer that it was in; None where it was read without its request."""

    body: bytes = field(repr=False)
    page: Any = field(repr=False)
    size: int
    said: float
    reply: Reply | None


class KeptPages:
    """Keeps pages of one shim; safe across threads, and empty in a forked process, in a copy and after pickling.

    Args:
        most: bytes that are kept at once, the oldest going first; 0 keeps none.
        size_of: the bytes that a page holds, given it and its body; None where it may not be kept.
        clock: seconds on a clock that never goes back.
        kept_for: seconds that a page is kept.
    """

    def __init__(
        self,
        most: int,
        size_of: Callable[[Any, bytes], int | None],
        clock: Callable[[], float] = time.monotonic,
        kept_for: float = KEPT_FOR,
    ) -> None:
        self._most = most
        self._size_of = size_of
        self._clock = clock
        self._kept_for = kept_for
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin with none, in a process that was forked."""
        self._lock = threading.Lock()
        self._pages: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._size = 0
        self._watch: threading.Timer | None = None

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def decoder(self, key: Hashable, decode: Decode) -> Decode:
        """What decodes a page as ``decode`` does, if it has to.

        Args:
            key: the caller and the query.
            decode: decodes a body.
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
        size = self._size_of(page, body) if reply is None or _may_be_kept(reply) else None
        with self._lock:
            self._drop(key)
            if size is not None:
                self._keep(key, _Kept(body, page, len(body) + size + _AN_ENTRY, self._clock(), reply))
        return page

    def _keep(self, key: Hashable, page: _Kept) -> None:
        if page.size > self._most:
            return
        while self._size + page.size > self._most:
            self._drop(next(iter(self._pages)))
        self._pages[key] = page
        self._size += page.size
        self._watch_over()

    def _drop(self, key: Hashable) -> None:
        gone = self._pages.pop(key, None)
        if gone is not None:
            self._size -= gone.size

    def _forget_old(self) -> None:
        # They stand in the order in which they were said.
        oldest = self._clock() - self._kept_for
        while self._pages and next(iter(self._pages.values())).said <= oldest:
            self._drop(next(iter(self._pages)))

    def _watch_over(self) -> None:
        """See to it that pages go even if nobody calls again."""
        if self._watch is None and self._pages:
            due = next(iter(self._pages.values())).said + self._kept_for - self._clock()
            # Held weakly: a timer is no reason to keep the pages of a shim that is gone.
            look = weakref.WeakMethod(self._look)
            self._watch = threading.Timer(max(due, 0), lambda: (method := look()) and method())
            self._watch.daemon = True
            self._watch.start()

    def _look(self) -> None:
        with self._lock:
            self._watch = None
            self._forget_old()
            self._watch_over()


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
        super().__init__(self._read)
        self._reader = reader
        self._key = key
        self._held = reader.pages.held(key)
        self._reply: Reply | None = None
        if self._held is not None and self._held.reply is not None:
            self.condition = _condition_for(self._held.reply)

    def answer(self, reply: Reply) -> Reply:
        kept = self._held.reply if self._held is not None else None
        if reply.status == HTTPStatus.NOT_MODIFIED and kept is not None and self.condition:
            reply = _renewed(kept, reply)
            # Where that makes no page, the next attempt asks for all of it.
            self.condition = {}
        self._reply = reply
        return reply

    def _read(self, body: bytes) -> Any:
        return self._reader.pages.read(self._key, self._reader.whole, body, self._reply, self._held)


def _may_be_kept(reply: Reply) -> bool:
    """Whether the upstream lets an answer be kept."""
    return reply.status == HTTPStatus.OK and "no-store" not in reply.headers.get("Cache-Control", "").lower()


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


def _renewed(kept: Reply, unchanged: Reply) -> Reply:
    """A kept answer after a 304, whose headers count before its own."""
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(kept.headers)
    headers.update(unchanged.headers)
    return Reply(kept.status, headers, kept.body, unchanged.limits)
