"""What can differ between two answers: every kind by name, and where one was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["ASPECTS", "KINDS", "Difference", "Place"]

KINDS: Mapping[str, str] = {
    "access": "access",
    "no answer": "status",
    "status": "status",
    "error message": "error",
    "error parameters": "error",
    "body unreadable": "body",
    "body shape": "body",
    "header missing": "headers",
    "header value": "headers",
    "record missing": "membership",
    "record added": "membership",
    "record twice": "membership",
    "record once": "membership",
    "page boundary": "page boundary",
    "order": "order",
    "order of ties": "order",
    "field missing": "fields",
    "field added": "fields",
    "field order": "fields",
    "became null": "values",
    "was null": "values",
    "stand-in": "values",
    "type": "values",
    "number": "values",
    "number text": "values",
    "boolean": "values",
    "instant": "values",
    "time text": "values",
    "truncated": "values",
    "blanks": "values",
    "letter case": "values",
    "characters": "values",
    "text": "values",
    "items": "values",
    "items order": "values",
}
"""Every kind of difference, with the aspect of the answer that it belongs to."""

ASPECTS = tuple(dict.fromkeys(KINDS.values()))
"""What has a verdict of its own; the time that the answers took has one beside these."""

Place = tuple[str, object, str | None]
"""The aspect, the record and the field: where readings that follow each other are compared with each other."""


class Difference(msgspec.Struct, frozen=True, gc=False):
    """One difference between what the old endpoint answered and what the new one did.

    Attributes:
        kind: one of :data:`KINDS`.
        record: the id of the record that it is in, as its JSON text; None outside records.
        field: the field of the record, or the header; None for what is of neither.
        old: the old value as JSON text, personal as it came; None for none.
        new: the new one.
        records: in how many records of the answer it is, where it is counted and not placed.
    """

    kind: str
    record: str | None = None
    field: str | None = None
    old: Any = None
    new: Any = None
    records: int = 1

    @property
    def aspect(self) -> str:
        """What of the answer it belongs to."""
        return KINDS[self.kind]

    @property
    def place(self) -> Place:
        """Where it is, whatever its kind: a list has one order, and a record is on its page or not."""
        aspect = KINDS[self.kind]
        if aspect == "order":
            return aspect, None, None
        return "membership" if aspect == "page boundary" else aspect, self.record, self.field

    def __repr__(self) -> str:
        """Where and what kind, without the values."""
        return f"<Difference {self.kind!r} record={self.record} field={self.field}>"
