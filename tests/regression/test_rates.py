"""Rates and times are written alike everywhere, and a bound never smaller than it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.regression.evidence.statistics import in_so_many, milliseconds, moment, percent, share


def read(written: str) -> float:
    number, _, out_of = written.replace(",", "").replace(" %", " in 100").partition(" in ")
    return float(number) / float(out_of)


@given(st.floats(1e-6, 1.0))
def test_a_bound_is_never_written_smaller_than_it_is(rate: float) -> None:
    as_percent, in_words = read(percent(rate)), read(in_so_many(rate))
    assert rate * (1 - 1e-6) <= as_percent <= rate * 1.1 + 1e-12
    # A digit less in words: never below the percentage by more than that digit, nor below the rate.
    assert rate * (1 - 1e-6) <= in_words <= rate * 2 + 1e-12


@pytest.mark.parametrize(
    ("rate", "as_percent", "in_words"),
    [
        (0.00584, "0.59 %", "6 in 1,000"),
        (0.0059999, "0.6 %", "6 in 1,000"),
        (0.006, "0.6 %", "6 in 1,000"),
        (0.0100, "1 %", "1 in 100"),
        (0.0101, "1.1 %", "2 in 100"),
        (0.0722, "7.3 %", "8 in 100"),
        (0.995, "100 %", "100 in 100"),
        (1.0, "100 %", "100 in 100"),
        (0.0, "0 %", "0 in 1,000,000"),
        (0.0000299, "0.003 %", "3 in 100,000"),
    ],
)
def test_a_bound_in_percent_and_in_words(rate: float, as_percent: str, in_words: str) -> None:
    assert (percent(rate), in_so_many(rate)) == (as_percent, in_words)


@given(st.floats(1e-5, 1.0), st.floats(1e-5, 1.0))
def test_a_bound_that_keeps_a_threshold_is_not_written_above_it(rate: float, allowed: float) -> None:
    allowed = round(allowed, 4)
    for written in (percent(rate, allowed), in_so_many(rate, allowed)):
        assert read(written) >= rate * (1 - 1e-6)
        assert rate > allowed or read(written) <= allowed + 1e-9


def test_a_bound_beside_a_threshold() -> None:
    assert (percent(0.01245, 0.0125), in_so_many(0.01245, 0.0125)) == ("1.25 %", "125 in 10,000")
    assert (percent(0.0119, 0.012), in_so_many(0.0119, 0.012)) == ("1.2 %", "12 in 1,000")
    assert (percent(0.0119, 0.006), in_so_many(0.0119, 0.006)) == ("1.2 %", "2 in 100")


def test_shares_times_and_moments() -> None:
    assert [share(each) for each in (0.95, 0.006, 0.995, 0.29, 1)] == ["95 %", "0.6 %", "99.5 %", "29 %", "100 %"]
    assert [milliseconds(each) for each in (0.07094, 8.714, 99.94, 99.96, 1234.5)] == [
        *("0.0709", "8.71", "99.9", "100", "1,234")
    ]
    assert (moment(1_540_000_000.0), moment(None)) == ("2018-10-20 01:46 UTC", "never")
