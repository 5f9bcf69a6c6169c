"""Instants exact to any number of digits, and JSON whose numbers keep their text: the sandbox's own reading of both.

An instant is a pair: whole seconds since 1970 in UTC, and the digits after the decimal point without
trailing zeros. Pairs of that form compare as the instants do, which neither floats nor the microseconds
of ``datetime`` would.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Instant = tuple[int, str]
MOST_DIGITS = 400

_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(Z|[+-]\d{2}(?::\d{2})?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the arithmetic below is on wall clocks
_FIRST_MILLISECOND = -62_135_596_800_000
_LAST_MILLISECOND = 253_402_300_799_999


def find_zone(name: str) -> tzinfo:
    """The time zone of that name; UTC needs no time zone database."""
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time_zone: {name!r} is not a time zone that this machine knows.") from error


def read_instant(text: str, zone: tzinfo) -> Instant:
    """Read an extended ISO 8601 time or a bare date; without an offset it is a time of ``zone``."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time.")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    clock = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the offset comes next
    offset = _zone_offset(clock, zone) if match[8] is None else _written_offset(match[8])
    return _seconds(clock) - offset, (match[7] or "").rstrip("0")


def read_milliseconds(milliseconds: int) -> Instant:
    """The instant that many milliseconds after 1970, in the years 0001 to 9999."""
    if not _FIRST_MILLISECOND <= milliseconds <= _LAST_MILLISECOND:
        raise ValueError("That many milliseconds lead out of the years 0001 to 9999.")
    seconds, rest = divmod(milliseconds, 1000)
    return seconds, f"{rest:03d}".rstrip("0")


def _seconds(clock: datetime) -> int:
    since = clock - _EPOCH
    return since.days * 86400 + since.seconds


def _zone_offset(clock: datetime, zone: tzinfo) -> int:
    offset = clock.replace(tzinfo=zone, fold=0).utcoffset() or timedelta()
    return offset.days * 86400 + offset.seconds


def _written_offset(text: str) -> int:
    if text == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"{text!r} is not an offset.")
    size = hours * 3600 + minutes * 60
    return -size if text[0] == "-" else size


def utc_text(text: str) -> str:
    """The same instant written in UTC with a Z, every fraction digit kept."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time.")
    seconds, _ = read_instant(text, timezone.utc)
    fraction = f".{match[7]}" if match[7] else ""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat() + fraction + "Z"


def amsterdam_text(seconds: int, fraction: str = "") -> str:
    """An instant as a clock in Amsterdam shows it, by the European rule in force since 1996.

    The rule is written out so that the data set does not depend on the machine's time zone database.
    """
    clock = _EPOCH + timedelta(seconds=seconds)
    summer = _last_sunday(clock.year, 3) <= clock < _last_sunday(clock.year, 10)
    hours = 2 if summer else 1
    return (clock + timedelta(hours=hours)).isoformat() + fraction + f"+0{hours}:00"


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1)  # noqa: DTZ001 - 01:00 in UTC, where both changes happen
    return last - timedelta(days=(last.weekday() + 1) % 7)


def local_text(moment: datetime, zone: tzinfo) -> str:
    """A moment as the legacy interface writes it: milliseconds and the offset of ``zone``."""
    return moment.astimezone(zone).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Number:
    """A JSON number by its own text, so that ``70.0`` and ``70`` stay apart."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """A JSON object as its pairs, in the order and number they were written."""

    items: tuple[tuple[str, object], ...]

    def doubled(self) -> list[str]:
        """The keys that stand more than once."""
        counts = Counter(key for key, _ in self.items)
        return [key for key, count in counts.items() if count > 1]


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON.")


def _pairs(items: list[tuple[str, object]]) -> Pairs:
    return Pairs(tuple(items))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)


def read_json(text: str) -> object:
    """Read a JSON text into Pairs, lists, str, Number, bool and None; ValueError where it is not JSON."""
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"Must be JSON: {error}.") from error
    except RecursionError as error:
        raise ValueError("Must be JSON that is less deeply nested.") from error
    return value


def read_strict_json(text: str) -> object:
    """The same, and a key given twice anywhere is a ValueError."""
    value = read_json(text)
    _refuse_doubled(value)
    return value


def _refuse_doubled(value: object) -> None:
    # A work list and not recursion: what the decoder just managed to nest must not overflow here.
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting.extend(current)
        if isinstance(current, Pairs):
            if current.doubled():
                raise ValueError(f"The key {current.doubled()[0]!r} is given twice.")
            waiting.extend(inner for _, inner in current.items)
