"""Planned windows in which deprecated calls fail on purpose: read, kept to, and rehearsed."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

from compat.config.settings import Configuration
from compat.errors import ConfigurationError, LegacyError
from compat.legacy.parameters import number
from compat.migration.inventory.report import who_of
from compat.migration.modes.rules import SwitchReader
from compat.stores.ledger import Usage

__all__ = ["PAUSED", "Brownout", "Brownouts", "Expected", "Occurrence", "Planned", "Window", "expected", "planned"]

_STEPS = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Occurrence:
    """One time that a window comes, from its first moment to the first one after it."""

    starts: datetime
    ends: datetime


@dataclass(frozen=True)
class Window:
    """When something holds: the first moment, and the first one after it, of the first time, both with a zone.

    It comes again where ``every`` is "day" or "week", and begins for the last time on the day ``until``, in that zone.
    """

    starts: datetime
    ends: datetime
    every: str | None = None
    until: date | None = None

    def at(self, moment: datetime) -> Occurrence | None:
        """The time that holds at a moment, or None."""
        # No two of them overlap, so it is the next one that has not ended, or none.
        found = next(self.after(moment), None)
        return found if found is not None and found.starts <= moment else None

    def after(self, moment: datetime) -> Iterator[Occurrence]:
        """The times that have not ended by a moment, the next one first; without end where nothing says one."""
        if self.every is None:
            if moment < self.ends:
                yield Occurrence(self.starts, self.ends)
            return
        step = timedelta(days=_STEPS[self.every])
        # One step early, since a window may last over midnight; by whole steps, so that a week keeps its weekday.
        gone = max(0, (moment.astimezone(self.starts.tzinfo).date() - self.starts.date()) // step - 1)
        while True:
            # Both on the clock on the wall, so that nine o'clock stays nine o'clock when summer begins.
            found = Occurrence(self.starts + gone * step, self.ends + gone * step)
            if self.until is not None and found.starts.date() > self.until:
                return
            if moment < found.ends:
                yield found
            gone += 1


def read_window(table: Mapping[str, Any], where: str, zone: tzinfo) -> Window:
    """A window of a configuration.

    Args:
        table: ``starts`` and ``ends``, and ``every`` and ``until`` where it comes again.
        where: its place, for messages.
        zone: of times that name none.

    Raises:
        ConfigurationError: it is none; the text names the key.
    """
    starts, ends = (_moment(table, name, where, zone) for name in ("starts", "ends"))
    every, until = table.get("every"), table.get("until")
    if ends <= starts:
        raise ConfigurationError(f"{where}ends: must come after starts")
    if until is not None and (every is None or type(until) is not date):
        raise ConfigurationError(
            f"{where}until: must be a date such as 2027-06-30, without quotes, and goes with every"
        )
    if every is not None:
        starts, ends = starts.astimezone(zone), ends.astimezone(zone)
        if ends - starts >= timedelta(days=_STEPS[every]):
            raise ConfigurationError(f"{where}ends: must come within a {every} of starts, since it comes every {every}")
    return Window(starts, ends, every, until)


def _moment(table: Mapping[str, Any], name: str, where: str, zone: tzinfo) -> datetime:
    value = table.get(name)
    if type(value) is date:
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - it gets its zone below
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{where}{name}: must be a time such as 2027-03-01T09:00:00, without quotes")
    return value if value.tzinfo is not None else value.replace(tzinfo=zone)


PAUSED = "brownouts paused"
"""The run-time switch that pauses all of them; its value says since when."""


class Brownout(LegacyError):
    """What a deprecated call fails with during a brownout: 410, until when, and how many seconds that is from now."""

    status = 410

    def __init__(self, message: str, until: datetime, retry_after: int) -> None:
        super().__init__(message)
        self.until = until
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[Brownout], tuple[str, datetime, int]]:
        return Brownout, (self.message, self.until, self.retry_after)


@dataclass(frozen=True)
class Planned:
    """One of ``[[migration.brownouts]]``; without callers everybody's calls fail, also those that nothing names."""

    window: Window
    callers: frozenset[str] | None = None

    def concerns(self, caller: str | None) -> bool:
        """Whether a caller's calls fail."""
        return self.callers is None or caller in self.callers


@dataclass(frozen=True)
class Blackout:
    """One of ``[[migration.blackouts]]``: a time in which no call for some exams, or any, fails on purpose."""

    window: Window
    exams: frozenset[int] | None = None

    def spares(self, exam_id: int | None) -> bool:
        """Whether calls for an exam are spared."""
        return self.exams is None or exam_id in self.exams


