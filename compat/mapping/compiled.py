"""The declarations as typed decoders and encoders, made once at import (contract, section 5, law 5).

Decoding into these types checks what the marshmallow schemas check; what they do not accept goes to the schemas,
which decide and word the error. A carried value's stand-in is the default of its attribute, so that filling a
record in is nothing but decoding it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from compat.schemas import COLUMNS, SessionOutputSchema
from compat.schemas.fields import Record, Typed
from compat.schemas.rules import Application, Constant, Default, Identifier, LookedUp, Rule
from compat.schemas.student import CARRIED_KEY

__all__ = ["carried_session_type", "columns_type", "student_type"]


def _attribute(name: str, field: Typed) -> tuple[Any, ...]:
    if field.required and not field.allow_none:
        return (name, field.compiled_type)
    return (name, field.compiled_type | None, None)


def _extras(names: Sequence[str]) -> list[tuple[Any, ...]]:
    return [(name, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for name in names]


@lru_cache(maxsize=64)
def student_type(extra_fields: tuple[str, ...] = ()) -> type[msgspec.Struct]:
    """The legacy record as an upstream of the same vendor writes it; fields beyond the 57 only if named."""
    attributes = [_attribute(name, column) for name, column in COLUMNS.items()]
    return msgspec.defstruct("Student", attributes + _extras(extra_fields), kw_only=True, gc=False)


@lru_cache(maxsize=256)
def columns_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """Only the ids and the columns that a query looks at."""
    chosen = dict.fromkeys(("id", "exam_id", *names))
    return msgspec.defstruct("Columns", [_attribute(name, COLUMNS[name]) for name in chosen], kw_only=True, gc=False)


@lru_cache(maxsize=64)
def carried_session_type(extra_fields: tuple[str, ...] = ()) -> type[msgspec.Struct]:
    """A session down to what its legacy record is made of.

    The carried object decodes straight into the legacy record's attributes: those that it lacks get their stand-in,
    or UNSET where the stand-in depends on the session.
    """
    carried = [(name, *_carried(column)) for name, column in COLUMNS.items()]
    record = msgspec.defstruct("Carried", carried + _extras(extra_fields), kw_only=True, gc=False)
    keys = [(n, COLUMNS[n].compiled_type | msgspec.UnsetType | None, msgspec.UNSET) for n in looked_up_names()]
    metadata = msgspec.defstruct(
        "Metadata", [*keys, (CARRIED_KEY, record | msgspec.UnsetType, msgspec.UNSET)], kw_only=True, gc=False
    )
    fields: dict[str, Typed] = dict(SessionOutputSchema._declared_fields)  # type: ignore[arg-type]
    sources = {source for column in COLUMNS.values() for source in (column.rule or Rule()).sources}
    attributes: list[tuple[Any, ...]] = []
    for name, field in fields.items():
        if isinstance(field, Record):
            attributes.append((name, metadata | None, None))
        elif name in sources:
            attributes.append(_attribute(name, field))
    return msgspec.defstruct("Session", attributes, kw_only=True, gc=False)


def carried_record_type(session: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The type of the legacy record inside a session type."""
    metadata = next(field for field in msgspec.structs.fields(session) if field.name == "metadata").type
    struct = next(part for part in metadata.__args__ if part is not type(None))
    carried = next(field for field in msgspec.structs.fields(struct) if field.name == CARRIED_KEY).type
    return next(part for part in carried.__args__ if part is not msgspec.UnsetType)  # type: ignore[no-any-return]


def looked_up_names() -> tuple[str, ...]:
    """The legacy fields that metadata's own keys or the roster know."""
    return tuple(name for name, column in COLUMNS.items() if isinstance(column.rule, LookedUp))


def _carried(column: Typed) -> tuple[Any, Any]:
    rule = column.rule
    if isinstance(rule, Application | Identifier):
        # A carried id is never shown, whatever its type.
        return Any, None
    if isinstance(rule, Constant | Default):
        default = msgspec.field(default_factory=list) if rule.value == [] else rule.value
        return column.compiled_type | None, default
    return column.compiled_type | msgspec.UnsetType | None, msgspec.UNSET
