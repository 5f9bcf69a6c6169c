"""What an upstream gives: pages, records, and lists that are read page by page or were read whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from compat.legacy.values import Comparable
    from compat.upstream.retries import Deadline

__all__ = ["Chunk", "One", "Reading", "Row", "Source"]


@dataclass(frozen=True)
class Chunk:
    """One page of an upstream, as it came.

    Attributes:
        start: how many records of the source lie before it.
        rows: its records, each the JSON text as the upstream wrote it, or as the codec decodes them.
        total: how many records the upstream says there are.
        limit: how many it says a page has.
    """

    start: int
    rows: Sequence[Any]
    total: int
    limit: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """A record as the core sees it.

    Attributes:
        key: what the upstream tells records apart by: its own id.
        id: the legacy id.
        exam_id: the exam that it belongs to, or None for none of the configured ones.
        values: the comparables of the columns asked for; empty for another exam's record.
        record: its JSON text, or what the codec decoded of it.
        person: the roster's values for its user.
    """

    key: int | str
    id: int
    exam_id: int | None
    values: Mapping[str, Comparable | None]
    record: Any
    person: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Row(id={self.id!r}, exam_id={self.exam_id!r})"


class Reading(ABC):
    """A list that was read whole: the records that a query wants, in its order.

    It can be kept elsewhere and read back there: all there is to it are these attributes, and the records in ranges.

    Attributes:
        count: how many records there are.
        unsettled: the list kept changing while it was read.
        people: the roster's values of each source that was read.
    """

    count: int
    unsettled: bool
    people: Sequence[Mapping[str, Any]]

    @abstractmethod
    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        """Some records, in order: the JSON text of each, and the place in ``people`` of the source that it is from.

        Args:
            start: how many lie before the first.
            limit: how many at most.

        Raises:
            UpstreamError: they cannot be read back.
        """

    def rows(self, start: int, limit: int) -> list[Row]:
        """Some records, in order, to be rendered; their ids and columns are not known any more.

        Raises:
            UpstreamError: they cannot be read back.
        """
        people = self.people
        return [Row(0, 0, None, {}, text, people[source]) for text, source in self.records(start, limit)]


@dataclass(frozen=True)
class One:
    """What was found for one id.

    Attributes:
        row: the record, or None where there is none.
        unsettled: it was looked for in a list that kept changing.
    """

    row: Row | None
    unsettled: bool = False


class Source(ABC):
    """A list that is read page by page: the whole upstream, or one user's part of it.

    Attributes:
        person: the roster's values for the user whose list it is.
        numbered: pages go by number and stated limit; else by offset.
    """

    person: Mapping[str, Any]
    numbered: bool

    @abstractmethod
    def fetch(self, start: int, limit: int, step: int | None, walk: Deadline | None) -> Chunk:
        """Read the page that begins at ``start``.

        Args:
            start: records before it; for numbered pages a multiple of ``step``.
            limit: records asked for.
            step: records a page, as an earlier page stated it; None at the first.
            walk: the end of the walk that it belongs to.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """

    def fetch_first(self, limit: int, decode: Callable[[bytes], Any], walk: Deadline | None) -> Chunk:
        """Read the first page, its records decoded whole if that may be: all of them are wanted.

        Args:
            limit: records asked for.
            decode: :meth:`Codec.page`.
            walk: the end of the walk that it belongs to.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """
        return self.fetch(0, limit, None, walk)
