"""Who still makes deprecated calls, who has begun to, and who has gone quiet: what the inventory says of callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal

from compat.stores.ledger import Usage

__all__ = ["CallerUsage", "CallingLine", "State", "caller_report", "calling_lines", "who_of"]

State = Literal["new", "active", "quiet", "never"]
_DAY = 86400.0
_RECENT = 7
_GAPS_TOLD = 3
"""Days with calls from which on the usual gap between them is known."""


@dataclass(frozen=True)
class CallerUsage:
    """One caller, by the configuration or by what is seen of it.

    Attributes:
        name: the configured name, else the line that calls, else the user agent, else ``unknown``.
        kind: which of these the name is: "caller", "call site", "user agent" or "unknown".
        state: "never" for one that is configured and never called.
        a_day: calls a day, over the last seven days or since the first call.
        first: seconds since the epoch, as is ``last``.
        entrances: where its calls come in, sorted, as all that follows.
        dialects: how it makes and signs its calls.
        answered_by: which endpoint answered, to how often.
        fields: the fields that it reads, where that was seen.
    """

    name: str
    kind: str
    state: State
    calls: int
    a_day: float
    first: float | None
    last: float | None
    entrances: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    call_sites: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ()
    answered_by: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    @property
    def left(self) -> bool:
        """Whether it still has to move."""
        return self.state in ("new", "active")


@dataclass(frozen=True)
class CallingLine:
    """A line of a script that was seen calling.

    Attributes:
        line: its number, from 1.
        routes: the actions that it called, sorted.
        last: when the last call came, in seconds since the epoch.
    """

    file: str
    line: int
    routes: tuple[str, ...]
    calls: int
    last: float


def calling_lines(usages: Iterable[Usage]) -> list[CallingLine]:
    """The lines that were seen calling, sorted; a call at the gateway is of none."""
    found: dict[tuple[str, int], list[Usage]] = {}
    for usage in usages:
        file, _, line = usage.group.call_site.rpartition(":")
        if file and line.isdigit():
            found.setdefault((file, int(line)), []).append(usage)
    return [
        CallingLine(
            *place,
            tuple(sorted({each.group.route for each in theirs})),
            sum(each.number for each in theirs),
            max(each.last for each in theirs),
        )
        for place, theirs in sorted(found.items())
    ]


def who_of(usage: Usage) -> tuple[str, str]:
    """Whose calls they are: the kind of name, and the name."""
    group = usage.group
    for kind, name in (("caller", group.caller), ("call site", group.call_site), ("user agent", group.user_agent)):
        if name and (kind, name) != ("caller", "unknown"):
            return kind, name
    return "unknown", "unknown"


def caller_report(
    usages: Iterable[Usage], configured: Iterable[str], now: float, new_days: float = 7, quiet_days: float = 30
) -> list[CallerUsage]:
    """Every caller that was seen or is configured, those that called last first; now is in seconds since the epoch.

    A caller first seen within ``new_days`` is new. One not seen for ``quiet_days`` is quiet; so is one not seen for
    more than three of its usual gaps.
    """
    found: dict[tuple[str, str], list[Usage]] = {}
    for usage in usages:
        found.setdefault(who_of(usage), []).append(usage)
    callers = [_caller(*who, theirs, now, new_days, quiet_days) for who, theirs in found.items()]
    callers += [
        CallerUsage(name, "caller", "never", 0, 0.0, None, None) for name in configured if ("caller", name) not in found
    ]
    return sorted(callers, key=lambda each: (-(each.last or 0.0), each.name))


def _caller(kind: str, name: str, usages: list[Usage], now: float, new_days: float, quiet_days: float) -> CallerUsage:
    first, last = min(each.first for each in usages), max(each.last for each in usages)
    days: Counter[int] = Counter()
    answered_by: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for each in usages:
        days.update(each.days)
        answered_by[each.group.answered_by] += each.number
        statuses[each.group.status] += each.number
    groups = [each.group for each in usages]
    return CallerUsage(
        name,
        kind,
        _state(first, last, days, now, new_days, quiet_days),
        sum(each.number for each in usages),
        _a_day(first, days, now),
        first,
        last,
        entrances=_all(each.entrance for each in groups),
        routes=_all(each.route for each in groups),
        parameters=_all(name for each in groups for name in each.parameters),
        call_sites=_all(each.call_site for each in groups),
        user_agents=_all(each.user_agent for each in groups),
        dialects=_all(each.dialect for each in groups),
        answered_by=dict(sorted(answered_by.items())),
        statuses=dict(sorted(statuses.items())),
        fields=_all(name for each in usages for name in each.fields),
    )


def _state(first: float, last: float, days: Mapping[int, int], now: float, new_days: float, quiet_days: float) -> State:
    silent, ordered = (now - last) / _DAY, sorted(days)
    if len(ordered) >= _GAPS_TOLD:
        usual_gap = median(after - before for before, after in pairwise(ordered))
        quiet_days = min(quiet_days, 3 * usual_gap)
    if silent > quiet_days:
        return "quiet"
    return "new" if now - first <= new_days * _DAY else "active"


def _a_day(first: float, days: Mapping[int, int], now: float) -> float:
    today = int(now // _DAY)
    spanned = min(_RECENT, max(1, today - int(first // _DAY) + 1))
    return sum(number for day, number in days.items() if today - spanned < day <= today) / spanned


def _all(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts) - {""}))
