"""What decides about the records of a reading, their ids and sort keys, and the file that their texts spill to."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import IO, Any, NamedTuple

from compat.errors import UpstreamError
from compat.legacy.query import SortKey
from compat.upstream.page_columns import Sortable

__all__ = [
    "Entries",
    "Index",
    "IndexInMemory",
    "KeptTexts",
    "Order",
    "Summary",
    "collision",
    "not_kept",
]


@dataclass(frozen=True)
class Summary:
    """What one attempt at a reading found.

    Attributes:
        count: records, repeated ones counted each time.
        distinct: different ids.
    """

    count: int
    distinct: int


class Entries(NamedTuple):
    """The records of one page.

    Attributes:
        attempt: which attempt at the reading found them.
        source: which list they are of.
        start: how many of its records lie before the page.
        keys: each record's own id.
        surrogates: the legacy ids of those that are no numbers.
        places: where the wanted records stand among all.
        sorting: of those the columns to sort by.
        text: where the text of the first of those begins; each other one follows on the one before.
        lengths: how long each of those texts is.
    """

    attempt: int
    source: int
    start: int
    keys: Sequence[int | str]
    surrogates: Mapping[int | str, int]
    places: Sequence[int]
    sorting: Sequence[Sequence[Sortable | None]]
    text: int
    lengths: Sequence[int]


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


class Index(ABC):
    """Ids and sort keys of all attempts at a reading."""

    @abstractmethod
    def add(self, entries: Entries) -> None:
        """Note the records of a page; those of a later attempt come later.

        Raises:
            UpstreamError: they cannot be kept.
        """

    @abstractmethod
    def summary(self, attempt: int) -> Summary:
        """How many records and ids an attempt found."""

    @abstractmethod
    def repeated(self, attempt: int) -> set[int | str]:
        """The ids that came more than once in an attempt."""

    @abstractmethod
    def settled(self, attempt: int) -> Order:
        """One attempt's wanted records, sorted.

        Raises:
            UpstreamError: two ids have one legacy id.
        """

    @abstractmethod
    def merged(self) -> Order:
        """Every record that any attempt found, where its newest value is wanted: sorted, else as the last attempt went.

        Raises:
            UpstreamError: two ids have one legacy id.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds."""


def collision(surrogate: int) -> UpstreamError:
    """Two ids have one legacy id."""
    return UpstreamError(f"Two of the upstream's sessions have the legacy id {surrogate}.")


class IndexInMemory(Index):
    """Lists, sorted as lists are: the plain form, which any other has to agree with.

    Args:
        sort: the columns to sort by.
    """

    def __init__(self, sort: Sequence[SortKey]) -> None:
        self._sort = tuple(sort)
        self._pages: list[Entries] = []

    def add(self, entries: Entries) -> None:
        self._pages.append(entries)

    def pages(self) -> Sequence[Entries]:
        """All that was noted, in that order."""
        return self._pages

    def summary(self, attempt: int) -> Summary:
        pages = self._of(attempt)
        return Summary(
            sum(len(page.keys) for page in pages), len(set(chain.from_iterable(page.keys for page in pages)))
        )

    def repeated(self, attempt: int) -> set[int | str]:
        seen: set[int | str] = set()
        twice: set[int | str] = set()
        for key in chain.from_iterable(page.keys for page in self._of(attempt)):
            (twice if key in seen else seen).add(key)
        return twice

    def settled(self, attempt: int) -> Order:
        self._refuse_collisions()
        pages = self._of(attempt)
        positions = [(page.source, page.start + place) for page in pages for place in page.places]
        starts = chain.from_iterable(_starts(page) for page in pages)
        sources = chain.from_iterable([page.source] * len(page.places) for page in pages)
        lengths = chain.from_iterable(page.lengths for page in pages)
        columns = [list(chain.from_iterable(page.sorting[at] for page in pages)) for at in range(len(self._sort))]
        ranks = sorted(range(len(positions)), key=positions.__getitem__)
        return self._ordered(ranks, list(starts), list(lengths), list(sources), columns)

    def merged(self) -> Order:
        self._refuse_collisions()
        newest: dict[int | str, tuple[int, tuple[int, int], int, Entries, int]] = {}
        row = 0
        for page in self._pages:
            for place, key in enumerate(page.keys):
                first = (page.source, page.start + place)
                known = newest.get(key)
                if known is not None and known[0] == page.attempt:
                    first = min(first, known[1])
                row += 1
                newest[key] = (page.attempt, first, row, page, place)
        found = sorted(newest.values(), key=lambda entry: (-entry[0], entry[1], entry[2]))
        wanted = {
            (id(page), place): (start, at)
            for page in self._pages
            for at, (place, start) in enumerate(zip(page.places, _starts(page), strict=True))
        }
        chosen = [(page, *wanted[id(page), place]) for *_, page, place in found if (id(page), place) in wanted]
        return self._ordered(
            list(range(len(chosen))),
            [start for _, start, _ in chosen],
            [page.lengths[at] for page, _, at in chosen],
            [page.source for page, _, _ in chosen],
            [[page.sorting[column][at] for page, _, at in chosen] for column in range(len(self._sort))],
        )

    def _of(self, attempt: int) -> list[Entries]:
        return [page for page in self._pages if page.attempt == attempt]

    def _ordered(
        self,
        ranks: list[int],
        starts: Sequence[int],
        lengths: Sequence[int],
        sources: Sequence[int],
        columns: Sequence[Sequence[Sortable | None]],
    ) -> Order:
        for key, column in reversed([*zip(self._sort, columns, strict=True)]):
            # Nulls come last ascending and first descending.
            values: Sequence[Any] = [(value is None, value) for value in column] if None in column else column
            ranks.sort(key=values.__getitem__, reverse=key.descending)
        order = Order()
        order.extend(*([each[rank] for rank in ranks] for each in (starts, lengths, sources)))
        return order

    def _refuse_collisions(self) -> None:
        known: dict[int, int | str] = {}
        for page in self._pages:
            for key, surrogate in page.surrogates.items():
                if known.setdefault(surrogate, key) != key:
                    raise collision(surrogate)

    def close(self) -> None:
        self._pages = []


def _starts(page: Entries) -> Iterator[int]:
    """Where each wanted record's text begins."""
    if not page.lengths:
        return iter(())
    return accumulate(page.lengths[:-1], initial=page.text)


class KeptTexts:
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


def not_kept(why: str) -> UpstreamError:
    """The failure to keep records of a walk."""
    return UpstreamError(
        f"The records of the walk could not be kept: {why}. "
        "Free space where temporary files are kept (TMPDIR), or narrow the query."
    )
