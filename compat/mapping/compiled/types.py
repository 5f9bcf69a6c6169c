"""The types that the compiled form decodes into and encodes from, derived once from the schemas.

An attribute's default is the stand-in of its rule, so that filling a record in is nothing but decoding it; a
stand-in that depends on the session is UNSET, and is filled in afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from compat.schemas import COLUMNS, SessionOutputSchema
from compat.schemas.fields import Typed
from compat.schemas.student import CARRIED_KEY, RULES
from compat.text.json import unmasked

__all__ = ["CARRIED_PATH", "OWN_PATH", "SessionTypes", "looked_up_names", "odd_paths", "session_types", "student_type"]

OWN_PATH = "metadata."
"""What the paths of the metadata's own keys begin with, as the decoder's errors name them."""

CARRIED_PATH = f"{OWN_PATH}{CARRIED_KEY}."
"""What the paths of carried values begin with."""

_encode = msgspec.json.Encoder().encode
Attribute = tuple[Any, ...]


def struct(name: str, attributes: Iterable[Attribute], **options: Any) -> type[msgspec.Struct]:
    """A record type: keyword-only, and left out of garbage collection, since records hold no cycles."""
    return msgspec.defstruct(name, list(attributes), kw_only=True, gc=False, **options)


def _text(session: msgspec.Struct) -> bytes:
    """What a session was decoded from, as far as it was looked at."""
    return unmasked(_encode(session))


def _declared(name: str, field: Typed) -> Attribute:
    if field.required and not field.allow_none:
        return (name, field.compiled_type)
    return (name, field.compiled_type | None, None)


def _extras(names: Sequence[str]) -> list[Attribute]:
    # The attribute has a name of its own: a JSON key need not be an identifier.
    return [
        (f"extra_{place}", Raw | UnsetType, msgspec.field(default=UNSET, name=name))
        for place, name in enumerate(dict.fromkeys(names))
    ]


def looked_up_names() -> tuple[str, ...]:
    """The legacy fields that metadata's own keys or the roster know."""
    return tuple(name for name, rule in RULES.items() if rule.category == "looked up")


@lru_cache(maxsize=256)
def student_type(
    names: tuple[str, ...] = tuple(COLUMNS),
    extra_fields: tuple[str, ...] = (),
    as_text: frozenset[str] = frozenset(),
) -> type[msgspec.Struct]:
    """A record as an upstream of the same vendor writes it.

    Args:
        names: the columns to look at, ``id`` and ``exam_id`` among them.
        extra_fields: fields beyond the 57 that are kept, as their text.
        as_text: the columns that are kept as their text, whatever its type.
    """
    declared = [(name, Raw, None) if name in as_text else _declared(name, COLUMNS[name]) for name in names]
    return struct("Student", declared + _extras(extra_fields))


class SessionTypes(msgspec.Struct, frozen=True):
    """The types of a session, and of the legacy record in it.

    Attributes:
        session: the session, down to what its legacy record is made of.
        page: a page of sessions.
        metadata: the session's metadata, down to what is looked at.
        record: the carried object, which decodes straight into a legacy record.
    """

    session: type[msgspec.Struct]
    page: type[msgspec.Struct]
    metadata: type[msgspec.Struct]
    record: type[msgspec.Struct]


@lru_cache(maxsize=256)
def session_types(
    names: tuple[str, ...] = tuple(COLUMNS),
    extra_fields: tuple[str, ...] = (),
    as_text: frozenset[str] = frozenset(),
) -> SessionTypes:
    """Types that hold what some legacy columns of a session come from.

    Args:
        names: the legacy columns to look at.
        extra_fields: carried fields beyond the 57 that are kept, as their text.
        as_text: of :func:`odd_paths`, those of which the value is kept as its text, whatever its type.
    """
    carried = [(name, *_carried(name, as_text=f"{CARRIED_PATH}{name}" in as_text)) for name in names]
    record = struct("Carried", carried + _extras(extra_fields))
    own = [
        (name, (Raw if f"{OWN_PATH}{name}" in as_text else COLUMNS[name].compiled_type | None) | UnsetType, UNSET)
        for name in looked_up_names()
        if name in names
    ]
    metadata = struct("Metadata", [*own, (CARRIED_KEY, record | UnsetType, UNSET)])
    fields: Mapping[str, Any] = SessionOutputSchema._declared_fields
    sources = {"id", "applicationId"}
    for name in names:
        sources.update(RULES[name].sources)
    attributes = [
        (name, metadata | None, None) if field.json == "object" else _declared(name, field)
        for name, field in fields.items()
        if name in sources or field.json == "object"
    ]
    session = struct("Session", attributes, namespace={"__bytes__": _text})
    page = [("limit", int), ("offset", int), ("sessions", list[session]), ("total", int)]  # type: ignore[valid-type]
    return SessionTypes(session, struct("SessionsPage", page), metadata, record)


def odd_paths() -> dict[str, Typed]:
    """By the path in a session, the legacy field of each value of its metadata that may have any type."""
    own = {f"{OWN_PATH}{name}": COLUMNS[name] for name in looked_up_names()}
    carried = {f"{CARRIED_PATH}{name}": column for name, column in COLUMNS.items() if RULES[name].carries}
    return own | carried


def _carried(name: str, *, as_text: bool) -> Attribute:
    rule = RULES[name]
    if not rule.carries:
        # A carried id is never shown, whatever its type.
        return Any, None
    declared = Raw if as_text else COLUMNS[name].compiled_type | None
    return (declared | UnsetType if rule.always is UNSET else declared), rule.always
