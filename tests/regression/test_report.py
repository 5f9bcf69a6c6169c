"""The report as Markdown and as JUnit's XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from contents import NASTY, content

from compat.regression.report.junit import as_junit
from compat.regression.report.markdown import as_markdown


def test_markdown_says_it_all() -> None:
    text = as_markdown(content())
    assert text.startswith("# not ready: old and new endpoint compared\n\nNo: 1 field is wrong in 4 of 5,000 calls.")
    assert "| start\\_time | not ready | 5,000 | 12 | 4 | 0.18 % | 4,100 |" in text
    assert "| registrar | 214 | 2026-09-21 14:13 UTC | rewritable | 0 unexplained in 1,900 |" in text
    assert "| 5 % | 20.0 (18.0 to 24.0) | 15.0 (13.5 to 18.0) |" in text
    assert "\n\n## Latency\n\n" in text
    assert "By route" not in text


def test_a_value_cannot_end_a_cell_of_markdown() -> None:
    lines = [line for line in as_markdown(content()).splitlines() if line.startswith("| explained | field value")]
    assert lines
    assert all("<script" not in line.replace("\\<", "") for line in lines)


def test_junit_fails_what_is_not_ready_and_skips_what_lacks_evidence() -> None:
    whole = ET.fromstring(as_junit(content()))  # noqa: S314 - our own
    assert (whole.get("tests"), whole.get("failures"), whole.get("skipped")) == ("5", "2", "1")
    cases = {case.get("name"): case for case in whole.iter("testcase")}
    failure = cases["start_time"].find("failure")
    assert failure is not None
    assert failure.get("message") == "4 unexplained in 5,000 calls: at most 0.18 %"
    assert (failure.text or "").splitlines()[0] == "field value start_time exam 17, record 0"
    assert cases["email"].find("skipped") is not None
    assert list(cases["name"]) == []
    assert NASTY in cases


def test_junit_skips_all_calls_without_evidence() -> None:
    whole = ET.fromstring(as_junit(content(verdict="not enough evidence")))  # noqa: S314 - our own
    found = {case.get("name"): case for case in whole.iter("testcase")}["All calls"].find("skipped")
    assert found is not None
    assert found.get("type") == "not enough evidence"
