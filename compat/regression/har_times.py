"""The times of a HAR file, which each of its writers writes in another way."""

from __future__ import annotations

import math
import re
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from compat import instants

__all__ = ["seconds_of", "started_at"]

_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_LAST = 253_402_300_800
"""The end of the year 9999, in seconds since the epoch."""


def started_at(value: Any) -> float | None:
    """When a request was begun, in seconds since the epoch; None where nothing can be told.

    Text is ISO 8601 with any number of digits, without a zone in UTC, or a date as HTTP writes it. Numbers count from
    the epoch, in seconds, or in milliseconds, microseconds or nanoseconds where seconds would be beyond the year 5000.
    """
    found = _of_text(value.strip()) if isinstance(value, str) else _of_number(value)
    return found if found is not None and 0 < found < _LAST else None


def seconds_of(value: Any) -> float | None:
    """A duration in seconds, given in milliseconds; None where it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) / 1000 if 0 <= value < 1e12 else None


def _of_number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e20:
        return None
    seconds = float(value)
    while seconds >= 1e11:
        seconds /= 1000
    return seconds if math.isfinite(seconds) else None


def _of_text(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return _of_number(float(text))
    try:
        iso = text.upper().replace(" ", "T", 1).replace(" ", "")
        seconds, digits = instants.read(_OFFSET.sub(r"\1:\2", iso), timezone.utc)
        return seconds + float(f"0.{digits[:9] or 0}")
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
