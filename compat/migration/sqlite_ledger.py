"""Ledger in SQLite: a file beside the store's, so that counting never makes a call's nonce wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from compat.migration.inventory.counts import HOURS_KEPT, MOST_NAMES, OTHER, AllCounts, Batch, CallGroup, Counts, Usage
from compat.migration.ledger import Busy, Ledger, bounded, unreadable
from compat.stores.sqlite_file import SqliteFile, Transaction

__all__ = ["SqliteLedger"]

_VERSION = 1
_BUSY_FOR = 0.5
_TABLES = tuple(
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
_ADD_TO = {
    "days": """
INSERT INTO days VALUES (?, ?, ?) ON CONFLICT (call, day) DO UPDATE SET number = number + excluded.number
""",
    "hours": """
INSERT INTO hours VALUES (?, ?, ?) ON CONFLICT (call, hour) DO UPDATE SET number = number + excluded.number
""",
}


class SqliteLedger(Ledger):
    """Switches and counts in tables; a batch is one transaction.

    Args:
        store: the store's file.
        busy_for: seconds to wait for other processes; whoever writes later tries again.
    """

    def __init__(self, store: Path, busy_for: float = _BUSY_FOR) -> None:
        self._file = SqliteFile(
            Path(f"{store}-migration"),
            version=_VERSION,
            tables=_TABLES,
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
        with self._opened() as database, Transaction(database):
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
            return AllCounts()
        with self._opened() as database:
            return _read(database)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file as database:
                yield database
        except (sqlite3.Error, OSError) as error:
            locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            raise (Busy("Another process has the store to itself.") if locked else unreadable(error)) from None

    def _is_new(self, database: sqlite3.Connection, batch: Batch) -> bool:
        """Whether the batch was not taken before; from now on it was."""
        done = database.execute(
            "INSERT INTO writers VALUES (?, ?, ?) ON CONFLICT (writer) DO UPDATE SET "
            "number = excluded.number, at = excluded.at WHERE number < excluded.number",
            (batch.writer, batch.number, batch.at),
        )
        return done.rowcount == 1

    def _add(self, database: sqlite3.Connection, group: CallGroup, counts: Counts) -> None:
        kept = bounded(group, partial(_known, database))
        key = (kept.call_site, kept.user_agent, kept.rest())
        database.execute(_ADD, (*key, counts.number, counts.first, counts.last))
        [(call,)] = database.execute(_ID, key)
        parts: Iterable[tuple[str, Mapping[int, int]]] = (("days", counts.days()), ("hours", counts.hours))
        for kind, numbers in parts:
            database.executemany(_ADD_TO[kind], [(call, when, number) for when, number in numbers.items()])
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


def _read(database: sqlite3.Connection) -> AllCounts:
    with Transaction(database, "DEFERRED"):
        calls = database.execute("SELECT id, call_site, user_agent, rest, number, first, last FROM calls").fetchall()
        days = _by_call(database.execute("SELECT call, day, number FROM days"))
        hours = _by_call(database.execute("SELECT call, hour, number FROM hours"))
        fields: dict[int, list[str]] = {}
        for call, name in database.execute("SELECT call, field FROM fields ORDER BY field"):
            fields.setdefault(call, []).append(name)
        dropped = database.execute("SELECT number, last FROM dropped").fetchone() or (0, None)
    usages = tuple(
        Usage(
            CallGroup.from_texts(call_site, user_agent, rest),
            number,
            first,
            last,
            days.get(call, {}),
            hours.get(call, {}),
            tuple(fields.get(call, ())),
        )
        for call, call_site, user_agent, rest, number, first, last in calls
    )
    return AllCounts(usages, *dropped)


def _by_call(rows: Iterable[tuple[Any, ...]]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for call, when, number in rows:
        found.setdefault(call, {})[when] = number
    return found
