"""The records of a reading: in memory while they are few, on disk beyond that.

What decides about a record, its ids and sort keys, lies apart from its text, so that sorting a million records does
not read their texts; once they are sorted, two numbers a record are left of it.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from sys import getsizeof
from typing import IO, Any

from compat.core.index import Index, IndexedPage, Order, collision, not_kept
from compat.core.plan import sort_places
from compat.legacy.query import SortKey
from compat.upstream.base import Columns, People

__all__ = ["IN_MEMORY", "Collected", "OnePage", "Reading"]

IN_MEMORY = 32 * 1024 * 1024
"""Bytes of a reading's texts, and as many of its ids and sort keys, that stay in memory; with more, they go to disk."""

_A_RECORD = 64
"""Bytes that lists need for a record beside its id and sort keys."""


class Reading(ABC):
    """A list that was read whole: the records that a query wants, in its order.

    It can be kept elsewhere and read back there: all there is to it are these attributes, and the records in ranges.

    Attributes:
        unsettled: the list kept changing while it was read.
        people: the roster's values of each source that was read.
    """

    count: int
    unsettled: bool
    people: People

    @abstractmethod
    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        """Some records, in order: the JSON text of each, and the place in ``people`` of the source that it is from.

        Raises:
            UpstreamError: they cannot be read back.
        """

    def page(self, start: int, limit: int) -> tuple[Sequence[Any], People]:
        """Some records as a codec renders them, and whose they are.

        Raises:
            UpstreamError: they cannot be read back.
        """
        found = self.records(start, limit)
        return [text for text, _ in found], [self.people[source] for _, source in found]


class OnePage(Reading):
    """A list of one page, whose records stay as the codec decoded them."""

    unsettled = False

    def __init__(self, decoded: Sequence[Any], person: Mapping[str, Any]) -> None:
        self.count = len(decoded)
        self.people = (person,)
        self._decoded = decoded

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        return [(bytes(record), 0) for record in self.page(start, limit)[0]]

    def page(self, start: int, limit: int) -> tuple[Sequence[Any], People]:
        # A page far past the end has numbers that no slice takes.
        found = self._decoded[min(start, self.count) : min(start + limit, self.count)]
        return found, [*self.people] * len(found)


class Collected(Reading):
    """The records of one reading, each attempt at it beside the others.

    Most lists are small and hold still. Such a first attempt is sorted as lists are; what is large, or has to be
    compared with another attempt, goes into an :class:`~compat.core.index.Index`.

    Safe across threads once the reading has ended, and gone when nobody holds it any more.

    Args:
        in_memory: bytes of texts, and of ids and sort keys, that stay in memory.
    """

    def __init__(self, sort: Sequence[SortKey], people: People, in_memory: int = IN_MEMORY) -> None:
        self.count = 0
        self.unsettled = False
        self.people = tuple(people)
        self._sort = tuple(sort)
        self._in_memory = in_memory
        self._texts = SpillFile(in_memory)
        self._pages: list[IndexedPage] = []
        self._index: Index | None = None
        self._weight = 0
        self._order = Order()

    def add(self, attempt: int, source: int, start: int, rows: Sequence[Any], columns: Columns) -> None:
        """Keep the records of a page.

        Args:
            start: how many of its records lie before the page.
            rows: all of its records, as texts or what makes bytes.
            columns: their ids, which of them are wanted, and what those are sorted by.

        Raises:
            UpstreamError: they cannot be kept.
        """
        texts = [rows[place] for place in columns.places]
        sorting = {key.column: columns.values[key.column] for key in self._sort}
        kept = columns._replace(values=sorting)
        page = IndexedPage(attempt, source, start, kept, self._texts.add(texts), [*map(len, texts)])
        if self._index is None:
            self._pages.append(page)
            self._weight += _A_RECORD * len(kept.keys) + sum(map(getsizeof, chain(kept.keys, *sorting.values())))
            if attempt or self._weight > self._in_memory:
                self._indexed()
        else:
            self._index.add(page)

    def _indexed(self) -> Index:
        if self._index is None:
            self._index = Index(self._sort, self._in_memory)
            for page in self._pages:
                self._index.add(page)
            self._pages = []
        return self._index

    def summary(self, attempt: int) -> tuple[int, int]:
        """How many records an attempt found, repeated ones counted each time, and how many different ids."""
        if self._index is not None:
            return self._index.count(attempt)
        pages = [page.columns.keys for page in self._pages if page.attempt == attempt]
        return sum(map(len, pages)), len({*chain.from_iterable(pages)})

    def repeated(self, attempt: int) -> set[int | str]:
        """The ids that came more than once in an attempt."""
        return self._indexed().repeated(attempt)

    def settle(self, attempt: int) -> None:
        """Take one attempt's records as the reading.

        Raises:
            UpstreamError: two of its ids have one legacy id.
        """
        pages = sorted((page for page in self._pages if page.attempt == attempt), key=lambda page: page[1:3])
        if self._index is not None or any(map(_overlap, pages, pages[1:])):
            self._end(self._indexed().settled(attempt))
        else:
            self._end(self._sorted(pages))

    def _sorted(self, pages: Sequence[IndexedPage]) -> Order:
        """The records of some pages as an index would sort them."""
        known: dict[int, int | str] = {}
        for key, surrogate in chain.from_iterable(page.columns.surrogates.items() for page in self._pages):
            if known.setdefault(surrogate, key) != key:
                raise collision(surrogate)
        starts = [*chain.from_iterable(page.texts() for page in pages)]
        lengths = [*chain.from_iterable(page.lengths for page in pages)]
        sources = [*chain.from_iterable([page.source] * len(page.lengths) for page in pages)]
        names = [key.column for key in self._sort]
        columns = {name: [*chain.from_iterable(page.columns.values[name] for page in pages)] for name in names}
        places = sort_places(columns, self._sort, range(len(starts)))
        order = Order()
        order.extend(*([each[place] for place in places] for each in (starts, lengths, sources)))
        return order

    def merge(self) -> None:
        """Take every record that any attempt found, its newest value, in the order of the last attempt.

        Raises:
            UpstreamError: two of the ids have one legacy id.
        """
        self.unsettled = True
        self._end(self._indexed().merged())

    def _end(self, order: Order) -> None:
        self._order = order
        self.count = len(order.starts)
        self._forget()

    def _forget(self) -> None:
        self._pages = []
        if self._index is not None:
            self._index.close()

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        # A page far past the end has numbers that no slice takes.
        begin, end = min(start, self.count), min(start + limit, self.count)
        order = self._order
        texts = self._texts.read(order.starts[begin:end], order.lengths[begin:end])
        return list(zip(texts, order.sources[begin:end], strict=True))

    def close(self) -> None:
        """Give memory and files back at once."""
        self._forget()
        self._texts.close()


