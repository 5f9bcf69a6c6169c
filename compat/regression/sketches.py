"""Summaries of many calls in little memory, which add up whichever process made them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping

from compat.regression.bounds import quantile_ranks

__all__ = ["Distinct", "add_time", "quantile"]

_SMALLEST = 1024
_RANGE = 1 << 52
_GROWTH = math.log(1.02)
_SHORTEST = 1e-6


class Distinct:
    """How many different digests there were: exactly up to a thousand, within some 3 % beyond.

    The smallest digests are kept: the closer they lie together, the more there are.

    Args:
        kept: digests of another one's, to go on with.
    """

    def __init__(self, kept: Iterable[int] = ()) -> None:
        self._known = set(kept)
        self._largest_first = [-digest for digest in self._known]
        heapq.heapify(self._largest_first)

    def add(self, digest: int) -> None:
        """Take note of one, of 52 bits."""
        if digest in self._known:
            return
        if len(self._known) < _SMALLEST:
            heapq.heappush(self._largest_first, -digest)
        elif digest < -self._largest_first[0]:
            self._known.discard(-heapq.heapreplace(self._largest_first, -digest))
        else:
            return
        self._known.add(digest)

    @property
    def kept(self) -> tuple[int, ...]:
        """What is to be kept of it, sorted."""
        return tuple(sorted(self._known))

    @property
    def count(self) -> int:
        """About how many there were."""
        if len(self._known) < _SMALLEST:
            return len(self._known)
        return round((_SMALLEST - 1) * _RANGE / -self._largest_first[0])


def add_time(times: dict[int, int], seconds: float) -> None:
    """Count a duration among those of its length, to 2 %."""
    bucket = math.floor(math.log(max(seconds, _SHORTEST)) / _GROWTH)
    times[bucket] = times.get(bucket, 0) + 1


def quantile(times: Mapping[int, int], part: float, confidence: float) -> tuple[float, float, float]:
    """A quantile of durations in seconds, and the two values between which it lies with that confidence.

    The bounds are ranks among the durations, so that they hold for whatever distribution these have.
    """
    count = sum(times.values())
    low, high = quantile_ranks(count, part, confidence)
    return _at(times, min(count - 1, int(part * count))), _at(times, low), _at(times, high)


def _at(times: Mapping[int, int], rank: int) -> float:
    passed = 0
    for bucket in sorted(times):
        passed += times[bucket]
        if passed > rank:
            return math.exp((bucket + 0.5) * _GROWTH)
    raise ValueError("there is no such rank")
