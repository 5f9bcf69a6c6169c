"""The ids and sort keys of a reading that is large or was made again, in SQLite.

SQLite's own page cache comes first, and an unnamed temporary file beyond that: a database without a name is gone with
the connection, and with the process however that ends. Sorting spills as well.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from compat.errors import UpstreamError
from compat.legacy.query import SortKey
from compat.processes import pause_around_fork
from compat.upstream.base import Columns, Sortable

__all__ = ["Index", "IndexedPage", "Order", "collision", "not_kept", "sort_key"]

_LARGEST = 2**63 - 1
_LONGEST_INTEGER = 0x8000
_AT_ONCE = 10_000


class IndexedPage(NamedTuple):
    """One page of a reading.

    Attributes:
        columns: its ids, and of the wanted records the columns to sort by.
        text: where the text of the first of those begins; each other one follows on the one before.
        lengths: how long each of those texts is.
    """

    attempt: int
    source: int
    start: int
    columns: Columns
    text: int
    lengths: Sequence[int]

    def texts(self) -> list[int]:
        """Where each wanted record's text begins."""
        return [*accumulate(self.lengths, initial=self.text)][: len(self.lengths)]


class Order:
    """The wanted records in order: where the text of each begins, how long it is, and which list it is from."""

    def __init__(self) -> None:
        self.starts = array("Q")
        self.lengths = array("Q")
        self.sources = array("L")

    def extend(self, starts: Iterable[int], lengths: Iterable[int], sources: Iterable[int]) -> None:
        """Add some at the end."""
        self.starts.extend(starts)
        self.lengths.extend(lengths)
        self.sources.extend(sources)


def collision(surrogate: int) -> UpstreamError:
    """The error for two ids with one legacy id."""
    return UpstreamError(f"Two of the upstream's sessions have the legacy id {surrogate}.")


def not_kept(why: str) -> UpstreamError:
    """The error for records of a walk that cannot be kept."""
    return UpstreamError(
        f"The records of the walk could not be kept: {why}. "
        "Free space where temporary files are kept (TMPDIR), or narrow the query."
    )


def sort_key(value: Sortable | None) -> bytes | None:
    """Bytes that sort as the values of one column do; null is None.

    Text sorts by code point, which is how its UTF-8 sorts. An integer of any size is its length, moved and turned
    round for negative ones, and then its digits.
    """
    if value is None or isinstance(value, str):
        return None if value is None else value.encode(errors="surrogatepass")
    if isinstance(value, bool):
        return b"\1" if value else b"\0"
    length = (abs(value).bit_length() + 7) // 8
    if length >= _LONGEST_INTEGER:
        raise UpstreamError("The upstream's list holds an integer that is too long to sort by.")
    if value < 0:
        return (0x8000 - length).to_bytes(2, "big") + (value + (1 << 8 * length)).to_bytes(length, "big")
    return (0x8000 + length).to_bytes(2, "big") + value.to_bytes(length, "big")


class _Database:
    """A temporary database, from its opening to its closing for one thread at a time, and for none during a fork.

    What SQLite fails with while it is in use is raised as an UpstreamError.
    """

    def __init__(self) -> None:
        # A thread that forks may also be the one that drops it.
        self._busy = threading.RLock()
        self._dropped = False
        pause_around_fork(self.before_fork, self.after_fork)
        with self._busy:
            self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self._busy.acquire()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._busy.release()
        if isinstance(error, sqlite3.Error):
            raise not_kept(str(error)) from None

    def drop(self) -> None:
        """Close it, when nobody uses it any more; a fork that is under way closes it at its end.

        Waiting would be wrong here: a thread may drop it while it holds another, which the fork waits for.
        """
        self._dropped = True
        if self._busy.acquire(blocking=False):
            try:
                self._connection.close()
            finally:
                self._busy.release()

    def before_fork(self) -> None:
        """Wait until no thread is inside SQLite: the child would have its locks, and nobody to give them back."""
        self._busy.acquire()

    def after_fork(self) -> None:
        """Go on, in the parent; the child never asks this database, whose reading is its parent's."""
        self._busy.release()
        if self._dropped:
            self.drop()


