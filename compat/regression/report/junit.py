"""The report as JUnit's XML, which CI systems show: a test case for each field, route and caller."""

from __future__ import annotations

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from compat.plural import several
from compat.regression.report.content import Content, Row
from compat.regression.report.wording import share

__all__ = ["as_junit"]

_CLASS = "compat.check"


def as_junit(content: Content) -> str:
    """The report as XML: what is not ready failed, and a row that lacks evidence was skipped.

    Args:
        content: what it says.
    """
    whole = JUnitXml("exam-compat check")
    overall = TestCase("All calls", classname=_CLASS)
    if content.verdict != "ready":
        kind = Failure if content.verdict == "not ready" else Skipped
        overall.result = [kind(content.sentence, content.verdict)]
    whole.add_testsuite(_suite("All calls", [overall]))
    for group in content.groups:
        whole.add_testsuite(_suite(group.title, [_case(group.column.lower(), row, content) for row in group.rows]))
    whole.update_statistics()  # type: ignore[no-untyped-call]
    text: bytes = whole.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


def _suite(name: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(name)
    suite.add_testcases(cases)
    return suite


def _case(column: str, row: Row, content: Content) -> TestCase:
    case = TestCase(row.name, classname=f"{_CLASS}.{column}")
    said = f"{row.unexplained:,} unexplained in {several(row.calls, 'call')}: at most {share(row.at_most)}"
    if row.verdict == "not ready":
        failure = Failure(said, row.verdict)
        failure.text = "\n".join(
            f"{each.kind} {each.field} {each.place}"
            for each in content.differences
            if each.state == "unexplained" and getattr(each, column) == row.name
        )
        case.result = [failure]
    elif row.verdict == "not compared":
        case.result = [Skipped(said)]
    return case
