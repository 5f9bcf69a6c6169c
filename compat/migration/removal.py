"""What is due for removal: the registry's names by version, and the old interface by its configured sunset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from packaging.version import Version

from compat.deprecation import REGISTRY, Deprecation
from compat.migration.inventory.counts import Usage

__all__ = ["Removal", "removals"]

Verdict = Literal["due", "soon", "later"]


@dataclass(frozen=True)
class Removal:
    """Something that goes: a registered name, or the old interface.

    Attributes:
        goes: the version or the day from which it is gone.
        verdict: "due" where that has come, "soon" where the day is near, "later" otherwise.
        calls: how often it was used in the days looked at, as far as that was counted.
        last: when it was last used, seconds since the epoch; None where nobody was seen to use it.
    """

    name: str
    goes: str
    verdict: Verdict
    calls: int
    last: float | None
    instead: str


def removals(version: str, sunset: date | None, today: date, days: int, usages: Iterable[Usage]) -> list[Removal]:
    """Everything that goes, the old interface first.

    Args:
        version: ours that counts.
        sunset: the configured day, or None.
        today: the day that counts.
        days: before the sunset that it is soon, and until today that uses are counted.
        usages: what was counted.
    """
    counted = list(usages)
    found = []
    if sunset is not None:
        soon = today + timedelta(days=days) >= sunset
        verdict: Verdict = "due" if today >= sunset else "soon" if soon else "later"
        calls, last = _used(counted, today, days)
        found.append(Removal("the old interface", sunset.isoformat(), verdict, calls, last, "student sessions"))
    for entry in REGISTRY.values():
        gone = Version(version) >= Version(entry.removed_in)
        calls, last = _used([each for each in counted if _is_of(entry, each)], today, days)
        found.append(Removal(entry.name, entry.removed_in, "due" if gone else "later", calls, last, entry.instead))
    return found


def _is_of(entry: Deprecation, usage: Usage) -> bool:
    """Whether calls used a name: a method of the client class, or a route by whatever else."""
    by_client = entry.name.startswith("ExamStudentsClient.")
    route = entry.name.rpartition("." if by_client else "/")[2]
    return usage.group.route == route and (usage.group.entrance == "client") == by_client


def _used(usages: Iterable[Usage], today: date, days: int) -> tuple[int, float | None]:
    ends = (today - date(1970, 1, 1)).days
    calls, last = 0, None
    for usage in usages:
        calls += sum(number for day, number in usage.days.items() if ends - days < day <= ends)
        last = usage.last if last is None else max(last, usage.last)
    return calls, last
