"""Who would fail in a brownout: told from who called at that time in the weeks before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from compat.migration.brownouts import Planned
from compat.migration.census import who_of
from compat.migration.tallies import Usage
from compat.migration.windows import Occurrence

__all__ = ["WEEKS", "Expected", "expected"]

WEEKS = 4
"""Weeks before now that are looked at."""

_REFUSED = (401, 403, 410)


@dataclass(frozen=True)
class Expected:
    """A caller that would fail.

    Attributes:
        name: whose calls, as the census names them.
        kind: what the name is.
        calls: how many came at that time of the week in the weeks looked at; parts of hours count as whole ones.
        weeks: in how many of them.
    """

    name: str
    kind: str
    calls: int
    weeks: int


def expected(usages: Iterable[Usage], planned: Planned, occurrence: Occurrence, now: float) -> list[Expected]:
    """Who called at the weekday and the hours of a window in the last weeks, those with the most calls first.

    Calls that were refused then are left out: they fail already.

    Args:
        usages: what was counted, with the hours.
        planned: the brownout, which may be for some callers alone.
        occurrence: the time that it comes.
        now: seconds since the epoch.
    """
    hours = [_hours(occurrence, weeks, now) for weeks in _weeks_back(occurrence, now)]
    calls: Counter[tuple[str, str]] = Counter()
    weeks: dict[tuple[str, str], set[int]] = {}
    for usage in usages:
        if usage.group.status in _REFUSED or not planned.concerns(usage.group.caller or None):
            continue
        who = who_of(usage)
        for week, span in enumerate(hours):
            number = sum(count for hour, count in usage.hours.items() if hour in span)
            if number:
                calls[who] += number
                weeks.setdefault(who, set()).add(week)
    return [Expected(name, kind, number, len(weeks[kind, name])) for (kind, name), number in calls.most_common()]


def _weeks_back(occurrence: Occurrence, now: float) -> list[int]:
    """By how many weeks the window has to be moved to lie in each of the last ones."""
    first = max(0, int((occurrence.ends.timestamp() - now) // (7 * 86400)) + 1)
    return list(range(first, first + WEEKS))


def _hours(occurrence: Occurrence, weeks: int, now: float) -> range:
    """The hours since the epoch that the window touches, so many weeks before."""
    # By the clock on the wall: at nine in summer is at nine in winter.
    back = timedelta(weeks=weeks)
    starts, ends = (occurrence.starts - back).timestamp(), (occurrence.ends - back).timestamp()
    return range(int(starts // 3600), -int(-min(ends, now) // 3600))
