"""A store in one SQLite file: for all worker processes of one machine, and for the processes after them.

A call is recorded by one statement, which is a transaction of its own, so that it was recorded once the answer is
known, whatever becomes of the process. The write-ahead log is handed to the operating system by then; that it is on
the disk too costs a wait at every call, and is had by ``?synchronous=full``.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from compat.errors import ConfigurationError, StoreUnavailable
from compat.stores.interface import Store, digests
from compat.stores.walk_files import WalkFiles

__all__ = ["SqliteStore"]

_BUSY_FOR = 5.0
_SPAN = 12 * 60 * 60
_TABLES = 3  # The one in use, and a day's worth beside it.
_BYTES = 16
_VERSION = 1
_log = logging.getLogger("compat.stores")


class SqliteStore(Store):
    """Remembers in a file that nobody else may read.

    Calls are recorded in the table of their half day, and looked for in all three: a table is emptied when its turn
    comes again, at least a day after the last call was recorded there. Which table a call goes into does not matter
    to whether it is found, so workers need not agree on the time.

    Args:
        path: the file; its folder must be there.
        on_disk: whether every call is on the disk before it is answered, so that a power cut forgets none.
        busy_for: seconds to wait for other processes.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_disk: bool = False,
        busy_for: float = _BUSY_FOR,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path.absolute()
        self._synchronous = "full" if on_disk else "normal"
        self._busy_for = busy_for
        self._clock = clock
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._span = -1
        self._statements: dict[int, str] = {}
        try:
            if not self._path.exists():
                # By name alone: to open and close the file of a running connection would release its locks.
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise ConfigurationError(f"[store] url: {self._path} cannot be made: {error.strerror}") from None
        try:
            if self._path.stat().st_mode & 0o077:
                self._path.chmod(0o600)
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"[store] url: {self._path} cannot be used: {error}") from None
        self.walks = self._files = WalkFiles(Path(f"{self._path}-walks"))
        _OPEN.add(self)

    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        keys = digests(token_digest, nonce, signature, _BYTES)
        with self._lock:
            try:
                database = self._database or self._open()
                span = int(self._clock() // _SPAN)
                if span != self._span:
                    self._turn_to(database, span)
                done = database.execute(self._statements[len(keys)], keys * (1 + _TABLES))
                return done.rowcount == len(keys)
            except sqlite3.Error as error:
                self._fail(error)

    def ping(self) -> None:
        with self._lock:
            try:
                database = self._database or self._open()
                # Writes, since a full disk can still be read.
                database.execute("INSERT OR REPLACE INTO pinged VALUES (1, ?)", (self._clock(),))
            except sqlite3.Error as error:
                self._fail(error)

    def setting(self, name: str) -> Any:
        """What SQLite says of one of its settings here."""
        with self._lock:
            [(value,)] = (self._database or self._open()).execute(f"PRAGMA {name}")
        return value

    def close(self) -> None:
        with self._lock:
            self._close()
        self._files.close()

    def before_fork(self) -> None:
        """Close the file, which no two processes may have open by one opening; each opens it anew at its next call."""
        self._lock.acquire()
        self._close()

    def after_fork(self) -> None:
        """Let calls go on, in either process."""
        self._lock.release()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=self._busy_for, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        self._database = database
        self._closing = weakref.finalize(self, database.close)
        self._span = -1
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        self._into_write_ahead_log(database)
        for pragma in (
            f"synchronous = {self._synchronous}",
            "cache_size = -8192",
            "journal_size_limit = 16777216",
            # Digests need not be wiped, and wiping a day of them would make one call wait.
            "secure_delete = off",
        ):
            database.execute(f"PRAGMA {pragma}").fetchall()
        [(version,)] = database.execute("PRAGMA user_version")
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"it was made by another version of exam-compat ({version})")
        if version == _VERSION:
            return
        with _Transaction(database):
            database.execute("CREATE TABLE IF NOT EXISTS turns (slot INTEGER PRIMARY KEY, span INTEGER NOT NULL)")
            database.execute("CREATE TABLE IF NOT EXISTS pinged (one INTEGER PRIMARY KEY, at REAL)")
            for slot in range(_TABLES):
                database.execute(_CREATE.format(slot=slot))
            database.execute(f"PRAGMA user_version = {_VERSION}")

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

    def _turn_to(self, database: sqlite3.Connection, span: int) -> None:
        """Record in the table of that half day from now on, and empty the tables of those before their turn."""
        with _Transaction(database):
            turns = dict(database.execute("SELECT slot, span FROM turns").fetchall())
            for due in range(span - _TABLES + 1, span + 1):
                slot = due % _TABLES
                if turns.get(slot, -1) < due:
                    database.execute(f"DROP TABLE spent_{slot}")
                    database.execute(_CREATE.format(slot=slot))
                    database.execute("INSERT OR REPLACE INTO turns VALUES (?, ?)", (slot, due))
        self._statements = {keys: _recording(span % _TABLES, keys) for keys in (1, 2)}
        self._span = span

    def _close(self) -> None:
        if self._database is not None:
            self._database = None
            self._closing()

    def _fail(self, error: sqlite3.Error) -> NoReturn:
        self._close()
        _log.error("%s cannot record calls: %s", self._path, error)
        raise StoreUnavailable from None


class _Transaction:
    """One that takes the right to write at once, since two that read first could each wait for the other."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


_CREATE = "CREATE TABLE IF NOT EXISTS spent_{slot} (digest BLOB PRIMARY KEY) WITHOUT ROWID"


def _recording(slot: int, keys: int) -> str:
    """The statement that records some digests where no table has any of them.

    It takes them anew for each table: from Python 3.14 on, numbered marks are no longer for sequences.
    """
    marks = ["?"] * keys
    rows, some = ",".join(f"({mark})" for mark in marks), ",".join(marks)
    unknown = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM spent_{each} WHERE digest IN ({some}))"  # noqa: S608
        for each in range(_TABLES)
    )
    return f"INSERT INTO spent_{slot} SELECT column1 FROM (VALUES {rows}) WHERE {unknown}"  # noqa: S608


_OPEN: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
_PAUSED: list[SqliteStore] = []


def _before_fork() -> None:
    _PAUSED[:] = _OPEN
    for store in _PAUSED:
        store.before_fork()


def _after_fork() -> None:
    while _PAUSED:
        _PAUSED.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
