"""What is Redis's own: how long it keeps, what it must be told, and that it may go away or forget."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from redis_server import RedisServer

from compat.errors import ConfigurationError
from compat.stores import StoreUnavailable, open_store
from compat.stores.base import KEPT_FOR, SPENT_FOR
from compat.stores.redis import RedisBackoff

ONE = b"1" * 32
REFUSED = "Calls cannot be checked for replays at the moment."


def test_everything_goes_in_its_time(redis_server: RedisServer) -> None:
    redis_server.empty()
    store = open_store(redis_server.url)
    assert store.spend(ONE, "5", "aa")
    store.ping()
    assert store.walks is not None
    store.walks.put("d" * 64, b"head", [b"page"])
    with redis_server.client() as client:
        left = {key.decode(): client.ttl(key) for key in client.scan_iter()}
        members = [each for key in left if "spent" in key for each in client.smembers(key)]
    kinds = {name.partition("}:")[2].partition(":")[0]: seconds for name, seconds in left.items()}
    # Which run of Redis it is, is noted when that one learns the script; a flush leaves it the script alone.
    assert kinds.pop("run", -1) == -1
    assert set(kinds) == {"generation", "spent", "pinged", "walk", "pages"}
    assert kinds.pop("generation") == -1
    assert SPENT_FOR <= kinds["spent"] <= SPENT_FOR + 4 * 3600
    assert KEPT_FOR - 60 < kinds["walk"] <= kinds["pages"] <= KEPT_FOR
    assert [len(each) for each in members] == [16, 16]
    store.close()


def test_later_pages_renew_a_walk(redis_server: RedisServer) -> None:
    redis_server.empty()
    store = open_store(redis_server.url)
    assert store.walks is not None
    store.walks.put("d" * 64, b"head", [b"page"])
    with redis_server.client() as client:
        for key in client.scan_iter():
            client.expire(key, 50)
        assert store.walks.get("d" * 64, 2) is not None
        assert min(client.ttl(key) for key in client.scan_iter()) > 50
        # What a walk replaces is gone, and so is what could not be put to its end.
        store.walks.put("d" * 64, b"other", [b"page"])
        assert client.dbsize() == 2
    store.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_redis_that_evicts_is_refused(redis_server: RedisServer, policy: str) -> None:
    store = open_store(redis_server.url)
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", policy)
        try:
            with pytest.raises(ConfigurationError) as raised:
                store.ping()
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert str(raised.value) == (
        f"[store] url: Redis has maxmemory-policy {policy} and may forget calls before their day is over; "
        "set maxmemory-policy noeviction"
    )
    store.ping()
    store.close()


def test_a_full_redis_is_no_acceptance(redis_server: RedisServer) -> None:
    redis_server.empty()
    store = open_store(redis_server.url)
    assert store.spend(ONE, "1", "a")
    with redis_server.client() as client:
        client.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(StoreUnavailable):
                store.spend(ONE, "2", "b")
            with pytest.raises(StoreUnavailable):
                store.ping()
        finally:
            client.config_set("maxmemory", "0")
    assert not store.spend(ONE, "1", "c")
    assert store.spend(ONE, "2", "b")
    store.close()


def test_a_redis_that_forgets_at_its_end_is_said_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(redis_server.url)
    store.ping()
    store.ping()
    assert caplog.messages == ["Redis forgets calls when it ends: set appendonly yes"]
    store.close()


def test_down_and_up_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(tmp_path) as server:
        strict, lenient = open_store(server.url), open_store(server.url, "serve")
        assert strict.spend(ONE, "1", "a")
        server.stop()
        for ask in (strict.ping, lambda: strict.spend(ONE, "1", "a"), lambda: strict.spend(ONE, "2", "b")):
            with pytest.raises(StoreUnavailable) as raised:
                ask()
            assert (raised.value.status, raised.value.message) == (503, REFUSED)
            assert raised.value.headers == {"Retry-After": "5"}
        caplog.clear()
        lenient.ping()
        assert lenient.spend(ONE, "1", "a")
        assert lenient.spend(ONE, "1", "a")
        assert (lenient.let_through, strict.let_through) == (2, 0)
        assert caplog.messages.count("a call is let through that may have been made before: the store is down") == 2
        server.start()
        for store in (strict, lenient):
            store.ping()
            assert not store.spend(ONE, "1", "a")
        assert strict.spend(ONE, "2", "b")
        assert not lenient.spend(ONE, "2", "b")
        assert lenient.let_through == 2
        strict.close()
        lenient.close()


class Silent:
    """Takes connections at a Redis's address, and says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let go of the address and of all that was taken."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self.listener, *self.taken):
            each.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self.taken.append(self.listener.accept()[0])


