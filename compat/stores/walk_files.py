"""Walks in files, for the worker processes of one machine.

One file a walk: its pages one after the other, where each begins, the head, and how long these are. It is written
under another name and takes its own by a rename, so that nobody finds half of it, and whoever has the file of an
earlier walk open reads that one to its end. The time of the last page asked is the file's own.

Every process that uses the folder holds a shared lock of it, so that the last one to stop is known, and the first one
to start after a crash: these remove all walks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import threading
import time
import weakref
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path

from compat.processes import lock_alone, lock_shared, renew_after_fork
from compat.stores.base import KEPT_FOR, StoredPage, WalkKeeper, walk_unavailable

__all__ = ["WalkFiles"]

_PAIR = struct.Struct("=QQ")
"""Where a page begins and ends; and at the end of a file how many pages there are and how long the head is."""


class WalkFiles(WalkKeeper):
    """Keeps walks in a folder that nobody else may read, made when the first one comes.

    Args:
        folder: the folder.
        kept_for: seconds that a walk is kept after the last page asked of it.
        clock: seconds since the epoch.
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
