"""Counts of deprecated calls in SQLite: a batch is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from compat.migration.inventory.counts import (
    HOURS_KEPT,
    MOST_NAMES,
    OTHER,
    Batch,
    Busy,
    Counted,
    Counts,
    Group,
    Tally,
    Usage,
)
from compat.migration.modes.switches import unreadable
from compat.stores.sqlite_file import SqliteFile, Transaction

__all__ = ["SqliteTally"]

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


class SqliteTally(Tally):
    """Counts in tables.

    Args:
        file: the file.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._swept = 0

    def add(self, batch: Batch) -> None:
        try:
            with self._file as database, Transaction(database):
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
        except (sqlite3.Error, OSError) as error:
            _fail(error)

    def read(self) -> Counted:
        if not self._file.path.exists():
            # Nothing was counted yet, and to look makes no file.
            return Counted()
        try:
            with self._file as database:
                return _read(database)
        except (sqlite3.Error, OSError) as error:
            _fail(error)

    def close(self) -> None:
        self._file.close()

    def _is_new(self, database: sqlite3.Connection, batch: Batch) -> bool:
        """Whether the batch was not taken before; from now on it was."""
        done = database.execute(
            "INSERT INTO writers VALUES (?, ?, ?) ON CONFLICT (writer) DO UPDATE SET "
            "number = excluded.number, at = excluded.at WHERE number < excluded.number",
            (batch.writer, batch.number, batch.at),
        )
        return done.rowcount == 1

    def _add(self, database: sqlite3.Connection, group: Group, counts: Counts) -> None:
        key = (
            _known(database, "call_site", group.call_site),
            _known(database, "user_agent", group.user_agent),
            group.rest(),
        )
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


def _read(database: sqlite3.Connection) -> Counted:
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
            Group.from_texts(call_site, user_agent, rest),
            number,
            first,
            last,
            days.get(call, {}),
            hours.get(call, {}),
            tuple(fields.get(call, ())),
        )
        for call, call_site, user_agent, rest, number, first, last in calls
    )
    return Counted(usages, *dropped)


def _by_call(rows: Iterable[tuple[Any, ...]]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for call, when, number in rows:
        found.setdefault(call, {})[when] = number
    return found


def _fail(error: Exception) -> NoReturn:
    locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    raise (Busy("Another process has the store to itself.") if locked else unreadable(error)) from None
