"""Every deliberate regression is found, named and placed; nothing is reported of data that moves."""

from __future__ import annotations

import pytest
from answers_of import Page, call_of, pair_of
from faults import FAULTS, FAULTS_OF_REFUSALS, WHOLE, Fault, refused

from compat.legacy.routes import LegacyCall
from compat.regression.check import check_pairs
from compat.regression.comparing.compare import compare
from compat.regression.comparing.known import KINDS
from compat.regression.comparing.pairs import Answered
from compat.regression.evidence.verdict import Thresholds, judge

CALL = call_of({"sort": '[{"status": "asc"}]', "page": 2, "limit": 10})


class Steady:
    """Both endpoints once more: the old as it was, the new with its fault."""

    def __init__(self, old: Answered, new: Answered) -> None:
        self._old, self._new = old, new

    def old(self, call: LegacyCall) -> Answered:
        return self._old

    def new(self, call: LegacyCall) -> Answered:
        return self._new


def answers(fault: Fault) -> tuple[Answered, Answered]:
    page = Page.of(WHOLE, 2)
    fault.tamper(page)
    return Page.of(WHOLE, 2).answered(), page.answered()


def identity(place: int | None) -> str | None:
    if place is None:
        return None
    return "999" if place < 0 else str(WHOLE[place]["id"])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_named_and_placed(fault: Fault) -> None:
    old, new = answers(fault)
    found = compare(pair_of(CALL, old, new))
    expected = {(kind, identity(place), field) for kind, place, field in fault.expected}
    assert {(each.kind, each.record, each.field) for each in found} == expected
    assert len(found) == len(expected)
    assert not compare(pair_of(CALL, old, old))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_that_stays_is_not_taken_for_drift(fault: Fault) -> None:
    old, new = answers(fault)
    result = check_pairs([pair_of(CALL, old, new)], rereader=Steady(old, new))
    assert (result.all.unexplained, result.reread) == (1, 1)
    assert judge(result).verdict == "not ready"
    [sample] = result.samples
    assert {each.kind for each in sample.differences} == {kind for kind, _, _ in fault.expected}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_one_page_and_one_caller_among_many_is_found(fault: Fault) -> None:
    old, new = answers(fault)
    pages = {number: Page.of(WHOLE, number).answered() for number in (1, 2, 3)}
    pairs = [
        pair_of(call_of({"page": number, "limit": 10}, exam=f"{exam}"), page, page, caller=caller)
        for caller in ("registrar", "payroll", "library")
        for exam in range(30)
        for number, page in pages.items()
    ]
    # The place of the faulty one: exam 17, page 2, one caller.
    place = next(at for at, pair in enumerate(pairs) if pair.caller == "payroll" and pair.call.exam_id == "17") + 1
    pairs[place] = pair_of(CALL, old, new, caller="payroll")
    result = check_pairs(pairs, rereader=Steady(old, new))
    judged = judge(result, Thresholds(max_unexplained=0.006))
    assert (result.all.unexplained, judged.verdict) == (1, "not ready")
    assert {each.name for each in judged.callers if each.unexplained} == {"payroll"}
    assert {count.kind for count in result.differences} == {kind for kind, _, _ in fault.expected}


@pytest.mark.parametrize(
    ("new", "expected"), [pytest.param(new, expected, id=name) for name, new, expected in FAULTS_OF_REFUSALS]
)
def test_a_refusal_answered_otherwise_is_found(new: Answered, expected: tuple[str, None, None]) -> None:
    found = compare(pair_of(call_of({"page": "x"}), refused(), new))
    assert expected in {(each.kind, each.record, each.field) for each in found}


def test_every_kind_of_difference_has_a_fault_that_shows_it() -> None:
    shown = {kind for fault in FAULTS for kind, _, _ in fault.expected}
    shown |= {expected[0] for _, _, expected in FAULTS_OF_REFUSALS}
    assert set(KINDS) - shown == {"record once", "stand-in"}
    assert len(FAULTS) + len(FAULTS_OF_REFUSALS) >= 54
