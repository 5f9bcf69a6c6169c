"""The body of an answer, read just as far as comparing needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

__all__ = ["Content", "ids_of", "members", "read_content"]


class _List(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    students: list[msgspec.Raw]


class _One(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    student: msgspec.Raw


class _Identified(msgspec.Struct, gc=False):
    id: msgspec.Raw = msgspec.Raw(b"")


class _Failure(msgspec.Struct, gc=False):
    error: msgspec.Raw = msgspec.Raw(b"")
    errors: msgspec.Raw = msgspec.Raw(b"")


_list = msgspec.json.Decoder(_List).decode
_one = msgspec.json.Decoder(_One).decode
_identified = msgspec.json.Decoder(_Identified).decode
_failure = msgspec.json.Decoder(_Failure).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Content(msgspec.Struct, frozen=True, gc=False):
    """A body by its form.

    Attributes:
        form: a list of records, one record, an error, any other JSON object, nothing at all, or what is no such thing.
        records: the JSON text of each record.
        error: the message of an error, as JSON text.
        parameters: the names of the parameters that an error is about, sorted.
    """

    form: Literal["list", "one", "error", "other", "empty", "unreadable"]
    records: Sequence[msgspec.Raw] = ()
    error: bytes = b""
    parameters: tuple[str, ...] = ()


def read_content(body: bytes, status: int) -> Content:
    """Read a body; whatever it is, it has a form."""
    if not body:
        return Content("empty")
    try:
        if status >= 400:
            found = _failure(body)
            errors = msgspec.json.decode(found.errors) if found.errors else {}
            names = tuple(sorted(errors)) if isinstance(errors, dict) else ()
            return Content("error", error=bytes(found.error), parameters=names)
        return Content("list", _list(body).students)
    except _UNREADABLE:
        pass
    return _other(body)


def _other(body: bytes) -> Content:
    try:
        return Content("one", [_one(body).student])
    except _UNREADABLE:
        pass
    try:
        _members(body)
    except _UNREADABLE:
        return Content("unreadable")
    return Content("other")


def ids_of(records: Sequence[msgspec.Raw]) -> list[str] | None:
    """The id of each record as its JSON text; None where one has none."""
    try:
        found = [str(bytes(_identified(record).id), "utf-8") for record in records]
    except _UNREADABLE:
        return None
    return found if all(found) else None


def members(record: Any) -> Mapping[str, msgspec.Raw] | None:
    """The fields of a record, each as its JSON text; None where it is no object."""
    try:
        found: Mapping[str, msgspec.Raw] = _members(record)
    except _UNREADABLE:
        return None
    return found
