"""The records of a reading: of one page as they are, kept in memory while they are few, on disk beyond that.

What decides about a record, its ids and sort keys, lies apart from its text, so that sorting a million records does
not read their texts; once they are sorted, two numbers a record are left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from sys import getsizeof
from typing import Any

import msgspec

from compat.core.index import Entries, Index, IndexInMemory, KeptTexts, Order, Summary
from compat.core.index_on_disk import IndexOnDisk
from compat.legacy.query import SortKey
from compat.upstream.base import Chunk, Codec, Reading, Row
from compat.upstream.page_columns import Noted

__all__ = [
    "IN_MEMORY",
    "Collected",
    "ShortList",
    "short_list",
    "with_texts",
]

IN_MEMORY = 32 * 1024 * 1024
"""Bytes of a reading's texts, and as many of its ids and sort keys, that stay in memory; with more, they go to disk."""

_A_RECORD = 64
"""Bytes that lists need for a record beside its id and sort keys."""


class Collected(Reading):
    """The records of one reading, each attempt at it beside the others.

    Safe across threads once the reading has ended, and gone when nobody holds it any more.

    Args:
        sort: the columns to sort by.
        people: the roster's values of each source.
        in_memory: bytes of texts, and of ids and sort keys, that stay in memory.
    """

    def __init__(
        self, sort: Sequence[SortKey], people: Sequence[Mapping[str, Any]], in_memory: int = IN_MEMORY
    ) -> None:
        self.count = 0
        self.unsettled = False
        self.people = tuple(people)
        self._sort = tuple(sort)
        self._in_memory = in_memory
        self._texts = KeptTexts(in_memory)
        self._index: Index = IndexInMemory(self._sort)
        self._weight = 0
        self._order = Order()

    def add(self, attempt: int, source: int, start: int, page: Noted) -> None:
        """Keep the records of a page.

        Args:
            attempt: which attempt at the reading.
            source: which list the page is of.
            start: how many of its records lie before the page.
            page: the records.

        Raises:
            UpstreamError: they cannot be kept.
        """
        begin = self._texts.add(page.texts)
        self._index.add(
            Entries(
                attempt,
                source,
                start,
                page.keys,
                page.surrogates,
                page.places,
                page.sorting,
                begin,
                list(map(len, page.texts)),
            )
        )
        if isinstance(self._index, IndexInMemory):
            self._weight += _A_RECORD * len(page.keys) + sum(map(getsizeof, chain(page.keys, *page.sorting)))
            if self._weight > self._in_memory:
                self._spill(self._index)

    def _spill(self, index: IndexInMemory) -> None:
        self._index = IndexOnDisk(self._sort, self._in_memory)
        for entries in index.pages():
            self._index.add(entries)

    def summary(self, attempt: int) -> Summary:
        """How many records and ids an attempt found."""
        return self._index.summary(attempt)

    def repeated(self, attempt: int) -> set[int | str]:
        """The ids that came more than once in an attempt."""
        return self._index.repeated(attempt)

    def settle(self, attempt: int) -> None:
        """Take one attempt's records as the reading.

        Raises:
            UpstreamError: two of its ids have one legacy id.
        """
        self._end(self._index.settled(attempt))

    def merge(self) -> None:
        """Take every record that any attempt found, its newest value, in the order of the last attempt.

        Raises:
            UpstreamError: two of the ids have one legacy id.
        """
        self.unsettled = True
        self._end(self._index.merged())

    def _end(self, order: Order) -> None:
        self._order = order
        self.count = len(order.starts)
        self._index.close()

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        # A page far past the end has numbers that no slice takes.
        begin, end = min(start, self.count), min(start + limit, self.count)
        order = self._order
        texts = self._texts.read(order.starts[begin:end], order.lengths[begin:end])
        return list(zip(texts, order.sources[begin:end], strict=True))

    def close(self) -> None:
        """Give memory and files back at once."""
        self._index.close()
        self._texts.close()


class ShortList(Reading):
    """A reading of one page, whose records stay as the codec decoded them.

    Args:
        rows: the records, in order.
        person: the roster's values for the user whose list it is.
    """

    unsettled = False

    def __init__(self, rows: Sequence[Row], person: Mapping[str, Any]) -> None:
        self.count = len(rows)
        self.people = (person,)
        self._rows = rows

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        return [(bytes(row.record), 0) for row in self.rows(start, limit)]

    def rows(self, start: int, limit: int) -> list[Row]:
        # A page far past the end has numbers that no slice takes.
        return list(self._rows[min(start, self.count) : min(start + limit, self.count)])


def short_list(
    codec: Codec, chunk: Chunk, person: Mapping[str, Any], exam_id: int, wants: Callable[[Row], bool]
) -> ShortList | None:
    """The reading that a list's first page is.

    Args:
        codec: reads its records.
        chunk: the page.
        person: the roster's values for the user whose list it is.
        exam_id: the exam that is asked for.
        wants: whether a record is wanted, by nothing but its exam.

    Returns:
        None where there is more to the list, where an id stands for two records, which takes a reading with its
        repeats, and where the records are texts, any of which would keep all of the page in memory.

    Raises:
        UpstreamError: a record that has no id.
    """
    if chunk.total != len(chunk.rows) or (chunk.rows and not _is_decoded(chunk)):
        return None
    rows = codec.scan(chunk.rows, exam_id, (), person)
    if len({row.id for row in rows}) != len(rows):
        return None
    return ShortList([row for row in rows if wants(row)], person)


def with_texts(chunk: Chunk) -> Chunk:
    """The page with the text of each record, as a longer reading keeps them."""
    if not _is_decoded(chunk):
        return chunk
    return Chunk(chunk.start, list(map(bytes, chunk.rows)), chunk.total, chunk.limit)


def _is_decoded(chunk: Chunk) -> bool:
    return bool(chunk.rows) and isinstance(chunk.rows[0], msgspec.Struct)
