"""Lists that one page holds, as most are: their records need not be kept as texts, to be read a second time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from compat.upstream.interface import Codec
from compat.upstream.records import Chunk, Reading, Row

__all__ = ["ShortList", "short_list", "with_texts"]


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
