"""The forms of a report: a page of HTML that stands by itself with charts in SVG, Markdown, and JUnit's XML."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite
from markupsafe import Markup, escape

from compat.regression.evidence.callers_left import sentence
from compat.regression.evidence.headline import NOT_COMPARABLE, SCORES, explained
from compat.regression.evidence.statistics import milliseconds, moment, percent, share
from compat.regression.evidence.verdict import Quantiles, Score
from compat.regression.report.content import Bound, Bucket, Content, Group
from compat.text.json import several

__all__ = ["as_html", "as_junit", "as_markdown"]

_LEFT, _RIGHT, _BOTTOM, _HEIGHT = 40.0, 632.0, 150.0, 140.0
_GAUGE = 320.0
_SMALLEST = 3.0
"""However rare they are, calls with a difference are seen."""
_LARGEST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""What share the axis may end at."""
_CURVE_RIGHT, _CURVE_BOTTOM, _CURVE_HEIGHT = 600.0, 160.0, 150.0


_Drawing = dict[str, Any]
"""Coordinates, by the names that the templates have for them."""


def _gauge(bound: Bound) -> _Drawing:
    """How far the bound is from what is allowed; the axis begins at 0 and ends beyond both, at 100 % at most."""
    end = min(1.0, 1.15 * max(bound.at_most, bound.allowed))
    width, threshold = (round(_GAUGE * value / end, 2) for value in (bound.at_most, bound.allowed))
    return {"width": width, "threshold": threshold, "enough": bound.at_most <= bound.allowed}


def _largest_share(buckets: Sequence[Bucket]) -> float:
    """What the axis of shares ends at, so that the worst span of time fits."""
    worst = max(((each.explained + each.unexplained) / max(1, each.calls) for each in buckets), default=0.0)
    return next(share for share in _LARGEST if worst <= share)


def _bars(buckets: Sequence[Bucket], largest: float) -> list[_Drawing]:
    """A stacked bar for each span of time, the unexplained calls at its bottom; an empty one where nothing differed."""
    step = (_RIGHT - _LEFT) / max(1, len(buckets))
    found = []
    for place, each in enumerate(buckets):
        title = f"{several(each.calls, 'call')}: {each.explained:,} explained, {each.unexplained:,} unexplained"
        parts: list[_Drawing] = []
        bottom = _BOTTOM
        for kind, number in (("u", each.unexplained), ("e", each.explained)):
            if number:
                height = max(_SMALLEST, _HEIGHT * number / each.calls / largest)
                bottom -= height
                parts.append({"kind": kind, "y": round(bottom, 2), "height": round(height, 2)})
        left, width = round(_LEFT + place * step, 2), round(step * 0.85, 2)
        found.append({"title": title, "x": left, "width": width, "parts": parts})
    return found


class _Curve:
    """The chart of a route's latency: which share of its calls each endpoint answered within so many milliseconds."""

    def __init__(self, quantiles: Sequence[Quantiles]) -> None:
        values = [max(1000 * side[0], 0.01) for each in quantiles for side in (each.old, each.new)]
        # The axis goes from one power of ten to another.
        self._low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self._high = max(high, self._low + 1)
        powers = range(self._low, self._high + 1)
        self.ticks = [{"x": self._x(10.0**power), "label": f"{10.0**power:,g}"} for power in powers]
        self.lines = [
            {"name": name, "points": self._points(quantiles, name), "label_y": label_y}
            for name, label_y in (("old", 30.0), ("new", 50.0))
        ]
        middle = min(quantiles, key=lambda each: abs(each.part - 0.5))
        old, new = _milliseconds(middle.old[0]), _milliseconds(middle.new[0])
        self.in_words = (
            f"Half of the calls were answered within {old} ms by the old endpoint, and {new} ms by the new one."
        )

    def _points(self, quantiles: Sequence[Quantiles], side: str) -> str:
        return " ".join(
            f"{self._x(1000 * getattr(each, side)[0])},{round(_CURVE_BOTTOM - each.part * _CURVE_HEIGHT, 2)}"
            for each in quantiles
        )

    def _x(self, milliseconds: float) -> float:
        share = (math.log10(max(milliseconds, 10.0**self._low)) - self._low) / (self._high - self._low)
        return round(_LEFT + share * (_CURVE_RIGHT - _LEFT), 2)