def test_only_one_call_waits_for_a_redis_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.stores.redis._REST", 3600.0)
    silent = Silent()
    strict = open_store(f"redis://127.0.0.1:{silent.port}/0")
    for nonce in ("1", "2", "3"):
        with pytest.raises(StoreUnavailable) as raised:
            strict.spend(ONE, nonce, nonce)
        assert (raised.value.status, raised.value.message) == (503, REFUSED)
    assert len(silent.taken) == 1
    assert strict.walks is not None
    for name in ("a", "b"):
        with pytest.raises(StoreUnavailable, match="cannot be shared"):
            strict.walks.get(name, 2)
    assert len(silent.taken) == 2
    silent.stop()
    strict.close()


def test_a_redis_that_answers_again_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.stores.redis._REST", 0.0)
    silent = Silent()
    strict = open_store(f"redis://127.0.0.1:{silent.port}/0")
    with pytest.raises(StoreUnavailable):
        strict.spend(ONE, "1", "a")
    silent.stop()
    server = RedisServer(tmp_path)
    server.port = silent.port
    with server:
        assert strict.spend(ONE, "1", "a")
        assert not strict.spend(ONE, "1", "a")
    # It refuses connections now, and says so at once: whoever asks is told, and nobody's rest begins.
    for nonce in ("2", "3"):
        with pytest.raises(StoreUnavailable):
            strict.spend(ONE, nonce, nonce)
    strict.close()


def test_one_call_asks_for_all_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    backoff, asked = RedisBackoff(), []
    with pytest.raises(redis.TimeoutError), backoff:
        raise redis.TimeoutError
    monkeypatch.setattr("compat.stores.redis.time.monotonic", lambda: time.perf_counter() + 1e6)
    with backoff:
        asked.append(1)
        with pytest.raises(redis.TimeoutError, match="a moment ago"), backoff:
            asked.append(2)
    with backoff:
        asked.append(3)
    assert asked == [1, 3]


def test_a_redis_that_forgot_accepts_no_replay(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--appendonly", "no") as server:
        knowing, other = open_store(server.url), open_store(server.url)
        assert knowing.spend(ONE, "1", "a")
        assert other.spend(ONE, "2", "b")
        server.stop()
        server.start()
        # Who knew it before notices; from then on those refuse too that did not, until the old calls are too old.
        with pytest.raises(StoreUnavailable):
            knowing.spend(ONE, "1", "a")
        new = open_store(server.url)
        for store in (knowing, other, new, other):
            with pytest.raises(StoreUnavailable) as raised:
                store.spend(ONE, "3", "c")
            assert raised.value.headers == {"Retry-After": "60"}
        with server.client() as client:
            assert 0 < client.ttl("{exam-compat}:lost") <= 600
            client.delete("{exam-compat}:lost")
            # As if it had begun long ago: whoever notices only now has nothing to wait for.
            client.set("{exam-compat}:generation", "1700000000.5")
        late = [open_store(server.url) for _ in range(2)]
        assert late[0].spend(ONE, "4", "d")
        with pytest.raises(StoreUnavailable):
            knowing.spend(ONE, "5", "e")
        assert knowing.spend(ONE, "5", "e")
        assert not late[1].spend(ONE, "5", "f")
        for store in (knowing, other, new, *late):
            store.close()


def test_no_password_is_ever_shown(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = open_store(redis_server.url.replace("//", "//user:s3cret@"))
    with pytest.raises(StoreUnavailable) as raised:
        store.spend(ONE, "5", "aa")
    shown = [repr(store), str(raised.value), repr(raised.value), caplog.text]
    assert "AuthenticationError" in caplog.text
    assert not any("s3cret" in each for each in shown)
    store.close()
