"""Stores that were emptied, replaced or evicted: no call that may have been answered before is answered again."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis_server import RedisServer

import compat
from compat.config.settings import CallerSettings
from compat.errors import ConfigurationError, StoreUnavailable
from compat.gateway.limits import CallSlots, make_verifier
from compat.legacy.parameters import gather
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import Caller, signed
from compat.legacy.verifier import Refused
from compat.stores import Store, open_store

TOKEN = b"1" * 32
CALLER = Caller("nightly", "token", "secret")
UPSTREAM = compat.StudentSessions("http://127.0.0.1:9", api_token="t", secret_key="s")
CONFIGURATION = compat.Configuration(UPSTREAM, callers=(CallerSettings(CALLER),))
DELETE = "DELETE FROM spent_{}"
TOO_OLD = "signed before the store was made"


def call() -> LegacyCall:
    """A call that is signed now."""
    query = "&".join(f"{name}={text}" for name, text in signed({}, CALLER.secret_key, {"id": "17"}).items())
    return LegacyCall(INDEX_STUDENTS, "17", query, authorization=f"Token token={CALLER.api_token}")


def said(store: Store, made: LegacyCall) -> str:
    """What the gateway says of a call: nothing where it is answered."""
    try:
        make_verifier(CONFIGURATION, store, CallSlots(10)).verify(made, gather(made))
    except Refused as refused:
        return refused.reason
    except StoreUnavailable:
        return "down"
    return ""


def settled(store: Store) -> None:
    """Wait for the millisecond after the store's birth, so that calls are signed after it."""
    while time.time() * 1000 < store.born() + 2:
        time.sleep(0.001)


def next_second() -> None:
    """Wait for another second than the last call's: a store that is new when it is opened takes all of its own."""
    time.sleep(1.001 - time.time() % 1)


def test_the_first_call_of_a_new_store_is_answered_and_no_older_one(store_url: str) -> None:
    old = call()
    next_second()
    store = open_store(store_url)
    store.ping()
    settled(store)
    assert said(store, old) == TOO_OLD
    new = call()
    assert [said(store, new), said(store, new)] == ["", "nonce or signature used before"]
    store.close()


def test_a_restart_makes_no_call_too_old(shared_url: str) -> None:
    store = open_store(shared_url)
    store.ping()
    settled(store)
    waiting = call()
    store.close()
    again = open_store(shared_url)
    again.ping()
    assert [said(again, waiting), said(again, waiting)] == ["", "nonce or signature used before"]
    again.close()


def removed(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_file():
            each.unlink()


def copied_back(path: Path) -> None:
    """An older state is put in its place, as from a backup."""
    backup = path.with_name("backup.db")
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)
        for slot in range(3):
            target.execute(f"DROP TRIGGER deleted_{slot}")
            target.execute(DELETE.format(slot))
    source.close()
    target.close()
    removed(path)
    shutil.move(backup, path)


def truncated(path: Path) -> None:
    for each in (path, Path(f"{path}-wal")):
        if each.exists():
            os.truncate(each, 0)


def emptied(path: Path) -> None:
    outside(path, *(DELETE.format(slot) for slot in range(3)))


def dropped(path: Path) -> None:
    outside(path, *(f"DROP TABLE spent_{slot}" for slot in range(3)))


def unborn(path: Path) -> None:
    outside(path, "DELETE FROM birth", *(DELETE.format(slot) for slot in range(3)))


def outside(path: Path, *statements: str) -> None:
    """Done by another process, as by hand."""
    script = "import sqlite3, sys; [*map(sqlite3.connect(sys.argv[1], isolation_level=None).execute, sys.argv[2:])]"
    subprocess.run([sys.executable, "-c", script, str(path), *statements], check=True)


HARM = [removed, copied_back, truncated, emptied, dropped, unborn]


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("running", [True, False])
def test_no_call_comes_back_through_a_file_that_was_emptied_or_replaced(
    tmp_path: Path, harm: Callable[[Path], None], running: bool
) -> None:
    url, path = f"sqlite:///{tmp_path}/calls.db", tmp_path / "calls.db"
    store, other = open_store(url), open_store(url)
    settled(store)
    answered = [call() for _ in range(3)]
    assert [said(store, each) for each in answered] == ["", "", ""]
    if not running:
        store.close()
        other.close()
    harm(path)
    if not running:
        next_second()
        store, other = open_store(url), open_store(url)
    for each in answered:
        for one in (store, other):
            assert said(one, each) != ""
    # It has mended itself by then, but for a file that has to be put right by hand.
    time.sleep(0.005)
    fresh = [said(store, call()) for _ in range(3)]
    assert fresh[-1] == ""
    for each in answered:
        assert said(other, each) != ""
    store.close()
    other.close()


def written_over(path: Path, older: bytes) -> None:
    """As ``cp backup.db calls.db`` does: to the file system it is the same file."""
    path.write_bytes(older)


