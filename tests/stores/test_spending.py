"""Spending: a nonce and a signature once per token in 24 hours, whatever the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.stores import Store
from compat.stores.interface import SPENT_FOR
from compat.stores.memory import MemoryStore

ONE, OTHER = b"1" * 32, b"2" * 32
HOUR = 3600


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


MAKERS: dict[str, Callable[[Clock], Store]] = {"memory": MemoryStore}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[Clock], Store]:
    return MAKERS[request.param]


def test_once_per_token(make: Callable[[Clock], Store]) -> None:
    store = make(Clock())
    assert store.spend(ONE, "5", "aa")
    assert not store.spend(ONE, "5", "aa")
    assert not store.spend(ONE, "5", "bb")
    assert not store.spend(ONE, "6", "aa")
    assert store.spend(OTHER, "5", "aa")
    # A refused call records nothing: neither of these was spent by the two above.
    assert store.spend(ONE, "6", "bb")
    # A nonce is no signature.
    assert store.spend(ONE, "cc", "dd")
    assert store.spend(ONE, "dd", "cc")


def test_signatures_alone(make: Callable[[Clock], Store]) -> None:
    store = make(Clock())
    assert store.spend(ONE, None, "aa")
    assert not store.spend(ONE, None, "aa")
    assert store.spend(ONE, None, "bb")
    assert not store.spend(ONE, "1", "bb")
    assert store.spend(ONE, "1", "cc")


def test_a_day_and_not_much_longer(make: Callable[[Clock], Store]) -> None:
    for begin in range(0, 24 * HOUR, 7000):
        clock = Clock(1_700_000_000.0 + begin)
        store = make(clock)
        assert store.spend(ONE, "5", "aa")
        for _ in range(24):
            clock.now += HOUR - 0.001
            assert not store.spend(ONE, "5", "aa")
        clock.now += 12 * HOUR
        assert store.spend(ONE, "5", "aa")


CALLS = st.lists(
    st.tuples(
        st.sampled_from([ONE, OTHER]),
        st.none() | st.sampled_from(["1", "2", "3", "9" * 40]),
        st.sampled_from(["aa", "bb", "cc", "dd", "\ud800"]),
        st.sampled_from([0, 1, HOUR, 5 * HOUR]),
    ),
    max_size=30,
)


@pytest.mark.parametrize("kind", MAKERS)
@settings(deadline=None)
@given(calls=CALLS)
def test_like_a_plain_set(kind: str, calls: list[tuple[bytes, str | None, str, int]]) -> None:
    clock = Clock()
    store = MAKERS[kind](clock)
    # When each was spent; the store may remember for longer than a day, in spans of its own.
    plain: dict[tuple[bytes, str, str], float] = {}
    for token, nonce, signature, passed in calls:
        clock.now += passed
        keys = [(token, "signature", signature), *([(token, "nonce", nonce)] if nonce is not None else [])]
        ages = [clock.now - plain[key] for key in keys if key in plain]
        new = store.spend(token, nonce, signature)
        if not ages or min(ages) > SPENT_FOR + 12 * HOUR:
            assert new
        elif min(ages) < SPENT_FOR:
            assert not new
        if new:
            plain.update(dict.fromkeys(keys, clock.now))
    store.close()


def test_threads(make: Callable[[Clock], Store]) -> None:
    store = make(Clock())
    ready = threading.Barrier(8)

    def spend(_: int) -> list[bool]:
        ready.wait(10)
        return [store.spend(ONE, str(call), f"{call:064x}") for call in range(300)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(spend, range(8)))
    assert [sum(call) for call in zip(*answers, strict=True)] == [1] * 300
