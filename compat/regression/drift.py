"""Data that changes while it is compared: a pair that differs is read again, the old, the new, and the old again.

Where the old answers of one call differ from each other, the data moved, and a difference there says nothing of the
new endpoint. A fault stays: it differs from an old side that stood still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Protocol

from compat.legacy.routes import LegacyCall
from compat.regression.compare import comparable_answer, compare
from compat.regression.differences import Difference, Place
from compat.regression.pairs import Answered, Pair

__all__ = ["Rereader", "drifted"]


_OF_THE_LIST = frozenset(("membership", "order", "headers"))


class Rereader(Protocol):
    """Asks both endpoints again."""

    def old(self, call: LegacyCall) -> Answered | None:
        """What the old endpoint answers now; None where it cannot be asked."""

    def new(self, call: LegacyCall) -> Answered | None:
        """What the new one answers now; None where it cannot be asked."""


def drifted(pair: Pair, found: Sequence[Difference], rereader: Rereader, zone: tzinfo) -> set[Place] | None:
    """The places of differences that the data's own changes explain; None where it cannot be read again.

    Args:
        pair: the pair that differs.
        found: its differences.
        rereader: asks again.
        zone: of times without an offset.
    """
    first = rereader.old(pair.call)
    if first is None or not comparable_answer(first):
        return None
    new, last = rereader.new(pair.call), rereader.old(pair.call)
    if new is None or last is None or not comparable_answer(last):
        return None

    def places(one: Answered, other: Answered) -> set[Place]:
        return {each.place for each in compare(replace(pair, old=one, new=other), zone)}

    moving = places(first, last)
    moved = moving | places(pair.old, first)
    still_there = places(first, new) & places(last, new)
    return {
        place
        for place in {each.place for each in found}
        if place in moving or (place not in still_there and _reached(place, moved))
    }


def _reached(place: Place, moved: set[Place]) -> bool:
    """Whether what moved can have made a difference at a place.

    A record that came or went takes its values with it, and shifts what the list counts and in which order it stands.
    """
    aspect, record, _ = place
    if place in moved or ("membership", record, None) in moved:
        return True
    return aspect in _OF_THE_LIST and any(other[0] in _OF_THE_LIST for other in moved)