def _overlap(page: IndexedPage, following: IndexedPage) -> bool:
    return page.source == following.source and page.start + len(page.columns.keys) > following.start


class SpillFile:
    """Texts by where they begin; safe across threads once all are there.

    The file has no name: it is gone with this object, and with the process however that ends.

    Args:
        in_memory: bytes that stay in memory; with more, all of them go to the file.
    """

    def __init__(self, in_memory: int) -> None:
        self.size = 0
        self._in_memory = in_memory
        self._blocks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()  # Of the file's position, which systems with forks have no use for.

    def add(self, texts: Sequence[Any]) -> int:
        """Keep some texts, as bytes or what has a buffer; gives where the first begins, the others following on it.

        Raises:
            UpstreamError: the disk is full, or cannot be written to.
        """
        added = b"".join(texts)
        start = self.size
        self.size += len(added)
        try:
            if self._file is None and self.size > self._in_memory:
                self._file = self._opened()
                for block in self._blocks:
                    self._write(self._file, block)
                self._blocks = []
            if self._file is None:
                self._blocks.append(added)
            else:
                self._write(self._file, added)
        except OSError as error:
            raise not_kept(error.strerror or str(error)) from None
        return start

    def read(self, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """Some texts.

        Raises:
            UpstreamError: they cannot be read back.
        """
        if self._file is None:
            kept = self._in_one()
            return [kept[start : start + length] for start, length in zip(starts, lengths, strict=True)]
        try:
            found = self._read(self._file, starts, lengths)
        except (OSError, ValueError) as error:
            raise not_kept(str(error)) from None
        if list(map(len, found)) != list(lengths):
            raise not_kept("the temporary file is shorter than it was")
        return found

    def _in_one(self) -> bytes:
        if len(self._blocks) != 1:
            # Threads that come here at once make the same of it.
            self._blocks = [b"".join(self._blocks)]
        return self._blocks[0]

    def _opened(self) -> IO[bytes]:
        file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this object
        weakref.finalize(self, file.close)
        return file

    @staticmethod
    def _write(file: IO[bytes], data: Any) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]

    def _read(self, file: IO[bytes], starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        if hasattr(os, "pread"):
            number, pread = file.fileno(), os.pread
            return [pread(number, length, start) for start, length in zip(starts, lengths, strict=True)]
        found = []
        with self._lock:
            for start, length in zip(starts, lengths, strict=True):
                file.seek(start)
                found.append(file.read(length))
        return found

    def close(self) -> None:
        """Give the memory and the file back."""
        self._blocks = []
        if self._file is not None:
            self._file.close()
