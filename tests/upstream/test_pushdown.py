"""Neither what an upstream was seen to ignore nor what it was seen to do is believed for good."""

from __future__ import annotations

import logging
import time
from copy import copy

import pytest

from compat.upstream.base import BELIEVED_FOR, LONGEST_SET_ASIDE, SET_ASIDE_FOR, Capability, PushdownTrust

ALL: frozenset[Capability] = frozenset({"exam", "status", "filter", "sort"})


class Clock:
    """A time that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trust(clock: Clock) -> PushdownTrust:
    return PushdownTrust(ALL, "student sessions", clock)


def test_what_was_disproved_is_tried_again_after_a_while(clock: Clock, trust: PushdownTrust) -> None:
    trust.disprove("status")
    assert trust.capabilities == ALL - {"status"}
    clock.now += SET_ASIDE_FOR - 1
    assert trust.capabilities == ALL - {"status"}
    clock.now += 1
    assert trust.capabilities == ALL


def test_it_waits_longer_each_time_and_no_longer_than_a_day(clock: Clock, trust: PushdownTrust) -> None:
    waits = []
    for _ in range(12):
        trust.disprove("filter")
        begun = clock.now
        while "filter" not in trust.capabilities:
            clock.now += 60
        waits.append(clock.now - begun)
    assert waits[:3] == [SET_ASIDE_FOR, 2 * SET_ASIDE_FOR, 4 * SET_ASIDE_FOR]
    assert waits[-1] == LONGEST_SET_ASIDE


def test_calls_that_began_before_count_once(clock: Clock, trust: PushdownTrust) -> None:
    for _ in range(9):
        trust.disprove("status")
    clock.now += SET_ASIDE_FOR
    assert "status" in trust.capabilities


def test_a_fault_long_after_the_last_one_counts_as_the_first(clock: Clock, trust: PushdownTrust) -> None:
    for _ in range(2):
        trust.disprove("status")
        clock.now += 4 * SET_ASIDE_FOR
        assert "status" in trust.capabilities
        clock.now += 4 * SET_ASIDE_FOR
        assert "status" in trust.capabilities
    trust.disprove("status")
    clock.now += SET_ASIDE_FOR
    assert "status" in trust.capabilities


def test_the_log_says_both_and_names_no_value(
    clock: Clock, trust: PushdownTrust, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "compat.upstream")
    trust.disprove("status")
    assert caplog.messages == [
        "the student sessions ignored 'status', which the configuration leaves to them: it is done here, "
        "and tried again in 10 minutes"
    ]
    clock.now += SET_ASIDE_FOR
    for _ in range(3):
        assert trust.capabilities == ALL
    assert caplog.messages[1:] == ["the student sessions are to see to 'status' again: it is looked at whether they do"]


def test_a_proof_grows_old_and_a_disproof_ends_it(clock: Clock, trust: PushdownTrust) -> None:
    assert not trust.proved("sort")
    trust.prove("sort")
    assert trust.proved("sort")
    clock.now += BELIEVED_FOR
    assert not trust.proved("sort")
    trust.prove("sort")
    trust.disprove("sort")
    assert not trust.proved("sort")


def test_another_process_begins_with_what_is_configured() -> None:
    trust = PushdownTrust(ALL, "student sessions", time.monotonic)
    trust.disprove("status")
    assert copy(trust).capabilities == ALL
