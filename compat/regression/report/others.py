"""The report as Markdown for a pull request, and as JUnit's XML for CI systems."""

from __future__ import annotations

import re

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from compat.regression.evidence.statistics import percent
from compat.regression.evidence.verdict import Score
from compat.regression.report.content import Content
from compat.regression.report.html import environment
from compat.text.json import several

__all__ = [
    "as_junit",
    "as_markdown",
]


def as_markdown(content: Content) -> str:
    """The report as GitHub's Markdown."""
    text = environment(autoescape=False).get_template("report.md").render(page=content)
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
