"""Say of every difference why it is there, or that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo
from typing import Literal

import msgspec

from compat.regression.comparing.comparable import examine_pair
from compat.regression.comparing.compare import compare
from compat.regression.comparing.drift import Reread, Rereader, read_again
from compat.regression.comparing.known import DeclaredLosses, Difference, KnownDifference, KnownDifferences
from compat.regression.comparing.pairs import Pair
from compat.regression.evidence.compared import Evidence, evidence_of

__all__ = ["By", "Explained", "Explainer", "Outcome"]

By = Literal["loss", "known", "drift"]
_ONCE = "seen once, and not when the call was made again"


class Explained(msgspec.Struct, frozen=True, gc=False):
    """A difference and what explains it.

    Attributes:
        difference: the difference.
        by: a declared loss, a known difference, or drift; None where nothing explains it.
        reason: in words; empty where nothing does.
        once: whether nothing explains it, and it was not there when the call was made again. The list may have gone
            another way and back, or the new endpoint answered wrongly once: neither can be told from the other.
    """

    difference: Difference
    by: By | None = None
    reason: str = ""
    once: bool = False


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
    differences: Sequence[Explained] = ()
    reread: bool = False

    @property
    def unexplained(self) -> list[Difference]:
        """Those that nothing explains."""
        return [each.difference for each in self.differences if each.by is None]

    @property
    def once(self) -> bool:
        """Whether all of those were seen once, and not when the call was made again."""
        return all(each.once for each in self.differences if each.by is None)


class Explainer:
    """Compares pairs and explains what differs.

    A declared loss is looked for first, then a known difference; only for what is left are both endpoints asked again.

    Args:
        losses: what the declaration of the fields explains.
        known: what people know of.
        rereader: asks again; None where nobody can.
        zone: of times without an offset.
    """

    def __init__(
        self,
        losses: DeclaredLosses,
        known: KnownDifferences | None = None,
        rereader: Rereader | None = None,
        zone: tzinfo = timezone.utc,
    ) -> None:
        self._losses = losses
        self._known = known or KnownDifferences()
        self._rereader = rereader
        self._zone = zone

    def outcome(self, pair: Pair, rereader: Rereader | None = None) -> Outcome:
        """What differs in a pair, and why.

        Args:
            pair: the pair.
            rereader: makes this call again; None for who makes all.
        """
        examined = examine_pair(pair)
        if examined.why_not is not None:
            return Outcome(pair, examined.why_not)
        evidence = evidence_of(pair, examined.content)
        found = compare(pair, self._zone, self._losses)
        if not found:
            return Outcome(pair, None, evidence)
        rules = self._known.of_call(pair.call.route.action, pair.caller, pair.call.exam_id)
        explained = [self._by_rule(each, rules) for each in found]
        left = [each.difference for each in explained if each.by is None]
        rereader = rereader or self._rereader
        if not left or rereader is None:
            return Outcome(pair, None, evidence, explained)
        again = read_again(pair, left, rereader, self._zone, self._losses)
        if again is None:
            return Outcome(pair, None, evidence, explained)
        return Outcome(pair, None, evidence, self._after(explained, again, rules), reread=True)

    def _after(
        self, explained: Sequence[Explained], again: Reread, rules: Sequence[KnownDifference]
    ) -> list[Explained]:
        """What is to be said of a pair after its second reading: the differences of both, each with its explanation."""
        first = [_by_drift(each, again) for each in explained]
        said = {each.difference.place: each.by for each in first}
        # What is explained at the first reading may be another difference at the second, which is not.
        now = [self._by_rule(each, rules) for each in again.now]
        now += [_seen_once(self._by_rule(each, rules)) for each in again.once]
        return first + [
            each
            for each in now
            if each.difference.place not in said or (each.by is None and said[each.difference.place] is not None)
        ]

    def _by_rule(self, difference: Difference, rules: Sequence[KnownDifference]) -> Explained:
        loss = self._losses.reason(difference)
        if loss is not None:
            return Explained(difference, "loss", loss)
        for rule in rules:
            if rule.fits(difference):
                return Explained(difference, "known", rule.name)
        return Explained(difference)


def _seen_once(explained: Explained) -> Explained:
    return explained if explained.by is not None else Explained(explained.difference, None, _ONCE, once=True)


def _by_drift(explained: Explained, again: Reread) -> Explained:
    difference = explained.difference
    if explained.by is not None:
        return explained
    if difference.place in again.drift:
        return Explained(difference, "drift", "the old answer itself changed")
    once = difference.aspect != "access" and all(each.place != difference.place for each in again.now)
    return Explained(difference, None, _ONCE if once else "", once)
