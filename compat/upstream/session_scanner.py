"""Columns of sessions by the extension in C: read while the page is, without decoding a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from compat.mapping.fast.refused import Declined
from compat.mapping.fast.scanner import (
    ANY,
    CHECKED,
    NULL,
    REQUIRED,
    PageScanner,
    ScannedRows,
    Within,
    extension,
    types_of,
)
from compat.mapping.fast.types import CARRIED_PATH, OWN_PATH, looked_up_names
from compat.schemas import SessionOutputSchema
from compat.schemas.student import CARRIED_KEY, RULES
from compat.text.json import array_of

__all__ = ["SessionScanner"]

_OBJECT = 16
_MOST_QUERIES = 64
"""Sets of columns whose declaration is kept; scripts have a handful of queries, and callers may not fill memory."""

_number = msgspec.json.Decoder(int).decode


class _ScannedPage(NamedTuple):
    limit: int
    offset: int
    total: int
    sessions: ScannedRows


class SessionScanner:
    """What the extension does for sessions; nothing, where it is not there."""

    def __init__(self) -> None:
        self._module = extension()
        self._readers: dict[tuple[str, ...], PageScanner] = {}

    def reader(self, names: tuple[str, ...]) -> Callable[[bytes], Any] | None:
        """What reads a page with what some legacy columns come from; None where the extension is not there."""
        scanner = self._reader(names)
        return None if scanner is None else lambda body: _page(scanner, body)

    def columns(self, rows: Sequence[Any], names: tuple[str, ...]) -> Callable[[str], Sequence[Any]] | None:
        """What some legacy columns come from.

        Args:
            rows: the sessions: their texts, or what :meth:`reader` made of a page.
            names: the legacy columns.

        Returns:
            gives by its path what stands there in each session: UNSET for nothing, bytes for a text that is still to be
            read. None where the plain way has to decide.
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
        if any(bytes in {*map(type, values[name])} for name in ("id", "applicationId")):
            return None
        return values.__getitem__

    def _reader(self, names: tuple[str, ...]) -> PageScanner | None:
        scanner = self._readers.get(names)
        if scanner is None and self._module is not None:
            scanner = PageScanner(self._module, [*_fields(names)])
            if len(self._readers) < _MOST_QUERIES:
                self._readers[names] = scanner
        return scanner


def _page(scanner: PageScanner, body: bytes) -> _ScannedPage:
    found = scanner.scan(body, "sessions")
    if found is None:
        raise Declined
    limit, offset, total = (_number(found.rest.get(name, b"")) for name in ("limit", "offset", "total"))
    return _ScannedPage(limit, offset, total, found.rows)


def _fields(names: Sequence[str]) -> Iterator[Within]:
    sources = {"id", "applicationId"}
    for name in names:
        sources.update(RULES[name].sources)
    for name, field in SessionOutputSchema._declared_fields.items():
        if name in sources and name != "metadata":
            flags = CHECKED | (REQUIRED if field.required else 0)
            yield Within(name, types_of(field), flags, name)  # type: ignore[arg-type]  # the schema's fields are ours
    own = [Within(name, ANY, 0, f"{OWN_PATH}{name}") for name in looked_up_names() if name in names]
    carried = [Within(name, ANY, 0, f"{CARRIED_PATH}{name}") for name in names if RULES[name].carries]
    yield Within("metadata", _OBJECT | NULL, CHECKED, "", [*own, Within(CARRIED_KEY, _OBJECT, CHECKED, "", carried)])
