"""What became of a value: the difference between two texts of JSON by name, and what a report may show of it."""

from __future__ import annotations

import re
import unicodedata
from datetime import tzinfo
from functools import lru_cache
from typing import Any

import msgspec

from compat.regression.comparing.known import Difference
from compat.schemas import COLUMNS
from compat.schemas.fields import json_type
from compat.text import instants
from compat.text.json import Number, dumps, loads

__all__ = [
    "change_of_value",
    "shown",
]

_LONGEST_REMEMBERED = 256
_ESCAPED = re.compile(r"[&?\x00-\x1f\x7f]")
_BLANKS = re.compile(r"\s+")


def change_of_value(field: str, old: Any, new: Any, zone: tzinfo) -> str | None:
    """The kind of difference between two JSON texts of a field; None where they say the same in other characters."""
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
    if field in COLUMNS and COLUMNS[field].is_time:
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
    # Only here: few answers ever need it.
    import html

    text = html.unescape(html.unescape(text))
    for encoding in ("latin-1", "cp1252"):
        try:
            text = text.encode(encoding).decode("utf-8")
            break
        except UnicodeError:
            continue
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if char.isascii() and char != "?" and char.isprintable())


_LONGEST = 60


def shown(difference: Difference, value: Any, pseudonymised: bool) -> str:
    """The old or new value of a difference, for people; personal ones only where they are pseudonyms already."""
    if value is None:
        return "absent"
    if difference.field is None or difference.record is None:
        return _outside_records(difference, value, pseudonymised)
    text = bytes(value)
    try:
        read = loads(text)
    except ValueError:
        return f"{len(text)} bytes that are no JSON"
    if _may_be_shown(difference.field, read) or pseudonymised:
        return _short(dumps(read))
    return _shape(read)


def _outside_records(difference: Difference, value: Any, pseudonymised: bool) -> str:
    """Of what the two sides are called, a status, a header, or the text of an error, in which a value may stand."""
    if isinstance(value, str):
        return _short(value)
    read = loads(bytes(value)) if bytes(value) else None
    return _short(dumps(read)) if pseudonymised else _shape(read)


def _may_be_shown(field: str, value: Any) -> bool:
    if value is None or value in ("", [], {}) or isinstance(value, bool):
        return True
    kept = COLUMNS[field].kept if field in COLUMNS else False
    return kept is True or (isinstance(kept, tuple) and value in kept)


def _shape(value: Any) -> str:
    """What a value is, without what it says."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, int | Number) and not isinstance(value, bool):
        digits = value.text if isinstance(value, Number) else str(value)
        return f"a number of {len(digits.lstrip('-'))} digits"
    if isinstance(value, list | dict):
        return f"{json_type(value)} of {len(value)}"
    return dumps(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
