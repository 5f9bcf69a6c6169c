"""Walks that any worker or replica can go on with: what page 1 read is put into the store before it is answered.

Page 1 always reads anew, so the store gets the pages from the second on, each as the few records that it is; a walk of
one page is a head alone. Whoever answers a later page asks the store first, since another may have read page 1
since, and takes its own reading only where that is the one the store knows.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from compat.config.settings import Configuration
from compat.core.collected import Reading
from compat.core.walks import ProcessWalks, Read, Steps, WalkKey, Walks
from compat.errors import StoreUnavailable
from compat.stores.base import Store, WalkKeeper
from compat.text.json import dumps, loads
from compat.upstream.base import People
from compat.upstream.retries import never

__all__ = ["SharedWalks", "walks_of"]

_ROWS_AT_ONCE = 300
_log = logging.getLogger("compat.stores")


def walks_of(configuration: Configuration, store: Store) -> Walks:
    """Where the walks of a gateway are kept: in its store, or in this process where none are to be shared."""
    if store.walks is None or not configuration.max_walk:
        return ProcessWalks()
    # One Redis may serve several gateways, and no caller of one may meet what a caller of another has read.
    ours = hashlib.sha256(repr(configuration.upstream).encode())
    for token in sorted(each.caller.api_token for each in configuration.callers):
        ours.update(hashlib.sha256(token.encode(errors="surrogatepass")).digest())
    return SharedWalks(store.walks, ours.digest(), configuration.max_walk)


class SharedWalks(Walks):
    """The walks of one gateway, wherever its processes run.

    Args:
        keeper: where they are kept.
        ours: at most 64 bytes that the processes of this gateway have in common and others do not.
        largest: bytes of the largest walk that is shared. A larger one stays in the process that read it.
    """

    def __init__(self, keeper: WalkKeeper, ours: bytes, largest: int) -> None:
        self._keeper = keeper
        self._ours = ours
        self._largest = largest
        self._local = ProcessWalks()

    @property
    def number(self) -> int:
        return self._local.number

    def steps(self, key: WalkKey, number: int, read: Read, cancelled: Callable[[], bool] = never) -> Steps[Reading]:
        digest = hashlib.blake2b(key.digest().encode(), digest_size=32, key=self._ours).hexdigest()
        read = partial(self._read, digest, key.limit, read)
        if number > 1 and (found := self._found(key, digest, number)) is not None:
            return found
        return (yield from self._local.steps(key, number, read, cancelled))

    def _found(self, key: WalkKey, digest: str, number: int) -> Reading | None:
        """A later page out of the store; None where this process's own reading is to be taken, or made."""
        mine = self._local.held(key)
        own = mine if isinstance(mine, _OwnReading) else None
        try:
            kept = self._keeper.get(digest, number, own.head if own is not None and own.shared else None)
        except StoreUnavailable:
            # A walk that the store cannot find now is as good as gone, and what is gone is read anew.
            return None
        if kept is not None:
            try:
                head = msgspec.msgpack.decode(kept.head, type=_Head)
                if own is not None and (own.head == kept.head or (not own.shared and own.at > head.at)):
                    return None
                start = (number - 1) * key.limit
                if kept.page is not None or start >= head.count:
                    return _StoredReading(head, kept.page, start)
            except (msgspec.MsgspecError, ValueError):
                _log.warning("a walk in the store cannot be read, and is read anew: another version may have kept it")
        if own is not None and (kept is not None or own.shared):
            self._local.forget(key, own)
        return None

    def _read(self, digest: str, limit: int, read: Read, cancelled: Callable[[], bool]) -> Reading:
        reading = read(cancelled)
        head = _Head(secrets.token_bytes(8), time.time(), reading.count, reading.unsettled)
        own = _OwnReading(reading, head.at, msgspec.msgpack.encode(head))
        try:
            self._keeper.put(digest, own.head, self._pages(reading, limit))
            own.shared = True
        except (StoreUnavailable, _TooLargeToShare) as error:
            if isinstance(error, _TooLargeToShare):
                _log.warning("a walk of %d records is too large to share: max_walk is %d", head.count, self._largest)
            try:
                # Else others would go on with what was read before.
                self._keeper.drop(digest)
            except StoreUnavailable:
                # Logged by the store; who has this reading takes it by its time.
                return own
        return own

    def _pages(self, reading: Reading, limit: int) -> Iterator[bytes]:
        size = 0
        step = limit * max(_ROWS_AT_ONCE // limit, 1)
        for begin in range(limit, reading.count, step):
            # The step may be longer than the pages before it, which are short where the limit is.
            records = reading.records(begin, step)
            for first in range(0, len(records), limit):
                page = _packed(reading, records[first : first + limit])
                size += len(page)
                if size > self._largest:
                    raise _TooLargeToShare
                yield page


class _TooLargeToShare(Exception):
    """A walk is larger than any that is shared."""


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What any page of a walk needs, and what tells it from another: something random, and seconds since the epoch."""

    one: bytes
    at: float
    count: int
    unsettled: bool


class _Page(msgspec.Struct, frozen=True, array_like=True):
    """Records, and those of the sources' people that they name by their places here, as JSON: it holds any integer."""

    people: list[bytes]
    records: list[tuple[bytes, int]]


class _OwnReading(Reading):
    """A reading of this process, and whether the store has it too."""

    def __init__(self, reading: Reading, at: float, head: bytes) -> None:
        self.count, self.unsettled, self.people = reading.count, reading.unsettled, reading.people
        self.at = at
        self.head = head
        self.shared = False
        self._reading = reading

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        return self._reading.records(start, limit)

    def page(self, start: int, limit: int) -> tuple[Sequence[Any], People]:
        return self._reading.page(start, limit)


class _StoredReading(Reading):
    """One page of a walk that was kept in the store."""

    def __init__(self, head: _Head, page: bytes | None, start: int) -> None:
        self.count, self.unsettled = head.count, head.unsettled
        found = _Page([], []) if page is None else msgspec.msgpack.decode(page, type=_Page)
        self.people: People = [loads(person) for person in found.people]
        self._records = found.records
        self._start = start

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        return self._records[start - self._start :][:limit]


def _packed(reading: Reading, records: Sequence[tuple[bytes, int]]) -> bytes:
    sources = sorted({source for _, source in records})
    places = {source: place for place, source in enumerate(sources)}
    return msgspec.msgpack.encode(
        _Page(
            [dumps(dict(reading.people[source])).encode() for source in sources],
            [(bytes(text), places[source]) for text, source in records],
        )
    )
