"""Pages that were translated a moment ago, used again while the upstream answers a query with the same bytes.

The upstream is asked at every call. What it answers is compared with what it answered at the same caller's last call of
the same query; where that is the same, byte for byte, so is its translation. What is kept speaks of persons: it goes a
minute after the upstream last said it, whether or not anybody calls again, and no other caller is answered from it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

from compat.processes import renew_after_fork
from compat.upstream.base import Decode

__all__ = ["KEPT_FOR", "KeptPages"]

KEPT_FOR = 60.0
"""Seconds that a page is kept after the upstream last said it."""

_AN_ENTRY = 64 * 1024
"""Bytes that are counted for an entry beside its two texts: ids and keys."""


@dataclass(frozen=True)
class _Kept:
    body: bytes
    page: Any
    size: int
    said: float


class KeptPages:
    """Keeps pages of one shim; safe across threads, and empty in a forked process, in a copy and after pickling.

    Args:
        most: bytes that are kept at once, the oldest going first; 0 keeps none.
        size_of: the bytes that a page holds; None where it may not be kept.
        clock: seconds on a clock that never goes back.
        kept_for: seconds that a page is kept.
    """

    def __init__(
        self,
        most: int,
        size_of: Callable[[Any], int | None],
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
        return partial(self._read, key, decode) if self._most else decode

    def _read(self, key: Hashable, decode: Decode, body: bytes) -> Any:
        with self._lock:
            self._forget_old()
            held = self._pages.get(key)
        page = held.page if held is not None and held.body == body else decode(body)
        size = self._size_of(page)
        with self._lock:
            self._drop(key)
            if size is not None:
                self._keep(key, _Kept(body, page, len(body) + size + _AN_ENTRY, self._clock()))
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
