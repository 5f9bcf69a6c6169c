"""Times of records, and whole columns of them, read and compared by their texts.

``2018-11-17T16:09:39.373Z`` and ``2018-11-17T17:09:39.373+01:00`` differ in their hour and offset alone, and hours
repeat: a page of sessions has a few dozen of them. What an hour means is worked out once, by
:mod:`compat.text.instants`; any other form goes there whole. Both always agree (tests hold them against each other).

A time of UTC with milliseconds is nearly that text already; one with an offset differs in its hour alone, which
:class:`Times` remembers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final

from compat.text import instants
from compat.text.instants import Instant

__all__ = [
    "TimeColumns",
    "Times",
    "remembered",
]

_REST: Final = re.compile(r":[0-5]\d:[0-5]\d(?:\.\d+)?", re.ASCII)
_RESTS: Final = re.compile(r"(?::[0-5]\d:[0-5]\d(?:\.\d+)?(?:\||\Z))*", re.ASCII)
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
        self._utc: dict[tuple[str, str], tuple[str, bool] | None] = {}

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
            key = (text[:_HOUR], text[split:])
            there = self._local.get(key, _UNKNOWN)
            if there is _UNKNOWN:
                there = remembered(self._local, key, self._hour_there(*key))
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
            key = (text[:_HOUR], text[split:])
            there = self._utc.get(key, _UNKNOWN)
            if there is _UNKNOWN:
                there = remembered(self._utc, key, self._hour_in_utc(*key))
            if there is not None:
                return f"{there[0]}{_three_digits(rest)}Z"
        return instants.write_utc(instants.read(text, self._zone))

    def write_utc_each(self, texts: Sequence[str | None]) -> tuple[list[str | None], list[str | None]]:
        """For a column of times: each as it reads in UTC, and each as it reads in the zone; null staying null.

        Raises:
            ValueError: as :meth:`write_utc` and :meth:`write`, of any of them.
        """
        known, rests = self._utc, []
        in_utc: list[str | None] = []
        here: list[str | None] = []
        for text in texts:
            if text is None:
                in_utc.append(None)
                here.append(None)
                continue
            split = -1 if text[-1:] == "Z" else -6
            there = known.get((text[:_HOUR], text[split:]))
            rest = text[_HOUR:split]
            if there is None or len(rest) != _WITH_MILLISECONDS:
                in_utc.append(written := self.write_utc(text))
                here.append(self.write(written))
                continue
            rests.append(rest)
            in_utc.append(f"{there[0]}{rest}Z")
            here.append(text if there[1] else self.write(text))
        if not _RESTS.fullmatch("|".join(rests)):
            in_utc = [None if text is None else self.write_utc(text) for text in texts]
            here = [None if text is None else self.write(text) for text in in_utc]
        return in_utc, here

    def hour_there(self, hour: str) -> tuple[str, str] | None:
        """The hour and offset that an hour of UTC has in the zone.

        Returns:
            None where the clock moves within it, or where it is none.
        """
        return self._hour_there(hour, "Z")

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

    def _hour_in_utc(self, hour: str, offset: str) -> tuple[str, bool] | None:
        """The hour in UTC, and whether the zone would write it just so."""
        epoch = self._epoch(hour, offset)
        if epoch is None or epoch % 3600:
            return None
        try:
            in_utc = instants.write_utc((epoch, ""))[:_HOUR]
        except ValueError:
            return None
        return in_utc, self._hour_there(in_utc, "Z") == (hour, offset)

    def _hour_there(self, hour: str, offset: str) -> tuple[str, str] | None:
        """The hour and offset that an hour has in the zone; None where the clock moves within it."""
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


_USUAL: Final = "0000-00-00T00:00:00.000Z"
_DIGITS: Final = str.maketrans("123456789", "000000000")
_MINUTE, _SECOND = 14, 17


class TimeColumns:
    """Makes columns of times comparable; safe across threads.

    Args:
        times: reads the times that are not in the usual form.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self._hours: set[str] = set()

    def sortable(self, texts: Sequence[str | None]) -> list[str | None]:
        """Each time of a column as :func:`compat.text.instants.sortable` has it, null staying null.

        Raises:
            ValueError: one of them is no time.
        """
        there: Sequence[str] = [text for text in texts if text is not None]
        found = [text[:-1] for text in there] if self._usual(there) else self._by_hour(there)
        if len(found) == len(texts):
            return found  # type: ignore[return-value]  # list is invariant
        following = iter(found)
        return [None if text is None else next(following) for text in texts]

    def _by_hour(self, texts: Sequence[str]) -> list[str]:
        try:
            in_utc, _ = self._times.write_utc_each(texts)
        except ValueError:
            return [instants.sortable(self._times.instant(text)) for text in texts]
        return [text[:-1] for text in in_utc if text is not None]

    def _usual(self, texts: Sequence[str]) -> bool:
        """Whether all are UTC with milliseconds; the checks look at all of them at once."""
        joined = "".join(texts)
        if joined.translate(_DIGITS) != _USUAL * len(texts):
            return False
        if texts and (max(joined[_MINUTE :: len(_USUAL)]) > "5" or max(joined[_SECOND :: len(_USUAL)]) > "5"):
            return False
        return all(map(self._is_hour, {text[:_HOUR] for text in texts} - self._hours))

    def _is_hour(self, hour: str) -> bool:
        try:
            self._times.instant(f"{hour}:00:00.000Z")
        except ValueError:
            return False
        if len(self._hours) >= _MOST_HOURS:
            self._hours = set()
        self._hours.add(hour)
        return True
