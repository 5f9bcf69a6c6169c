"""A store in one SQLite file, for all worker processes of one machine, that notices an older state put back.

A call is recorded by one statement, which is a transaction of its own, so that it was recorded once the answer is
known, whatever becomes of the process. The write-ahead log is handed to the operating system by then; that it is on
the disk too costs a wait at every call, and is had by ``?synchronous=full``.

The ledger has a file beside the store's, so that counting never makes a call's nonce wait.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from compat.errors import ConfigurationError, StoreUnavailable
from compat.settings_checks import reason_of
from compat.stores.base import Store, digests
from compat.stores.ledger import (
    HOURS_KEPT,
    MOST_NAMES,
    OTHER,
    AllCounts,
    Batch,
    Busy,
    CallGroup,
    Counts,
    Ledger,
    away,
    usages_of,
)
from compat.stores.sqlite_file import FileSeal, SqliteFile, transaction
from compat.stores.walks import WalkFiles

__all__ = ["SqliteLedger", "SqliteStore"]

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

    def close(self) -> None:
        self._file.close()
        self._seal.leave()
        self._walk_files.close()

    @contextmanager
    def _ready(self) -> Iterator[sqlite3.Connection]:
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
        with transaction(database):
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


_LEDGER_VERSION = 1
_LEDGER_BUSY_FOR = 0.5
_LEDGER_TABLES = tuple(
    f"CREATE TABLE IF NOT EXISTS {each}"
    for each in (
        "switches (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "calls (id INTEGER PRIMARY KEY, call_site TEXT NOT NULL, user_agent TEXT NOT NULL, rest TEXT NOT NULL, "
        "number INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL, UNIQUE (call_site, user_agent, rest))",
        "days (call INTEGER, day INTEGER, number INTEGER NOT NULL, PRIMARY KEY (call, day)) WITHOUT ROWID",
        "hours (call INTEGER, hour INTEGER, number INTEGER NOT NULL, PRIMARY KEY (call, hour)) WITHOUT ROWID",
        "fields (call INTEGER, field TEXT, PRIMARY KEY (call, field)) WITHOUT ROWID",
        "names (kind TEXT, name TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID",
        "writers (writer TEXT PRIMARY KEY, number INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID",
        "dropped (one INTEGER PRIMARY KEY, number INTEGER NOT NULL, last REAL NOT NULL)",
    )
)
_ADD = """
INSERT INTO calls (call_site, user_agent, rest, number, first, last) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (call_site, user_agent, rest) DO UPDATE SET
  number = number + excluded.number, first = min(first, excluded.first), last = max(last, excluded.last)
