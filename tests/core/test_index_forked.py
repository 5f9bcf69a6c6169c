"""A fork while a walk is kept in SQLite, whose own locks nobody could give back in the child."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import pytest
from forked import in_child, needs_fork

from compat.core.index import Index, IndexedPage
from compat.upstream.base import Columns

pytestmark = needs_fork

FORKS = 25
"""As many as show the fault nearly always: without the pause, one in five children hangs."""


def uses_sqlite() -> bool:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE kept (text)")
    database.executemany("INSERT INTO kept VALUES (?)", [(str(number) * 50,) for number in range(500)])
    [(count,)] = database.execute("SELECT count(*) FROM kept")
    return bool(count == 500)


def test_children_can_use_sqlite_and_the_walks_of_the_parent_go_on() -> None:
    ending = threading.Event()
    counts: list[bool] = []

    def walk() -> None:
        index, kept = Index((), 64 * 1024), 0
        while not ending.is_set():
            keys = [f"key {number}" for number in range(kept, kept + 300)]
            index.add(IndexedPage(0, 0, kept, Columns(keys, {}, range(300), {}), kept, [7] * 300))
            kept += 300
            # Asked anew now and then, since it takes longer the more there is.
            index = index if kept < 9000 else _closed(index, kept, counts)
            kept %= 9000

    def _closed(index: Index, kept: int, counts: list[bool]) -> Index:
        counts.append(index.count(0) == (kept, kept))
        # One that is not closed is dropped.
        if len(counts) % 2:
            index.close()
        return Index((), 64 * 1024)

    threads = [threading.Thread(target=walk) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [in_child(uses_sqlite) for _ in range(FORKS)] == [True] * FORKS
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert all(counts)


def test_a_fork_waits_for_a_database_that_is_being_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, begun, ended = sqlite3.connect, threading.Event(), threading.Event()

    def slowly(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        begun.set()
        ended.wait(0.2)
        database = connect(*args, **kwargs)
        ended.set()
        return database

    monkeypatch.setattr(sqlite3, "connect", slowly)
    thread = threading.Thread(target=lambda: Index((), 64 * 1024).close())
    thread.start()
    assert begun.wait(30)
    assert in_child(ended.is_set)
    thread.join()
