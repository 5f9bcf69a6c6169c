"""The legacy record, and what holds it, as JSON schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from compat.schemas import COLUMNS
from compat.schemas.fields import Array, Boolean, Integer, Record, String, Time, Typed

__all__ = ["TYPES", "record_schema", "wrapped"]

TYPES: dict[type[Typed], dict[str, Any]] = {
    Integer: {"type": "integer"},
    Boolean: {"type": "boolean"},
    String: {"type": "string"},
    Time: {"type": "string", "format": "date-time"},
    Array: {"type": "array", "items": {}},
    Record: {"type": "object"},
}
"""A field's class to its JSON type."""


def record_schema(extra_fields: Literal["all"] | Sequence[str], *, mapped: bool) -> dict[str, Any]:
    """The student, with the 57 fields of the declaration.

    Args:
        extra_fields: fields beyond them that are let through: "all" or their names.
        mapped: the record is made of a session, so each field says where it comes from.
    """
    properties = {name: _field_schema(column, mapped=mapped) for name, column in COLUMNS.items()}
    if extra_fields != "all":
        properties |= {name: {} for name in extra_fields if name not in properties}
    return {
        "type": "object",
        "description": "A student of an exam. A field that nothing is known of is null.",
        "properties": properties,
        "required": list(COLUMNS),
        "additionalProperties": extra_fields == "all",
    }


def wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An object with a single key."""
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _field_schema(column: Typed, *, mapped: bool) -> dict[str, Any]:
    schema = dict(TYPES[type(column)])
    if column.allow_none:
        schema["type"] = [schema["type"], "null"]
    if mapped and column.rule is not None:
        schema["description"] = f"{column.rule.category.capitalize()}: {column.rule.derived_from}."
    return schema
