"""Results add up, hold nobody's data, and are JSON."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import msgspec
import pytest
from answers_of import Page, call_of, pair_of, records
from faults import FAULTS, WHOLE
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.regression.check import check_pairs
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.evidence.result import CheckResult
from compat.regression.evidence.verdict import judge


def pairs() -> Iterator[Pair]:
    """Every fault, among pairs without one, by three callers on some days."""
    old = Page.of(WHOLE, 2).answered()
    for number, fault in enumerate(FAULTS):
        page = Page.of(WHOLE, 2)
        fault.tamper(page)
        call = call_of({"sort": '[{"status": "asc"}]', "page": 2, "limit": 10, "filter": "{}"}, exam=f"{number % 4}")
        caller = [None, "registrar", "payroll"][number % 3]
        for new in (page.answered(), old):
            yield pair_of(call, old, new, caller=caller, at=1.54e9 + 40_000 * number)
    yield pair_of(call_of({"limit": 10}), Answered(503), old)


ALL = list(pairs())


def merged(chunks: list[list[Pair]]) -> CheckResult:
    results = [check_pairs(chunk) for chunk in chunks]
    return msgspec.structs.replace(reduce(CheckResult.merge, results, CheckResult()), checked_at=0.0)


@settings(max_examples=15)
@given(st.permutations(range(len(ALL))), st.lists(st.integers(0, len(ALL)), max_size=4))
def test_it_does_not_matter_who_checks_what(order: list[int], cuts: list[int]) -> None:
    shuffled = [ALL[place] for place in order]
    places = sorted([0, *cuts, len(ALL)])
    chunks = [shuffled[begin:end] for begin, end in pairwise(places)]
    assert merged(chunks) == merged([ALL])


def test_a_result_is_json_and_comes_back() -> None:
    result = check_pairs(ALL)
    text = msgspec.json.encode(result)
    assert msgspec.json.decode(text, type=CheckResult) == result
    judged = msgspec.json.encode(judge(result))
    assert json.loads(judged)["verdict"] == "not ready"
    assert result.not_comparable == {"the old endpoint failed (status 503)": 1}
    assert result.all.calls == len(ALL) - 1


def test_no_value_that_speaks_of_a_person_gets_into_a_result() -> None:
    text = msgspec.json.encode(check_pairs(ALL)).decode()
    for record in WHOLE:
        for field in ("name", "email", "student_id", "external_id", "token"):
            value = record[field]
            assert value is None or len(str(value)) < 6 or str(value) not in text
    assert "Bront" not in text
    assert "school.example" not in text


def test_what_a_filter_asks_about_a_person_is_left_out() -> None:
    given = {"filter": '{"email": {"eq": "zoe@school.example"}, "archived": {"eq": false}}', "limit": 10}
    old, new = Page.of(WHOLE).answered(), Page.of([]).answered()
    [sample] = check_pairs([pair_of(call_of(given), old, new)]).samples
    assert sample.parameters == {"filter": '{"email":{"eq":"…"},"archived":{"eq":false}}', "limit": "10"}


def test_a_name_that_nobody_declared_may_be_anything() -> None:
    old = Page.of(WHOLE)
    new = Page.of([{**record, "zoe@school.example": 1, "a_new_field": 1} for record in WHOLE])
    [sample] = check_pairs([pair_of(call_of({"limit": 10}), old.answered(), new.answered())]).samples
    assert {each.field for each in sample.differences} == {"(undeclared)", "a_new_field"}


@pytest.mark.parametrize("failed", [Answered(0, failure="timeout"), Answered(503), Answered(429), Answered(500)])
def test_a_failure_of_the_old_endpoint_is_no_evidence(failed: Answered) -> None:
    page = Page.of(WHOLE).answered()
    result = check_pairs([pair_of(call_of({"limit": 10}), failed, page), pair_of(call_of({"limit": 10}), page, page)])
    assert (result.all.calls, result.all.unexplained, sum(result.not_comparable.values())) == (1, 0, 1)


def test_repeated_questions_are_counted_apart() -> None:
    pages = [Page.of(WHOLE, number + 1).answered() for number in range(3)]
    signed = {"timestamp": 1, "nonce": 2, "signature": "x"}
    calls = [
        (number % 3, call_of({"page": number % 3 + 1, "limit": 10, **signed, "nonce": number, "_": number}))
        for number in range(30)
    ]
    # A parameter that the old interface ignores asks for nothing.
    result = check_pairs(pair_of(call, pages[place], pages[place]) for place, call in calls)
    assert (result.all.calls, result.distinct_questions) == (30, 3)


def test_times_are_kept_of_answers_that_came() -> None:
    page = Page.of(WHOLE).answered()
    late = Answered(0, failure="timeout", seconds=30.0)
    result = check_pairs(
        [pair_of(call_of({"limit": 10}), page, late), pair_of(call_of({"limit": 10}), page, replace(page, seconds=0.5))]
    )
    [times] = result.times.values()
    assert sum(times.new.values()) == sum(times.old.values()) == 1


@pytest.mark.soak
def test_memory_does_not_grow_with_the_number_of_pairs() -> None:
    old = Page.of(WHOLE, 2).answered()
    pages = [Page.of(WHOLE, 2) for _ in FAULTS]
    for page, fault in zip(pages, FAULTS, strict=True):
        fault.tamper(page)
    answers = [page.answered() for page in pages]

    def most_used(count: int) -> int:
        made = (
            pair_of(call_of({"page": number, "limit": 10}), old, answers[number % len(answers)], at=1.5e9 + number)
            for number in range(count)
        )
        tracemalloc.start()
        try:
            check_pairs(made)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # What is remembered of questions and values is full by then.
    few = most_used(2_000)
    assert most_used(6_000) < few + 100_000


def test_a_filter_is_shown_as_far_as_it_can_speak_of_nobody() -> None:
    old, new = Page.of(records(3)), Page.of(records(3))
    new.records[1]["name"] = "somebody else"
    compared = {"start_time": {"eq": ""}, "name": {"ne": ""}, "email": {"ne": "ann@example.org"}, "attempt": {"ne": 7}}
    call = call_of({"filter": json.dumps(compared), "limit": "10"})
    (shown,) = check_pairs([pair_of(call, old.answered(), new.answered())]).samples
    withheld = {"name": {"ne": "…"}, "email": {"ne": "…"}}
    assert json.loads(shown.parameters["filter"]) == compared | withheld
