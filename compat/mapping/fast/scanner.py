"""Pages as the extension in C reads them, and their records as spans of the body.

The extension is optional. Where it was not built or is switched off, and for whatever it does not take, the typed
decoders do the same in Python; both agree (law 5).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import msgspec
from msgspec import UNSET

from compat.errors import CompatError
from compat.text.instants import NotATime

if TYPE_CHECKING:
    from compat.schemas.fields import Typed

__all__ = [
    "ANY",
    "CHECKED",
    "IF_THERE",
    "NO_EXTENSIONS",
    "NULL",
    "REFUSED",
    "REQUIRED",
    "Declined",
    "PageScanner",
    "Scanned",
    "ScannedRows",
    "Within",
    "extension",
    "in_use",
    "types_of",
]


class Declined(CompatError, ValueError):
    """The compiled form leaves a record to the lens."""


REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError, NotATime, Declined)
"""What the compiled form raises where the lens has to decide. Any other ValueError is a fault of ours, and surfaces."""


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


NO_EXTENSIONS = "EXAM_COMPAT_NO_EXTENSIONS"
"""The environment variable that switches the extension off, with any value but the empty one."""

REQUIRED, CHECKED, IF_THERE = 1, 2, 4
"""Of a field: a record without it is refused; so is another type; where it is absent it is not shown as null."""

NULL, ANY = 32, 127
_TYPES = {"integer": 1, "boolean": 2, "string": 4, "array": 8, "object": 16}
_WORDS = {1: "a number", 64: "a number", 2: "a boolean", 4: "a string", 8: "an array", 16: "an object", 32: "null"}
_GROWTH, _LEAST_OUTPUT = 4, 1 << 16
"""Absent fields are written as null, so that a page grows; one that grows beyond that many times is no page."""


def extension() -> ModuleType | None:
    """The extension in C; None where it was not built, or is switched off."""
    if os.environ.get(NO_EXTENSIONS):
        return None
    try:
        from compat.mapping.fast import _pagescan
    except ImportError:
        return None
    return _pagescan


def in_use() -> str:
    """What reads pages in this process, in words."""
    if extension() is not None:
        return "with the extension in C"
    return (
        f"without the extension in C, as {NO_EXTENSIONS} says"
        if os.environ.get(NO_EXTENSIONS)
        else ("without the extension in C, which was not built")
    )


def types_of(field: Typed) -> int:
    """The JSON types that a field may have, as the extension counts them."""
    return _TYPES[field.json] | (NULL if field.allow_none else 0)


class Within(NamedTuple):
    """A field of a record.

    Attributes:
        name: its name.
        types: the JSON types that it is declared to have.
        flags: of the three above.
        column: the name of the column that it is given as; empty for none.
        inner: what an object under this name holds, where that is looked at; its column then tells whether it is there.
    """

    name: str
    types: int
    flags: int = 0
    column: str = ""
    inner: Sequence[Within] | None = None


class Scanned(NamedTuple):
    """What was found in a body.

    Attributes:
        page: the page as the old interface had it, ``{"students": [...]}``; empty where none is wanted.
        rows: its records and columns; of a page that was written, without their places in it.
        drift: field to the JSON type that stands there although it is not declared.
        rest: the other members of the body, each as its text.
    """

    page: bytes
    rows: ScannedRows
    drift: Mapping[str, str]
    rest: Mapping[str, bytes]


class PageScanner:
    """Reads bodies of one declaration; safe across threads.

    Args:
        module: the extension.
        fields: what a record holds, in the order that it is written in.
        others: whether fields beyond these are written too.
        written: whether the page is written; else its records and columns are read.

    Attributes:
        columns: the names of the columns.

    Raises:
        ValueError: more or longer names than the extension takes.
    """

    def __init__(
        self, module: ModuleType, fields: Sequence[Within], *, others: bool = False, written: bool = False
    ) -> None:
        self.columns = tuple(_columns(fields))
        self._names = tuple(field.name for field in fields)
        self._scan: Any = module.scan
        self._declaration = module.declare(_declared(fields, self.columns), others)
        self._written = written

    def scan(self, body: bytes, name: str = "") -> Scanned | None:
        """Read a body.

        Args:
            body: the JSON text.
            name: what its list of records is called; empty where it is that list.

        Returns:
            None where the plain way has to decide.
        """
        columns: tuple[list[Any], ...] = tuple([] for _ in self.columns)
        most = _GROWTH * len(body) + _LEAST_OUTPUT if self._written else 0
        found = self._scan(self._declaration, body, name.encode(), columns, UNSET, most)
        if found is None:
            return None
        page, spans, odd, rest = found
        drift = {self._names[place]: _WORDS[kind] for place, kind in enumerate(odd) if kind} if any(odd) else {}
        values = dict(zip(self.columns, columns, strict=True))
        return Scanned(page, ScannedRows(body, spans, values), drift, dict(rest))


def _columns(fields: Iterable[Within]) -> Iterable[str]:
    for field in fields:
        if field.column:
            yield field.column
        yield from _columns(field.inner or ())


def _declared(fields: Iterable[Within], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(
        (
            _key(field.name),
            field.types,
            field.flags,
            columns.index(field.column) if field.column else -1,
            None if field.inner is None else _declared(field.inner, columns),
        )
        for field in fields
    )


def _key(name: str) -> bytes:
    text = json.dumps(name, ensure_ascii=False)
    if "\\" in text:
        raise ValueError("a name that JSON has to escape")
    return f",{text}:".encode()
