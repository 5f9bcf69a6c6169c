"""Points in time, exact at any number of digits (contract, sections 1 and 5).

An instant is ``(seconds since 1970-01-01T00:00Z, the digits after the point without trailing zeros)``. Such pairs
compare as the instants do: the seconds as integers, the digits as text. ``datetime`` would stop at microseconds,
and its reader differs between Python versions.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

__all__ = [
    "Instant",
    "NotATime",
    "from_milliseconds",
    "read",
    "sortable",
    "whole_seconds_between",
    "write",
    "write_utc",
]

Instant = tuple[int, str]


class NotATime(ValueError):
    """A text that says no time, or an instant that no clock shows."""


_EXTENDED = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:(Z)|([+-])(\d\d)(?::(\d\d))?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LONGEST = 1_000_000
_EPOCH_DAY = _EPOCH.toordinal()


@lru_cache(maxsize=4096)
def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH_DAY) * 86400


def read(text: str, zone: tzinfo) -> Instant:
    """Read extended ISO 8601: a date (its midnight) or a date and time, with an offset or in ``zone``.

    In the hour that a clock change repeats, the first of the two is meant; in the one that it skips, the offset
    before the change counts.

    Raises:
        NotATime: the text is nothing of the kind.
    """
    match = _EXTENDED.fullmatch(text)
    if match is None:
        raise NotATime("not extended ISO 8601")
    year, month, day, hour, minute, second, fraction, utc, sign, ahead, ahead_minutes = match.groups()
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise NotATime("no such time of day")
    try:
        instant = _midnight(int(year), int(month), int(day)) + hours * 3600 + minutes * 60 + seconds
    except ValueError:
        raise NotATime("no such day") from None
    if sign:
        if int(ahead) > 23 or int(ahead_minutes or 0) > 59:
            raise NotATime("no such offset")
        offset = int(ahead) * 3600 + int(ahead_minutes or 0) * 60
        instant += offset if sign == "-" else -offset
    elif not utc and zone is not timezone.utc:
        local = datetime(int(year), int(month), int(day), hours, minutes, seconds, tzinfo=zone)
        offset_there = local.utcoffset() or timedelta(0)
        instant -= offset_there.days * 86400 + offset_there.seconds
    return instant, fraction.rstrip("0") if fraction else ""


def from_milliseconds(milliseconds: int) -> Instant:
    """The instant so many milliseconds after 1970-01-01T00:00Z."""
    seconds, rest = divmod(milliseconds, 1000)
    return seconds, f"{rest:03d}".rstrip("0")


def whole_seconds_between(start: Instant, end: Instant) -> int:
    """Whole seconds from start to end, rounded down; negative where end is earlier."""
    return end[0] - start[0] - (1 if end[1] < start[1] else 0)


def write(instant: Instant, zone: tzinfo) -> str:
    """Write as ``2018-11-17T17:09:39.373+01:00``: three digits after the point, more where the instant has more.

    Raises:
        NotATime: the zone's clock cannot say it in that form (years outside 1 to 9999, offsets of odd seconds).
    """
    try:
        local = (_EPOCH + timedelta(seconds=instant[0])).astimezone(zone)
    except OverflowError:
        raise NotATime("outside the years 1 to 9999") from None
    offset = local.utcoffset() or timedelta(0)
    minutes, odd = divmod(offset.days * 86400 + offset.seconds, 60)
    if odd:
        raise NotATime("an offset with seconds")
    sign = "-" if minutes < 0 else "+"
    ahead, ahead_minutes = divmod(abs(minutes), 60)
    return f"{_clock(local, instant[1])}{sign}{ahead:02d}:{ahead_minutes:02d}"


def write_utc(instant: Instant) -> str:
    """Write as ``2018-11-17T16:09:39.373Z``, with every digit that the instant has, three at least.

    Raises:
        NotATime: it lies outside the years 1 to 9999.
    """
    try:
        moment = _EPOCH + timedelta(seconds=instant[0])
    except OverflowError:
        raise NotATime("outside the years 1 to 9999") from None
    return _clock(moment, instant[1]) + "Z"


def sortable(instant: Instant) -> str:
    """Text that sorts as instants do: ``2018-11-17T16:09:39.373``, in UTC, with every digit, three at least.

    Instants outside the years 1 to 9999, which a filter may name, sort before and after by their length and digits.
    """
    seconds, digits = instant
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        number = abs(seconds)
        length = len(f"{number:x}")
        if seconds < 0:
            return f"-{_LONGEST - length}:{16**length - 1 - number:0{length}x}.{digits}"
        return f":{_LONGEST + length}:{number:x}.{digits}"
    return _clock(moment, digits)


def _clock(moment: datetime, digits: str) -> str:
    # strftime("%Y") does not pad years before 1000 on every platform; isoformat does.
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}.{digits.ljust(3, '0')}"
