"""A store in one SQLite file, for all worker processes of one machine, that notices an older state put back.

A call is recorded by one statement, which is a transaction of its own, so that it was recorded once the answer is
known, whatever becomes of the process. The write-ahead log is handed to the operating system by then; that it is on
the disk too costs a wait at every call, and is had by ``?synchronous=full``.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from compat.errors import ConfigurationError, StoreUnavailable
from compat.processes import lock_alone, lock_shared, renew_after_fork
from compat.settings_checks import reason_of
from compat.stores.base import Store, digests
from compat.stores.sqlite_file import SqliteFile, Transaction
from compat.stores.walk_files import WalkFiles

__all__ = ["FileSeal", "SqliteStore"]

_WAIT = 2.0


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
        ends = time.monotonic() + _WAIT
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

    The file knows since when it has all calls. It begins anew where it is made, where a table or a record is gone, and
    where it is not the file that it was, or not as the last process left it: a copy lacks the calls since it was
    copied, and a crash of the machine may have lost the last ones.

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
        self._clock = clock
        self._span = -1
        self._turned: sqlite3.Connection | None = None
        self._born = 0
        self._statements: dict[int, str] = {}
        self._file = SqliteFile(
            path,
            version=_VERSION,
            tables=_SCHEMA.values(),
            pragmas=(
                f"synchronous = {'full' if on_disk else 'normal'}",
                "cache_size = -8192",
                "journal_size_limit = 16777216",
                # Digests need not be wiped, and wiping a day of them would make one call wait.
                "secure_delete = off",
            ),
            busy_for=busy_for,
            followed=True,
        )
        self._seal = FileSeal(self._file.path)
        try:
            self._file.make()
            self._left_whole = self._seal.take()
        except OSError as error:
            raise ConfigurationError(f"[store] url: {self._file.path} cannot be made: {error.strerror}") from None
        try:
            with self._file as database:
                self._look_at(database)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"[store] url: {self._file.path} cannot be used: {reason_of(error)}") from None
        self.walks = self._walk_files = WalkFiles(Path(f"{self._file.path}-walks"))

    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        keys = digests(token_digest, nonce, signature, _BYTES)
        with self._ready() as database:
            try:
                done = database.execute(self._statements[len(keys)], [*keys * _TABLES, self._born])
            except sqlite3.IntegrityError:
                # The table in use has one of them already; the connection is none the worse for it.
                return False
            if done.rowcount != len(keys):
                self._see_born(database)
            return done.rowcount == len(keys)

    def born(self) -> int:
        with self._ready():
            return self._born

    def ping(self) -> None:
        with self._ready() as database:
            # Writes, since a full disk can still be read.
            database.execute("INSERT OR REPLACE INTO pinged VALUES (1, ?)", (self._clock(),))

    def setting(self, name: str) -> Any:
        """What SQLite says of one of its settings here."""
        with self._file as database:
            [(value,)] = database.execute(f"PRAGMA {name}")
        return value

    def close(self) -> None:
        self._file.close()
        self._seal.leave()
        self._walk_files.close()

    @contextmanager
    def _ready(self) -> Iterator[sqlite3.Connection]:
        """The file, looked at; StoreUnavailable where it or the use that is made of it fails."""
        try:
            with self._file as database:
                self._look_at(database)
                yield database
        except (OSError, sqlite3.Error) as error:
            _log.error("%s cannot record calls: %s", self._file.path, error)
            raise StoreUnavailable from None

    def _look_at(self, database: sqlite3.Connection) -> None:
        """See that the file is whole, and that calls are recorded in the table of this half day."""
        span = int(self._clock() // _SPAN)
        if span != self._span or database is not self._turned:
            self._turn_to(database, span)

    def _turn_to(self, database: sqlite3.Connection, span: int) -> None:
        """Record in the table of that half day from now on, and empty the tables of those before their turn."""
        self._left_whole = self._seal.take() and self._left_whole
        with Transaction(database):
            self._begin_anew(database)
            turns = dict(database.execute("SELECT slot, span FROM turns").fetchall())
            for due in range(span - _TABLES + 1, span + 1):
                slot = due % _TABLES
                if turns.get(slot, -1) < due:
                    database.execute(f"DROP TABLE spent_{slot}")
                    database.execute(_SCHEMA[f"spent_{slot}"])
                    database.execute(_SCHEMA[f"deleted_{slot}"])
                    database.execute("INSERT OR REPLACE INTO turns VALUES (?, ?)", (slot, due))
        self._statements = {keys: _recording(span % _TABLES, keys) for keys in (1, 2)}
        self._span, self._turned = span, database

    def _begin_anew(self, database: sqlite3.Connection) -> None:
        """Note that nothing is known of the calls before now, unless the file is the one that it was, and whole."""
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        for statement in _SCHEMA.values():
            database.execute(statement)
        found = database.execute("SELECT at, file FROM birth").fetchone()
        whole = self._left_whole and _SCHEMA.keys() <= there
        if found is None or found[1] != self._file.number or not whole:
            # Until the first look at it nobody was answered; and there are clients that sign whole seconds.
            now = self._clock()
            found = int(now * 1000) if self._turned is not None else int(now) * 1000, self._file.number
            database.execute("INSERT OR REPLACE INTO birth VALUES (1, ?, ?)", found)
            self._left_whole = True
            _log.warning("%s begins anew: calls signed before now are refused", self._file.path)
        self._born = found[0]

    def _see_born(self, database: sqlite3.Connection) -> None:
        """Raise where calls were deleted, which is why one is not recorded."""
        if database.execute("SELECT at FROM birth").fetchone() != (self._born,):
            raise sqlite3.DatabaseError("calls that it had recorded were deleted")


_DELETED = """
CREATE TRIGGER IF NOT EXISTS deleted_{slot} AFTER DELETE ON spent_{slot} BEGIN
UPDATE birth SET at = max(at + 1, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)); END
"""
_SCHEMA = {
    "turns": "CREATE TABLE IF NOT EXISTS turns (slot INTEGER PRIMARY KEY, span INTEGER NOT NULL)",
    "pinged": "CREATE TABLE IF NOT EXISTS pinged (one INTEGER PRIMARY KEY, at REAL)",
    "birth": "CREATE TABLE IF NOT EXISTS birth (one INTEGER PRIMARY KEY, at INTEGER NOT NULL, file INTEGER NOT NULL)",
    **{
        f"spent_{slot}": f"CREATE TABLE IF NOT EXISTS spent_{slot} (digest BLOB PRIMARY KEY) WITHOUT ROWID"
        for slot in range(_TABLES)
    },
    # The store itself drops a table as a whole, so whoever deletes from one is somebody else.
    **{f"deleted_{slot}": _DELETED.format(slot=slot) for slot in range(_TABLES)},
}
"""The names of the file's tables and triggers to what makes each."""


def _recording(slot: int, keys: int) -> str:
    """The statement that records some digests where no table has any of them; it fails where the one in use has.

    That table's key refuses what it has without being asked first: a statement that searches the table that it writes
    to costs half as much again. A refused row takes those before it along, as the whole transaction is rolled back.
    Each search elsewhere is for one digest, since ``IN`` makes a table of its own.

    The digests are given once to be recorded and once for each other table, and last since when the file has all calls:
    from Python 3.14 on, numbered marks are no longer for sequences.
    """
    rows = ",".join(["(?)"] * keys)
    unknown = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM spent_{each} WHERE digest = ?)"  # noqa: S608
        for each in range(_TABLES)
        if each != slot
        for _ in range(keys)
    )
    whole = "AND (SELECT at FROM birth) IS ?"
    return f"INSERT OR ROLLBACK INTO spent_{slot} SELECT column1 FROM (VALUES {rows}) WHERE {unknown} {whole}"  # noqa: S608
