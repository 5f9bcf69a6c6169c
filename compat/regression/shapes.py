"""What a report may show of a value: itself where it says nothing of a person, else only its shape."""

from __future__ import annotations

from typing import Any

from compat.json_text import Number, dumps, loads
from compat.regression.differences import Difference
from compat.schemas import COLUMNS
from compat.schemas.fields import json_type

__all__ = ["shown"]

_LONGEST = 60


def shown(difference: Difference, value: Any, pseudonymised: bool) -> str:
    """One of the two values of a difference, for people.

    Args:
        difference: the difference.
        value: its old or new value.
        pseudonymised: whether personal values are pseudonyms already, so that they may be shown.
    """
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
