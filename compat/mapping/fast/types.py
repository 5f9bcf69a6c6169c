"""The declarations as msgspec types, and fields that hold other types than those declared.

An attribute's default is the stand-in of its rule, so that filling a record in is nothing but decoding it; a
stand-in that depends on the session is UNSET, and is filled in afterwards.

Which field holds another type is read off the decoder's own error. From then on a decoder is used that keeps this
field as its text, which costs no more than reading it. One decoder is in use at a time, and each field is found out
once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from compat.drift import DRIFT
from compat.mapping.fast.scanner import REFUSED
from compat.schemas import COLUMNS, SessionOutputSchema
from compat.schemas.fields import Typed, json_type
from compat.schemas.student import CARRIED_KEY, RULES
from compat.text.json import array_of, decode_masked, loads, unmasked

__all__ = [
    "CARRIED_PATH",
    "OWN_PATH",
    "OddFields",
    "SessionTypes",
    "has_negative_zero",
    "looked_up_names",
    "odd_paths",
    "session_types",
    "student_type",
    "typed_values",
]

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


_T = TypeVar("_T")
_PLACE = re.compile(r" - at `\$(?:(?:\.\w+)?\[[^\]]*\])?\.([^`]+)`\Z")
_ZERO = re.compile(rb"-0[,}\]\s]")
_BEFORE = 64
"""Bytes before a value in which its colon is looked for."""


class OddFields:
    """The fields of which some record has shown a value of another type; safe across threads.

    Args:
        columns: the declarations of the fields that may have one, by their path in a record as the decoder's errors
            name it.

    Attributes:
        found: the paths of those that have shown one.
        masking: whether lone surrogates have been masked.
    """

    def __init__(self, columns: Mapping[str, Typed]) -> None:
        self._columns = columns
        self._all = frozenset(columns)
        self._integers = frozenset(path for path, column in columns.items() if column.json == "integer")
        self._reported: frozenset[str] = frozenset()
        self.found: frozenset[str] = frozenset()
        self.masking = False

    def decode(
        self,
        body: bytes,
        decoder: Callable[[frozenset[str]], Callable[[bytes], _T]],
        values: Callable[[_T, str], Sequence[Any]],
        paths: Collection[str] | None = None,
        *,
        shown: bool = True,
    ) -> _T:
        """Decode a page or its records.

        Args:
            body: the JSON text.
            decoder: gives the decoder that keeps some fields as their text.
            values: a field's values out of what was decoded.
            paths: the fields that it looks at; None for all.
            shown: whether the records are for a caller, so that drift is reported.

        Returns:
            what was decoded; lone surrogates are masked in its texts once :attr:`masking` says so.

        Raises:
            ValueError: another field has a value of another type, or it is no JSON.
            RecursionError: it is nested too deeply.
        """
        looked_at = self._all if paths is None else self._all.intersection(paths)
        if shown and not self._integers <= self.found and has_negative_zero(body):
            # An integer would lose its sign, and the decoder says nothing of that.
            self.found |= self._integers
        fields = self.found & looked_at
        try:
            value, masked = decode_masked(decoder(fields), body)
        except msgspec.ValidationError as error:
            fields |= {self._path(error)}
            try:
                value, masked = decode_masked(decoder(fields), body)
            except msgspec.ValidationError:
                # Several fields: with all of them as texts, one look at each says which.
                value, masked = decode_masked(decoder(looked_at), body)
                fields |= {path for path in looked_at if not _fits(self._columns[path], values(value, path))}
            self.found |= fields
        self.masking |= masked
        if shown and not fields <= self._reported:
            for path in fields - self._reported:
                self._report(path, values(value, path))
        return value

    def _path(self, error: msgspec.ValidationError) -> str:
        """The field that an error is about.

        Raises:
            msgspec.ValidationError: that error, where the field has to be of its type.
        """
        place = _PLACE.search(str(error))
        if place is None or place[1] not in self._columns:
            raise error
        return place[1]

    def _report(self, path: str, values: Sequence[Any]) -> None:
        column = self._columns[path]
        if _fits(column, values):
            return
        for text in values:
            value = _shallow(bytes(text)) if isinstance(text, Raw) else None
            if value is not None and not column.accepts(value):
                self._reported |= {path}
                DRIFT.report(path.rpartition(".")[2], json_type(value))
                return


def has_negative_zero(body: bytes) -> bool:
    """Whether a value of some JSON may be ``-0``; a text that reads like one counts as well."""
    for found in _ZERO.finditer(body):
        begin = found.start()
        if body[max(begin - _BEFORE, 0) : begin].rstrip().endswith((b":", b"[", b",")):
            return True
    return False


def _fits(column: Typed, values: Sequence[Any]) -> bool:
    """Whether the values that are kept as texts are all of the field's type, or null."""
    texts = [text for text in values if isinstance(text, Raw)]
    try:
        typed_values(column)(array_of(texts))
    except REFUSED:
        return False
    return True


def typed_values(column: Typed) -> Callable[[bytes], list[Any]]:
    """Decodes an array of a field's values, null among them."""
    return _decoder(column.compiled_type)


@lru_cache(maxsize=16)
def _decoder(compiled_type: Any) -> Callable[[bytes], list[Any]]:
    return msgspec.json.Decoder(list[compiled_type | None]).decode


def _shallow(text: bytes) -> Any:
    """A value whose type is all that matters: what is in an array or object is not read."""
    if text.startswith((b"[", b"{")):
        return [] if text.startswith(b"[") else {}
    return loads(text)