class Index:
    """Ids and sort keys of all attempts at a reading, for one thread at a time.

    Args:
        in_memory: bytes that stay in memory.

    Raises:
        UpstreamError: nothing can be kept, on a full disk say; so do the methods.
    """

    def __init__(self, sort: Sequence[SortKey], in_memory: int) -> None:
        self._sort = tuple(sort)
        self._surrogates = False
        self._database = _Database()
        self._closing = weakref.finalize(self, self._database.drop)
        keys = "".join(f", k{index} BLOB" for index in range(len(self._sort)))
        self._do(f"PRAGMA cache_size = -{max(in_memory // 1024, 64)}")
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA temp_store = FILE"):
            self._do(statement)
        # Nothing that a caller sent is in any statement: only how many columns there are to sort by.
        self._do(
            f"CREATE TABLE found (row INTEGER PRIMARY KEY, attempt, source, place, key, surrogate, text, length{keys})"
        )
        self._insert = f"INSERT INTO found VALUES (NULL,{','.join('?' * (7 + len(self._sort)))})"  # noqa: S608
        columns = [
            # Nulls come last ascending and first descending, which `IS NULL` says to any SQLite.
            f"k{index} IS NULL{' DESC' if key.descending else ''}, k{index}{' DESC' if key.descending else ''}"
            for index, key in enumerate(self._sort)
        ]
        self._order = "".join(f"{column}, " for column in columns)

    def add(self, page: IndexedPage) -> None:
        """Note the records of a page; those of a later attempt come later."""
        keys, surrogates, places, values = page.columns
        count = len(keys)
        self._surrogates = self._surrogates or bool(surrogates)
        sorting = [[*map(sort_key, values[key.column])] for key in self._sort]
        wanted: list[Sequence[Any]] = [page.texts(), page.lengths, *sorting]
        if len(places) < count:
            wanted = [_spread(column, places, count) for column in wanted]
        rows = zip(
            [page.attempt] * count,
            [page.source] * count,
            range(page.start, page.start + count),
            map(_storable, keys),
            map(surrogates.get, keys),
            *wanted,
            strict=True,
        )
        with self._database as database:
            database.execute("BEGIN")
            database.executemany(self._insert, rows)
            database.execute("COMMIT")

    def count(self, attempt: int) -> tuple[int, int]:
        """How many records an attempt found, repeated ones counted each time, and how many different ids."""
        [(count, distinct)] = self._do("SELECT count(*), count(DISTINCT key) FROM found WHERE attempt = ?", (attempt,))
        return count, distinct

    def repeated(self, attempt: int) -> set[int | str]:
        """The ids that came more than once in an attempt."""
        statement = "SELECT key FROM found WHERE attempt = ? GROUP BY key HAVING count(*) > 1"
        return {key for (key,) in self._do(statement, (attempt,))}

    def settled(self, attempt: int) -> Order:
        """One attempt's wanted records, sorted.

        Raises:
            UpstreamError: two ids have one legacy id.
        """
        return self._ordered("SELECT * FROM found WHERE attempt = ?", "source, place, row", (attempt,))

    def merged(self) -> Order:
        """Every record that any attempt found, where its newest value is wanted: sorted, else as the last attempt went.

        Raises:
            UpstreamError: two ids have one legacy id.
        """
        newest = """
            SELECT found.*, first FROM found JOIN (
                SELECT max(row) AS newest, min(source * 1000000000000 + place) AS first
                FROM found JOIN (SELECT key AS k, max(attempt) AS a FROM found GROUP BY key) ON key = k AND attempt = a
                GROUP BY key
            ) ON row = newest
        """
        return self._ordered(newest, "attempt DESC, first, row", ())

    def _ordered(self, chosen: str, last: str, values: tuple[Any, ...]) -> Order:
        self._refuse_collisions()
        order = Order()
        with self._database as database:
            cursor = database.execute(
                f"SELECT text, length, source FROM ({chosen}) WHERE text IS NOT NULL ORDER BY {self._order}{last}",  # noqa: S608
                values,
            )
        while True:
            # A fork may come between two of these.
            with self._database:
                rows = cursor.fetchmany(_AT_ONCE)
            if not rows:
                return order
            order.extend(*zip(*rows, strict=True))

    def _refuse_collisions(self) -> None:
        if not self._surrogates:
            return
        twice = self._do(
            "SELECT surrogate FROM found WHERE surrogate IS NOT NULL "
            "GROUP BY surrogate HAVING count(DISTINCT key) > 1 LIMIT 1"
        )
        if twice:
            raise collision(twice[0][0])

    def _do(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._database as database:
            return database.execute(statement, values).fetchall()

    def close(self) -> None:
        """Give back what it holds."""
        self._closing()


def _spread(column: Sequence[Any], places: Sequence[int], count: int) -> list[Any]:
    """The values of some places among so many, the others null."""
    spread: list[Any] = [None] * count
    for place, value in zip(places, column, strict=True):
        spread[place] = value
    return spread


def _storable(key: int | str) -> int | str | bytes:
    if isinstance(key, int):
        return key if -_LARGEST <= key <= _LARGEST else hex(key)
    try:
        key.encode()
    except UnicodeEncodeError:
        return key.encode(errors="surrogatepass")
    return key