def as_html(content: Content) -> str:
    """The page."""
    style, script = _source("page.css"), _source("page.js")
    return (
        _environment(autoescape=True)
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
        self.largest = _largest_share(content.buckets)
        self.bars = _bars(content.buckets, self.largest)
        self.gauge = _gauge(content.bound)
        self.curves = [_Curve(each.quantiles) for each in content.latency]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    @property
    def over_time_in_words(self) -> str:
        worst = max(self._content.buckets, key=lambda each: each.unexplained)
        if not worst.unexplained:
            return "In no span of time was there an unexplained difference."
        return f"Most unexplained differences were in the span from {moment(worst.starts)}: {worst.unexplained:,}."


def _source(name: str) -> str:
    return (files("compat.regression.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> Markup:
    # Of base64's letters none means anything to HTML, but + would be escaped.
    return Markup("sha256-") + Markup(base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())  # noqa: S704


def _environment(*, autoescape: bool) -> Environment:
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


def _milliseconds(seconds: float) -> str:
    return milliseconds(1000 * seconds)


def _cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    escaped = re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", text)
    return re.sub(r"\s+", " ", escaped)


_OPTION = re.compile(r"--[a-z-]+")
_FILTERS: Mapping[str, Callable[..., str]] = {
    "cell": _cell,
    "milliseconds": _milliseconds,
    "moment": moment,
    "number": "{:,}".format,
    "options_whole": lambda text: Markup(_OPTION.sub(r'<span class="option">\g<0></span>', str(escape(text)))),  # noqa: S704
    "percent": percent,
    "sentence": sentence,
    "several": several,
    "rate": lambda value: f"{value:,.1f}" if value < 10 else f"{value:,.0f}",
    "share": share,
    "slug": lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"),
}


def as_markdown(content: Content) -> str:
    """The report as GitHub's Markdown."""
    text = _environment(autoescape=False).get_template("report.md").render(page=content)
    # A line of a template that only says what to do next leaves none behind.
    spaced = re.sub(r"\n(#+ |Made )", r"\n\n\1", text)
    return re.sub(r"\n{3,}", "\n\n", spaced).strip() + "\n"


_CLASS = "compat.check"
_UNEXPLAINED = ("unexplained", "seen once")
_LACKING = ("not compared", "seen once")


def as_junit(content: Content) -> str:
    """The report as XML: what is not ready failed, and what lacks evidence was skipped."""
    whole = JUnitXml("exam-compat check")
    overall = TestCase("All calls", classname=_CLASS)
    overall.system_out = f"{content.sentence}\n{content.next_step}\n{content.bound.sentence}"
    if content.verdict != "ready":
        kind = Failure if content.verdict == "not ready" else Skipped
        overall.result = [kind(f"{content.sentence} {content.next_step}", content.verdict)]
    whole.add_testsuite(_suite("All calls", [overall]))
    for group in content.groups:
        rows = [*group.rows, *group.alike, *group.not_compared]
        whole.add_testsuite(_suite(group.title, [_case(group.column.lower(), row, content) for row in rows]))
    whole.add_testsuite(_suite("Latency", [_time(each.route, each.verdict, each.too_slow) for each in content.latency]))
    whole.update_statistics()  # type: ignore[no-untyped-call]
    text: bytes = whole.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


def _suite(name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(name)
    suite.add_testcases(cases)
    return suite


def _case(column: str, row: Score, content: Content) -> TestCase:
    case = TestCase(row.name, classname=f"{_CLASS}.{column}")
    at_most = percent(row.at_most, content.bound.allowed)
    said = f"{row.unexplained:,} unexplained in {several(row.calls, 'call')}: at most {at_most}"
    if row.verdict == "not ready":
        failure = Failure(said, row.verdict)
        failure.text = "\n".join(
            f"{each.kind} {each.field} {each.place}"
            for each in content.differences
            if each.state in _UNEXPLAINED and getattr(each, column) == row.name
        )
        case.result = [failure]
    elif row.verdict in _LACKING:
        case.result = [Skipped(said, row.verdict)]
    return case


def _time(route: str, verdict: str, too_slow: bool) -> TestCase:
    case = TestCase(route, classname=f"{_CLASS}.latency")
    if too_slow:
        case.result = [Failure(f"{route} is too slow: {verdict}", "too slow")]
    return case
