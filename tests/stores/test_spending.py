"""Spending: a nonce and a signature once per token in 24 hours, whatever the store."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_server import RedisServer

from compat.errors import ConfigurationError
from compat.stores import Store, open_store
from compat.stores.base import SPENT_FOR, MemoryStore
from compat.stores.sqlite import SqliteStore

ONE, OTHER = b"1" * 32, b"2" * 32
HOUR = 3600


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


CLOCKED: dict[str, Callable[[Path, Clock], Store]] = {
    "memory": lambda folder, clock: MemoryStore(clock),
    "sqlite": lambda folder, clock: SqliteStore(folder / "calls.db", clock=clock),
}


def test_once_per_token(store_url: str) -> None:
    store = open_store(store_url)
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
    store.ping()
    store.close()


def test_signatures_alone(store_url: str) -> None:
    store = open_store(store_url)
    assert store.spend(ONE, None, "aa")
    assert not store.spend(ONE, None, "aa")
    assert store.spend(ONE, None, "bb")
    assert not store.spend(ONE, "1", "bb")
    assert store.spend(ONE, "1", "cc")
    store.close()


def test_another_process_knows(shared_url: str) -> None:
    first, second = open_store(shared_url), open_store(shared_url)
    assert first.shared
    assert first.spend(ONE, "5", "aa")
    assert not second.spend(ONE, "5", "bb")
    first.close()
    assert not second.spend(ONE, "6", "aa")
    second.close()
    third = open_store(shared_url)
    assert not third.spend(ONE, "5", "aa")
    third.close()


def test_memory_is_one_processs() -> None:
    assert not open_store("memory://").shared
    assert open_store("memory://").walks is None


@pytest.mark.parametrize("kind", CLOCKED)
def test_a_day_and_not_much_longer(kind: str, tmp_path: Path) -> None:
    for begin in range(0, 24 * HOUR, 7000):
        clock = Clock(1_700_000_000.0 + begin)
        store = CLOCKED[kind](tmp_path, clock)
        assert store.spend(ONE, "5", f"{begin}")
        for _ in range(24):
            clock.now += HOUR - 0.001
            assert not store.spend(ONE, "5", "aa")
        clock.now += 12 * HOUR + 1
        assert store.spend(ONE, "6", f"{begin}")
        clock.now += 40 * HOUR
        store.close()
        (tmp_path / "calls.db").unlink(missing_ok=True)


CALLS = st.lists(
    st.tuples(
        st.sampled_from([ONE, OTHER]),
        st.none() | st.sampled_from(["1", "2", "3", "9" * 40]),
        st.sampled_from(["aa", "bb", "cc", "dd", "\ud800"]),
        st.sampled_from([0, 1, HOUR, 5 * HOUR, 13 * HOUR]),
    ),
    max_size=30,
)


@pytest.mark.parametrize("kind", CLOCKED)
@settings(deadline=None)
@given(calls=CALLS)
def test_like_a_plain_set(kind: str, calls: list[tuple[bytes, str | None, str, int]]) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        store = CLOCKED[kind](Path(folder), clock)
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


@settings(deadline=None)
@given(calls=CALLS)
def test_redis_like_a_plain_set(redis_server: RedisServer, calls: list[tuple[bytes, str | None, str, int]]) -> None:
    redis_server.empty()
    store = open_store(redis_server.url)
    plain: set[tuple[bytes, str, str]] = set()
    for token, nonce, signature, _ in calls:
        keys = {(token, "signature", signature), *([(token, "nonce", nonce)] if nonce is not None else [])}
        assert store.spend(token, nonce, signature) is plain.isdisjoint(keys)
        if plain.isdisjoint(keys):
            plain |= keys
    store.close()


def test_threads(store_url: str) -> None:
    store = open_store(store_url)
    ready = threading.Barrier(8)

    def spend(_: int) -> list[bool]:
        ready.wait(10)
        return [store.spend(ONE, str(call), f"{call:064x}") for call in range(300)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(spend, range(8)))
    assert [sum(call) for call in zip(*answers, strict=True)] == [1] * 300
    store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no:// is no kind of store; use sqlite:///, redis:// or memory://"),
        ("postgres://x:s3cret@y/z", "postgres:// is no kind of store; use sqlite:///, redis:// or memory://"),
        ("sqlite://", "must read sqlite:///file.db, or sqlite:////from/the/root/file.db"),
        ("sqlite://calls.db", "must read sqlite:///file.db, or sqlite:////from/the/root/file.db"),
        ("sqlite:///calls.db?mode=ro", "must read sqlite:///file.db, or sqlite:////from/the/root/file.db"),
        ("sqlite:///calls.db?synchronous=off", "synchronous must be normal or full"),
        ("redis://:s3cret@host:port/0", "must read redis://host:6379/0"),
        ("sqlite:////nowhere/calls.db", "/nowhere/calls.db cannot be made: No such file or directory"),
        ("sqlite:////dev", "/dev cannot be used: unable to open database file"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_store(url)
    assert str(raised.value) == f"[store] url: {message}"


def test_when_down_is_one_of_two() -> None:
    with pytest.raises(ConfigurationError, match=r"^\[store\] when_down: must be refuse or serve$"):
        open_store("memory://", "maybe")  # type: ignore[arg-type]
