"""The bounds are right, and the verdict follows them."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from random import Random
from typing import Any

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.regression.comparing.known import ASPECTS, aspect_bits, field_bits
from compat.regression.evidence.headline import grounds, headline
from compat.regression.evidence.result import MOST_QUESTIONS, CheckResult, Count, Question, Questions, Times
from compat.regression.evidence.statistics import add_time, calls_needed, quantile, quantile_ranks, upper_bound
from compat.regression.evidence.verdict import Thresholds, judge, score
from compat.schemas import COLUMNS

SIMULATED = 2_000
RATES = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.35, 0.5)
CALLS = 300


EVERYTHING = aspect_bits(ASPECTS), field_bits(COLUMNS)


def asked(questions: int, wrong: int = 0, caller: str = "registrar", route: str = "index_students") -> list[Question]:
    """So many different questions, everything compared, the first so many of them with an unexplained difference."""
    well, badly = (Question(route, caller, unexplained, unexplained, *EVERYTHING) for unexplained in (False, True))
    return [badly] * wrong + [well] * (questions - wrong)


def result_of(questions: list[Question], **counts: Any) -> CheckResult:
    """A result in which every question was asked by one call."""
    calls = Count(len(questions), sum(each.unexplained for each in questions))
    return CheckResult(**{"all": calls, "questions": dict(enumerate(questions)), **counts})


def chances(calls: int, rate: float) -> list[float]:
    """Of at most 0, 1, 2, … calls with a difference."""
    logs = (
        math.lgamma(calls + 1)
        - math.lgamma(found + 1)
        - math.lgamma(calls - found + 1)
        + found * math.log(rate)
        + (calls - found) * math.log1p(-rate)
        for found in range(calls + 1)
    )
    return list(accumulate(map(math.exp, logs)))


def held(random: Random, calls: int, rate: float, simulations: int) -> int:
    """In how many simulated checks the rate lies below the bound that is said."""
    cumulated = chances(calls, rate)
    count = 0
    for _ in range(simulations):
        found = min(bisect_left(cumulated, random.random()), calls)
        count += score("", Count(calls, found), asked(calls, found), Thresholds()).at_most >= rate
    return count


@pytest.mark.parametrize("rate", RATES)
def test_the_bound_holds_as_often_as_it_says_at_each_rate(rate: float) -> None:
    assert held(Random(f"2018 {rate}"), CALLS, rate, SIMULATED) / SIMULATED >= 0.94


def test_the_bound_is_no_more_careful_than_it_says_over_all_rates() -> None:
    assert 0.94 <= held_over_all_rates(CALLS, SIMULATED) <= 0.965


def held_over_all_rates(calls: int, simulations: int) -> float:
    """The stated prior: before the first call, every rate from 0 to 1 is as likely as any other."""
    random = Random(calls)
    holding = 0
    for _ in range(simulations):
        rate = random.random()
        found = sum(random.random() < rate for _ in range(calls))
        holding += score("", Count(calls, found), asked(calls, found), Thresholds()).at_most >= rate
    return holding / simulations


@pytest.mark.soak
@pytest.mark.parametrize("calls", [100, 300, 1000, 3000])
def test_the_bounds_hold_for_few_and_many_calls(calls: int) -> None:
    random = Random(calls)
    for rate in RATES:
        assert held(random, calls, rate, SIMULATED) / SIMULATED >= 0.94
    assert 0.94 <= held_over_all_rates(calls, 2 * SIMULATED) <= 0.965


@given(st.integers(1, 5_000), st.data())
def test_the_bound_is_that_of_the_incomplete_beta_function(calls: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, min(calls - 1, 200)))
    confidence = data.draw(st.sampled_from([0.9, 0.95, 0.99]))
    bound = upper_bound(found, calls, confidence)
    exact = float(mpmath.betainc(found + 1, calls - found, 0, bound, regularized=True))
    assert exact == pytest.approx(confidence, abs=1e-9)
    assert found / calls <= bound


@given(st.integers(0, 20), st.sampled_from([0.001, 0.006, 0.05]), st.sampled_from([0.9, 0.95]))
def test_the_calls_that_are_needed_are_the_least_that_suffice(found: int, rate: float, confidence: float) -> None:
    needed = calls_needed(found, rate, confidence)
    assert upper_bound(found, needed, confidence) <= rate < upper_bound(found, needed - 1, confidence)


def test_the_sentence_of_a_clean_check_of_three_hundred_calls() -> None:
    judged = judge(result_of(asked(300)))
    assert judged.verdict == "not enough evidence"
    assert judged.all.missing == 198
    assert headline(judged) == (
        "Not yet: 198 more calls that ask something new are needed; of 300 calls compared, of 300 different questions, "
        "none differed."
    )
    assert grounds(judged) == (
        "300 different questions, each counted once: at most 1 % of such may differ (1 in 100), as sure as 95 %; 0.6 % "
        "is allowed."
    )


@pytest.mark.parametrize(
    ("calls", "unexplained", "verdict"),
    [
        (0, 0, "not enough evidence"),
        (497, 0, "not enough evidence"),
        (498, 0, "ready"),
        (498, 1, "not ready"),
        (1, 1, "not ready"),
        (10_000, 1, "ready"),
        (10_000, 60, "not ready"),
    ],
)
def test_the_verdict(calls: int, unexplained: int, verdict: str) -> None:
    assert judge(result_of(asked(calls, unexplained))).verdict == verdict


def test_one_caller_that_is_not_ready_keeps_all_from_it() -> None:
    callers = {"busy": Count(10_000, 0), "rare": Count(3, 1)}
    judged = judge(result_of([*asked(10_000, caller="busy"), *asked(3, 1, "rare")], callers=callers))
    assert judged.all.verdict == "ready"
    assert [(each.name, each.verdict) for each in judged.callers] == [("busy", "ready"), ("rare", "not ready")]
    assert judged.verdict == "not ready"


def test_a_least_number_of_calls_is_asked_for_in_any_case() -> None:
    judged = judge(result_of(asked(600)), Thresholds(min_calls=1000))
    assert judged.verdict == "not enough evidence"
    assert "600 calls of the 1,000 that min_calls asks for" in headline(judged)


def times_of(durations: list[float]) -> dict[int, int]:
    counted: dict[int, int] = {}
    for seconds in durations:
        add_time(counted, seconds)
    return counted


def test_a_slower_median_is_said_only_where_the_intervals_do_not_meet() -> None:
    random = Random(5)
    old = [random.lognormvariate(-3, 0.5) for _ in range(1000)]
    # A few very slow ones move the mean and not the median.
    tail = [seconds * (40 if place % 50 == 0 else 1) for place, seconds in enumerate(old)]
    slow = [seconds * 1.5 for seconds in old]
    verdicts = {}
    for name, new in (("same", old), ("tail", tail), ("slow", slow)):
        result = result_of(asked(1000), times={"index_students": Times(times_of(old), times_of(new))})
        [latency] = judge(result, Thresholds(max_slowdown=1.2)).latency
        verdicts[name] = latency.verdict, latency.too_slow
    assert verdicts == {
        "same": ("no difference seen", False),
        "tail": ("no difference seen", False),
        "slow": ("slower", True),
    }


def test_the_interval_of_a_quantile_holds_as_often_as_it_says() -> None:
    random = Random(6)
    for part in (0.5, 0.9):
        low, high = quantile_ranks(200, part)
        truth, count = math.log(1 / (1 - part)), 0
        for _ in range(SIMULATED):
            drawn = sorted(random.expovariate(1) for _ in range(200))
            count += drawn[low] <= truth <= drawn[high]
        assert count / SIMULATED >= 0.94


@given(st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200))
def test_a_quantile_is_a_duration_that_was_there_to_two_percent(durations: list[float]) -> None:
    value, low, high = quantile(times_of(durations), 0.5, 0.95)
    middle = sorted(durations)[min(len(durations) - 1, len(durations) // 2)]
    assert value == pytest.approx(middle, rel=0.021)
    assert low <= value <= high


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_questions_add_up(one: list[int], other: list[int]) -> None:
    def question(digest: int, *, wrong: bool) -> Question:
        return Question("index_students", "registrar", wrong, wrong, 1 << digest % 5, 0, wrong << digest % 5)

    whole, first, second = Questions(), Questions(), Questions()
    for digests, part, wrong in ((one, first, False), (other, second, True)):
        for digest in digests:
            whole.add(digest, question(digest, wrong=wrong))
            part.add(digest, question(digest, wrong=wrong))
    merged = Questions(first.kept)
    for digest, each in second.kept.items():
        merged.add(digest, each)
    assert whole.kept == merged.kept
    assert {digest for digest, each in whole.kept.items() if each.unexplained} == set(other)


def test_of_very_many_questions_a_sample_is_kept_in_which_none_is_likelier_than_another() -> None:
    random, questions = Random(7), Questions()
    for number in range(4 * MOST_QUESTIONS):
        questions.add(random.getrandbits(52), Question("index_students", "", number % 10 == 0))
    kept = questions.kept.values()
    assert len(kept) == MOST_QUESTIONS
    assert sum(each.unexplained for each in kept) == pytest.approx(MOST_QUESTIONS / 10, rel=0.1)


def test_a_thousand_times_the_same_call_is_one_question() -> None:
    judged = judge(CheckResult(all=Count(1000), questions=dict(enumerate(asked(1)))))
    assert (judged.verdict, judged.all.questions, judged.all.missing) == ("not enough evidence", 1, 497)


@pytest.mark.parametrize(("not_comparable", "verdict"), [(0, "ready"), (31, "ready"), (32, "not enough evidence")])
def test_a_share_of_answers_with_which_nothing_can_be_compared_is_allowed(not_comparable: int, verdict: str) -> None:
    judged = judge(result_of(asked(600), all=Count(600, not_comparable=not_comparable)))
    assert judged.verdict == verdict
    if verdict != "ready":
        assert headline(judged) == ("Not yet: nothing could be compared in 32 of 632 calls; at most 5 % may be such.")


@pytest.mark.parametrize("of", ["routes", "callers"])
def test_a_route_or_caller_of_which_nothing_could_be_compared_is_not_ready_with_the_others(of: str) -> None:
    judged = judge(
        result_of(asked(600), all=Count(600, not_comparable=4), **{of: {"rare": Count(0, not_comparable=4)}})
    )
    assert judged.verdict == "not enough evidence"
    assert judged.gaps == ("nothing could be compared in 4 of 4 calls of rare; at most 5 % may be such",)


def test_without_records_nothing_is_known_of_fields() -> None:
    refused = Question("index_students", "registrar", False, False, aspect_bits(["access", "status", "error"]))
    judged = judge(result_of([refused] * 600))
    assert judged.verdict == "not enough evidence"
    assert judged.gaps == ("only 0 questions had a record in the answer",)


def test_a_field_that_few_answers_had_is_named() -> None:
    but_one = EVERYTHING[1] & ~field_bits(["browser"])
    questions = [*asked(10), *[Question("index_students", "registrar", False, False, EVERYTHING[0], but_one)] * 590]
    judged = judge(result_of(questions))
    assert judged.verdict == "not enough evidence"
    assert judged.gaps == ("1 field came in too few answers, such as browser in those of 10 questions",)
    never = [Question("index_students", "registrar", False, False, EVERYTHING[0], but_one)] * 600
    judged = judge(result_of(never))
    assert judged.verdict == "ready"
    assert next(each for each in judged.fields if each.name == "browser").verdict == "not compared"


def test_no_part_lacks_evidence_beside_ready() -> None:
    judged = judge(result_of(asked(600), routes={"index_students": Count(600)}, callers={"registrar": Count(600)}))
    parts = [*judged.routes, *judged.callers, *judged.aspects, *judged.fields]
    assert judged.verdict == "ready"
    assert {each.verdict for each in parts} == {"ready"}
    assert headline(judged) == (
        "Yes: of 600 calls compared, of 600 different questions, none differed; at most 5 in 1,000 may."
    )


def test_questions_count_as_much_as_their_callers_call() -> None:
    questions = [*asked(500, caller="busy"), *asked(500, 50, "rare")]
    callers = {"busy": Count(500), "rare": Count(500, 50)}
    even = judge(result_of(questions, callers=callers), calls_a_day={"busy": 1.0, "rare": 1.0})
    busy = judge(result_of(questions, callers=callers), calls_a_day={"busy": 999.0, "rare": 1.0})
    alike = judge(result_of(questions, callers=callers))
    assert even.all.at_most == pytest.approx(alike.all.at_most)
    assert busy.all.at_most < alike.all.at_most / 5
    assert (busy.weighted, alike.weighted) == (True, False)


def test_a_caller_that_nobody_checked_keeps_all_from_ready() -> None:
    judged = judge(
        result_of(asked(600), callers={"registrar": Count(600)}), calls_a_day={"registrar": 70.0, "payroll": 30.0}
    )
    assert judged.verdict == "not enough evidence"
    assert judged.gaps == ("no call of payroll was compared, who makes 30 % of all calls",)


@pytest.mark.soak
def test_the_bound_of_weighted_questions_holds_as_often_as_it_says() -> None:
    random, holding, rounds = Random(12), 0, 1_000
    weights = {"a": 5.0, "b": 2.0, "c": 1.0}
    for _ in range(rounds):
        rates = {caller: random.random() * 0.3 for caller in weights}
        truth = sum(rates[caller] * weight for caller, weight in weights.items()) / sum(weights.values())
        questions = [
            Question("index_students", caller, random.random() < rate, False, *EVERYTHING)
            for caller, rate in rates.items()
            for _ in range(100)
        ]
        holding += judge(result_of(questions), calls_a_day=weights).all.at_most >= truth
    assert holding / rounds >= 0.94


@pytest.mark.parametrize("once", [1, 40, 500])
def test_what_was_seen_once_never_makes_a_right_endpoint_not_ready(once: int) -> None:
    seen = Question("index_students", "registrar", True, False, *EVERYTHING)
    judged = judge(result_of([seen] * once + asked(500)))
    assert (judged.verdict, judged.all.once) == ("not enough evidence", once)
    assert (judged.all.missing > 0) is (once == 1)
    parts = {each.verdict for each in (*judged.aspects, *judged.fields)}
    assert not parts & {"no difference seen", "not enough evidence"}
    assert judge(result_of([seen, *asked(2_000)])).verdict == "ready"


def test_a_caller_whose_answers_were_often_seen_once_keeps_the_rest_from_ready() -> None:
    seen = Question("index_students", "rare", True, False, *EVERYTHING)
    judged = judge(result_of([seen] * 40 + asked(20_000), callers={"rare": Count(40, 40)}))
    assert judged.verdict == "not enough evidence"
    assert judged.gaps == ("40 of 40 different questions of rare differed, each time not when asked again",)
