"""How the value of a filter is read: one function per column type, each refusing what it cannot read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import tzinfo
from decimal import Decimal, InvalidOperation

from compat.testing.sandbox.instants import Instant, read_instant, read_milliseconds
from compat.testing.sandbox.json_text import Number

MOST_DIGITS = 400

Readable = int | bool | str | Instant


def read_whole_number(text: str) -> int:
    """The whole number that a number's text stands for: 5, 5.0, 1e2; bounded, so that 1e999999 is refused."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text} is not a whole number.") from error
    if value.is_zero():
        return 0
    if value.adjusted() >= MOST_DIGITS or value != int(value):
        raise ValueError(f"{text} is not a whole number of at most {MOST_DIGITS} digits.")
    return int(value)


def read_integer(value: object, zone: tzinfo) -> int:
    """A JSON number with a whole value, or digits as text."""
    if isinstance(value, Number):
        return read_whole_number(value.text)
    if isinstance(value, str) and re.fullmatch("-?[0-9]+", value):
        return read_whole_number(value)
    raise ValueError("Must be a whole number.")


def read_boolean(value: object, zone: tzinfo) -> bool:
    """true, false, 1 or 0, as JSON or as text in any case."""
    if isinstance(value, bool):
        return value
    text = value.text if isinstance(value, Number) else value
    if isinstance(text, str) and text.lower() in ("true", "1"):
        return True
    if isinstance(text, str) and text.lower() in ("false", "0"):
        return False
    raise ValueError("Must be one of: true, false, 1, 0.")


def read_string(value: object, zone: tzinfo) -> str:
    """A text, or a number's own text."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return value
    raise ValueError("Must be a text.")


def read_time(value: object, zone: tzinfo) -> Instant:
    """An ISO 8601 text, or milliseconds since 1970 as a whole number or as 11 to 13 digits of text."""
    if isinstance(value, Number):
        return read_milliseconds(read_whole_number(value.text))
    if not isinstance(value, str):
        raise ValueError("Must be a time.")
    if re.fullmatch("-?[0-9]{11,13}", value):
        return read_milliseconds(int(value))
    return read_instant(value, zone)


READERS: dict[str, Callable[[object, tzinfo], Readable]] = {
    "integer": read_integer,
    "boolean": read_boolean,
    "string": read_string,
    "time": read_time,
}
