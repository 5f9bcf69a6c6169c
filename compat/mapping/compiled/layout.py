"""JSON records of one shape: constant text, with a column of values in every hole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

__all__ = ["Layout", "json_column"]

_encode = msgspec.json.Encoder().encode
_lines = msgspec.json.Encoder().encode_lines


class Layout:
    """Writes arrays of records.

    Args:
        parts: the text of one record, in order: constants, and the number of pieces that make up a hole.
    """

    def __init__(self, parts: Iterable[bytes | int]) -> None:
        self._record = [b""]
        self._holes: list[int] = []
        for part in parts:
            if isinstance(part, bytes):
                self._record[-1] += part
                continue
            for _ in range(part):
                self._holes.append(len(self._record))
                self._record.append(b"")
            self._record.append(b"")
        # Every record brings the comma before it; the first one's is taken away again.
        self._record[0] = b"," + self._record[0]

    def page(self, columns: Iterable[Sequence[bytes]], count: int, around: tuple[bytes, bytes]) -> bytes:
        """Records between two texts, put together at once.

        Args:
            columns: the pieces of each hole, in order, a piece for each record.
            count: how many records, one at least.
            around: what stands before the first record, and after the last.
        """
        pieces = self._pieces(columns, count)
        pieces[0] = around[0] + pieces[0][1:]
        pieces.append(around[1])
        return b"".join(pieces)

    def records(self, columns: Iterable[Sequence[bytes]], count: int) -> list[bytes]:
        """The records one by one, as :meth:`page` has them."""
        pieces, stride = self._pieces(columns, count), len(self._record)
        return [b"".join(pieces[start : start + stride])[1:] for start in range(0, len(pieces), stride)]

    def _pieces(self, columns: Iterable[Sequence[bytes]], count: int) -> list[bytes]:
        pieces, stride = self._record * count, len(self._record)
        for place, column in zip(self._holes, columns, strict=True):
            pieces[place::stride] = column
        return pieces


def json_column(values: Sequence[Any]) -> list[bytes]:
    """Values as JSON.

    Raises:
        ValueError: a text that is no Unicode.
        TypeError: a value that JSON does not have.
    """
    # In JSON a line break is escaped, so that each line is one value; one that is kept as its text may have blanks.
    lines = _lines(values).split(b"\n")[:-1]
    if len(lines) == len(values):
        return lines
    return [bytes(value).replace(b"\n", b" ") if type(value) is Raw else _encode(value) for value in values]
