"""Say of every difference why it is there, or that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo

import msgspec
from msgspec.structs import replace

from compat.regression.comparing.comparable import examine_pair
from compat.regression.comparing.compare import compare
from compat.regression.comparing.drift import Reread, Rereader, read_again
from compat.regression.comparing.known import DeclaredLosses, Difference, KnownDifference, KnownDifferences
from compat.regression.comparing.pairs import Pair
from compat.regression.evidence.compared import Evidence, evidence_of

__all__ = ["Explainer", "Outcome"]

_ONCE = "seen once, and not when the call was made again"


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
        left = [each for each in explained if each.by is None]
        rereader = rereader or self._rereader
        again = read_again(pair, left, rereader, self._zone, self._losses) if left and rereader is not None else None
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
        loss = self._losses.reason(difference)
        if loss is not None:
            return replace(difference, by="loss", reason=loss)
        rule = next((rule for rule in rules if rule.fits(difference)), None)
        return difference if rule is None else replace(difference, by="known", reason=rule.name)


def _seen_once(difference: Difference) -> Difference:
    return difference if difference.by is not None else replace(difference, reason=_ONCE, once=True)


def _by_drift(difference: Difference, again: Reread) -> Difference:
    if difference.by is not None:
        return difference
    if difference.place in again.drift:
        return replace(difference, by="drift", reason="the old answer itself changed")
    gone = difference.aspect != "access" and all(each.place != difference.place for each in again.now)
    return _seen_once(difference) if gone else difference
