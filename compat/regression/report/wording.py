"""How templates write numbers, moments and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from compat.regression.columns import NOT_COMPARABLE, SCORES, explained
from compat.regression.rates import milliseconds, moment, percent, share
from compat.regression.report.content import Group

__all__ = ["environment"]


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
    made.globals |= {"explained": _explained, "not_comparable_explained": explained(NOT_COMPARABLE)}
    return made


def _explained(group: Group) -> str:
    """What the columns of a group's table say."""
    return explained(SCORES, *(name for name in SCORES if group.counts_calls or name != "Calls"))


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    escaped = re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", text)
    return re.sub(r"\s+", " ", escaped)


_FILTERS: Mapping[str, Callable[..., str]] = {
    "cell": _cell,
    "milliseconds": milliseconds,
    "moment": moment,
    "number": _number,
    "percent": percent,
    "rate": _rate,
    "share": share,
    "slug": _slug,
}
