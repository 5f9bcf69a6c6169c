"""Walks that any worker or replica can go on with: what page 1 read is put into the store before it is answered.

Page 1 always reads anew, so the store gets the pages from the second on, each as the few records that it is; a walk of
one page is a head alone. Whoever answers a later page asks the store first, since another may have read page 1
since, and takes its own reading only where that is the one the store knows.

For the workers of one machine such a walk is a file: its pages one after the other, where each begins, the head, and
how long these are. It is written under another name and takes its own by a rename, so that nobody finds half of it,
and whoever has the file of an earlier walk open reads that one to its end. The time of the last page asked is the
file's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import struct
import threading
import time
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from compat.config.settings import Configuration
from compat.core.collected import Reading
from compat.core.walks import ProcessWalks, Read, Steps, WalkKey, Walks
from compat.errors import StoreUnavailable
from compat.processes import lock_alone, lock_shared, renew_after_fork
from compat.stores.base import KEPT_FOR, Store, StoredPage, WalkKeeper, walk_unavailable
from compat.text.json import dumps, loads
from compat.upstream.base import People
from compat.upstream.retries import never

__all__ = ["SharedWalks", "WalkFiles", "walks_of"]

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


_PAIR = struct.Struct("=QQ")
"""Where a page begins and ends; and at the end of a file how many pages there are and how long the head is."""


class WalkFiles(WalkKeeper):
    """Keeps walks in a folder that nobody else may read, made when the first one comes.

    Every process that uses the folder holds a shared lock of it, so that the last one to stop is known, and the first
    one to start after a crash: these remove all walks.
    """

    def __init__(self, folder: Path, kept_for: float = KEPT_FOR, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._kept_for = kept_for
        self._clock = clock
        self._held: int | None = None
        self.renew()
        renew_after_fork(self.renew)
        self._clear_if_alone()
        self._hold()

    def renew(self) -> None:
        """Look after the folder by oneself, in a process that was forked; the walks in it are for all."""
        self._lock = threading.Lock()
        self._watch: threading.Timer | None = None
        # The parent's hold is its own; the next use of the folder takes another.
        self._let_go()

    def put(self, digest: str, head: bytes, pages: Iterable[bytes]) -> None:
        unfinished = self._folder / f"unfinished-{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._hold()
            self.sweep()
            with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                begins = array("Q", [0])
                for page in pages:
                    file.write(page)
                    begins.append(begins[-1] + len(page))
                file.write(begins.tobytes() + head + _PAIR.pack(len(begins), len(head)))
            unfinished.replace(self._folder / digest)
        except BaseException as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            if isinstance(error, OSError):
                raise walk_unavailable("kept", error) from None
            raise
        self._watch_over()

    def get(self, digest: str, number: int, unless: bytes | None = None) -> StoredPage | None:
        self._hold()
        try:
            file = os.open(self._folder / digest, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise walk_unavailable("read", error) from None
        try:
            now = self._clock()
            size = (found := os.fstat(file)).st_size
            if found.st_mtime <= now - self._kept_for:
                return None
            os.utime(file, (now, now))
            begins, head_length = _PAIR.unpack(os.pread(file, _PAIR.size, size - _PAIR.size))
            head_at = size - _PAIR.size - head_length
            head = os.pread(file, head_length, head_at)
            if head == unless or not 2 <= number <= begins:
                return StoredPage(head, None)
            begin, end = _PAIR.unpack(os.pread(file, _PAIR.size, head_at - 8 * (begins - number + 2)))
            return StoredPage(head, os.pread(file, end - begin, begin))
        except (OSError, struct.error) as error:
            raise walk_unavailable("read", error) from None
        finally:
            os.close(file)

    def drop(self, digest: str) -> None:
        try:
            (self._folder / digest).unlink(missing_ok=True)
        except OSError as error:
            raise walk_unavailable("dropped", error) from None

    def sweep(self) -> None:
        """Remove the walks that nobody asked for in time, and what a process left that was killed while it wrote."""
        before = self._clock() - self._kept_for
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._folder):
                # Another process may sweep at the same time.
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat().st_mtime <= before:
                        os.unlink(entry.path)

    def close(self) -> None:
        """Stop looking after the folder; whoever is the last to do so leaves nothing in it."""
        with self._lock:
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
            self._let_go()
        self.sweep()
        self._clear_if_alone()

    def _hold(self) -> None:
        """Let others know that the folder is in use, once it is there."""
        with self._lock, contextlib.suppress(OSError):
            if self._held is not None and os.fstat(self._held).st_nlink == 0:
                self._let_go()
            if self._held is None:
                self._held = os.open(self._folder, os.O_RDONLY)
                if not lock_shared(self._held):
                    # Somebody who was alone is removing it; the next call looks again.
                    self._let_go()
                elif os.fstat(self._held).st_mode & 0o077:
                    self._folder.chmod(0o700)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _clear_if_alone(self) -> None:
        """Remove the folder and all walks, unless a process uses them."""
        with contextlib.suppress(OSError):
            number = os.open(self._folder, os.O_RDONLY)
            try:
                if lock_alone(number):
                    for entry in list(os.scandir(self._folder)):
                        os.unlink(entry.path)
                    self._folder.rmdir()
            finally:
                os.close(number)
        self.sweep()

    def _watch_over(self) -> None:
        """See to it that an abandoned walk goes even if nobody calls again."""
        with self._lock:
            # One that failed is as good as none.
            if self._watch is None or not self._watch.is_alive():
                look = weakref.WeakMethod(self._look)
                self._watch = threading.Timer(self._kept_for, lambda: (method := look()) and method())
                self._watch.daemon = True
                self._watch.start()

    def _look(self) -> None:
        self.sweep()
        with self._lock:
            self._watch = None
        with contextlib.suppress(OSError):
            if any(os.scandir(self._folder)):
                self._watch_over()
