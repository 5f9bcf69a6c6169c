"""One SQLite file among threads, processes and forks; and a seal, which shows that it was changed meanwhile."""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from compat.processes import lock_alone, lock_shared, pause_around_fork, renew_after_fork

__all__ = ["FileSeal", "SqliteFile", "transaction"]

_AT_EXIT = 1.0
_WAIT_FOR_SEAL = 2.0


class SqliteFile:
    """A file that nobody else may read, opened once a process and anew after a failure.

    It is a context: whoever enters it has the connection to themselves, as no two threads may write at once. What
    fails with one of SQLite's errors there closes the connection; the next one to enter has a new one.

    Args:
        path: the file; its folder must be there.
        version: of its tables; a file that says another is refused.
        tables: the statements that make them.
        pragmas: settings of each connection.
        busy_for: seconds to wait for other processes.
        followed: whether a file that is deleted or replaced under a running process is noticed, and made anew.
    """

    def __init__(
        self,
        path: Path,
        *,
        version: int,
        tables: Iterable[str],
        pragmas: Iterable[str] = (),
        busy_for: float = 5.0,
        followed: bool = False,
    ) -> None:
        self.path = path.absolute()
        self._version = version
        self._tables = tuple(tables)
        self._pragmas = tuple(pragmas)
        self._busy_for = busy_for
        self._followed = followed
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        _OPEN.add(self)
        pause_around_fork(self.before_fork, self.after_fork)

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            if self._followed and self._database is not None and self._identity() != self._opened:
                self._close()
            return self._database or self._open()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, sqlite3.Error):
            self._close()
        self._lock.release()

    @property
    def number(self) -> int:
        """What the file system knows the opened file by: a copy of it has another."""
        return 0 if self._opened is None else self._opened[1]

    def make(self) -> None:
        """Make the file where there is none, and see that its owner alone may read it."""
        with suppress(FileExistsError):
            if not self.path.exists():
                # By name alone: to open and close the file of a running connection would release its locks.
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)

    def close(self, within: float = -1) -> None:
        """Let go of the file, unless another thread has it for longer than so many seconds."""
        if self._lock.acquire(timeout=within):
            try:
                self._close()
            finally:
                self._lock.release()

    def before_fork(self) -> None:
        """Close the file, which no two processes may have open by one opening; each opens it anew at its next call."""
        self._lock.acquire()
        self._close()

    def after_fork(self) -> None:
        """Let calls go on, in either process."""
        self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._followed:
            self.make()
        database = sqlite3.connect(self.path, timeout=self._busy_for, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        self._database = database
        self._closing = weakref.finalize(self, database.close)
        # At the end of the process another thread may still use it: _close_all asks for the lock first.
        self._closing.atexit = False
        self._opened = self._identity()
        return database

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _prepare(self, database: sqlite3.Connection) -> None:
        self._into_write_ahead_log(database)
        for pragma in self._pragmas:
            database.execute(f"PRAGMA {pragma}").fetchall()
        [(version,)] = database.execute("PRAGMA user_version")
        if version not in (0, self._version):
            raise sqlite3.DatabaseError(f"it was made by another version of exam-compat ({version})")
        if version == self._version:
            return
        with transaction(database):
            for statement in self._tables:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {self._version}")

    def _into_write_ahead_log(self, database: sqlite3.Connection) -> None:
        """Changing to it needs the file alone, and SQLite does not wait for that by itself."""
        until = time.monotonic() + self._busy_for
        while True:
            try:
                [(mode,)] = database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
                continue
            if mode != "wal":
                raise sqlite3.OperationalError("its file system cannot be shared by processes; use a local disk")
            return

    def _close(self) -> None:
        if self._database is not None:
            self._database = None
            self._closing()


@contextmanager
def transaction(database: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[None]:
    """One that takes the right to write at once, since two that read first could each wait for the other.

    A transaction that only reads is "DEFERRED".
    """
    database.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


_OPEN: weakref.WeakSet[SqliteFile] = weakref.WeakSet()


def _close_all() -> None:
    for file in list(_OPEN):
        # A thread that nobody waits for may have it.
        file.close(within=_AT_EXIT)


atexit.register(_close_all)


class FileSeal:
    """Notes beside a file what the file system says of it when its last user leaves it.

    A copy put in the place of the file has other times, and mostly another number. The file system's time of the last
    change cannot be set by who copies. Every process that uses the file holds a shared lock of the note, which is
    empty meanwhile; so after a crash the file counts as changed.
    """

    def __init__(self, path: Path) -> None:
        self._file = path
        self._note = Path(f"{path}-seal")
        self._held: int | None = None
        # The lock is the parent's.
        renew_after_fork(self._let_go)

    def take(self) -> bool:
        """Begin to use the file, and say whether it is as its last user left it, or others use it.

        Where the system has no locks, it counts as such.

        Raises:
            OSError: the note cannot be made.
        """
        if self._held is not None:
            return True
        self._held = os.open(self._note, os.O_RDWR | os.O_CREAT, 0o600)
        ends = time.monotonic() + _WAIT_FOR_SEAL
        # Alone first: of two who begin at once, one has to look.
        while not lock_alone(self._held):
            if lock_shared(self._held) or time.monotonic() > ends:
                return True
            # Somebody who is alone looks at the note, or writes it.
            time.sleep(0.01)
        whole = os.pread(self._held, 1000, 0) == self._fingerprint()
        os.ftruncate(self._held, 0)
        lock_shared(self._held)
        return whole

    def leave(self) -> None:
        """Stop using the file, which is closed; the last one to do so notes its fingerprint."""
        with suppress(OSError):
            if self._held is not None and lock_alone(self._held):
                os.ftruncate(self._held, 0)
                os.pwrite(self._held, self._fingerprint(), 0)
        self._let_go()

    def _fingerprint(self) -> bytes:
        found = self._file.stat()
        return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n".encode()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)
