"""Ledger: run-time switches and counts of deprecated calls, which all processes share, beside the gateway's store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from compat.errors import StoreUnavailable
from compat.processes import ForkLock
from compat.stores.url import parse_store_url

__all__ = ["AllCounts", "Batch", "Busy", "CallGroup", "CallRecord", "Counts", "Ledger", "Usage", "open_ledger"]

OTHER = "other"
"""What stands for every user agent and call site beyond the most that are kept."""

MOST_NAMES = {"user_agent": 200, "call_site": 2000}
"""How many of each a store keeps: whoever calls chooses these texts, and could fill it with new ones."""

HOURS_KEPT = 35 * 24
"""Hours whose counts are kept each; of what is older, each day's."""

_LONGEST_AGENT = 120
_LONGEST_SITE = 300
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class CallRecord:
    """A deprecated call; no value of a parameter, no secret, nobody's data.

    Attributes:
        at: seconds since the epoch.
        entrance: "adapter", "client" or "gateway".
        route: the action of the deprecated route, such as ``index_students``.
        caller: whose it is by the configuration.
        call_site: the caller's file and line, such as ``/srv/export.py:12``.
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

    def bounded(self, known: Callable[[str, str], str]) -> CallGroup:
        """This group with the names that callers choose as ``known`` keeps them: it takes a kind and a name."""
        return replace(
            self, call_site=known("call_site", self.call_site), user_agent=known("user_agent", self.user_agent)
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


_encode = msgspec.json.Encoder().encode


def _printable(text: str | None) -> str:
    """A text that holds no control character, and can be written as UTF-8."""
    if not text or text.isprintable():
        return text or ""
    return "".join(char if char.isprintable() else "?" for char in text)


@dataclass
class Counts:
    """How many calls of a group there were, in all and by the hour since the epoch; when the first and the last
    came, and the fields that were read of their answers."""

    number: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    hours: Counter[int] = field(default_factory=Counter)
    fields: set[str] = field(default_factory=set)

    def add(self, call_record: CallRecord) -> None:
        """Count one more, or add what was read of the answer to one that is counted already."""
        if not call_record.again:
            self.number += 1
            self.hours[int(call_record.at // 3600)] += 1
        self.first = min(self.first, call_record.at)
        self.last = max(self.last, call_record.at)
        self.fields.update(call_record.fields or ())

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


def usages_of(
    groups: Iterable[tuple[_Key, CallGroup, int, float, float]],
    days: Iterable[tuple[_Key, int, int]],
    hours: Iterable[tuple[_Key, int, int]],
    fields: Iterable[tuple[_Key, str]],
) -> tuple[Usage, ...]:
    """Usages out of the rows of a store, each with the key of its group: number, first and last; by time; by field."""
    by_day: dict[_Key, dict[int, int]] = defaultdict(dict)
    by_hour: dict[_Key, dict[int, int]] = defaultdict(dict)
    read: dict[_Key, list[str]] = defaultdict(list)
    for found, rows in ((by_day, days), (by_hour, hours)):
        for key, when, number in rows:
            found[key][when] = number
    for key, name in fields:
        read[key].append(name)
    return tuple(
        Usage(group, number, first, last, by_day[key], by_hour[key], tuple(sorted(read[key])))
        for key, group, number, first, last in groups
    )


class Busy(StoreUnavailable):
    """Another process has the store to itself at this moment."""


class Ledger(ABC):
    """Switches and counts; safe across threads, processes and forks. As a context, it is closed at the end.

    Switches are texts by name, such as ``mode caller=registrar`` and ``canary:25``. Readers ask again every second or
    so: nobody is told of a change.

    Every method raises :class:`StoreUnavailable` where the store cannot be reached.
    """

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def switches(self) -> Mapping[str, str]:
        """Every switch that is set, by name."""

    @abstractmethod
    def set_switch(self, name: str, value: str | None) -> None:
        """Set a switch for every process; None takes it away."""

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Add a batch of counts, all of it or nothing.

        Raises:
            StoreUnavailable: it was not added, or that cannot be known; to add the same batch again is safe.
            Busy: it was not added, and may be in a moment.
        """

    @abstractmethod
    def counted(self) -> AllCounts:
        """All counts that were added."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""


def open_ledger(url: str) -> Ledger:
    """The ledger of a store. With SQLite it is a file of its own beside it, made when something is first written.

    Args:
        url: as :func:`compat.stores.open_store` takes it; that of ``memory://`` is this process's alone.

    Raises:
        ConfigurationError: there is no such kind of store.
    """
    return parse_store_url(url).ledger()


def away(error: Exception) -> StoreUnavailable:
    """What is raised while the store is away; the text says of what kind, and holds no address with a password."""
    return StoreUnavailable(f"The store cannot be reached at the moment: {type(error).__name__}.")


def memory_ledger(url: str) -> Ledger:
    """The ledger of this process alone, one for each URL."""
    with _LOCK:
        return _IN_MEMORY.setdefault(url, _MemoryLedger())


class _MemoryLedger(Ledger):
    def __init__(self) -> None:
        self._lock = ForkLock()
        self._switches: dict[str, str] = {}
        self._names: dict[str, set[str]] = {kind: set() for kind in MOST_NAMES}
        self._groups: dict[CallGroup, Counts] = defaultdict(Counts)
        self._taken: dict[str, int] = defaultdict(int)
        self._dropped = 0
        self._dropped_last: float | None = None

    def switches(self) -> Mapping[str, str]:
        with self._lock:
            return dict(self._switches)

    def set_switch(self, name: str, value: str | None) -> None:
        with self._lock:
            if value is None:
                self._switches.pop(name, None)
            else:
                self._switches[name] = value

    def add(self, batch: Batch) -> None:
        with self._lock:
            if self._taken[batch.writer] >= batch.number:
                return
            self._taken[batch.writer] = batch.number
            for group, counts in batch.groups.items():
                self._groups[group.bounded(self._known)].merge(counts)
            if batch.dropped:
                self._dropped += batch.dropped
                self._dropped_last = batch.at

    def counted(self) -> AllCounts:
        with self._lock:
            usages = [
                Usage(group, of.number, of.first, of.last, of.days(), dict(of.hours), tuple(sorted(of.fields)))
                for group, of in self._groups.items()
            ]
            return AllCounts(tuple(usages), self._dropped, self._dropped_last)

    def close(self) -> None:
        pass

    def _known(self, kind: str, name: str) -> str:
        known = self._names[kind]
        if name and name not in known:
            if len(known) >= MOST_NAMES[kind]:
                return OTHER
            known.add(name)
        return name


_LOCK = ForkLock()
_IN_MEMORY: dict[str, _MemoryLedger] = {}
