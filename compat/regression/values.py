"""What became of a value: two texts of JSON, and the name of the difference between them."""

from __future__ import annotations

import re
import unicodedata
from datetime import tzinfo
from functools import lru_cache
from typing import Any

import msgspec

from compat import instants
from compat.json_text import Number, dumps, loads
from compat.schemas import COLUMNS
from compat.schemas.fields import Time, json_type

__all__ = ["change_of_value"]

_LONGEST_REMEMBERED = 256
_ESCAPED = re.compile(r"[&?\x00-\x1f\x7f]")
_BLANKS = re.compile(r"\s+")


def change_of_value(field: str, old: Any, new: Any, zone: tzinfo) -> str | None:
    """The kind of difference between two values of a field; None where they say the same in other characters.

    Args:
        field: the name of the field.
        old: the old value's JSON text.
        new: the new one's.
        zone: of times without an offset.
    """
    was, now = bytes(old), bytes(new)
    # Values repeat, those that everybody leaves at their default above all; long ones are nobody's default.
    short = len(was) + len(now) <= _LONGEST_REMEMBERED
    return (_remembered if short else _change_of_texts)(field, was, now, zone)


def _change_of_texts(field: str, old: bytes, new: bytes, zone: tzinfo) -> str | None:
    if old == new:
        return None
    if old == b"null" or new == b"null":
        return "was null" if old == b"null" else "became null"
    try:
        return _change(field, _read(old), _read(new), zone)
    except ValueError:
        return "text"


_remembered = lru_cache(maxsize=4096)(_change_of_texts)


def _read(text: bytes) -> Any:
    if text[:1] == b'"':
        try:
            return msgspec.json.decode(text)
        except msgspec.MsgspecError:
            pass
    return loads(text)


def _change(field: str, was: Any, now: Any, zone: tzinfo) -> str | None:
    if json_type(was) != json_type(now):
        return "type"
    if isinstance(was, bool):
        return None if was == now else "boolean"
    if isinstance(was, str):
        return None if was == now else _change_of_text(field, was, now, zone)
    if isinstance(was, int | Number):
        return _change_of_number(was, now)
    if isinstance(was, list):
        return _change_of_items(was, now)
    # As text: Python takes true for 1.
    return None if dumps(was) == dumps(now) else "items"


def _change_of_number(was: Any, now: Any) -> str | None:
    one, other = (each.text if isinstance(each, Number) else str(each) for each in (was, now))
    if one == other:
        return None
    return "number text" if msgspec.json.decode(one) == msgspec.json.decode(other) else "number"


def _change_of_items(was: list[Any], now: list[Any]) -> str | None:
    one, other = list(map(dumps, was)), list(map(dumps, now))
    if one == other:
        return None
    return "items order" if sorted(one) == sorted(other) else "items"


def _change_of_text(field: str, was: str, now: str, zone: tzinfo) -> str:
    if field in COLUMNS and isinstance(COLUMNS[field], Time):
        try:
            return "time text" if instants.read(was, zone) == instants.read(now, zone) else "instant"
        except ValueError:
            return "text"
    if now and was.startswith(now):
        return "truncated" if _BLANKS.sub("", was) != _BLANKS.sub("", now) else "blanks"
    if _BLANKS.sub("", was) == _BLANKS.sub("", now):
        return "blanks"
    if was.casefold() == now.casefold():
        return "letter case"
    return "characters" if _same_letters(was, now) else "text"


def _same_letters(one: str, other: str) -> bool:
    if one.isascii() and other.isascii() and not _ESCAPED.search(one + other):
        return False
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    """The text without what encodings, escapes and forms of one letter do to it."""
    for _ in range(2):
        text = _unescaped(text)
    for encoding in ("latin-1", "cp1252"):
        try:
            text = text.encode(encoding).decode("utf-8")
            break
        except UnicodeError:
            continue
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if char.isascii() and char != "?" and char.isprintable())


def _unescaped(text: str) -> str:
    # Only here: few answers ever need it.
    import html

    return html.unescape(text)
