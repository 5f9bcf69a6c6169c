"""What is SQLite's own: who may read its files, what it is told, and files that cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from test_spending import HOUR, ONE, Clock

from compat.errors import ConfigurationError
from compat.stores import open_store
from compat.stores.base import KEPT_FOR
from compat.stores.sqlite import SqliteStore
from compat.stores.sqlite_file import SqliteFile
from compat.stores.walks import WalkFiles


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(f"sqlite:///{tmp_path}/calls.db")
        assert store.spend(ONE, "5", "aa")
        assert store.walks is not None
        store.walks.put("d" * 64, b"head", [b"page"])
    finally:
        os.umask(before)
    files = {path.name: mode_of(path) for path in tmp_path.rglob("*")}
    assert files == {
        "calls.db": 0o600,
        "calls.db-wal": 0o600,
        "calls.db-shm": 0o600,
        "calls.db-seal": 0o600,
        "calls.db-walks": 0o700,
        "d" * 64: 0o600,
    }
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"aa" * 8 not in content
    store.close()
    (tmp_path / "calls.db").chmod(0o644)
    open_store(f"sqlite:///{tmp_path}/calls.db").close()
    assert mode_of(tmp_path / "calls.db") == 0o600


def test_an_interrupt_while_the_file_closes_holds_up_no_later_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/calls.db")
    assert store.spend(ONE, "5", "aa")
    closes = SqliteFile._close

    def interrupted(file: SqliteFile) -> None:
        closes(file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SqliteFile, "_close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.close()
    later = threading.Thread(target=store.spend, args=(ONE, "6", "bb"), daemon=True)
    later.start()
    later.join(10)
    assert not later.is_alive()
    store.close()


def test_a_replay_leaves_the_file_open(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/calls.db")
    assert store.spend(ONE, "5", "aa")
    for nonce, signature in (("5", "aa"), ("5", "bb"), ("6", "aa")):
        assert not store.spend(ONE, nonce, signature)
        # SQLite deletes the log with the last connection.
        assert (tmp_path / "calls.db-wal").exists()
    store.close()
    assert not (tmp_path / "calls.db-wal").exists()


@pytest.mark.parametrize(("query", "level"), [("", 1), ("?synchronous=normal", 1), ("?synchronous=full", 2)])
def test_whether_it_waits_for_the_disk(tmp_path: Path, query: str, level: int) -> None:
    store = open_store(f"sqlite:///{tmp_path}/calls.db{query}")
    assert isinstance(store, SqliteStore)
    with store._file as database:
        found = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
    assert found == [level, "wal"]
    store.close()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is no database, and long enough to be seen as none. " * 40)
    with sqlite3.connect(tmp_path / "newer.db") as other:
        other.execute("PRAGMA user_version = 7")
    other.close()
    for name, reason in (
        ("text.db", "file is not a database"),
        ("newer.db", "it was made by another version of exam-compat (7)"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            open_store(f"sqlite:///{tmp_path}/{name}")
        assert str(raised.value) == f"[store] url: {tmp_path}/{name} cannot be used: {reason}"


def test_workers_that_do_not_agree_on_the_time(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    for apart in (0.5, HOUR, 12 * HOUR, 13 * HOUR):
        early, late = Clock(), Clock(1_700_000_000.0 + apart)
        one, other = SqliteStore(path, clock=early), SqliteStore(path, clock=late)
        for hour in range(50):
            early.now += HOUR
            late.now += HOUR
            name = f"{apart} {hour}"
            first, second = (one, other) if hour % 2 else (other, one)
            assert first.spend(ONE, name, name)
            assert not second.spend(ONE, name, name)
            assert not first.spend(ONE, name, name)
        one.close()
        other.close()
        path.unlink()


def test_old_calls_leave_the_file(tmp_path: Path) -> None:
    clock = Clock()
    store = SqliteStore(tmp_path / "calls.db", clock=clock)
    sizes = []
    for half_day in range(12):
        for call in range(1500):
            assert store.spend(ONE, f"{half_day} {call}", f"{half_day} {call}")
        clock.now += 12 * HOUR
        sizes.append((tmp_path / "calls.db").stat().st_size)
    assert max(sizes[4:]) <= max(sizes[:4]) * 1.2
    store.close()


def test_walks_go_in_their_time(tmp_path: Path) -> None:
    clock = Clock()
    files = WalkFiles(tmp_path / "walks", clock=clock)
    files.put("a" * 64, b"head", [b"page"])
    files.put("b" * 64, b"head", [b"page"])
    os.utime(tmp_path / "walks" / ("b" * 64), (clock.now, clock.now))
    for _ in range(3):
        clock.now += KEPT_FOR - 1
        assert files.get("a" * 64, 2) is not None
    assert files.get("b" * 64, 2) is None
    (tmp_path / "walks" / "unfinished-1").write_bytes(b"what a killed process left")
    os.utime(tmp_path / "walks" / "unfinished-1", (clock.now, clock.now))
    clock.now += KEPT_FOR + 1
    files.sweep()
    assert list((tmp_path / "walks").iterdir()) == []
    files.close()


def test_an_abandoned_walk_goes_by_itself(tmp_path: Path) -> None:
    import time

    files = WalkFiles(tmp_path / "walks", kept_for=0.2)
    files.put("a" * 64, b"head", [b"page"])
    until = time.monotonic() + 20
    while list((tmp_path / "walks").iterdir()):
        assert time.monotonic() < until
        time.sleep(0.05)
    files.close()
