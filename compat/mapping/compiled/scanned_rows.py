"""The records of a page that the extension in C has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

__all__ = ["ScannedRows"]


class ScannedRows(Sequence[bytes]):
    """The records of a body, as texts that are cut out when they are asked for.

    Args:
        body: the text that they are in.
        spans: where each begins and ends.
        values: by column, a value for each record: what Python has for an integer, a boolean, a string or null; the
            text, as bytes, for any other, a long integer and a string with an escape; UNSET where it is absent.
    """

    def __init__(self, body: bytes, spans: Sequence[tuple[int, int]], values: Mapping[str, Sequence[Any]]) -> None:
        self._body = body
        self._spans = spans
        self.values_by_column = values

    @property
    def size(self) -> int:
        """Bytes of all records."""
        return sum(end - begin for begin, end in self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> ScannedRows: ...

    def __getitem__(self, index: int | slice) -> bytes | ScannedRows:
        if isinstance(index, slice):
            cut = {name: values[index] for name, values in self.values_by_column.items()}
            return ScannedRows(self._body, self._spans[index], cut)
        begin, end = self._spans[index]
        return self._body[begin:end]