"""
_ID = "SELECT id FROM calls WHERE call_site = ? AND user_agent = ? AND rest = ?"
_ADD_DAY = "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT (call, day) DO UPDATE SET number = number + excluded.number"
_ADD_HOUR = (
    "INSERT INTO hours VALUES (?, ?, ?) ON CONFLICT (call, hour) DO UPDATE SET number = number + excluded.number"
)


class SqliteLedger(Ledger):
    """Switches and counts in tables; a batch is one transaction. Whoever finds it busy tries again later."""

    def __init__(self, store: Path, busy_for: float = _LEDGER_BUSY_FOR) -> None:
        self._file = SqliteFile(
            Path(f"{store}-migration"),
            version=_LEDGER_VERSION,
            tables=_LEDGER_TABLES,
            pragmas=("synchronous = normal", "journal_size_limit = 4194304"),
            busy_for=busy_for,
            followed=True,
        )
        self._swept = 0

    def switches(self) -> Mapping[str, str]:
        if not self._file.path.exists():
            # Nobody has set one yet, and to look for them makes no file.
            return {}
        with self._opened() as database:
            return dict(database.execute("SELECT name, value FROM switches").fetchall())

    def set_switch(self, name: str, value: str | None) -> None:
        with self._opened() as database:
            if value is None:
                database.execute("DELETE FROM switches WHERE name = ?", (name,))
            else:
                database.execute("INSERT OR REPLACE INTO switches VALUES (?, ?)", (name, value))

    def add(self, batch: Batch) -> None:
        with self._opened() as database, transaction(database):
            if not self._is_new(database, batch):
                return
            for group, counts in batch.groups.items():
                self._add(database, group, counts)
            if batch.dropped:
                database.execute(
                    "INSERT INTO dropped VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET "
                    "number = number + excluded.number, last = max(last, excluded.last)",
                    (batch.dropped, batch.at),
                )
            self._sweep(database, int(batch.at // 3600))

    def counted(self) -> AllCounts:
        if not self._file.path.exists():
            if not self._file.path.parent.is_dir():
                # Nothing can ever be counted there.
                raise StoreUnavailable(f"There is no folder {self._file.path.parent} for the store: make it.")
            return AllCounts()
        with self._opened() as database, transaction(database, "DEFERRED"):
            calls = database.execute("SELECT id, call_site, user_agent, rest, number, first, last FROM calls")
            usages = usages_of(
                [(row[0], CallGroup.from_texts(*row[1:4]), *row[4:]) for row in calls],
                database.execute("SELECT call, day, number FROM days"),
                database.execute("SELECT call, hour, number FROM hours"),
                database.execute("SELECT call, field FROM fields"),
            )
            dropped = database.execute("SELECT number, last FROM dropped").fetchone() or (0, None)
        return AllCounts(usages, *dropped)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file as database:
                yield database
        except (sqlite3.Error, OSError) as error:
            # Its subclasses speak of a statement, or of a moment; this one of the file.
            if type(error) is sqlite3.DatabaseError:
                told = f"The store {self._file.path} cannot be used: {error}. Move that file away, or name another one."
                raise StoreUnavailable(told) from None
            locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            raise (Busy("Another process has the store to itself.") if locked else away(error)) from None

    def _is_new(self, database: sqlite3.Connection, batch: Batch) -> bool:
        """Whether the batch was not taken before; from now on it was."""
        done = database.execute(
            "INSERT INTO writers VALUES (?, ?, ?) ON CONFLICT (writer) DO UPDATE SET "
            "number = excluded.number, at = excluded.at WHERE number < excluded.number",
            (batch.writer, batch.number, batch.at),
        )
        return done.rowcount == 1

    def _add(self, database: sqlite3.Connection, group: CallGroup, counts: Counts) -> None:
        kept = group.bounded(partial(_known, database))
        key = (kept.call_site, kept.user_agent, kept.rest())
        database.execute(_ADD, (*key, counts.number, counts.first, counts.last))
        [(call,)] = database.execute(_ID, key)
        for statement, numbers in ((_ADD_DAY, counts.days()), (_ADD_HOUR, counts.hours)):
            database.executemany(statement, [(call, when, number) for when, number in numbers.items()])
        database.executemany("INSERT OR IGNORE INTO fields VALUES (?, ?)", [(call, name) for name in counts.fields])

    def _sweep(self, database: sqlite3.Connection, hour: int) -> None:
        """Forget what is kept for some weeks alone; once a day is enough."""
        if hour // 24 != self._swept:
            database.execute("DELETE FROM hours WHERE hour < ?", (hour - HOURS_KEPT,))
            database.execute("DELETE FROM writers WHERE at < ?", ((hour - 24) * 3600,))
            self._swept = hour // 24


def _known(database: sqlite3.Connection, kind: str, name: str) -> str:
    """The name, or what stands for all that are too many."""
    if not name or database.execute("SELECT 1 FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone():
        return name
    [(number,)] = database.execute("SELECT count(*) FROM names WHERE kind = ?", (kind,))
    if number >= MOST_NAMES[kind]:
        return OTHER
    database.execute("INSERT INTO names VALUES (?, ?)", (kind, name))
    return name