class Brownouts:
    """Says of each call whether it fails on purpose.

    The message names what to use ``instead`` and the day of the ``sunset``. The run-time switches may pause them all.
    """

    def __init__(
        self,
        planned: Iterable[Planned],
        blackouts: Iterable[Blackout] = (),
        *,
        instead: str = "GET /api/v3/student_sessions",
        sunset: date | None = None,
        switched: SwitchReader | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._planned = tuple(planned)
        self._blackouts = tuple(blackouts)
        self._instead = instead
        self._sunset = sunset
        self._switched = switched
        self._clock = clock
        # What holds is looked up once a second, as a window begins and ends on one.
        self._second = -1
        self._holding: tuple[tuple[Planned, Occurrence], ...] = ()
        self._sparing: tuple[Blackout, ...] = ()

    def now(self, caller: str | None, exam_id: str) -> Brownout | None:
        """What a call fails with at this moment; None where it does not."""
        now = self._clock()
        if int(now) != self._second:
            self._look(now)
        if not self._holding:
            return None
        ends = [occurrence.ends for each, occurrence in self._holding if each.concerns(caller)]
        if not ends or (self._switched is not None and PAUSED in self._switched.switches):
            return None
        exam = number(exam_id)
        return None if any(each.spares(exam) for each in self._sparing) else self._failure(max(ends), now)

    def _look(self, now: float) -> None:
        moment = datetime.fromtimestamp(now, timezone.utc)
        found = ((each, each.window.at(moment)) for each in self._planned)
        self._holding = tuple((each, occurrence) for each, occurrence in found if occurrence is not None)
        self._sparing = tuple(each for each in self._blackouts if each.window.at(moment) is not None)
        self._second = int(now)

    def _failure(self, until: datetime, now: float) -> Brownout:
        ending = "" if self._sunset is None else f" It ends for good on {self._sunset.isoformat()}."
        return Brownout(
            f"The deprecated exam students interface is switched off on purpose until {until.isoformat()}, "
            f"to show who still depends on it.{ending} Use {self._instead} instead.",
            until,
            max(1, math.ceil(until.timestamp() - now)),
        )

    @classmethod
    def of(cls, configuration: Configuration, switched: SwitchReader | None = None) -> Brownouts | None:
        """Those of a configuration, whose store has the switches unless they are given; None where it plans none.

        Raises:
            ConfigurationError: a window is none, or names a caller that there is not.
        """
        brownouts, blackouts = planned(configuration)
        if not brownouts:
            return None
        if switched is None:
            switched = SwitchReader(configuration.store, legacy=False)
        instead = f"GET {configuration.upstream.successor_path}"
        return cls(brownouts, blackouts, sunset=configuration.sunset, switched=switched, instead=instead)


def planned(configuration: Configuration) -> tuple[tuple[Planned, ...], tuple[Blackout, ...]]:
    """The brownouts and the blackouts of a configuration, in its order.

    Raises:
        ConfigurationError: a window is none, or names a caller that there is not.
    """
    zone, table = configuration.settings.zone, configuration.migration
    names = {each.caller.name for each in configuration.callers}

    def windows(kind: str, concerned: str) -> Iterator[tuple[Window, frozenset[Any] | None]]:
        for count, each in enumerate(table.get(kind, ()), 1):
            where = f"[[migration.{kind}]] {count}: "
            window, of = read_window(each, where, zone), each.get(concerned)
            for name in of or ():
                if concerned == "callers" and name not in names:
                    raise ConfigurationError(f"{where}callers: [[callers]] has no {name!r}")
            yield window, None if of is None else frozenset(of)

    brownouts = tuple(Planned(*each) for each in windows("brownouts", "callers"))
    return brownouts, tuple(Blackout(*each) for each in windows("blackouts", "exams"))


WEEKS = 4
"""Weeks before now that are looked at."""

_REFUSED = (401, 403, 410)


@dataclass(frozen=True)
class Expected:
    """A caller that would fail, by name and kind of name as the caller report has them: how many calls came at that
    time of the week in the weeks looked at, and in how many of them. Parts of hours count as whole ones."""

    name: str
    kind: str
    calls: int
    weeks: int


def expected(usages: Iterable[Usage], planned: Planned, occurrence: Occurrence, now: float) -> list[Expected]:
    """Who called at the weekday and the hours of a window in the last weeks, those with the most calls first.

    Calls that were refused then are left out: they fail already. Now is in seconds since the epoch.
    """
    # By how many weeks the window has to be moved to lie in the last ones.
    back = max(0, int((occurrence.ends.timestamp() - now) // (7 * 86400)) + 1)
    hours = [_hours(occurrence, weeks, now) for weeks in range(back, back + WEEKS)]
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


def _hours(occurrence: Occurrence, weeks: int, now: float) -> range:
    """The hours since the epoch that the window touches, so many weeks before."""
    # By the clock on the wall: at nine in summer is at nine in winter.
    back = timedelta(weeks=weeks)
    starts, ends = (occurrence.starts - back).timestamp(), (occurrence.ends - back).timestamp()
    return range(int(starts // 3600), -int(-min(ends, now) // 3600))
