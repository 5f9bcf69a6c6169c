"""How each type of column reads a filter's value and compares a record's (contract, section 1).

A *comparable* is what stands for a value in comparisons: an ``int``, a ``bool``, a ``str`` or an
:data:`~compat.instants.Instant`. Within one column all comparables are of one type, and null is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from compat import instants
from compat.json_text import Number
from compat.schemas.fields import Boolean, Integer, String, Time, Typed

__all__ = ["Comparable", "comparable", "read_value"]

Comparable = int | bool | str | instants.Instant

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_QUOTED_MILLISECONDS = re.compile(r"-?[0-9]{11,13}", re.ASCII)
_LARGEST_EXPONENT = 400
_LONGEST = 4000
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def read_value(column: Typed, value: Any, zone: tzinfo) -> Comparable | None:
    """Read a value of a filter, as :func:`compat.json_text.loads_strictly` gave it.

    Raises:
        ValueError: the column's type cannot read it; the text states the rule.
    """
    if value is None:
        return None
    return _READERS[type(column)](value, zone)


def _whole_number(value: Number) -> int | None:
    if len(value.text) > _LONGEST:
        return None
    try:
        number = Decimal(value.text)
    except InvalidOperation:  # an exponent beyond any number that there is
        return None
    if abs(number.adjusted()) > _LARGEST_EXPONENT + len(value.text):
        return None
    return int(number) if number == number.to_integral_value() else None


def _read_integer(value: Any, zone: tzinfo) -> int:
    found: int | None = None
    if isinstance(value, Number):
        found = _whole_number(value)
    elif isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= _LONGEST:
        found = int(value)
    if found is None:
        raise ValueError("Must be an integer, or its digits as text")
    return found


def _read_boolean(value: Any, zone: tzinfo) -> bool:
    text = value.text if isinstance(value, Number) else value
    if isinstance(text, bool):
        return text
    if not isinstance(text, str) or text.lower() not in _BOOLEANS:
        raise ValueError("Must be one of: true, false, 1, 0")
    return _BOOLEANS[text.lower()]


def _read_string(value: Any, zone: tzinfo) -> str:
    if isinstance(value, Number):
        return value.text
    if not isinstance(value, str):
        raise ValueError("Must be a String")
    return value


def _read_time(value: Any, zone: tzinfo) -> instants.Instant:
    if isinstance(value, Number):
        milliseconds = _whole_number(value)
    elif isinstance(value, str) and _QUOTED_MILLISECONDS.fullmatch(value):
        milliseconds = int(value)
    elif isinstance(value, str):
        try:
            return instants.read(value, zone)
        except ValueError:
            hint = "; a + in a URL has to be sent as %2B" if " " in value else ""
            raise ValueError(_TIME_RULE + hint) from None
    else:
        milliseconds = None
    if milliseconds is None:
        raise ValueError(_TIME_RULE)
    return instants.from_milliseconds(milliseconds)


_TIME_RULE = "Must be a time such as 2018-11-17T17:09:39.373+01:00, a date such as 2018-11-17, or epoch milliseconds"
_READERS: dict[type[Typed], Callable[[Any, tzinfo], Comparable]] = {
    Integer: _read_integer,
    Boolean: _read_boolean,
    String: _read_string,
    Time: _read_time,
}


def comparable(column: Typed, value: Any, zone: tzinfo) -> Comparable | None:
    """What stands for a record's value in comparisons.

    Raises:
        ValueError: the value has another type than the column; the text says which it should be.
    """
    if value is None:
        return None
    if not column.accepts(value):
        raise ValueError(column.kind)
    if isinstance(column, Time):
        try:
            return instants.read(value, zone)
        except ValueError:
            raise ValueError(column.kind) from None
    found: Comparable = value.integer() if isinstance(value, Number) else value
    return found
