"""Say of every difference why it is there, or that nobody knows.

Data may change while they are compared, so a pair that differs is read again: the old, the new, and the old again. What
both endpoints say now, and differ in, stays a difference wherever it is, if the two old readings around the new one
agree there. Only where the old answers themselves differ from each other did the data move, and a difference there says
nothing of the new endpoint. What comes and goes between three calls is in the new answer alone: so a difference is read
once more, and one that does not show again was seen once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timezone, tzinfo
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from compat.legacy.routes import LegacyCall
from compat.regression.comparing.comparable import PAGE_COUNT, examine_pair
from compat.regression.comparing.compare import compare
from compat.regression.comparing.known import (
    NO_LOSSES,
    DeclaredLosses,
    Difference,
    KnownDifference,
    KnownDifferences,
    Place,
)
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.evidence.compared import Evidence, evidence_of

__all__ = ["Explainer", "Outcome", "Reread", "Rereader", "read_again"]

_ONCE = "seen once, and not when the call was made again"
_ROUNDS = 3
"""Readings of old, new and old at most: data that moved in one of them stands still in another."""
_OF_THE_LIST = frozenset(("membership", "order", "headers"))
_NEVER_DRIFT = frozenset(("access",))
"""Who may see what: a caller who is let in now was kept out for a reason, whatever the old endpoint says today."""


class Rereader(Protocol):
    """Asks both endpoints again, with the account of the caller who made the call."""

    def old(self, call: LegacyCall) -> Answered | None:
        """What the old endpoint answers now; None where it cannot be asked."""

    def new(self, call: LegacyCall) -> Answered | None:
        """What the new one answers now; None where it cannot be asked."""


class Reread(NamedTuple):
    """What a second reading says.

    Attributes:
        drift: those of the first differences that the data's own changes explain.
        now: the differences that both endpoints show now, and show again, the old one standing still.
        once: those that they showed in one reading, and not in the next: a record may have come before the new endpoint
            was asked, and gone before the old one was asked again.
    """

    drift: frozenset[Place]
    now: Sequence[Difference]
    once: Sequence[Difference] = ()


def read_again(
    pair: Pair, found: Sequence[Difference], rereader: Rereader, zone: tzinfo, losses: DeclaredLosses = NO_LOSSES
) -> Reread | None:
    """Make a call again at both endpoints; None where it cannot be, or the old one gives nothing to compare with.

    Args:
        pair: the pair that differs.
        found: those of its differences that nothing explains so far.
        rereader: asks again.
        zone: of times without an offset.
        losses: what may stand in for old values.
    """
    for _ in range(_ROUNDS):
        found_now = _readings(pair, rereader)
        if found_now is None:
            return None
        readings = found_now
        moving = _places(pair, readings.first, readings.last, zone)
        if not moving:
            break
    shown = _standing(pair, readings, zone, losses)
    stays = {each.place for each in shown}
    again: set[Place] = set()
    for _ in range(_ROUNDS):
        if again >= stays:
            break
        confirming = _readings(pair, rereader)
        again |= stays if confirming is None else {each.place for each in _standing(pair, confirming, zone, losses)}
    now = [each for each in shown if each.place in again or each.aspect in _NEVER_DRIFT]
    moved = moving | _places(pair, pair.old, readings.first, zone)
    paged = _is_paged(pair.old) or _is_paged(readings.first)
    drift = {each.place for each in found if each.place not in stays and _explained(each, moved, paged=paged)}
    return Reread(frozenset(drift), now, [each for each in shown if each not in now])


class _Readings(NamedTuple):
    """What both endpoints say now: the old one, the new one, and the old one again."""

    first: Answered
    new: Answered
    last: Answered


def _places(pair: Pair, one: Answered, other: Answered, zone: tzinfo) -> set[Place]:
    """Where two answers differ."""
    return {each.place for each in compare(dataclasses.replace(pair, old=one, new=other), zone)}


def _standing(pair: Pair, readings: _Readings, zone: tzinfo, losses: DeclaredLosses) -> list[Difference]:
    """The differences that both old answers have."""
    first, new, last = readings
    moving = _places(pair, first, last, zone)
    there_after = {each.place for each in compare(dataclasses.replace(pair, old=last, new=new), zone, losses)}
    differences = compare(dataclasses.replace(pair, old=first, new=new), zone, losses)
    return [each for each in differences if each.place in there_after and each.place not in moving]


def _readings(pair: Pair, rereader: Rereader) -> _Readings | None:
    first = rereader.old(pair.call)
    new = None if first is None else rereader.new(pair.call)
    last = None if new is None else rereader.old(pair.call)
    if first is None or new is None or last is None:
        return None
    if any(examine_pair(dataclasses.replace(pair, old=old, new=new)).why_not is not None for old in (first, last)):
        return None
    return _Readings(first, new, last)


def _is_paged(old: Answered) -> bool:
    """Whether an answer is a page of several, over whose edges records move."""
    pages = {name.lower(): value for name, value in old.headers.items()}.get(PAGE_COUNT)
    return pages not in ("0", "1")


def _explained(difference: Difference, moved: set[Place], *, paged: bool) -> bool:
    """Whether the old answers differ from each other where a difference was.

    A record that came or went takes its values with it, and shifts what its list counts, in which order it stands and,
    where the list goes on over other pages, which records stand on this one.
    """
    aspect, record, _ = place = difference.place
    if aspect in _NEVER_DRIFT:
        return False
    if place in moved or ("membership", record, None) in moved:
        return True
    if aspect == "membership" and not paged:
        return False
    return aspect in _OF_THE_LIST and any(other[0] in _OF_THE_LIST for other in moved)


class Outcome(msgspec.Struct, frozen=True):
    """What came of one pair.

    Attributes:
        pair: the pair.
        not_comparable: why nothing could be compared; None where something was.
        evidence: what its answers could show.
        differences: each of them with its explanation.
        reread: whether the call was made again.
    """

    pair: Pair
    not_comparable: str | None = None
    evidence: Evidence = Evidence()
    differences: Sequence[Difference] = ()
    reread: bool = False

    @property
    def unexplained(self) -> list[Difference]:
        """Those that nothing explains."""
        return [each for each in self.differences if each.by is None]


@dataclasses.dataclass(frozen=True)
class Explainer:
    """Compares pairs and explains what differs.

    A declared loss is looked for first, then a known difference; only for what is left are both endpoints asked again,
    where there is a rereader.
    """

    losses: DeclaredLosses
    known: KnownDifferences = dataclasses.field(default_factory=KnownDifferences)
    rereader: Rereader | None = None
    zone: tzinfo = timezone.utc

    def outcome(self, pair: Pair, rereader: Rereader | None = None) -> Outcome:
        """What differs in a pair, and why; the call is made again by a rereader of its own, or by that of all."""
        examined = examine_pair(pair)
        if examined.why_not is not None:
            return Outcome(pair, examined.why_not)
        evidence = evidence_of(pair, examined.content)
        found = compare(pair, self.zone, self.losses)
        if not found:
            return Outcome(pair, None, evidence)
        rules = self.known.of_call(pair.call.route.action, pair.caller, pair.call.exam_id)
        explained = [self._by_rule(each, rules) for each in found]
        left = [each for each in explained if each.by is None]
        rereader = rereader or self.rereader
        again = read_again(pair, left, rereader, self.zone, self.losses) if left and rereader is not None else None
        if again is None:
            return Outcome(pair, None, evidence, explained)
        return Outcome(pair, None, evidence, self._after(explained, again, rules), reread=True)

    def _after(
        self, explained: Sequence[Difference], again: Reread, rules: Sequence[KnownDifference]
    ) -> list[Difference]:
        """What is to be said of a pair after its second reading: the differences of both, each with its explanation."""
        first = [_by_drift(each, again) for each in explained]
        said = {each.place: each.by for each in first}
        # What is explained at the first reading may be another difference at the second, which is not.
        now = [self._by_rule(each, rules) for each in again.now]
        now += [_seen_once(self._by_rule(each, rules)) for each in again.once]
        return first + [
            each for each in now if each.place not in said or (each.by is None and said[each.place] is not None)
        ]

    def _by_rule(self, difference: Difference, rules: Sequence[KnownDifference]) -> Difference:
        loss = self.losses.reason(difference)
        if loss is not None:
            return difference.explained("loss", loss)
        for rule in rules:
            if rule.fits(difference):
                return difference.explained("known", rule.name)
        return difference


def _seen_once(difference: Difference) -> Difference:
    return difference if difference.by is not None else replace(difference, reason=_ONCE, once=True)


def _by_drift(difference: Difference, again: Reread) -> Difference:
    if difference.by is not None:
        return difference
    if difference.place in again.drift:
        return difference.explained("drift", "the old answer itself changed")
    gone = difference.aspect != "access" and all(each.place != difference.place for each in again.now)
    return _seen_once(difference) if gone else difference
