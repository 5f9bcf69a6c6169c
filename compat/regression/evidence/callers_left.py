"""One score for each caller that is left: how often it calls, whether its script can be rewritten, how sure one is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from compat.call_site import same_file
from compat.regression.evidence.verdict import Judgement, Score
from compat.text.json import several

if TYPE_CHECKING:
    # The scan needs packages of its own, and few checks look at scripts.
    from compat.migration.scan.rules import Find

__all__ = ["Called", "CallerLeft", "callers_left", "sentence"]


@dataclass(frozen=True)
class CallerLeft:
    """A caller of the old interface.

    Attributes:
        name: the caller or call site.
        calls_a_day: by the inventory.
        last_seen: seconds since the epoch.
        rewritable: "rewritable", or what is left to do by hand.
        evidence: what the comparison says of it, such as ``0 unexplained in 1,900``.
    """

    name: str
    calls_a_day: float
    last_seen: float | None
    rewritable: str
    evidence: str


class Called(Protocol):
    """What the inventory knows of a caller: calls a day, the last one, and the lines such as ``/srv/export.py:12``."""

    @property
    def name(self) -> str: ...

    @property
    def a_day(self) -> float: ...

    @property
    def last(self) -> float | None: ...

    @property
    def call_sites(self) -> Sequence[str]: ...


def callers_left(callers: Iterable[Called], judgement: Judgement, finds: Sequence[Find] = ()) -> list[CallerLeft]:
    """The inventory, the verdict and what can be rewritten, caller by caller, the busiest first.

    A caller that no call of the check came from has not been checked; of a file that is not among the finds, nothing is
    known.
    """
    scores = {score.name: score for score in judgement.callers}
    found = [
        CallerLeft(
            each.name, each.a_day, each.last, _rewritable(each.call_sites, finds), _evidence(scores.get(each.name))
        )
        for each in callers
    ]
    return sorted(found, key=lambda each: (-each.calls_a_day, each.name))


def sentence(caller: CallerLeft) -> str:
    """The score in words, such as "214 calls a day, rewritable, 0 unexplained in 1,900"."""
    number = caller.calls_a_day
    often = f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:.2g}"
    return f"{often} call{'' if often == '1' else 's'} a day, {caller.rewritable}, {caller.evidence}"


def _evidence(score: Score | None) -> str:
    if score is None or not (score.calls or score.not_comparable):
        return "not checked"
    if not score.calls:
        return f"nothing could be compared in {several(score.not_comparable, 'call')}"
    return f"{score.unexplained:,} unexplained in {score.calls:,}"


def _rewritable(call_sites: Iterable[str], finds: Sequence[Find]) -> str:
    files = [site.rpartition(":")[0] for site in call_sites]
    theirs = [find for find in finds if any(same_file(file, find.path) for file in files)]
    if not theirs:
        return "script not seen"
    by_hand = sum(not find.rewritable for find in theirs)
    return f"{by_hand} of {several(len(theirs), 'place')} by hand" if by_hand else "rewritable"
