"""Switches: what one process sets, every other one reads, and a store that is away is said."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import closed_port

from compat.errors import ConfigurationError, StoreUnavailable
from compat.stores.ledger import open_ledger

SETTING = (
    "import sys; from compat.stores.ledger import open_ledger;"
    "ledger = open_ledger(sys.argv[1]); print(sorted(ledger.switches().items()));"
    "ledger.set_switch(sys.argv[2], sys.argv[3]); ledger.close()"
)


def set_elsewhere(url: str, name: str, value: str) -> str:
    """Set one in a process of its own, and return what it saw before."""
    return subprocess.run(
        [sys.executable, "-c", SETTING, url, name, value], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_set_read_and_taken_away(store_url: str) -> None:
    with_one, other = open_ledger(store_url), open_ledger(store_url)
    assert dict(with_one.switches()) == {}
    with_one.set_switch("mode", "shadow")
    with_one.set_switch("mode caller=Prüfungsamt 試", "canary:25")
    assert dict(other.switches()) == {"mode": "shadow", "mode caller=Prüfungsamt 試": "canary:25"}
    other.set_switch("mode", "legacy")
    other.set_switch("mode caller=Prüfungsamt 試", None)
    other.set_switch("never set", None)
    assert dict(with_one.switches()) == {"mode": "legacy"}
    other.set_switch("mode", None)
    assert dict(with_one.switches()) == {}
    with_one.close()
    other.close()


def test_among_processes(shared_url: str) -> None:
    ledger = open_ledger(shared_url)
    ledger.set_switch("mode", "new")
    assert set_elsewhere(shared_url, "brownouts paused", "yes") == "[('mode', 'new')]"
    assert dict(ledger.switches()) == {"mode": "new", "brownouts paused": "yes"}
    ledger.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_both_go_on(shared_url: str) -> None:
    ledger = open_ledger(shared_url)
    ledger.set_switch("mode", "new")
    child = os.fork()
    if child == 0:
        # pytest must not go on in the child, whatever happens.
        try:
            ledger.set_switch("mode", "legacy")
            os._exit(0 if dict(ledger.switches()) == {"mode": "legacy"} else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert dict(ledger.switches()) == {"mode": "legacy"}
    ledger.close()


_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


@given(st.lists(st.tuples(_TEXTS, st.none() | _TEXTS), max_size=12))
def test_they_are_a_dictionary(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str | None]]) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('switches')}/calls.db")
    expected: dict[str, str] = {}
    for name, value in changes:
        ledger.set_switch(name, value)
        if value is None:
            expected.pop(name, None)
        else:
            expected[name] = value
    assert dict(ledger.switches()) == expected
    ledger.close()


def test_a_file_that_nobody_else_may_read_and_that_reading_does_not_make(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/calls.db")
    assert dict(ledger.switches()) == {}
    assert list(tmp_path.iterdir()) == []
    ledger.set_switch("mode", "new")
    path = tmp_path / "calls.db-migration"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (tmp_path / "calls.db").exists()
    ledger.close()


def test_a_file_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    ledger = open_ledger(url)
    ledger.set_switch("mode", "new")
    for path in tmp_path.iterdir():
        path.unlink()
    assert dict(ledger.switches()) == {}
    set_elsewhere(url, "mode", "legacy")
    assert dict(ledger.switches()) == {"mode": "legacy"}
    ledger.close()


def test_a_store_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "text.db-migration").write_text("This is no database, and long enough to be seen as none. " * 40)
    nowhere = closed_port().replace("http", "redis")
    away = r"^The store cannot be reached at the moment: [A-Za-z]+\.$"
    text = rf"^The store {tmp_path}/text\.db-migration cannot be used: .+\. Move that file away, or name another one\.$"
    for url, told in (
        (f"sqlite:///{tmp_path}/text.db", text),
        (f"sqlite:///{tmp_path}/no/folder/x.db", away),
        (nowhere, away),
    ):
        ledger = open_ledger(url)
        with pytest.raises(StoreUnavailable, match=told):
            ledger.set_switch("mode", "new")
        ledger.close()
    with pytest.raises(ConfigurationError, match="is no kind of store"):
        open_ledger("mysql://x")


def test_a_busy_file_is_an_error_and_no_long_wait(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/calls.db")
    ledger.set_switch("mode", "new")
    other = sqlite3.connect(tmp_path / "calls.db-migration", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        ledger.set_switch("mode", "legacy")
    assert dict(ledger.switches()) == {"mode": "new"}
    other.execute("ROLLBACK")
    other.close()
    ledger.set_switch("mode", "legacy")
    ledger.close()
