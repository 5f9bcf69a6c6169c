"""An upstream that keeps failing: one call at a time tries it, the others are told at once; alone, nobody notices."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any

import pytest
import requests
from support import FAST, closed_port, listed, mounted, upstream_of

import compat
from compat.errors import UpstreamThrottled, UpstreamTimeout, UpstreamUnreachable
from compat.testing.sandbox import Fault, Sandbox
from compat.upstream.retries import CircuitBreaker

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock, error: Any = None, failures: int = 20) -> CircuitBreaker:
    """One that has seen so many failures over six seconds."""
    breaker = CircuitBreaker(failures, clock)
    for _ in range(failures):
        breaker.failed(error or UpstreamUnreachable("gone."))
        clock.now += 6 / failures
    return breaker


def test_one_call_at_a_time_tries_and_a_success_lets_all_through(clock: Clock) -> None:
    breaker = opened(clock)
    assert [breaker.refuses(call) for call in ("first", "second", "first", "third")] == [False, True, False, True]
    breaker.failed(UpstreamUnreachable("still gone."))
    breaker.ended("first")
    assert [breaker.refuses(call) for call in ("second", "first")] == [False, True]
    breaker.succeeded()
    assert not any(breaker.refuses(call) for call in ("first", "second", "third"))


def test_neither_few_failures_nor_a_short_while_opens_it(clock: Clock) -> None:
    breaker = CircuitBreaker(20, clock)
    for _ in range(200):
        breaker.failed(UpstreamUnreachable("gone."))
    assert [breaker.refuses(call) for call in "ab"] == [False, False]
    clock.now += 5
    assert [breaker.refuses(call) for call in "ab"] == [False, True]
    few = opened(clock, failures=19)
    few._most = 20
    assert [few.refuses(call) for call in "ab"] == [False, False]


def test_failures_with_successes_between_never_open_it(clock: Clock) -> None:
    breaker = CircuitBreaker(20, clock)
    for _ in range(100):
        for _ in range(19):
            breaker.failed(UpstreamUnreachable("gone."))
        clock.now += 1
        breaker.succeeded()
    breaker.failed(UpstreamUnreachable("gone."))
    assert [breaker.refuses(call) for call in "ab"] == [False, False]


def test_a_trial_that_hangs_does_not_keep_others_from_trying_for_ever(clock: Clock) -> None:
    breaker = opened(clock)
    assert [breaker.refuses(call) for call in "ab"] == [False, True]
    clock.now += 3
    assert [breaker.refuses(call) for call in "bac"] == [False, True, True]


def test_what_is_long_ago_is_forgotten(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 61
    assert [breaker.refuses(call) for call in "ab"] == [False, False]
    breaker.failed(UpstreamUnreachable("gone."))
    assert [breaker.refuses(call) for call in "ab"] == [False, False]


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (UpstreamUnreachable("gone."), 502, {}),
        (UpstreamTimeout("slow."), 504, {}),
        (UpstreamThrottled("later.", "17"), 503, {"Retry-After": "17"}),
    ],
)
def test_who_is_refused_is_told_the_last_reason(clock: Clock, error: Any, status: int, headers: Any) -> None:
    told = opened(clock, error).refusal()
    assert (told.status, dict(told.headers), type(told)) == (status, headers, type(error))
    assert told.message == f"{error.message} It keeps failing, so this call was not sent on."
    assert error.message in ("gone.", "slow.", "later.")


def test_none_and_what_is_no_number() -> None:
    never = CircuitBreaker(0)
    for _ in range(100):
        never.failed(UpstreamUnreachable("gone."))
    never._since -= 100
    assert [never.refuses(call) for call in "ab"] == [False, False]
    for value in (-1, 1.5, True, "20"):
        with pytest.raises(compat.ConfigurationError, match="breaker_failures = "):
            CircuitBreaker(value)  # type: ignore[arg-type]
    assert [copy(opened(Clock())).refuses(call) for call in "ab"] == [False, False]


def failing_for(upstream: Any, seconds: float) -> None:
    """Let the failures seen so far have begun so long ago."""
    upstream._transport._breaker._since -= seconds


def test_calls_one_after_another_are_tried_six_times_each() -> None:
    with Sandbox(students=3, faults=[Fault("502", 1.0)]) as sandbox:
        upstream = upstream_of(sandbox, "student_sessions", breaker_failures=5)
        session = mounted(upstream)
        for number in range(1, 6):
            assert listed(session).json()["error"] == "The upstream answered with status 502."
            assert len(sandbox.calls) == 6 * number
            failing_for(upstream, 10)


def test_calls_at_once_are_told_at_once_but_for_one() -> None:
    upstream = compat.StudentSessions(closed_port(), api_token="t", secret_key="s", retries=FAST, breaker_failures=5)
    session = mounted(upstream)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError, match=r"connection refused\. Look[^.]*\.$"):
            listed(session)
    failing_for(upstream, 10)
    breaker: CircuitBreaker = upstream._transport._breaker
    trying = object()
    assert not breaker.refuses(trying)
    for ask in (lambda: listed(session), lambda: compat.ExamStudentsClient(upstream).add_student(17, "A", "a@b")):
        with pytest.raises((requests.ConnectionError, compat.UpstreamUnreachable), match="keeps failing, so this call"):
            ask()
    breaker.ended(trying)
    with pytest.raises(requests.ConnectionError, match=r"connection refused\. Look[^.]*\.$"):
        listed(session)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_an_answer_that_refuses_is_none_of_its_failures(status: int) -> None:
    with Sandbox(students=3) as sandbox:
        upstream = upstream_of(sandbox, "student_sessions", breaker_failures=1)
        sandbox.intercept = lambda request, answer: type(answer)(status, {}, b"{}")
        for _ in range(3):
            listed(mounted(upstream))
        assert upstream._transport._breaker._failures == 0


def test_an_upstream_that_comes_back_is_asked_by_all_again() -> None:
    with Sandbox(students=30, exams=1, clamp=5) as sandbox:
        sandbox.intercept = lambda request, answer: type(answer)(503, {}, b"{}")
        upstream = upstream_of(sandbox, "student_sessions", breaker_failures=5)
        session, ready = mounted(upstream), threading.Barrier(8)
        assert listed(session).status_code == 503
        failing_for(upstream, 10)

        def ask(limit: int) -> int:
            ready.wait(20)
            return listed(session, limit=limit).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(1, 9))) == {503}
            sandbox.intercept = None
            assert listed(session, limit=9).status_code == 200
            assert set(pool.map(ask, range(11, 19))) == {200}
