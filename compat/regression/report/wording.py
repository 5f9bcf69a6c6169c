"""How numbers and moments are written in reports."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["environment", "milliseconds", "moment", "share"]


def environment(*, autoescape: bool) -> Environment:
    """The templates of this package, with these filters."""
    made = Environment(
        loader=PackageLoader("compat.regression.report"),
        autoescape=autoescape,  # noqa: S701 - Markdown has an escape of its own
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= _FILTERS
    return made


def moment(seconds: float | None) -> str:
    """A moment to the minute; ``never`` for none."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def milliseconds(value: float) -> str:
    """A number of milliseconds."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def share(value: float) -> str:
    """A share of 1 as a percentage, with two digits that count."""
    percent = value * 100
    digits = 0 if percent == round(percent) else max(1, 1 - math.floor(math.log10(percent)))
    return f"{percent:.{digits}f} %"


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    escaped = re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", text)
    return re.sub(r"\s+", " ", escaped)


_FILTERS: Mapping[str, Callable[[Any], str]] = {
    "cell": _cell,
    "milliseconds": milliseconds,
    "moment": moment,
    "number": _number,
    "rate": _rate,
    "share": share,
    "slug": _slug,
}
