"""Windows in time: once, or every day or week by the clock on the wall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from compat.errors import ConfigurationError

__all__ = ["Occurrence", "Window", "read_window"]

_STEPS = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Occurrence:
    """One time that a window comes.

    Attributes:
        starts: its first moment.
        ends: the first moment after it.
    """

    starts: datetime
    ends: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether a moment is in it."""
        return self.starts <= moment < self.ends


@dataclass(frozen=True)
class Window:
    """When something holds.

    Attributes:
        starts: the first moment of the first time, with a zone.
        ends: the first moment after the first time, with a zone.
        every: "day" or "week" where it comes again; None where it comes once.
        until: the last day on which it begins, in that zone; None for ever.
    """

    starts: datetime
    ends: datetime
    every: str | None = None
    until: date | None = None

    def at(self, moment: datetime) -> Occurrence | None:
        """The time that holds at a moment, or None."""
        # No two of them overlap, so it is the next one that has not ended, or none.
        found = next(self.after(moment), None)
        return found if found is not None and found.holds(moment) else None

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
        where: what it is called in messages.
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
