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

from compat.regression.evidence.headline import NOT_COMPARABLE, SCORES, explained, sentence
from compat.regression.evidence.statistics import milliseconds, moment, percent, share
from compat.regression.evidence.verdict import Latency, Quantiles, Score
from compat.regression.report.content import Bucket, Content, Group
from compat.text.json import several

__all__ = ["as_html", "as_junit", "as_markdown"]

_LEFT, _RIGHT, _BOTTOM, _HEIGHT = 40.0, 632.0, 150.0, 140.0
_GAUGE = 320.0
_SMALLEST = 3.0
"""However rare they are, calls with a difference are seen."""
_LARGEST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""What share the axis may end at."""
_CURVE_RIGHT, _CURVE_BOTTOM, _CURVE_HEIGHT = 600.0, 160.0, 150.0


def _drawn(content: Content) -> dict[str, Any]:
    """Coordinates and words of the charts, by the names that the templates have for them."""
    buckets, bound = content.buckets, content.bound
    # The axis of shares ends so that the worst span of time fits.
    worst = max(((each.explained + each.unexplained) / max(1, each.calls) for each in buckets), default=0.0)
    largest = next(share for share in _LARGEST if worst <= share)
    # That of the gauge begins at 0 and ends beyond both, at 100 % at most.
    end = min(1.0, 1.15 * max(bound.at_most, bound.allowed))
    width, threshold = (round(_GAUGE * value / end, 2) for value in (bound.at_most, bound.allowed))
    return {
        "largest_share": largest,
        "bars": _bars(buckets, largest),
        "over_time_in_words": _over_time(buckets),
        "gauge": {"width": width, "threshold": threshold, "enough": bound.at_most <= bound.allowed},
        "curves": [_curve(each.quantiles) for each in content.latency],
    }


def _bars(buckets: Sequence[Bucket], largest: float) -> list[dict[str, Any]]:
    """A stacked bar for each span of time, the unexplained calls at its bottom; an empty one where nothing differed."""
    step = (_RIGHT - _LEFT) / max(1, len(buckets))
    found = []
    for place, each in enumerate(buckets):
        title = f"{several(each.calls, 'call')}: {each.explained:,} explained, {each.unexplained:,} unexplained"
        parts: list[dict[str, Any]] = []
        bottom = _BOTTOM
        for kind, number in (("u", each.unexplained), ("e", each.explained)):
            if number:
                height = max(_SMALLEST, _HEIGHT * number / each.calls / largest)
                bottom -= height
                parts.append({"kind": kind, "y": round(bottom, 2), "height": round(height, 2)})
        left, width = round(_LEFT + place * step, 2), round(step * 0.85, 2)
        found.append({"title": title, "x": left, "width": width, "parts": parts})
    return found


def _over_time(buckets: Sequence[Bucket]) -> str:
    worst = max(buckets, key=lambda each: each.unexplained, default=None)
    if worst is None or not worst.unexplained:
        return "In no span of time was there an unexplained difference."
    return f"Most unexplained differences were in the span from {moment(worst.starts)}: {worst.unexplained:,}."


def _curve(quantiles: Sequence[Quantiles]) -> dict[str, Any]:
    """The chart of a route's latency: which share of its calls each endpoint answered within so many milliseconds."""
    values = [max(1000 * side[0], 0.01) for each in quantiles for side in (each.old, each.new)]
    # The axis goes from one power of ten to another.
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def across(milliseconds: float) -> float:
        share = (math.log10(max(milliseconds, 10.0**low)) - low) / (high - low)
        return round(_LEFT + share * (_CURVE_RIGHT - _LEFT), 2)

    def line(name: str, label_y: float) -> dict[str, Any]:
        points = (
            f"{across(1000 * getattr(each, name)[0])},{round(_CURVE_BOTTOM - each.part * _CURVE_HEIGHT, 2)}"
            for each in quantiles
        )
        return {"name": name, "points": " ".join(points), "label_y": label_y}

    middle = min(quantiles, key=lambda each: abs(each.part - 0.5))
    old, new = _milliseconds(middle.old[0]), _milliseconds(middle.new[0])
    return {
        "ticks": [{"x": across(10.0**power), "label": f"{10.0**power:,g}"} for power in range(low, high + 1)],
        "lines": [line("old", 30.0), line("new", 50.0)],
        "in_words": (
            f"Half of the calls were answered within {old} ms by the old endpoint, and {new} ms by the new one."
        ),
    }


def as_html(content: Content) -> str:
    """The page."""
    style, script = _source("page.css"), _source("page.js")
    return (
        _environment(autoescape=True)
        .get_template("page.html")
        .render(
            page=content,
            drawn=_drawn(content),
            # Ours, and named by their digests: a script that got into the page by a value would not run.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            style_digest=_digest(style),
            script_digest=_digest(script),
        )
    )


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
    return re.sub(r"\s+", " ", re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", text))


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
    suites = {"All calls": [overall]}
    for group in content.groups:
        rows = [*group.rows, *group.alike, *group.not_compared]
        suites[group.title] = [_case(group.column.lower(), row, content) for row in rows]
    suites["Latency"] = [_time(each) for each in content.latency]
    for name, cases in suites.items():
        suite = TestSuite(name)
        suite.add_testcases(cases)
        whole.add_testsuite(suite)
    whole.update_statistics()  # type: ignore[no-untyped-call]
    text: bytes = whole.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


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


def _time(latency: Latency) -> TestCase:
    case = TestCase(latency.route, classname=f"{_CLASS}.latency")
    if latency.too_slow:
        case.result = [Failure(f"{latency.route} is too slow: {latency.verdict}", "too slow")]
    return case
