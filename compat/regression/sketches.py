"""How long many calls took, in little memory; what several processes counted adds up."""

from __future__ import annotations

import math
from collections.abc import Mapping

from compat.regression.bounds import quantile_ranks

__all__ = ["add_time", "quantile"]

_GROWTH = math.log(1.02)
_SHORTEST = 1e-6


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
