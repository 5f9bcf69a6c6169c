"""The numbers of a report are those of the check, through to the page in a browser."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest
from answers_of import AT, Page, call_of, pair_of, records
from playwright.sync_api import Page as BrowserPage

from compat.cli.check_report import tell
from compat.legacy.routes import LegacyCall
from compat.regression.check import check_pairs
from compat.regression.comparing.known import KnownDifference, KnownDifferences
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.evidence.headline import CallerLeft
from compat.regression.evidence.result import CheckResult
from compat.regression.evidence.verdict import judge
from compat.regression.report.content import content_of
from compat.regression.report.forms import as_html, as_markdown

LEFT = [CallerLeft("registrar", 214.0, AT, "rewritable", "0 unexplained in 1,900")]


def _pairs(count: int = 120) -> Iterator[Pair]:
    chance, whole = random.Random(7), records(30)
    for number in range(count):
        old, new = Page.of(whole, 1 + number % 3), Page.of(whole, 1 + number % 3)
        if number % 10 == 0:
            new.records[2]["name"] = "somebody else"
        if number % 15 == 0:
            new.headers["X-Pagination-Item-Count"] = "31"
        old.seconds, new.seconds = chance.uniform(0.01, 0.05), chance.uniform(0.01, 0.2)
        pair = pair_of(call_of({"page": 1 + number % 3, "limit": 10}), old.answered(), new.answered())
        yield replace(pair, caller=("registrar", "lms", None)[number % 3], at=AT + number * 7200)


@pytest.fixture(scope="module")
def result() -> CheckResult:
    return check_pairs(_pairs())


def test_the_page_says_what_the_json_says(result: CheckResult, open_page: Any) -> None:
    judgement = judge(result)
    found = msgspec.to_builtins(result)
    page: BrowserPage = open_page(as_html(content_of(result, judgement, LEFT)))
    for name in ("calls", "explained", "unexplained"):
        assert page.locator(f"[data-number={name}]").inner_text() == f"{found['all'][name]:,}"
    assert page.locator("[data-number=identical]").inner_text() == f"{found['identical']:,}"
    judged = msgspec.to_builtins(judgement)
    for each in page.locator("details").all():
        each.evaluate("details => details.open = true")
    for group in ("routes", "callers", "aspects", "fields"):
        counted = ("calls",) if group in {"routes", "callers"} else ()
        for score in judged[group]:
            row = page.locator(f'[data-group=by-{group[:-1]}] [data-name="{score["name"] or "not known"}"]')
            assert row.count() == 1, (group, score)
            if score["verdict"] == "not compared":
                continue
            for part in (*counted, "explained", "unexplained", "questions"):
                assert row.locator(f"[data-of={part}]").inner_text() == f"{score[part]:,}", (group, score)
    assert found["all"]["unexplained"] > 0
    assert sum(bucket.calls for bucket in content_of(result, judgement).buckets) == found["all"]["calls"]


def test_a_hundred_thousand_calls_make_no_longer_page(result: CheckResult) -> None:
    many = result
    while many.all.calls < 100_000:
        many = many.merge(many)
    few, much = (as_html(content_of(each, judge(each), LEFT)) for each in (result, many))
    # The first differences are as many as ever; numbers have a few digits more.
    assert len(much) < 2 * len(few)
    assert f"{many.all.calls:,}" in much


def test_what_is_explained_is_added_up_and_what_is_not_is_shown(result: CheckResult) -> None:
    rule = KnownDifference("renamed in June", date(2018, 12, 31), field="name")
    explained = check_pairs(_pairs(), known=KnownDifferences([rule], today=date(2018, 11, 1)))
    text = as_markdown(content_of(explained, judge(explained)))
    assert "renamed in June" in text
    assert "| explained |" in text
    shown = content_of(result, judge(result)).differences
    assert {each.state for each in shown} == {"unexplained"}
    assert {each.field.lower() for each in shown} == {"name", "x-pagination-item-count"}


def test_what_was_seen_once_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    class Now:
        def old(self, call: LegacyCall) -> Answered:
            return Page.of(records(30)).answered()

        new = old

    wrong = Page.of(records(30))
    wrong.records[0]["name"] = "somebody else"
    pairs = [pair_of(call_of({"page": 1, "limit": 10}), Page.of(records(30)).answered(), wrong.answered())]
    for rereader, state in ((Now(), "seen once"), (None, "unexplained")):
        found = check_pairs(pairs, rereader=rereader)
        judged = judge(found)
        (shown,) = content_of(found, judged).differences
        tell(found, judged, everything=False)
        told = capsys.readouterr().out
        assert (shown.state, judged.all.once) == (state, int(state == "seen once"))
        assert ("text (once)" in told) == ("differed once, and not when" in told) == (state == "seen once")


def test_the_terminal_answers_first_and_folds_what_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def pairs() -> Iterator[Pair]:
        for number in range(58):
            old, new = Page.of(records(30)), Page.of(records(30))
            if not number:
                new.records[0]["name"] = "somebody else"
            pair = pair_of(call_of({"page": 1, "limit": 10}), old.answered(), new.answered())
            yield replace(pair, caller=f"caller {number}", at=AT + number)

    found = check_pairs(pairs())
    left = [CallerLeft("/srv/export.py:12" if n == 0 else f"caller {n}", 2.0, AT, "rewritable", "") for n in range(57)]
    tell(found, judge(found), everything=False, left=left)
    out = capsys.readouterr().out
    told = [
        *("NOT READY. No: ", "Next: ", " may differ, at most  █", "0.6 % is allowed  █", "57 callers are left, with "),
        *("\n/srv/export.py:12:1: left: 2 calls a day, ", "\nand 52 more callers: --more\n"),
        *("1. text in name: unexplained, 1 difference in 1 call.", "   Compare both values.", "│ caller caller 0"),
        "57 callers alike (57 with too few questions for a verdict of their own).",
    ]
    places = [out.index(each) for each in told]
    assert places == sorted(places)
    assert "caller 9" not in out
    tell(found, judge(found), everything=True, left=left)
    whole = capsys.readouterr().out
    assert whole.count("│ caller caller ") == 58
    assert "caller 56: left: " in whole
    assert "--more" not in whole


def test_no_name_gets_into_a_report(result: CheckResult) -> None:
    made = content_of(result, judge(result), LEFT)
    for text in (as_html(made), as_markdown(made)):
        assert "somebody else" not in text
        assert all(record["email"] not in text for record in records(30))
