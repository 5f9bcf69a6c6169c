"""One HTML page that stands by itself: no network, no fonts, no pictures, and nothing that runs but its own filter."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from compat.regression.rates import milliseconds, moment
from compat.regression.report.charts import bars, gauge, largest_share, lines, ticks
from compat.regression.report.content import Content, QuantileShown
from compat.regression.report.wording import environment

__all__ = ["as_html"]


def as_html(content: Content) -> str:
    """The page.

    Args:
        content: what it says.
    """
    style, script = _source("page.css"), _source("page.js")
    return (
        environment(autoescape=True)
        .get_template("page.html")
        .render(
            page=_Drawn(content),
            # Ours, and named by their digests: a script that got into the page by a value would not run.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            style_digest=_digest(style),
            script_digest=_digest(script),
        )
    )


class _Drawn:
    """The content with its charts."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.bars = bars(content.buckets)
        self.largest = largest_share(content.buckets)
        self.gauge = gauge(content.bound)
        self.curves = [_Curve(each.quantiles) for each in content.latency]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    @property
    def over_time_in_words(self) -> str:
        worst = max(self._content.buckets, key=lambda each: each.unexplained)
        if not worst.unexplained:
            return "In no span of time was there an unexplained difference."
        return f"Most unexplained differences were in the span from {moment(worst.starts)}: {worst.unexplained:,}."


class _Curve:
    """The chart of a route's latency."""

    def __init__(self, quantiles: Sequence[QuantileShown]) -> None:
        self._quantiles = quantiles
        self.lines = lines(quantiles)
        self.ticks = ticks(quantiles)

    @property
    def in_words(self) -> str:
        middle = min(self._quantiles, key=lambda each: abs(each.quantile - 0.5))
        old, new = milliseconds(middle.old.value), milliseconds(middle.new.value)
        return f"Half of the calls were answered within {old} ms by the old endpoint, and {new} ms by the new one."


def _source(name: str) -> str:
    return (files("compat.regression.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> Markup:
    # Of base64's letters none means anything to HTML, but + would be escaped.
    return Markup("sha256-") + Markup(base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())  # noqa: S704
