"""Pages of student sessions by the extension in C: written as the old page, or read by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, overload

from msgspec import UNSET

from compat.drift import DRIFT
from compat.legacy.query import Comparable
from compat.mapping.fast.refused import Declined
from compat.mapping.fast.scanner import (
    ANY,
    CHECKED,
    IF_THERE,
    REQUIRED,
    PageScanner,
    ScannedRows,
    Within,
    extension,
    types_of,
)
from compat.schemas import COLUMNS
from compat.text.json import array_of
from compat.upstream.base import ExtraFields

__all__ = ["ShownPage", "StudentScanner", "StudentsPage"]

_COMPARED = ("id", "exam_id", "status")
"""What a page has to have in all of its records to be shown whole."""

_MOST_QUERIES = 64
"""Sets of columns whose declaration is kept; scripts have a handful of queries, and callers may not fill memory."""


class ShownPage(Sequence[bytes]):
    """Student sessions as the old page had them, checked.

    Args:
        body: ``{"students": [...]}``.
        values: by name the columns that decide whether it is shown.
        split: gives the records of such a body.
    """

    def __init__(
        self, body: bytes, values: Mapping[str, Sequence[Any]], split: Callable[[bytes], Sequence[bytes]]
    ) -> None:
        self.body = body
        self._values = values
        self._split = split
        self._texts: Sequence[bytes] | None = None

    def whole(self, having: Mapping[str, Comparable]) -> bytes | None:
        """The body; None where a record has another value, an id comes twice, or the records have to be looked at."""
        if not len(self) or any(set(self._values[name]) != {value} for name, value in having.items()):
            return None
        return self.body if len(set(self._values["id"])) == len(self) else None

    def __len__(self) -> int:
        return len(self._values["id"])

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if self._texts is None:
            self._texts = self._split(self.body)
        return self._texts[index]


class StudentsPage(NamedTuple):
    """A page as the upstream wraps it."""

    students: Sequence[bytes]


class StudentScanner:
    """What the extension does for student sessions; nothing, where it is not there.

    Args:
        extra_fields: fields beyond the 57 that are let through: "all", or their names.
    """

    def __init__(self, extra_fields: ExtraFields) -> None:
        self._module = extension()
        self._readers: dict[tuple[str, ...], PageScanner] = {}
        self._writer: PageScanner | None = None
        named = () if extra_fields == "all" else dict.fromkeys(name for name in extra_fields if name not in COLUMNS)
        fields = [*map(_field, COLUMNS), *(Within(name, ANY, IF_THERE) for name in named)]
        if self._module is not None:
            try:
                self._writer = PageScanner(self._module, fields, others=extra_fields == "all", written=True)
            except ValueError:
                # More fields than it takes.
                self._module = None

    def shown(self, body: bytes, name: str = "") -> ShownPage | None:
        """A page as the old interface had it; values of other types are reported.

        Args:
            body: the JSON text.
            name: what the list is called in it; empty where it is that list.

        Returns:
            None where the plain way has to decide.
        """
        found = self._writer.scan(body, name) if self._writer is not None else None
        if found is None:
            return None
        for field, kind in found.drift.items():
            DRIFT.report(field, kind)
        return ShownPage(found.page, found.rows.values_by_column, self._split)

    def reader(self, names: tuple[str, ...]) -> Callable[[bytes], StudentsPage] | None:
        """What reads the records of a page with some of their columns; None where the extension is not there."""
        scanner = self._reader(tuple(dict.fromkeys(("id", "exam_id", *names))))
        return None if scanner is None else lambda body: StudentsPage(_rows(scanner, body, "students"))

    def columns(self, rows: Sequence[Any], names: tuple[str, ...]) -> Mapping[str, Sequence[Any]] | None:
        """Some columns of records, ``id`` and ``exam_id`` among them.

        Args:
            rows: the records: their texts, or what :meth:`reader` made of a page.
            names: the columns.

        Returns:
            by name a value for each record, None for null and for an absent one, bytes for a text that is still to be
            read; None where the plain way has to decide.
        """
        if not isinstance(rows, ScannedRows) or not rows.values_by_column.keys() >= {*names}:
            scanner = self._reader(names)
            found = None if scanner is None else scanner.scan(array_of(rows))
            if found is None or len(found.rows) != len(rows):
                return None
            rows = found.rows
        values = {name: rows.values_by_column[name] for name in names}
        if any(bytes in {*map(type, values[name])} for name in ("id", "exam_id")):
            return None
        return {
            name: [None if value is UNSET else value for value in column] if UNSET in column else column
            for name, column in values.items()
        }

    def _split(self, body: bytes) -> Sequence[bytes]:
        scanner = self._reader(())
        assert scanner is not None  # noqa: S101 - it wrote the body
        return _rows(scanner, body, "students")

    def _reader(self, names: tuple[str, ...]) -> PageScanner | None:
        scanner = self._readers.get(names)
        if scanner is None and self._module is not None:
            scanner = PageScanner(self._module, [_field(name, name) for name in names])
            if len(self._readers) < _MOST_QUERIES:
                self._readers[names] = scanner
        return scanner


def _rows(scanner: PageScanner, body: bytes, name: str) -> Sequence[bytes]:
    found = scanner.scan(body, name)
    if found is None:
        raise Declined
    return found.rows


def _field(name: str, column: str = "") -> Within:
    field = COLUMNS[name]
    flags = 0 if field.allow_none else REQUIRED | CHECKED
    return Within(name, types_of(field), flags, column or (name if name in _COMPARED else ""))
