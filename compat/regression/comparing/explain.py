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
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from compat.legacy.routes import LegacyCall
from compat.regression.comparing.compare import compare
from compat.regression.comparing.known import (
    DeclaredLosses,
    Difference,
    KnownDifference,
    KnownDifferences,
    Place,
    aspect_bits,
    field_bits,
)
from compat.regression.comparing.pairs import (
    COMPARED_HEADERS,
    PAGE_COUNT,
    Answered,
    Content,
    Pair,
    examine_pair,
    members,
    read_content,
)

__all__ = ["Explainer", "Outcome", "Rereader"]

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


class _Readings(NamedTuple):
    """What both endpoints say now: the old one, the new one, and the old one again."""

    first: Answered
    new: Answered
    last: Answered


class _Reread(NamedTuple):
    """What a second reading says.

    Attributes:
        drift: where the data's own changes explain a first difference.
        now: what both endpoints differ in now, and again, the old one standing still.
        once: what they differed in once: a record may have come before the new endpoint was asked, and gone afterwards.
    """

    drift: set[Place]
    now: Sequence[Difference]
    once: Sequence[Difference]


@dataclasses.dataclass(frozen=True)
class _SecondReading:
    """Makes the call of a pair again at both endpoints."""

    pair: Pair
    rereader: Rereader
    zone: tzinfo
    losses: DeclaredLosses

    def of(self, found: Sequence[Difference]) -> _Reread | None:
        """What it says of differences that nothing explains so far; None where the call cannot be made again."""
        for _ in range(_ROUNDS):
            found_now = self._readings()
            if found_now is None:
                return None
            readings = found_now
            moving = self._places(readings.first, readings.last)
            if not moving:
                break
        shown = self._standing(readings)
        stays = {each.place for each in shown}
        again: set[Place] = set()
        for _ in range(_ROUNDS):
            if again >= stays:
                break
            confirming = self._readings()
            again |= stays if confirming is None else {each.place for each in self._standing(confirming)}
        now = [each for each in shown if each.place in again or each.aspect in _NEVER_DRIFT]
        moved = moving | self._places(self.pair.old, readings.first)
        # Over the edges of a page of several, records move.
        paged = any(old.named.get(PAGE_COUNT) not in ("0", "1") for old in (self.pair.old, readings.first))
        drift = {each.place for each in found if each.place not in stays and _explained(each, moved, paged=paged)}
        return _Reread(drift, now, [each for each in shown if each not in now])

    def _readings(self) -> _Readings | None:
        call = self.pair.call
        first = self.rereader.old(call)
        new = None if first is None else self.rereader.new(call)
        last = None if new is None else self.rereader.old(call)
        if first is None or new is None or last is None:
            return None
        if any(examine_pair(self._of(old, new)).why_not is not None for old in (first, last)):
            return None
        return _Readings(first, new, last)

    def _of(self, old: Answered, new: Answered) -> Pair:
        return dataclasses.replace(self.pair, old=old, new=new)

    def _places(self, one: Answered, other: Answered) -> set[Place]:
        """Where two answers of the old endpoint differ."""
        return {each.place for each in compare(self._of(one, other), self.zone)}

    def _standing(self, readings: _Readings) -> list[Difference]:
        """The differences that both old answers have."""
        first, new, last = readings
        moving = self._places(first, last)
        at_first, at_last = (compare(self._of(old, new), self.zone, self.losses) for old in (first, last))
        stay = {each.place for each in at_last} - moving
        return [each for each in at_first if each.place in stay]


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


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Sets of the aspects and of the fields that the answers to a call could show, as bits."""

    aspects: int = 0
    fields: int = 0


def _evidence_of(pair: Pair, content: Content) -> Evidence:
    """What a pair that can be compared could show; the content is that of its old answer."""
    old, new = pair.old, pair.new
    aspects = ["access", "status"]
    if new.failure is not None or old.status != new.status:
        return _evidence(tuple(aspects))
    aspects += ["headers"] if any(name in old.named for name in COMPARED_HEADERS) else []
    if old.status != 200:
        return _evidence((*aspects, "error"))
    aspects += ["body"] if old.body else []
    records = content.records
    if not records:
        if new.body != old.body and old.body and read_content(new.body, new.status).records:
            # That the new one has a record and the old one has none is a difference of membership.
            aspects.append("membership")
        return _evidence(tuple(aspects))
    aspects += ["membership", "fields", "values"]
    aspects += ["order"] if len(records) > 1 else []
    aspects += ["page boundary"] if PAGE_COUNT in old.named else []
    return _evidence(tuple(aspects), tuple(members(records[0]) or ()))


@lru_cache(maxsize=1024)
def _evidence(aspects: tuple[str, ...], fields: tuple[str, ...] = ()) -> Evidence:
    return Evidence(aspect_bits(aspects), field_bits(fields))


class Outcome(msgspec.Struct, frozen=True):
    """What came of one pair.

    Attributes:
        not_comparable: why nothing could be compared; None where something was.
        evidence: what its answers could show.
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
    zone: tzinfo = timezone.utc

    def outcome(self, pair: Pair, rereader: Rereader | None = None) -> Outcome:
        """What differs in a pair, and why."""
        examined = examine_pair(pair)
        if examined.why_not is not None:
            return Outcome(pair, examined.why_not)
        evidence = _evidence_of(pair, examined.content)
        found = compare(pair, self.zone, self.losses)
        if not found:
            return Outcome(pair, None, evidence)
        rules = self.known.of_call(pair.call.route.action, pair.caller, pair.call.exam_id)
        explained = [self._by_rule(each, rules) for each in found]
        left = [each for each in explained if each.by is None]
        again = None
        if left and rereader is not None:
            again = _SecondReading(pair, rereader, self.zone, self.losses).of(left)
        if again is None:
            return Outcome(pair, None, evidence, explained)
        return Outcome(pair, None, evidence, self._after(explained, again, rules), reread=True)

    def _after(
        self, explained: Sequence[Difference], again: _Reread, rules: Sequence[KnownDifference]
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
        rule = next((rule for rule in rules if rule.fits(difference)), None)
        return difference if rule is None else difference.explained("known", rule.name)


def _seen_once(difference: Difference) -> Difference:
    return difference if difference.by is not None else replace(difference, reason=_ONCE, once=True)


def _by_drift(difference: Difference, again: _Reread) -> Difference:
    if difference.by is not None:
        return difference
    if difference.place in again.drift:
        return difference.explained("drift", "the old answer itself changed")
    gone = difference.aspect != "access" and all(each.place != difference.place for each in again.now)
    return _seen_once(difference) if gone else difference
