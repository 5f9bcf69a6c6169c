"""Check pairs: compare each, explain what differs, and add it all up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timezone, tzinfo

from compat.regression.declared import DeclaredLosses
from compat.regression.drift import Rereader
from compat.regression.explain import Explainer
from compat.regression.known import KnownDifferences
from compat.regression.pairs import Pair
from compat.regression.result import CheckResult
from compat.regression.tally import Tally

__all__ = ["check_pairs"]


def check_pairs(
    pairs: Iterable[Pair],
    *,
    upstream: str | None = None,
    known: KnownDifferences | None = None,
    rereader: Rereader | None = None,
    zone: tzinfo = timezone.utc,
    pseudonymised: bool = False,
) -> CheckResult:
    """Check pairs one by one; the memory that it takes does not grow with their number.

    Args:
        pairs: a call each, answered by both endpoints.
        upstream: the kind of the new endpoint, whose declared losses are then explained.
        known: the differences that people know of.
        rereader: makes calls again whose differences nothing else explains.
        zone: of times without an offset.
        pseudonymised: whether what is personal in the answers is a pseudonym, and may be shown.
    """
    explainer = Explainer(DeclaredLosses(upstream, zone=zone), known, rereader, zone)
    tally = Tally(known, pseudonymised=pseudonymised)
    for pair in pairs:
        tally.add(explainer.outcome(pair))
    return tally.result()
