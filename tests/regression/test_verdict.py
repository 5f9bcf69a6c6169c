"""The bounds are right, and the verdict follows them."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from random import Random

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.regression.bounds import calls_needed, quantile_ranks, upper_bound
from compat.regression.result import CheckResult, Count, Times
from compat.regression.sketches import Distinct, add_time, quantile
from compat.regression.verdict import Thresholds, judge, score

SIMULATED = 2_000
RATES = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.35, 0.5)
CALLS = 300


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
        count += score("", Count(calls, found), Thresholds()).at_most >= rate
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
        holding += score("", Count(calls, found), Thresholds()).at_most >= rate
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
    judged = judge(CheckResult(all=Count(300)))
    assert judged.verdict == "not enough evidence"
    assert judged.all.missing == 198
    assert (
        judged.all.sentence(judged.thresholds)
        == "0 unexplained in 300 calls: at most 1.0 % at 95 %; 198 more calls for 0.6 %"
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
    assert judge(CheckResult(all=Count(calls, unexplained))).verdict == verdict


def test_one_caller_that_is_not_ready_keeps_all_from_it() -> None:
    callers = {"busy": Count(10_000, 0), "rare": Count(3, 1)}
    judged = judge(CheckResult(all=Count(10_003, 1), callers=callers))
    assert judged.all.verdict == "ready"
    assert [(each.name, each.verdict) for each in judged.callers] == [("busy", "ready"), ("rare", "not ready")]
    assert judged.verdict == "not ready"


def test_a_least_number_of_calls_is_asked_for_in_any_case() -> None:
    judged = judge(CheckResult(all=Count(600)), Thresholds(min_calls=1000))
    assert (judged.verdict, judged.all.missing) == ("not enough evidence", 400)


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
        result = CheckResult(all=Count(1000), times={"index_students": Times(times_of(old), times_of(new))})
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


@given(st.lists(st.integers(0, 2**52 - 1)), st.lists(st.integers(0, 2**52 - 1)))
def test_distinct_digests_add_up(one: list[int], other: list[int]) -> None:
    whole, first = Distinct(), Distinct(one)
    for digest in [*one, *other]:
        whole.add(digest)
    for digest in other:
        first.add(digest)
    assert whole.kept == first.kept
    assert whole.count == len({*one, *other})


def test_many_distinct_digests_are_counted_to_a_tenth() -> None:
    random = Random(7)
    distinct = Distinct()
    for _ in range(50_000):
        distinct.add(random.getrandbits(52))
    assert distinct.count == pytest.approx(50_000, rel=0.1)
    assert len(distinct.kept) == 1024
