"""What a migration keeps in SQLite: a file beside the store's, so that counting never makes a call's nonce wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from compat.migration.modes.switches import Switches, unreadable
from compat.stores.sqlite_file import SqliteFile

__all__ = ["SqliteSwitches", "ledger_of"]

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


def ledger_of(store: Path, busy_for: float = _BUSY_FOR) -> SqliteFile:
    """The file beside a store's.

    Args:
        store: the store's file.
        busy_for: seconds to wait for other processes; whoever writes later tries again.
    """
    return SqliteFile(
        Path(f"{store}-migration"),
        version=_VERSION,
        tables=_TABLES,
        pragmas=("synchronous = normal", "journal_size_limit = 4194304"),
        busy_for=busy_for,
        followed=True,
    )


class SqliteSwitches(Switches):
    """Switches in a table.

    Args:
        file: the file.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def all(self) -> Mapping[str, str]:
        if not self._file.path.exists():
            # Nobody has set one yet, and to look for them makes no file.
            return {}
        try:
            with self._file as database:
                return dict(database.execute("SELECT name, value FROM switches").fetchall())
        except (sqlite3.Error, OSError) as error:
            raise unreadable(error) from None

    def set(self, name: str, value: str | None) -> None:
        try:
            with self._file as database:
                if value is None:
                    database.execute("DELETE FROM switches WHERE name = ?", (name,))
                else:
                    database.execute("INSERT OR REPLACE INTO switches VALUES (?, ?)", (name, value))
        except (sqlite3.Error, OSError) as error:
            raise unreadable(error) from None

    def close(self) -> None:
        self._file.close()
