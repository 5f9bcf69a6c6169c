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
from compat.migration.modes.switches import open_switches

SETTING = (
    "import sys; from compat.migration.modes.switches import open_switches;"
    "switches = open_switches(sys.argv[1]); print(sorted(switches.all().items()));"
    "switches.set(sys.argv[2], sys.argv[3]); switches.close()"
)


def set_elsewhere(url: str, name: str, value: str) -> str:
    """Set one in a process of its own, and return what it saw before."""
    return subprocess.run(
        [sys.executable, "-c", SETTING, url, name, value], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_set_read_and_taken_away(store_url: str) -> None:
    with_one, other = open_switches(store_url), open_switches(store_url)
    assert dict(with_one.all()) == {}
    with_one.set("mode", "shadow")
    with_one.set("mode caller=Prüfungsamt 試", "canary:25")
    assert dict(other.all()) == {"mode": "shadow", "mode caller=Prüfungsamt 試": "canary:25"}
    other.set("mode", "legacy")
    other.set("mode caller=Prüfungsamt 試", None)
    other.set("never set", None)
    assert dict(with_one.all()) == {"mode": "legacy"}
    other.set("mode", None)
    assert dict(with_one.all()) == {}
    with_one.close()
    other.close()


def test_among_processes(shared_url: str) -> None:
    switches = open_switches(shared_url)
    switches.set("mode", "new")
    assert set_elsewhere(shared_url, "brownouts paused", "yes") == "[('mode', 'new')]"
    assert dict(switches.all()) == {"mode": "new", "brownouts paused": "yes"}
    switches.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_both_go_on(shared_url: str) -> None:
    switches = open_switches(shared_url)
    switches.set("mode", "new")
    child = os.fork()
    if child == 0:
        # pytest must not go on in the child, whatever happens.
        try:
            switches.set("mode", "legacy")
            os._exit(0 if dict(switches.all()) == {"mode": "legacy"} else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert dict(switches.all()) == {"mode": "legacy"}
    switches.close()


_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


@given(st.lists(st.tuples(_TEXTS, st.none() | _TEXTS), max_size=12))
def test_they_are_a_dictionary(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str | None]]) -> None:
    switches = open_switches(f"sqlite:///{tmp_path_factory.mktemp('switches')}/calls.db")
    expected: dict[str, str] = {}
    for name, value in changes:
        switches.set(name, value)
        if value is None:
            expected.pop(name, None)
        else:
            expected[name] = value
    assert dict(switches.all()) == expected
    switches.close()


def test_a_file_that_nobody_else_may_read_and_that_reading_does_not_make(tmp_path: Path) -> None:
    switches = open_switches(f"sqlite:///{tmp_path}/calls.db")
    assert dict(switches.all()) == {}
    assert list(tmp_path.iterdir()) == []
    switches.set("mode", "new")
    path = tmp_path / "calls.db-migration"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (tmp_path / "calls.db").exists()
    switches.close()


def test_a_file_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    switches = open_switches(url)
    switches.set("mode", "new")
    for path in tmp_path.iterdir():
        path.unlink()
    assert dict(switches.all()) == {}
    set_elsewhere(url, "mode", "legacy")
    assert dict(switches.all()) == {"mode": "legacy"}
    switches.close()


def test_a_store_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "text.db-migration").write_text("This is no database, and long enough to be seen as none. " * 40)
    nowhere = closed_port().replace("http", "redis")
    for url in (f"sqlite:///{tmp_path}/text.db", f"sqlite:///{tmp_path}/no/folder/x.db", nowhere):
        switches = open_switches(url)
        with pytest.raises(StoreUnavailable, match=r"^The store cannot be reached at the moment: [A-Za-z]+\.$"):
            switches.set("mode", "new")
        switches.close()
    with pytest.raises(ConfigurationError, match="is no kind of store"):
        open_switches("mysql://x")


def test_a_busy_file_is_an_error_and_no_long_wait(tmp_path: Path) -> None:
    switches = open_switches(f"sqlite:///{tmp_path}/calls.db")
    switches.set("mode", "new")
    other = sqlite3.connect(tmp_path / "calls.db-migration", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        switches.set("mode", "legacy")
    assert dict(switches.all()) == {"mode": "new"}
    other.execute("ROLLBACK")
    other.close()
    switches.set("mode", "legacy")
    switches.close()
