"""Counts of deprecated calls in memory: for one process, and gone with it."""

from __future__ import annotations

from dataclasses import replace

from compat.forks import ForkLock
from compat.migration.tallies import MOST_NAMES, OTHER, Batch, Counted, Counts, Group, Tally, Usage

__all__ = ["MemoryTally", "memory_tally"]

_LOCK = ForkLock()


def memory_tally(url: str) -> MemoryTally:
    """That of a URL: whoever opens it in this process has the same one."""
    with _LOCK:
        return _BY_URL.setdefault(url, MemoryTally())


class MemoryTally(Tally):
    """Counts in dictionaries."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._names: dict[str, set[str]] = {kind: set() for kind in MOST_NAMES}
        self._groups: dict[Group, Counts] = {}
        self._taken: dict[str, int] = {}
        self._dropped, self._dropped_last = 0, 0.0

    def add(self, batch: Batch) -> None:
        with self._lock:
            if self._taken.get(batch.writer, 0) >= batch.number:
                return
            self._taken[batch.writer] = batch.number
            for group, counts in batch.groups.items():
                self._add(self._bounded(group), counts)
            if batch.dropped:
                self._dropped += batch.dropped
                self._dropped_last = batch.at

    def read(self) -> Counted:
        with self._lock:
            usages = [
                Usage(
                    group, each.number, each.first, each.last, each.days(), dict(each.hours), tuple(sorted(each.fields))
                )
                for group, each in self._groups.items()
            ]
            return Counted(tuple(usages), self._dropped, self._dropped_last if self._dropped else None)

    def close(self) -> None:
        pass

    def _add(self, group: Group, counts: Counts) -> None:
        kept = self._groups.setdefault(group, Counts())
        kept.number += counts.number
        kept.first, kept.last = min(kept.first, counts.first), max(kept.last, counts.last)
        kept.hours.update(counts.hours)
        kept.fields |= counts.fields

    def _bounded(self, group: Group) -> Group:
        return replace(
            group,
            call_site=self._known("call_site", group.call_site),
            user_agent=self._known("user_agent", group.user_agent),
        )

    def _known(self, kind: str, name: str) -> str:
        known = self._names[kind]
        if name and name not in known:
            if len(known) >= MOST_NAMES[kind]:
                return OTHER
            known.add(name)
        return name


_BY_URL: dict[str, MemoryTally] = {}
