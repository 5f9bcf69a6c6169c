"""Say of every difference why it is there, or that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo
from typing import Literal

import msgspec

from compat.regression.compare import comparable_answer, compare
from compat.regression.declared import DeclaredLosses
from compat.regression.differences import Difference, Place
from compat.regression.drift import Rereader, drifted
from compat.regression.known import KnownDifference, KnownDifferences
from compat.regression.pairs import Pair

__all__ = ["By", "Explained", "Explainer", "Outcome"]

By = Literal["loss", "known", "drift"]


class Explained(msgspec.Struct, frozen=True, gc=False):
    """A difference and what explains it.

    Attributes:
        difference: the difference.
        by: a declared loss, a known difference, or drift; None where nothing explains it.
        reason: in words; empty where nothing does.
    """

    difference: Difference
    by: By | None = None
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one pair.

    Attributes:
        pair: the pair.
        compared: whether the old answer says what the new one should; a failure of its own does not.
        differences: each of them with its explanation.
        reread: whether the call was made again.
    """

    pair: Pair
    compared: bool
    differences: Sequence[Explained] = ()
    reread: bool = False

    @property
    def unexplained(self) -> list[Difference]:
        """Those that nothing explains."""
        return [each.difference for each in self.differences if each.by is None]


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
        if not comparable_answer(pair.old):
            return Outcome(pair, compared=False)
        found = compare(pair, self._zone, self._losses)
        if not found:
            return Outcome(pair, compared=True)
        call = pair.call
        rules = self._known.of_call(call.route.action, pair.caller, call.exam_id)
        explained = [self._by_rule(each, rules) for each in found]
        left = [each.difference for each in explained if each.by is None]
        rereader = rereader or self._rereader
        if not left or rereader is None:
            return Outcome(pair, True, explained)
        moved = drifted(pair, left, rereader, self._zone)
        if moved is None:
            return Outcome(pair, True, explained)
        return Outcome(pair, True, [_by_drift(each, moved) for each in explained], reread=True)

    def _by_rule(self, difference: Difference, rules: Sequence[KnownDifference]) -> Explained:
        loss = self._losses.reason(difference)
        if loss is not None:
            return Explained(difference, "loss", loss)
        for rule in rules:
            if rule.fits(difference):
                return Explained(difference, "known", rule.name)
        return Explained(difference)


def _by_drift(explained: Explained, moved: set[Place]) -> Explained:
    if explained.by is None and explained.difference.place in moved:
        return Explained(explained.difference, "drift", "the old answer itself changed")
    return explained
