"""Planned windows in which deprecated calls fail on purpose, so that whoever depends on them finds out in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from compat.config import Configuration
from compat.errors import ConfigurationError, LegacyError
from compat.legacy.parameters import number
from compat.migration.switched import Switched
from compat.migration.windows import Occurrence, Window, read_window

__all__ = ["PAUSED", "Blackout", "Brownout", "Brownouts", "Planned", "planned"]

PAUSED = "brownouts paused"
"""The run-time switch that pauses all of them; its value says since when."""


class Brownout(LegacyError):
    """What a deprecated call fails with during a brownout: 410.

    Attributes:
        until: when calls are answered again.
        retry_after: seconds until then, when this was made.
    """

    status = 410

    def __init__(self, message: str, until: datetime, retry_after: int) -> None:
        super().__init__(message)
        self.until = until
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after)}

    def __reduce__(self) -> tuple[type[Brownout], tuple[str, datetime, int]]:
        return Brownout, (self.message, self.until, self.retry_after)


@dataclass(frozen=True)
class Planned:
    """One of ``[[migration.brownouts]]``.

    Attributes:
        window: when.
        callers: whose calls fail; None for everybody's, also those that no configuration names.
    """

    window: Window
    callers: frozenset[str] | None = None

    def concerns(self, caller: str | None) -> bool:
        """Whether a caller's calls fail."""
        return self.callers is None or caller in self.callers


@dataclass(frozen=True)
class Blackout:
    """One of ``[[migration.blackouts]]``: a time in which no call fails on purpose.

    Attributes:
        window: when.
        exams: the exams whose calls are spared; None for all.
    """

    window: Window
    exams: frozenset[int] | None = None

    def spares(self, exam_id: int | None) -> bool:
        """Whether calls for an exam are spared."""
        return self.exams is None or exam_id in self.exams


class Brownouts:
    """Says of each call whether it fails on purpose.

    Args:
        planned: the windows.
        blackouts: the times without any.
        instead: what to use, for the message.
        sunset: the day on which the old interface ends, or None.
        switched: the run-time switches, which may pause them; None where there are none.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        planned: Iterable[Planned],
        blackouts: Iterable[Blackout] = (),
        *,
        instead: str = "GET /api/v3/student_sessions",
        sunset: date | None = None,
        switched: Switched | None = None,
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
        """What a call fails with at this moment; None where it does not.

        Args:
            caller: the caller's name by the configuration, or None.
            exam_id: the exam, as the call has it.
        """
        now = self._clock()
        if int(now) != self._second:
            self._look(now)
        if not self._holding:
            return None
        ends = [occurrence.ends for each, occurrence in self._holding if each.concerns(caller)]
        if not ends or (self._switched is not None and PAUSED in self._switched.switches):
            return None
        exam = number(exam_id)
        if any(each.spares(exam) for each in self._sparing):
            return None
        return self._failure(max(ends), now)

    def _look(self, now: float) -> None:
        moment = datetime.fromtimestamp(now, timezone.utc)
        holding = []
        for each in self._planned:
            occurrence = each.window.at(moment)
            if occurrence is not None:
                holding.append((each, occurrence))
        self._holding = tuple(holding)
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
    def of(cls, configuration: Configuration, switched: Switched | None = None) -> Brownouts | None:
        """Those of a configuration; None where it plans none.

        Args:
            configuration: the configuration.
            switched: the run-time switches; None to read those of its store.

        Raises:
            ConfigurationError: a window is none, or names a caller that there is not.
        """
        brownouts, blackouts = planned(configuration)
        if not brownouts:
            return None
        if switched is None:
            switched = Switched(configuration.store, legacy=False)
        # Imported here: whoever plans none need not have the other upstream.
        from compat.upstream import PaginatedSessions

        upstream = configuration.upstream
        instead = "GET /api/v3/student_sessions"
        if isinstance(upstream, PaginatedSessions):
            instead = f"GET {upstream.base_url}{upstream.path}"
        return cls(brownouts, blackouts, sunset=configuration.sunset, switched=switched, instead=instead)


def planned(configuration: Configuration) -> tuple[tuple[Planned, ...], tuple[Blackout, ...]]:
    """The brownouts and the blackouts of a configuration, in its order.

    Raises:
        ConfigurationError: a window is none, or names a caller that there is not.
    """
    zone, table = configuration.settings.zone, configuration.migration
    names = {each.caller.name for each in configuration.callers}
    brownouts = []
    for count, each in enumerate(table.get("brownouts", ()), 1):
        where = f"[[migration.brownouts]] {count}: "
        brownouts.append(Planned(read_window(each, where, zone), _callers(each, where, names)))
    blackouts = []
    for count, each in enumerate(table.get("blackouts", ()), 1):
        where = f"[[migration.blackouts]] {count}: "
        exams = each.get("exams")
        blackouts.append(Blackout(read_window(each, where, zone), None if exams is None else frozenset(exams)))
    return tuple(brownouts), tuple(blackouts)


def _callers(table: Mapping[str, Any], where: str, names: set[str]) -> frozenset[str] | None:
    given = table.get("callers")
    if given is None:
        return None
    for name in given:
        if name not in names:
            raise ConfigurationError(f"{where}callers: [[callers]] has no {name!r}")
    return frozenset(given)
