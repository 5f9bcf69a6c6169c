"""The report as Markdown and as JUnit's XML."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import msgspec
from contents import NASTY, content

from compat.regression.report.forms import as_junit, as_markdown


def test_markdown_says_it_all() -> None:
    text = as_markdown(content())
    assert text.startswith(
        "# NOT READY: old and new endpoint compared\n\n**No: 1 field is wrong in 4 of 5,000 calls.**\n\n"
        "Next: Mend what differs below.\n\n"
    )
    assert "| start\\_time | not ready | 5,000 | 12 | 4 | 4,100 | 0.18 % |" in text
    assert "\n\n2 fields alike.\n\n1 field not compared: email.\n\n" in text
    assert "| 12 | an answer without a body | Record with a tool that keeps every body. |" in text
    assert "| registrar | 214 | 2026-09-21 14:13 UTC | rewritable | 0 unexplained in 1,900 |" in text
    assert "| 5 % | 20 (18 to 24) | 15 (13.5 to 18) |" in text
    assert "\n\n## Latency\n\n" in text
    assert "By route" not in text


def test_a_value_cannot_end_a_cell_of_markdown() -> None:
    lines = [line for line in as_markdown(content()).splitlines() if line.startswith("| explained | field value")]
    assert lines
    assert all("<script" not in line.replace("\\<", "") for line in lines)


def test_junit_fails_what_is_not_ready_and_skips_what_lacks_evidence() -> None:
    whole = ET.fromstring(as_junit(content()))  # noqa: S314 - our own
    assert (whole.get("tests"), whole.get("failures"), whole.get("skipped")) == ("8", "2", "2")
    cases = {case.get("name"): case for case in whole.iter("testcase")}
    failure = cases["start_time"].find("failure")
    assert failure is not None
    assert failure.get("message") == "4 unexplained in 5,000 calls: at most 0.18 %"
    assert (failure.text or "").splitlines()[0] == "field value start_time exam 17, record 0"
    assert cases["email"].find("skipped") is not None
    assert cases["status"].find("skipped") is not None
    assert cases["index_students"].get("classname") == "compat.check.latency"
    assert list(cases["name"]) == []
    assert NASTY in cases


def test_junit_skips_all_calls_without_evidence() -> None:
    whole = ET.fromstring(as_junit(content(verdict="not enough evidence")))  # noqa: S314 - our own
    found = {case.get("name"): case for case in whole.iter("testcase")}["All calls"].find("skipped")
    assert found is not None
    assert found.get("type") == "not enough evidence"


def test_junit_fails_what_is_too_slow() -> None:
    slow = [msgspec.structs.replace(each, too_slow=True) for each in content().latency]
    whole = ET.fromstring(as_junit(replace(content(), latency=slow)))  # noqa: S314 - our own
    failures = {case.get("name"): case.find("failure") for case in whole.iter("testcase")}
    assert failures["index_students"] is not None
