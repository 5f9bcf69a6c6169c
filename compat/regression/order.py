"""Numbers that lie in the order of values, and say nothing else of them.

A number is given where a value is first met, between those of its neighbours, and stays. So it tells a value's place
among the values of one recording, and when it came; not by how much values differ, nor what they begin with, which
encryption that keeps order gives away.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

__all__ = ["LABEL_BITS", "Exhausted", "Labels"]

LABEL_BITS = 80
_END = 1 << LABEL_BITS
_STEP = 1 << (LABEL_BITS - 20)
"""Between values that come in their order, as those of sorted pages do: there is room for half a million of them."""

_LEAST_SHARE = 8
"""Values that come in their order between two others take ever less of the room: at last one part in 2 to this."""


class Exhausted(Exception):
    """Two neighbours have no number between them any more."""


class Labels:
    """The numbers of the values of one column; all are strings, or all are integers."""

    def __init__(self) -> None:
        self._sorted: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._latest: Any = None
        self._in_order = 1

    def __len__(self) -> int:
        return len(self._sorted)

    def __getitem__(self, value: Any) -> int:
        return self._numbers[value]

    def assign(self, values: Iterable[Any]) -> list[Any]:
        """Give numbers to those values that have none.

        Returns:
            those values, in their order.

        Raises:
            Exhausted: some value got none.
        """
        new = sorted({value for value in values if value not in self._numbers})
        end = len(new)
        # From behind, so that the places found for what lies before stay right.
        while end:
            place = bisect_left(self._sorted, new[end - 1])
            begin = bisect_left(new, self._sorted[place - 1]) if place else 0
            self._insert(place, new[begin:end])
            end = begin
        if new:
            self._latest = new[-1]
        return new

    def _insert(self, place: int, run: list[Any]) -> None:
        """Give numbers to values between two neighbours."""
        before = self._sorted[place - 1] if place else None
        low = self._numbers[before] if place else 0
        last = place == len(self._sorted)
        high = _END if last else self._numbers[self._sorted[place]]
        step = (high - low) // (len(run) + 1)
        if not step:
            raise Exhausted
        if not self._sorted:
            low, step = _END // 2, min(step // 2, _STEP)
        elif last:
            step = min(step, _STEP)
        elif not place:
            step = min(step, _STEP)
            low = high - step * (len(run) + 1)
        elif before == self._latest:
            # Else they would halve each time what is left.
            self._in_order = min(self._in_order + 1, _LEAST_SHARE)
            step = max(1, min(step, (high - low) >> self._in_order))
        else:
            self._in_order = 1
        for number, value in enumerate(run, 1):
            self._numbers[value] = low + step * number
        self._sorted[place:place] = run
