"""Pages of student sessions and of sessions by the extension in C: written as the old page, or read by column."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import msgspec
from msgspec import UNSET

from compat.drift import DRIFT
from compat.legacy.query import Comparable
from compat.mapping.fast.scanner import (
    ANY,
    CHECKED,
    IF_THERE,
    NULL,
    REQUIRED,
    Declined,
    PageScanner,
    ScannedRows,
    Within,
    extension,
    types_of,
)
from compat.mapping.fast.types import CARRIED_PATH, OWN_PATH, looked_up_names
from compat.schemas import COLUMNS, SessionOutputSchema
from compat.schemas.student import CARRIED_KEY, RULES
from compat.text.json import array_of
from compat.upstream.base import ExtraFields

__all__ = ["SessionScanner", "ShownPage", "StudentScanner", "StudentsPage"]

_COMPARED = ("id", "exam_id", "status")
"""What a page has to have in all of its records to be shown whole."""
_OBJECT = 16
_MOST_QUERIES = 64
"""Sets of columns whose declaration is kept; scripts have a handful of queries, and callers may not fill memory."""

_number = msgspec.json.Decoder(int).decode


class _ColumnScanner(ABC):
    """Reads columns of records; nothing, where the extension is not there."""

    identifying: tuple[str, ...]
    """The columns whose values are never a text that is still to be read."""

    def __init__(self) -> None:
        self._module = extension()
        self._readers: dict[tuple[str, ...], PageScanner] = {}

    @abstractmethod
    def _fields(self, names: tuple[str, ...]) -> Iterable[Within]:
        """What is read of a record for some columns."""

    def _reader(self, names: tuple[str, ...]) -> PageScanner | None:
        scanner = self._readers.get(names)
        if scanner is None and self._module is not None:
            scanner = PageScanner(self._module, [*self._fields(names)])
            if len(self._readers) < _MOST_QUERIES:
                self._readers[names] = scanner
        return scanner

    def columns(self, rows: Sequence[Any], names: tuple[str, ...]) -> Mapping[str, Sequence[Any]] | None:
        """What some legacy columns come from.

        Args:
            rows: the records: their texts, or what a reader made of a page.
            names: the legacy columns.

        Returns:
            by its path what stands there in each record: UNSET for nothing, bytes for a text that is still to be read.
            None where the plain way has to decide.
        """
        scanner = self._reader(names)
        if scanner is None:
            return None
        if not isinstance(rows, ScannedRows) or not rows.values_by_column.keys() >= {*scanner.columns}:
            found = scanner.scan(array_of(rows))
            if found is None or len(found.rows) != len(rows):
                return None
            rows = found.rows
        values = rows.values_by_column
        return None if any(bytes in {*map(type, values[name])} for name in self.identifying) else values


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


class StudentScanner(_ColumnScanner):
    """What the extension does for student sessions; nothing, where it is not there.

    Args:
        extra_fields: fields beyond the 57 that are let through: "all", or their names.
    """

    identifying = ("id", "exam_id")

    def __init__(self, extra_fields: ExtraFields) -> None:
        super().__init__()
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
        """Some columns of records, ``id`` and ``exam_id`` among them: None for null and for an absent value."""
        found = super().columns(rows, names)
        if found is None:
            return None
        values = {name: found[name] for name in names}
        return {
            name: [None if value is UNSET else value for value in column] if UNSET in column else column
            for name, column in values.items()
        }

    def _split(self, body: bytes) -> Sequence[bytes]:
        scanner = self._reader(())
        assert scanner is not None  # noqa: S101 - it wrote the body
        return _rows(scanner, body, "students")

    def _fields(self, names: tuple[str, ...]) -> Iterable[Within]:
        return (_field(name, name) for name in names)


def _rows(scanner: PageScanner, body: bytes, name: str) -> Sequence[bytes]:
    found = scanner.scan(body, name)
    if found is None:
        raise Declined
    return found.rows


def _field(name: str, column: str = "") -> Within:
    field = COLUMNS[name]
    flags = 0 if field.allow_none else REQUIRED | CHECKED
    return Within(name, types_of(field), flags, column or (name if name in _COMPARED else ""))


class _SessionsPage(NamedTuple):
    limit: int
    offset: int
    total: int
    sessions: Sequence[bytes]


class SessionScanner(_ColumnScanner):
    """What the extension does for sessions; nothing, where it is not there."""

    identifying = ("id", "applicationId")

    def reader(self, names: tuple[str, ...]) -> Callable[[bytes], Any] | None:
        """What reads a page with what some legacy columns come from; None where the extension is not there."""
        scanner = self._reader(names)
        return None if scanner is None else lambda body: _sessions(scanner, body)

    def _fields(self, names: tuple[str, ...]) -> Iterator[Within]:
        sources = {"id", "applicationId"}
        for name in names:
            sources.update(RULES[name].sources)
        for name, field in SessionOutputSchema._declared_fields.items():
            if name in sources and name != "metadata":
                flags = CHECKED | (REQUIRED if field.required else 0)
                yield Within(name, types_of(field), flags, name)  # type: ignore[arg-type]  # the schema's fields are ours
        own = [Within(name, ANY, 0, f"{OWN_PATH}{name}") for name in looked_up_names() if name in names]
        carried = [Within(name, ANY, 0, f"{CARRIED_PATH}{name}") for name in names if RULES[name].carries]
        inside = [*own, Within(CARRIED_KEY, _OBJECT, CHECKED, "", carried)]
        yield Within("metadata", _OBJECT | NULL, CHECKED, "", inside)


def _sessions(scanner: PageScanner, body: bytes) -> _SessionsPage:
    found = scanner.scan(body, "sessions")
    if found is None:
        raise Declined
    limit, offset, total = (_number(found.rest.get(name, b"")) for name in ("limit", "offset", "total"))
    return _SessionsPage(limit, offset, total, found.rows)
