"""Yes, no or not yet: why, and what to do next, for each case, and the same in every form of report."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from test_verdict import EVERYTHING, asked, result_of, times_of

from compat.cli.check_report import tell
from compat.regression.check import _LOST, _ONE_SIDED, _OTHER_KEY, _UNKNOWN
from compat.regression.comparing.known import aspect_bits, field_bits
from compat.regression.evidence.headline import REMEDIES, grounds, headline, next_step, told_as_json
from compat.regression.evidence.result import CheckResult, Count, Question, Times
from compat.regression.evidence.verdict import Judgement, Thresholds, judge
from compat.regression.report.content import content_of
from compat.regression.report.forms import as_html, as_junit, as_markdown

SLOW = {"index_students": Times(times_of([0.01] * 900), times_of([0.1] * 900))}
ONE_CALLER = {"registrar": Count(600)}


def wrong_in(*aspects: str, fields: tuple[str, ...] = (), stays: bool = True) -> Question:
    return Question("index_students", "registrar", True, stays, *EVERYTHING, aspect_bits(aspects), field_bits(fields))


def result_with(wrong: list[Question], well: int = 500) -> CheckResult:
    parts: dict[str, Count] = {}
    return result_of(
        [*wrong, *asked(well)],
        aspects=parts,
        fields={
            name: Count(len(wrong), len(wrong))
            for name in ("email", "name")
            if any(each.wrong_fields for each in wrong)
        },
    )


def without(*fields: str) -> list[Question]:
    left = EVERYTHING[1] & ~field_bits(fields)
    return [*asked(10), *[Question("index_students", "registrar", False, False, EVERYTHING[0], left)] * 590]


def odd(reasons: Mapping[str, int]) -> CheckResult:
    return result_of(asked(600), all=Count(600, not_comparable=sum(reasons.values())), not_comparable=reasons)


REFUSED = Question("index_students", "registrar", False, False, aspect_bits(["access", "status", "error"]))

CASES: Mapping[str, tuple[CheckResult, dict[str, Any], str, str]] = {
    "ready": (
        result_of(asked(600)),
        {},
        "Yes: of 600 calls compared, of 600 different questions, none differed; at most 5 in 1,000 may.",
        "The old endpoint may be turned off for these calls; see first who still calls it (--callers).",
    ),
    "ready, by the inventory": (
        result_of(asked(600), callers=ONE_CALLER),
        {"calls_a_day": {"registrar": 3.0}},
        "Yes: of 600 calls compared, of 600 different questions, none differed; at most 5 in 1,000 may.",
        "The old endpoint may be turned off for the callers whose calls these are.",
    ),
    "fields": (
        result_with([wrong_in("values", fields=("email", "name"))] * 12),
        {},
        "No: 2 fields are wrong in 12 of 512 calls.",
        "Mend what differs below, or write down why it may, in a file of known differences (--known).",
    ),
    "the order of fields alone": (
        result_of([wrong_in("fields")] * 3, aspects={"fields": Count(3, 3)}),
        {},
        "No: the order of fields is wrong in 3 of 3 calls.",
        "Mend what differs below",
    ),
    "what no part shows": (result_of(asked(3, 3)), {}, "No: something is wrong in 3 of 3 calls.", "Mend"),
    "seen once, often": (
        result_with([wrong_in("values", fields=("email",), stays=False)] * 40),
        {},
        "Not yet: 40 of 540 different questions differed, each time not when asked again.",
        "What differed was gone when it was asked again: record anew",
    ),
    "too slow": (
        result_of(asked(900), times=SLOW),
        {"thresholds": Thresholds(max_slowdown=2.0)},
        "No: index_students is too slow.",
        "Let the new endpoint answer index_students sooner: its median may take 2 times as long as the old one's",
    ),
    "wrong and too slow": (
        result_of(asked(900, 900), times=SLOW),
        {"thresholds": Thresholds(max_slowdown=2.0)},
        "No: something is wrong in 900 of 900 calls; index_students is too slow.",
        "Mend what differs below, or write down why it may, in a file of known differences (--known). Let the new",
    ),
    "too few questions": (
        result_of(asked(497)),
        {},
        "Not yet: 1 more call that asks something new is needed; of 497 calls compared, of 497 different questions, "
        "none differed.",
        "Record more of what the callers ask",
    ),
    "nothing at all": (
        CheckResult(),
        {},
        "Not yet: there is no call to compare.",
        "Give it recordings that have calls",
    ),
    "odd answers": (
        odd({"a record without an id": 3, "an answer without a body": 40}),
        {},
        "Not yet: nothing could be compared in 43 of 643 calls (an answer without a body); at most 5 % may be such.",
        f"{REMEDIES['an answer without a body']} This would mend 40 of 43 calls.",
    ),
    "odd answers of one caller": (
        result_of(
            asked(900),
            all=Count(900, not_comparable=4),
            callers={"rare": Count(0, not_comparable=4)},
            not_comparable={"status 304, which is no answer of the old interface": 4},
        ),
        {},
        "Not yet: nothing could be compared in 4 of 4 calls of rare; at most 5 % may be such.",
        f"{REMEDIES['status ']} This would mend 4 of 4 calls.",
    ),
    "a caller unchecked": (
        result_of(asked(600), callers=ONE_CALLER),
        {"calls_a_day": {"registrar": 70.0, "payroll": 30.0}},
        "Not yet: no call of payroll was compared, who makes 30 % of all calls.",
        "Record calls of payroll, such as by the mode shadow, and check these too.",
    ),
    "too few records": (
        result_of([REFUSED] * 600),
        {},
        "Not yet: only 0 questions had a record in the answer.",
        "Record more calls whose answers have students",
    ),
    "a rare field": (
        result_of(without("browser")),
        {},
        "Not yet: 1 field came in too few answers, such as browser in those of 10 questions.",
        "Record more calls whose answers have all fields, browser above all.",
    ),
}


def judged_of(name: str) -> tuple[CheckResult, Judgement]:
    result, how, _, _ = CASES[name]
    return result, judge(result, **how)


@pytest.mark.parametrize("name", CASES)
def test_what_it_says_and_what_to_do_next(name: str) -> None:
    _, judged = judged_of(name)
    assert headline(judged) == CASES[name][2]
    assert next_step(judged).startswith(CASES[name][3])


@pytest.mark.parametrize("name", CASES)
def test_every_form_says_it_alike(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result, judged = judged_of(name)
    content = content_of(result, judged)
    tell(result, judged, everything=False)
    told = json.loads(msgspec.json.encode(told_as_json(result, judged)))
    overall = ET.fromstring(as_junit(content)).find(".//testcase")  # noqa: S314 - our own
    assert overall is not None
    written = capsys.readouterr().out
    forms = {
        "terminal": " ".join(written.split()),
        "json": f"{told['headline']} {told['next_step']} {grounds(judged)}",
        "html": html.unescape(re.sub(r"</?span[^>]*>", "", as_html(content))),
        "markdown": re.sub(r"\\(.)", r"\1", as_markdown(content)),
        "junit": overall.findtext("system-out") or "",
    }
    for form, text in forms.items():
        for sentence in (headline(judged), next_step(judged), grounds(judged)):
            assert sentence in text, form
    assert max(map(len, written.splitlines())) <= 80
    for form in ("terminal", "html", "markdown", "junit"):
        ready = judged.verdict == "ready"
        assert not ready or "not enough evidence" not in forms[form].lower(), form
        assert judged.verdict != "not ready" or "more call" not in forms[form], form


def test_where_something_has_to_be_mended_no_more_calls_are_asked_for() -> None:
    for name in CASES:
        _, judged = judged_of(name)
        for each in (judged.all, *judged.routes, *judged.callers, *judged.aspects, *judged.fields):
            assert not (each.verdict == "not ready" and each.missing), name


@pytest.mark.parametrize("reason", [_LOST, _ONE_SIDED, _OTHER_KEY, _UNKNOWN])
def test_what_hinders_a_check_itself_has_a_remedy(reason: str) -> None:
    assert any(reason.startswith(begins) for begins in REMEDIES)
