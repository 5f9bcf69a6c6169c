"""Counts of deprecated calls: the record of one call, the group it belongs to, and what is kept of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

__all__ = [
    "HOURS_KEPT",
    "MOST_NAMES",
    "OTHER",
    "AllCounts",
    "Batch",
    "CallGroup",
    "CallRecord",
    "Counts",
    "Usage",
]


@dataclass(frozen=True)
class CallRecord:
    """A deprecated call; no value of a parameter, no secret, nobody's data.

    Attributes:
        at: seconds since the epoch.
        entrance: "adapter", "client" or "gateway".
        route: the action of the deprecated route, such as ``index_students``.
        caller: whose it is by the configuration.
        call_site: the caller's file and line, such as ``/srv/export.py:12``.
        user_agent: the header of that name.
        parameters: the names of the parameters that the call used, sorted; unknown ones as ``other``.
        dialect: which way of signing made the signature, where that was found out.
        answered_by: "legacy", "new", or "gateway" for what the gateway says by itself.
        status: the HTTP status of the answer; 0 where there was none.
        fields: the fields of the record that were read, sorted; None where that cannot be seen.
        again: whether the call is counted already, and this says what was read of its answer since.
    """

    at: float
    entrance: str
    route: str
    caller: str | None = None
    call_site: str | None = None
    user_agent: str | None = None
    parameters: tuple[str, ...] = ()
    dialect: str | None = None
    answered_by: str = "new"
    status: int = 0
    fields: tuple[str, ...] | None = None
    again: bool = False


OTHER = "other"
"""What stands for every user agent and call site beyond the most that are kept."""

MOST_NAMES = {"user_agent": 200, "call_site": 2000}
"""How many of each a store keeps: whoever calls chooses these texts, and could fill it with new ones."""

HOURS_KEPT = 35 * 24
"""Hours whose counts are kept each; of what is older, each day's."""

_LONGEST_AGENT = 120
_LONGEST_SITE = 300


@dataclass(frozen=True)
class CallGroup:
    """The calls that are counted together: what is the same of their records, and empty where nothing is known."""

    entrance: str
    route: str
    caller: str = ""
    call_site: str = ""
    user_agent: str = ""
    parameters: tuple[str, ...] = ()
    dialect: str = ""
    answered_by: str = "new"
    status: int = 0

    @classmethod
    def of(cls, call_record: CallRecord) -> CallGroup:
        """The group of a call."""
        return cls(
            call_record.entrance,
            call_record.route,
            call_record.caller or "",
            _printable(call_record.call_site)[-_LONGEST_SITE:],
            _printable(call_record.user_agent)[:_LONGEST_AGENT],
            call_record.parameters,
            call_record.dialect or "",
            call_record.answered_by,
            call_record.status,
        )

    def rest(self) -> str:
        """All but the user agent and the call site, whose number is bounded, as one text."""
        told = (self.entrance, self.route, self.caller, self.parameters, self.dialect, self.answered_by, self.status)
        return _encode(told).decode()

    @classmethod
    def from_texts(cls, call_site: str, user_agent: str, rest: str) -> CallGroup:
        """The group of what was kept of it."""
        entrance, route, caller, parameters, dialect, answered_by, status = msgspec.json.decode(rest)
        return cls(entrance, route, caller, call_site, user_agent, tuple(parameters), dialect, answered_by, int(status))


@dataclass
class Counts:
    """How many calls of a group there were, in all and by the hour since the epoch; when the first and the last
    came, and the fields that were read of their answers."""

    number: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    hours: Counter[int] = field(default_factory=Counter)
    fields: set[str] = field(default_factory=set)

    def add(self, at: float, fields: Iterable[str] | None) -> None:
        """Count one more."""
        self.number += 1
        self.hours[int(at // 3600)] += 1
        self.add_fields(at, fields)

    def add_fields(self, at: float, fields: Iterable[str] | None) -> None:
        """Add what was read of the answer to a call that came at that time, and is counted by itself."""
        self.first = min(self.first, at)
        self.last = max(self.last, at)
        if fields:
            self.fields.update(fields)

    def merge(self, other: Counts) -> None:
        """Add what another one counted of the same group."""
        self.number += other.number
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.hours.update(other.hours)
        self.fields |= other.fields

    def days(self) -> Counter[int]:
        """Days since the epoch, UTC, to how many came on it."""
        found: Counter[int] = Counter()
        for hour, number in self.hours.items():
            found[hour // 24] += number
        return found


@dataclass(frozen=True)
class Batch:
    """What one process has counted since the last time.

    Attributes:
        writer: the process, by a text of its own.
        number: from 1; one that a store has taken already is not counted twice.
        groups: the counts.
        dropped: calls that were not counted, since too many waited.
        at: when it was made, seconds since the epoch.
    """

    writer: str
    number: int
    groups: Mapping[CallGroup, Counts]
    dropped: int
    at: float


@dataclass(frozen=True)
class Usage:
    """What is kept of a group: its number of calls, in all, by the day since the epoch (UTC) and by the hour of
    the last weeks; when the first and the last came, and the fields that were read, sorted."""

    group: CallGroup
    number: int
    first: float
    last: float
    days: Mapping[int, int] = field(default_factory=dict)
    hours: Mapping[int, int] = field(default_factory=dict)
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class AllCounts:
    """All that is kept, and how many calls were seen and not counted, the last of them when."""

    usages: tuple[Usage, ...] = ()
    dropped: int = 0
    dropped_last: float | None = None


_encode = msgspec.json.Encoder().encode


def _printable(text: str | None) -> str:
    """A text that holds no control character, and can be written as UTF-8."""
    if not text or text.isprintable():
        return text or ""
    return "".join(char if char.isprintable() else "?" for char in text)
