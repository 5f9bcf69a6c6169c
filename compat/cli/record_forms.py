"""How records are written: JSON, NDJSON and CSV, each from records that are JSON text already."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from compat.json_text import dumps, loads

__all__ = ["CsvForm", "Form", "JsonForm", "NdjsonForm"]


class Form(Protocol):
    """A way to write records one after the other; every part is UTF-8."""

    def beginning(self) -> bytes:
        """What comes before the first record."""

    def record(self, text: bytes) -> bytes:
        """One record, given as JSON."""

    def end(self) -> bytes:
        """What comes after the last."""


class NdjsonForm:
    """A record a line."""

    def beginning(self) -> bytes:
        return b""

    def record(self, text: bytes) -> bytes:
        # A line break between two tokens is legal in JSON; here it would make two lines of one record.
        return (msgspec.json.format(text, indent=-1) if b"\n" in text else text) + b"\n"

    def end(self) -> bytes:
        return b""


class JsonForm:
    """One JSON document.

    Args:
        key: of the object that holds the array of records; None for the array alone.
    """

    def __init__(self, key: str | None = None) -> None:
        self._opening, self._closing = ("[", "]") if key is None else (f'{{"{key}":[', "]}")
        self._separator = b""

    def beginning(self) -> bytes:
        return self._opening.encode()

    def record(self, text: bytes) -> bytes:
        separator, self._separator = self._separator, b","
        return separator + text

    def end(self) -> bytes:
        return self._closing.encode() + b"\n"


class CsvForm:
    """A heading and a row a record; null is empty, nested values, numbers and booleans are their JSON.

    Args:
        columns: the fields, in their order.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def beginning(self) -> bytes:
        return _row(self._columns)

    def record(self, text: bytes) -> bytes:
        record = loads(text)
        return _row([_field(record.get(name)) for name in self._columns])

    def end(self) -> bytes:
        return b""


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)


def _row(fields: Sequence[str]) -> bytes:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(fields)
    # Half of a surrogate pair is legal in JSON and not in UTF-8.
    return row.getvalue().encode(errors="backslashreplace")
