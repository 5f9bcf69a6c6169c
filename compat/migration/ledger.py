"""Ledger: run-time switches and counts of calls, which all processes share, beside the gateway's store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType

from compat.errors import StoreUnavailable
from compat.migration.inventory.counts import MOST_NAMES, OTHER, AllCounts, Batch, CallGroup, Counts, Usage
from compat.processes import ForkLock
from compat.stores.url import parse_store_url

__all__ = ["Busy", "Ledger", "bounded", "memory_ledger", "open_ledger", "unreadable"]


class Busy(StoreUnavailable):
    """Another process has the store to itself at this moment."""


class Ledger(ABC):
    """Switches and counts; safe across threads, processes and forks.

    Switches are texts by name, such as ``mode caller=registrar`` and ``canary:25``. Readers ask again every second or
    so: nobody is told of a change. As a context, it is closed at the end.

    Every method raises :class:`StoreUnavailable` where the store cannot be reached.
    """

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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


def memory_ledger(url: str) -> Ledger:
    """The ledger of this process alone, one for each URL."""
    with _LOCK:
        return _IN_MEMORY.setdefault(url, _MemoryLedger())


def unreadable(error: Exception) -> StoreUnavailable:
    """What is raised while the store is away; the text says of what kind, and holds no address with a password."""
    return StoreUnavailable(f"The store cannot be reached at the moment: {type(error).__name__}.")


def bounded(group: CallGroup, known: Callable[[str, str], str]) -> CallGroup:
    """A group whose names callers choose: what is too many is :data:`OTHER`.

    Args:
        group: as it was counted.
        known: gives, for a kind of name and a name, the one that is kept.
    """
    return replace(
        group,
        call_site=known("call_site", group.call_site),
        user_agent=known("user_agent", group.user_agent),
    )


class _MemoryLedger(Ledger):
    """That of this process: whoever opens the same URL has the same one."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._switches: dict[str, str] = {}
        self._names: dict[str, set[str]] = {kind: set() for kind in MOST_NAMES}
        self._groups: dict[CallGroup, Counts] = {}
        self._taken: dict[str, int] = {}
        self._dropped, self._dropped_last = 0, 0.0

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
            if self._taken.get(batch.writer, 0) >= batch.number:
                return
            self._taken[batch.writer] = batch.number
            for group, counts in batch.groups.items():
                self._groups.setdefault(bounded(group, self._known), Counts()).merge(counts)
            if batch.dropped:
                self._dropped += batch.dropped
                self._dropped_last = batch.at

    def counted(self) -> AllCounts:
        with self._lock:
            usages = [
                Usage(
                    group, each.number, each.first, each.last, each.days(), dict(each.hours), tuple(sorted(each.fields))
                )
                for group, each in self._groups.items()
            ]
            return AllCounts(tuple(usages), self._dropped, self._dropped_last if self._dropped else None)

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
