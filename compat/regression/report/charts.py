"""The geometry of the charts, in the units of their SVG view boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compat.plural import several
from compat.regression.report.content import Bound, Bucket, QuantileShown

__all__ = ["Bar", "Gauge", "Line", "Part", "Tick", "bars", "gauge", "largest_share", "lines", "ticks"]

_LEFT, _RIGHT, _BOTTOM, _HEIGHT = 40.0, 632.0, 150.0, 140.0
_GAUGE = 320.0
_SMALLEST = 3.0
"""However rare they are, calls with a difference are seen."""
_LARGEST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""What share the axis may end at."""
_CURVE_RIGHT, _CURVE_BOTTOM, _CURVE_HEIGHT = 600.0, 160.0, 150.0


@dataclass(frozen=True)
class Part:
    """A part of a bar: what it counts, by its first letter, and where it lies."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """A span of time: its calls with a difference, as shares of all; the unexplained ones at the bottom."""

    title: str
    x: float
    width: float
    parts: Sequence[Part]


@dataclass(frozen=True)
class Tick:
    """A mark on the axis of milliseconds."""

    x: float
    label: str


@dataclass(frozen=True)
class Line:
    """An endpoint's curve."""

    name: str
    points: str
    label_y: float


@dataclass(frozen=True)
class Gauge:
    """The bound as a bar, and where the threshold stands beside it."""

    width: float
    threshold: float
    enough: bool


def gauge(bound: Bound) -> Gauge:
    """How far the bound is from what is allowed; the axis begins at 0 and ends a little beyond both."""
    end = 1.15 * max(bound.at_most, bound.allowed)
    width, threshold = (round(_GAUGE * value / end, 2) for value in (bound.at_most, bound.allowed))
    return Gauge(width, threshold, bound.at_most <= bound.allowed)


def largest_share(buckets: Sequence[Bucket]) -> float:
    """What the axis of shares ends at, so that the worst span of time fits."""
    worst = max(((each.explained + each.unexplained) / max(1, each.calls) for each in buckets), default=0.0)
    return next(share for share in _LARGEST if worst <= share)


def bars(buckets: Sequence[Bucket]) -> list[Bar]:
    """A stacked bar for each span of time; an empty one for a span without differences."""
    step, largest = (_RIGHT - _LEFT) / max(1, len(buckets)), largest_share(buckets)
    found = []
    for place, each in enumerate(buckets):
        title = f"{several(each.calls, 'call')}: {each.explained:,} explained, {each.unexplained:,} unexplained"
        found.append(Bar(title, round(_LEFT + place * step, 2), round(step * 0.85, 2), _parts(each, largest)))
    return found


def _parts(bucket: Bucket, largest: float) -> list[Part]:
    parts, bottom = [], _BOTTOM
    for kind, number in (("u", bucket.unexplained), ("e", bucket.explained)):
        if number:
            height = max(_SMALLEST, _HEIGHT * number / bucket.calls / largest)
            bottom -= height
            parts.append(Part(kind, round(bottom, 2), round(height, 2)))
    return parts


def _span(quantiles: Sequence[QuantileShown]) -> tuple[float, float]:
    values = [max(side.value, 0.01) for each in quantiles for side in (each.old, each.new)]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    return float(low), float(high if high > low else low * 10)


def _x(value: float, span: tuple[float, float]) -> float:
    low, high = (math.log10(end) for end in span)
    share = (math.log10(max(value, span[0])) - low) / (high - low)
    return round(_LEFT + share * (_CURVE_RIGHT - _LEFT), 2)


def ticks(quantiles: Sequence[QuantileShown]) -> list[Tick]:
    """The powers of ten that the milliseconds lie between."""
    span = _span(quantiles)
    powers = range(round(math.log10(span[0])), round(math.log10(span[1])) + 1)
    return [Tick(_x(10.0**power, span), f"{10.0**power:,g}") for power in powers]


def lines(quantiles: Sequence[QuantileShown]) -> list[Line]:
    """The curve of each endpoint: which share of its calls was answered within so many milliseconds."""
    span = _span(quantiles)
    found = []
    for name, label_y in (("old", 30.0), ("new", 50.0)):
        points = [
            f"{_x(getattr(each, name).value, span)},{round(_CURVE_BOTTOM - each.quantile * _CURVE_HEIGHT, 2)}"
            for each in quantiles
        ]
        found.append(Line(name, " ".join(points), label_y))
    return found