def made_with_its_number(path: Path, older: bytes) -> None:
    """As ``rm calls.db; cp backup.db calls.db`` does where the file system gives a free number out again."""
    path.unlink()
    path.write_bytes(older)


@pytest.mark.parametrize("put_back", [written_over, made_with_its_number])
def test_no_call_comes_back_through_an_older_state_put_in_place_at_rest(
    tmp_path: Path, put_back: Callable[[Path, bytes], None]
) -> None:
    url, path = f"sqlite:///{tmp_path}/calls.db", tmp_path / "calls.db"
    store = open_store(url)
    settled(store)
    store.close()
    older = path.read_bytes()
    store = open_store(url)
    answered = call()
    assert said(store, answered) == ""
    store.close()
    put_back(path, older)
    next_second()
    store = open_store(url)
    assert said(store, answered) == TOO_OLD
    settled(store)
    assert said(store, call()) == ""
    store.close()


def test_a_process_that_joins_others_makes_no_call_too_old(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    store = open_store(url)
    settled(store)
    waiting = call()
    next_second()
    joined = open_store(url)
    assert said(joined, waiting) == ""
    joined.close()
    assert said(store, waiting) == "nonce or signature used before"
    store.close()


def test_the_next_process_refuses_what_was_signed_before_the_file_was_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    open_store(url).close()
    before = time.time()
    next_second()
    removed(tmp_path / "calls.db")
    script = "import sys; from compat.stores import open_store; print(open_store(sys.argv[1]).born())"
    shown = subprocess.run([sys.executable, "-c", script, url], check=True, capture_output=True, text=True)
    assert int(shown.stdout) >= int(before * 1000)


def test_a_redis_that_was_flushed_or_restarted_without_its_calls(redis_server: RedisServer) -> None:
    redis_server.empty()
    store = open_store(redis_server.url)
    store.ping()
    settled(store)
    answered = call()
    assert said(store, answered) == ""
    next_second()
    redis_server.empty()
    # Nobody who comes only now can know that it was flushed.
    stranger = open_store(redis_server.url)
    assert said(stranger, answered) == TOO_OLD
    assert said(store, answered) in (TOO_OLD, "down")
    assert said(store, call()) == "down"
    redis_server.stop()
    redis_server.start()
    for one in (store, stranger, open_store(redis_server.url)):
        assert said(one, answered) != ""
    redis_server.empty()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "allkeys-random", "volatile-ttl"])
def test_a_redis_that_evicts_refuses_from_when_it_is_seen(
    redis_server: RedisServer, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.empty()
    store = open_store(redis_server.url)
    store.ping()
    settled(store)
    assert said(store, call()) == ""
    monkeypatch.setattr("compat.stores.redis._LOOK_EVERY", 0.0)
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", policy)
        try:
            assert said(store, call()) == "down"
            with pytest.raises(ConfigurationError, match=policy):
                store.ping()
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert said(store, call()) == ""
    store.close()


def test_a_redis_that_has_evicted_counts_as_one_that_forgot(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compat.stores.redis._LOOK_EVERY", 0.0)
    redis_server.empty()
    store, other = open_store(redis_server.url), open_store(redis_server.url)
    store.ping()
    settled(store)
    answered = call()
    assert [said(store, answered), said(other, call())] == ["", ""]
    with redis_server.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
        client.config_set("maxmemory-policy", "allkeys-random")
        try:
            for number in range(50):
                client.set(f"other:{number}", "x" * 10_000)
            assert client.info("stats")["evicted_keys"] > 0
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 0)
    next_second()
    # The policy is right again, and yet nobody knows what is missing.
    assert {said(store, call()), said(other, call())} == {"down"}
    assert said(open_store(redis_server.url), answered) != ""
    redis_server.empty()


@pytest.mark.parametrize("known", [True, False])
def test_a_redis_that_comes_back_from_an_older_snapshot_counts_as_one_that_forgot(tmp_path: Path, known: bool) -> None:
    with RedisServer(tmp_path, "--appendonly", "no") as server:
        store = open_store(server.url)
        settled(store)
        assert said(store, call()) == ""
        with server.client() as client:
            client.save()
        answered = call()
        assert said(store, answered) == ""
        server.stop(signal.SIGKILL)
        server.start()
        next_second()
        assert said(store if known else open_store(server.url), answered) == ("down" if known else TOO_OLD)
        store.close()


def test_a_replica_that_takes_over_counts_as_one_that_forgot(tmp_path: Path) -> None:
    (tmp_path / "replica").mkdir()
    with RedisServer(tmp_path) as first, RedisServer(tmp_path / "replica") as replica:
        store = open_store(first.url)
        settled(store)
        with replica.client() as client:
            client.replicaof("127.0.0.1", first.port)
            while client.info("replication")["master_link_status"] != "up":
                time.sleep(0.02)
            assert said(store, call()) == ""
            first.stop(signal.SIGKILL)
            client.replicaof("NO", "ONE")
            # It takes the address of the one that is gone, as behind a name.
            client.config_set("port", first.port)
        assert said(store, call()) == "down"
        store.close()
