"""Bounds of rates and of quantiles, and how rates and times are written everywhere.

The bounds are those of Clopper and Pearson, from the binomial distribution itself: no approximation that fails where
nothing was found. They need the incomplete beta function, which the standard library has not and for which SciPy would
be a hundred times the size of this package.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache

__all__ = [
    "add_time",
    "calls_needed",
    "in_so_many",
    "lower_bound",
    "milliseconds",
    "moment",
    "percent",
    "quantile",
    "quantile_ranks",
    "share",
    "upper_bound",
]

_STEPS = 200
_MOST_STEPS = 100_000
_TINY = 1e-300
_MOST_CALLS = 10**9


@lru_cache(maxsize=4096)
def upper_bound(found: float, calls: float, confidence: float = 0.95) -> float:
    """The rate that is exceeded with no more than ``1 - confidence`` chance of finding so few.

    Args:
        found: draws that showed it; weighted draws have an effective number, which need not be whole (Korn, Graubard).
        calls: all draws, independent of each other.
        confidence: of this one bound, above 0 and below 1.
    """
    if found >= calls:
        return 1.0
    if found == 0:
        return -math.expm1(math.log1p(-confidence) / calls)
    return _beta_quantile(confidence, found + 1, calls - found)


def lower_bound(found: float, calls: float, confidence: float = 0.95) -> float:
    """The rate below which no more than ``1 - confidence`` chance is of finding so many."""
    return 1 - upper_bound(calls - found, calls, confidence)


@lru_cache(maxsize=4096)
def calls_needed(found: int, rate: float, confidence: float = 0.95) -> int:
    """The least number of calls, ``found`` of them with a difference, whose upper bound is at most ``rate``."""
    return bisect_left(range(_MOST_CALLS), True, key=lambda calls: upper_bound(found, calls, confidence) <= rate)


@lru_cache(maxsize=1024)
def quantile_ranks(calls: int, quantile: float, confidence: float = 0.95) -> tuple[int, int]:
    """Which of so many sorted values enclose a quantile of what they were drawn from, whatever its distribution.

    Returns:
        The ranks of the lower and the upper one, from 0, with ``confidence`` between them; 0 and the last where the
        values are too few to say.
    """
    tail = (1 - confidence) / 2
    # The number of values below the quantile is binomial: its own quantiles are the ranks.
    below, above = (_binomial_quantile(chance, calls, quantile) for chance in (tail, 1 - tail))
    return max(0, below - 1), min(calls - 1, above)


def _binomial_quantile(chance: float, calls: int, rate: float) -> int:
    """The least number that a binomial variable does not exceed with at least that chance."""
    return bisect_left(range(calls), True, key=lambda most: 1.0 - _beta(rate, most + 1, calls - most) >= chance)


def _beta_quantile(chance: float, a: float, b: float) -> float:
    """By Newton's steps, and by halves where one of them would leave what is known to enclose it."""
    low, high = 0.0, 1.0
    guess = a / (a + b)
    for _ in range(_STEPS):
        missing = chance - _beta(guess, a, b)
        low, high = (guess, high) if missing > 0 else (low, guess)
        if high - low <= 1e-15 or abs(missing) < 1e-14:
            break
        density = math.exp(_log_weight(guess, a, b) - math.log(guess) - math.log1p(-guess))
        following = guess + missing / density if density > 0 else low
        guess = following if low < following < high else (low + high) / 2
    return guess


def _log_weight(x: float, a: float, b: float) -> float:
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction."""
    if not 0.0 < x < 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _fraction(1.0 - x, b, a)
    return _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's way of evaluating it; it converges quickly below the mean, where it is used."""
    scale = math.exp(_log_weight(x, a, b)) / a
    upper, lower = 1.0, _away_from_zero(1.0 - (a + b) * x / (a + 1))
    lower = 1.0 / lower
    value = lower
    for step in range(1, _MOST_STEPS):
        for term in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            lower = 1.0 / _away_from_zero(1.0 + term * lower)
            upper = _away_from_zero(1.0 + term / upper)
            change = lower * upper
            value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return scale * value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY


_GROWTH = math.log(1.02)
_SHORTEST = 1e-6


def add_time(times: dict[int, int], seconds: float) -> None:
    """Count a duration among those of its class; a class is 2 % wide."""
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


_MOST_DIGITS = 12
_ROUNDING = 1e-12


def percent(rate: float, allowed: float = 1.0) -> str:
    """A bound as a percentage of two digits that count, never less than it is: 0.00584 is ``0.59 %``.

    A bound that keeps an allowed threshold is written with as many digits as show that.
    """
    digits = 2
    while rate <= allowed < _rounded_up(rate, digits) - _ROUNDING and digits < _MOST_DIGITS:
        digits += 1
    return f"{100 * _rounded_up(rate, digits):.10g} %"


def in_so_many(rate: float, allowed: float = 1.0) -> str:
    """A bound as so many in a hundred, thousand or more, never less than it is: 0.00584 is ``6 in 1,000``."""
    out_of = 100
    while out_of < 1_000_000 and (rate * out_of < 1 or rate <= allowed < _so_many(rate, out_of) / out_of - _ROUNDING):
        out_of *= 10
    number = _so_many(rate, out_of)
    if number == 10 and out_of > 100:
        number, out_of = 1, out_of // 10
    return f"{number:,} in {out_of:,}"


def _so_many(rate: float, out_of: int) -> int:
    return math.ceil(min(rate, 1.0) * out_of - 1e-9)


def share(value: float) -> str:
    """A share that somebody chose, such as a threshold or a confidence, as a percentage: 0.95 is ``95 %``."""
    return f"{100 * value:.10g} %"


def milliseconds(value: float) -> str:
    """A number of milliseconds, of three digits that count and no fractions beyond 100."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


def moment(seconds: float | None) -> str:
    """A moment to the minute, of seconds since the epoch; ``never`` for none."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _rounded_up(rate: float, digits: int) -> float:
    if rate <= 0:
        return 0.0
    if rate >= 1:
        return 1.0
    places = digits - 1 - math.floor(math.log10(rate))
    # Less than a millionth of the last digit is what the machine's own rounding left.
    return round(math.ceil(rate * 10.0**places - 1e-6) / 10.0**places, places)
