"""How rates and times are written: the same number in the same way at the terminal, on pages and in sentences."""

from __future__ import annotations

import math
from datetime import datetime, timezone

__all__ = ["in_so_many", "milliseconds", "moment", "percent", "share"]


_MOST_DIGITS = 12
_TINY = 1e-12


def percent(rate: float, allowed: float = 1.0) -> str:
    """A bound as a percentage of two digits that count, never less than it is: 0.00584 is ``0.59 %``.

    Args:
        rate: the bound, from 0 to 1.
        allowed: a threshold. A bound that keeps it is written with as many digits as show that.
    """
    digits = 2
    while rate <= allowed < _rounded_up(rate, digits) - _TINY and digits < _MOST_DIGITS:
        digits += 1
    return f"{100 * _rounded_up(rate, digits):.10g} %"


def in_so_many(rate: float, allowed: float = 1.0) -> str:
    """A bound as so many in a hundred, thousand or more, never less than it is: 0.00584 is ``6 in 1,000``.

    Args:
        rate: the bound, from 0 to 1.
        allowed: as for :func:`percent`.
    """
    out_of = 100
    while out_of < 1_000_000 and (rate * out_of < 1 or rate <= allowed < _so_many(rate, out_of) / out_of - _TINY):
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
    """A moment to the minute; ``never`` for none.

    Args:
        seconds: since the epoch.
    """
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
