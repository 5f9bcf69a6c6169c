"""Times of records, read, compared and written by their texts.

``2018-11-17T16:09:39.373Z`` and ``2018-11-17T17:09:39.373+01:00`` differ in their hour and offset alone, and hours
repeat: a page of sessions has a few dozen of them. What an hour means is worked out once, by
:mod:`compat.text.instants`; any other form goes there whole. Both always agree (tests hold them against each other).

A time of UTC with milliseconds is nearly that text already; one with an offset differs in its hour alone, which
:class:`Times` remembers.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Any, Final

from compat.text import instants
from compat.text.instants import Instant

__all__ = ["Times", "remembered"]

_REST: Final = re.compile(r":[0-5]\d:[0-5]\d(?:\.\d+)?", re.ASCII)
_OFFSETS: Final = re.compile(r"Z|[+-]\d\d:\d\d", re.ASCII)
_HOUR = 13
_WITH_MILLISECONDS = 10
_MOST_HOURS = 50_000
_UNKNOWN: Final[Any] = object()


class Times:
    """Reads, compares and writes times, remembering hours.

    Safe across threads: each entry is worked out from its key alone, so that it does not matter who writes it.

    Args:
        zone: where times made here are written, and what a time without an offset means.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._epochs: dict[tuple[str, str], int | None] = {}
        self._local: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._utc: dict[tuple[str, str], str | None] = {}

    def instant(self, text: str) -> Instant:
        """The instant of a text.

        Raises:
            ValueError: it is none.
        """
        split = -1 if text[-1:] == "Z" else -6
        rest = text[_HOUR:split]
        if _REST.fullmatch(rest):
            epoch = self._epoch(text[:_HOUR], text[split:])
            if epoch is not None:
                return epoch + int(rest[1:3]) * 60 + int(rest[4:6]), rest[7:].rstrip("0")
        return instants.read(text, self._zone)

    def same(self, one: str, other: str) -> bool:
        """Whether two texts name one instant; a text that names none is the same as nothing.

        Raises:
            ValueError: the second names none.
        """
        split, other_split = -1 if one[-1:] == "Z" else -6, -1 if other[-1:] == "Z" else -6
        rest = one[_HOUR:split]
        if rest == other[_HOUR:other_split] and _REST.fullmatch(rest):
            first = self._epoch(one[:_HOUR], one[split:])
            if first is not None:
                second = self._epoch(other[:_HOUR], other[other_split:])
                if second is not None:
                    return first == second
        instant = instants.read(other, self._zone)
        try:
            return instants.read(one, self._zone) == instant
        except ValueError:
            return False

    def write(self, text: str) -> str:
        """A time as it reads in the zone.

        Raises:
            ValueError: the text is no time, or the zone cannot write it.
        """
        split = -1 if text[-1:] == "Z" else -6
        rest = text[_HOUR:split]
        if _REST.fullmatch(rest):
            there = self.hour_here(text[:_HOUR], text[split:])
            if there is not None:
                return f"{there[0]}{_three_digits(rest)}{there[1]}"
        return instants.write(instants.read(text, self._zone), self._zone)

    def write_utc(self, text: str) -> str:
        """A time as it reads in UTC.

        Raises:
            ValueError: the text is no time, or it lies outside the years 1 to 9999.
        """
        split = -1 if text[-1:] == "Z" else -6
        rest = text[_HOUR:split]
        if _REST.fullmatch(rest):
            there = self.hour_in_utc(text[:_HOUR], text[split:])
            if there is not None:
                return f"{there}{_three_digits(rest)}Z"
        return instants.write_utc(instants.read(text, self._zone))

    def sortable(self, text: str) -> str:
        """A time as :func:`compat.text.instants.sortable` has it.

        Raises:
            ValueError: it is none.
        """
        split = -1 if text[-1:] == "Z" else -6
        rest = text[_HOUR:split]
        in_utc = self.hour_in_utc(text[:_HOUR], text[split:]) if _REST.fullmatch(rest) else None
        if in_utc is not None:
            return f"{in_utc}{_three_digits(rest)}"
        return instants.sortable(instants.read(text, self._zone))

    def hour_in_utc(self, hour: str, offset: str) -> str | None:
        """An hour with an offset as it reads in UTC; None where it does not begin one there, or is none."""
        key = (hour, offset)
        found: str | None = self._utc.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = remembered(self._utc, key, self._read_hour_in_utc(hour, offset))
        return found

    def hour_here(self, hour: str, offset: str = "Z") -> tuple[str, str] | None:
        """The hour and offset that an hour has in the zone; None where the clock moves within it, or it is none."""
        key = (hour, offset)
        found: tuple[str, str] | None = self._local.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = remembered(self._local, key, self._read_hour_here(hour, offset))
        return found

    def _epoch(self, hour: str, offset: str) -> int | None:
        """Seconds from 1970 to an hour with an offset; None where they are in no form that repeats."""
        key = (hour, offset)
        epoch: int | None = self._epochs.get(key, _UNKNOWN)
        if epoch is _UNKNOWN:
            epoch = remembered(self._epochs, key, self._read_hour(hour, offset))
        return epoch

    def _read_hour(self, hour: str, offset: str) -> int | None:
        if not _OFFSETS.fullmatch(offset):
            return None
        try:
            return instants.read(f"{hour}:00:00.000{offset}", self._zone)[0]
        except ValueError:
            return None

    def _read_hour_in_utc(self, hour: str, offset: str) -> str | None:
        epoch = self._epoch(hour, offset)
        if epoch is None or epoch % 3600:
            return None
        if offset == "Z":
            return hour
        try:
            return instants.write_utc((epoch, ""))[:_HOUR]
        except ValueError:
            return None

    def _read_hour_here(self, hour: str, offset: str) -> tuple[str, str] | None:
        epoch = self._epoch(hour, offset)
        if epoch is None:
            return None
        try:
            first, last = (instants.write((epoch + second, ""), self._zone) for second in (0, 3599))
        except ValueError:
            return None
        whole = first[_HOUR:-6] == ":00:00.000" and last[_HOUR:-6] == ":59:59.000"
        if not whole or (first[:_HOUR], first[-6:]) != (last[:_HOUR], last[-6:]):
            return None
        return first[:_HOUR], first[-6:]


def _three_digits(rest: str) -> str:
    """Minutes, seconds and fraction with three digits after the point, or as many more as say something."""
    if len(rest) == _WITH_MILLISECONDS:
        return rest
    return f"{rest[:6]}.{rest[7:].rstrip('0').ljust(3, '0')}"


def remembered(hours: dict[Any, Any], key: Any, value: Any) -> Any:
    """Note what an hour means, and forget all of them before they become too many."""
    if len(hours) >= _MOST_HOURS:
        hours.clear()
    hours[key] = value
    return value
