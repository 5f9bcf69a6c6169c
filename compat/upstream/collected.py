"""The records of a reading, kept in SQLite's own way: in memory while they are few, on disk beyond that.

A database without a name lives in SQLite's page cache and spills to an unnamed temporary file when the cache is full;
the file is gone with the connection, and with the process however that ends. What decides about a record, its ids and
sort keys, lies apart from its text, so that sorting a million records does not read their texts.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from compat.errors import UpstreamError
from compat.legacy.query import SortKey
from compat.legacy.values import Comparable
from compat.mapping.exact import FIRST_SURROGATE
from compat.upstream.interface import Reading, Row

__all__ = ["IN_MEMORY", "Collected", "Summary", "sort_key"]

IN_MEMORY = 16 * 1024 * 1024
"""Bytes of a reading that stay in memory; what is beyond goes to disk."""

_AFTERWARDS = 2 * 1024 * 1024
_LARGEST = 2**63 - 1
_LONGEST_INTEGER = 0x8000


class Summary:
    """What one attempt at a reading found.

    Attributes:
        count: records, repeated ones counted each time.
        distinct: different ids.
    """

    def __init__(self, count: int, distinct: int) -> None:
        self.count = count
        self.distinct = distinct


def sort_key(value: Comparable | None) -> bytes | None:
    """Bytes that sort as the values of one column do; null is None.

    Text sorts by code point, which is how its UTF-8 sorts. An integer of any size is its length, moved and turned
    round for negative ones, and then its digits.
    """
    if value is None or isinstance(value, str):
        return None if value is None else value.encode(errors="surrogatepass")
    if isinstance(value, bool):
        return b"\1" if value else b"\0"
    if isinstance(value, int):
        length = (abs(value).bit_length() + 7) // 8
        if length >= _LONGEST_INTEGER:
            raise UpstreamError("The upstream's list holds an integer that is too long to sort by.")
        if value < 0:
            return (0x8000 - length).to_bytes(2, "big") + (value + (1 << 8 * length)).to_bytes(length, "big")
        return (0x8000 + length).to_bytes(2, "big") + value.to_bytes(length, "big")
    seconds, digits = value
    return (sort_key(seconds) or b"") + digits.encode()


class Collected(Reading):
    """The records of one reading, each attempt at it beside the others.

    Safe across threads once the reading has ended.

    Args:
        sort: the columns to sort by.
        keep: whether a record is wanted; of the others only their ids are kept.
        people: the roster's values of each source.
        in_memory: bytes that stay in memory.

    Raises:
        UpstreamError: nothing can be kept, on a full disk say.
    """

    def __init__(
        self,
        sort: Sequence[SortKey],
        keep: Callable[[Row], bool],
        people: Sequence[Mapping[str, Any]],
        in_memory: int = IN_MEMORY,
    ) -> None:
        self.count = 0
        self.unsettled = False
        self._sort = tuple(sort)
        self._keep = keep
        self.people = tuple(people)
        self._last = 0
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self.close = weakref.finalize(self, self._database.close)
        keys = "".join(f", k{index} BLOB" for index in range(len(self._sort)))
        self._do(f"PRAGMA cache_size = -{max(in_memory // 1024, 64)}")
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA temp_store = FILE"):
            self._do(statement)
        # Nothing that a caller sent is in any statement: only how many columns there are to sort by.
        self._do(f"CREATE TABLE found (row INTEGER PRIMARY KEY, attempt, source, place, key, surrogate, wanted{keys})")
        self._do("CREATE TABLE texts (row INTEGER PRIMARY KEY, text BLOB)")
        self._do("CREATE TABLE sorted (rank INTEGER PRIMARY KEY, row)")
        self._insert = f"INSERT INTO found VALUES ({','.join('?' * (7 + len(self._sort)))})"  # noqa: S608

    def add(self, attempt: int, source: int, start: int, rows: Iterable[Row]) -> None:
        """Note the records of a page.

        Args:
            attempt: which attempt at the reading.
            source: which list the page is of.
            start: how many of its records lie before the page.
            rows: the records.

        Raises:
            UpstreamError: they cannot be kept.
        """
        found: list[tuple[Any, ...]] = []
        texts: list[tuple[int, bytes]] = []
        number = self._last
        for place, row in enumerate(rows, start):
            number += 1
            wanted = self._keep(row)
            keys = [sort_key(row.values[key.column]) for key in self._sort] if wanted else [None] * len(self._sort)
            surrogate = row.id if type(row.key) is str and row.id >= FIRST_SURROGATE else None
            found.append((number, attempt, source, place, _storable(row.key), surrogate, wanted, *keys))
            if wanted:
                texts.append((number, bytes(row.record)))
        self._last = number
        self._do("BEGIN")
        self._do_many(self._insert, found)
        self._do_many("INSERT INTO texts VALUES (?,?)", texts)
        self._do("COMMIT")

    def summary(self, attempt: int) -> Summary:
        """How many records and ids an attempt found."""
        [(count, distinct)] = self._do("SELECT count(*), count(DISTINCT key) FROM found WHERE attempt = ?", (attempt,))
        return Summary(count, distinct)

    def repeated(self, attempt: int) -> set[int | str]:
        """The ids that came more than once in an attempt."""
        return {
            key
            for (key,) in self._do(
                "SELECT key FROM found WHERE attempt = ? GROUP BY key HAVING count(*) > 1", (attempt,)
            )
        }

    def settle(self, attempt: int) -> None:
        """Take one attempt's records as the reading.

        Raises:
            UpstreamError: two of its ids have one legacy id.
        """
        self._refuse_collisions()
        self._rank("SELECT * FROM found WHERE attempt = ?", "source, place", (attempt,))

    def merge(self) -> None:
        """Take every record that any attempt found, its newest value, in the order of the last attempt.

        Raises:
            UpstreamError: two of the ids have one legacy id.
        """
        self._refuse_collisions()
        self.unsettled = True
        newest = """
            SELECT found.*, first FROM found JOIN (
                SELECT max(row) AS newest, min(source * 1000000000000 + place) AS first
                FROM found JOIN (SELECT key AS k, max(attempt) AS a FROM found GROUP BY key) ON key = k AND attempt = a
                GROUP BY key
            ) ON row = newest
        """
        self._rank(newest, "attempt DESC, first", ())

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        if start >= self.count:
            return []
        return self._do(
            "SELECT text, source FROM sorted JOIN found USING (row) JOIN texts USING (row) "
            "WHERE rank > ? AND rank <= ? ORDER BY rank",
            (start, start + limit),
        )

    def _rank(self, chosen: str, order: str, values: tuple[Any, ...]) -> None:
        # Nulls come last ascending and first descending, which `IS NULL` says to any SQLite.
        columns = [
            f"k{index} IS NULL{' DESC' if key.descending else ''}, k{index}{' DESC' if key.descending else ''}"
            for index, key in enumerate(self._sort)
        ]
        self._do(
            f"INSERT INTO sorted SELECT row_number() OVER (ORDER BY {', '.join([*columns, order])}), row "  # noqa: S608
            f"FROM ({chosen}) WHERE wanted",
            values,
        )
        [(self.count,)] = self._do("SELECT count(*) FROM sorted")
        # What is left to do is to read pages: that needs little memory, for as long as the walk is kept.
        self._do(f"PRAGMA cache_size = -{_AFTERWARDS // 1024}")

    def _refuse_collisions(self) -> None:
        twice = self._do(
            "SELECT surrogate FROM found WHERE surrogate IS NOT NULL "
            "GROUP BY surrogate HAVING count(DISTINCT key) > 1 LIMIT 1"
        )
        if twice:
            raise UpstreamError(f"Two of the upstream's sessions have the legacy id {twice[0][0]}.")

    def _do(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._database.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise _not_kept(error) from None

    def _do_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._lock:
            try:
                self._database.executemany(statement, rows)
            except sqlite3.Error as error:
                raise _not_kept(error) from None


def _storable(key: int | str) -> int | str | bytes:
    if isinstance(key, int):
        return key if -_LARGEST <= key <= _LARGEST else hex(key)
    try:
        key.encode()
    except UnicodeEncodeError:
        return key.encode(errors="surrogatepass")
    return key


def _not_kept(error: sqlite3.Error) -> UpstreamError:
    return UpstreamError(
        f"The records of the walk could not be kept: {error}. "
        "Free space where SQLite keeps temporary files (SQLITE_TMPDIR), or narrow the query."
    )
