"""Old scripts of many makes, unedited: what they print does not depend on which endpoint answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gateways import running_gateway
from old_scripts import (
    BY_NAME,
    SCRIPTS,
    Ended,
    Expected,
    OldScript,
    configured,
    expected_of,
    named,
    old_world,
    run,
    writes,
)

from compat.testing.sandbox import Sandbox

OLD, NEW = "legacy", "student_sessions"


@dataclass(frozen=True)
class Way:
    """A way to have old calls answered.

    Attributes:
        name: the mode, or what else is particular.
        mode: as the configuration has it.
        environment: what the process has beside that.
        must: the interfaces that have to be called.
        may: and those that may be called too.
    """

    name: str
    mode: str
    environment: Mapping[str, str]
    must: frozenset[str]
    may: frozenset[str] = frozenset()


def _way(name: str, *must: str, may: str = "", mode: str = "", **environment: str) -> Way:
    return Way(name, mode or name, environment, frozenset(must), frozenset({may} - {""}))


NEW_ALONE = _way("new", NEW)
# A script that ends at once does not wait for what is compared behind it.
SHADOW = _way("shadow", OLD, may=NEW)
OTHERS = (
    _way("legacy", OLD),
    _way("canary:0", OLD, may=NEW),
    _way("canary:100", NEW, may=OLD),
    _way("new+fallback", NEW),
    _way("kill switch", OLD, mode="new", EXAM_COMPAT_MODE="legacy"),
)
WAYS = (NEW_ALONE, SHADOW, *OTHERS)


def some_ways(script: OldScript) -> tuple[Way, ...]:
    """What the suite has time for: the two that count most, and one of the others in turn."""
    return NEW_ALONE, SHADOW, OTHERS[SCRIPTS.index(script) % len(OTHERS)]


caught = pytest.mark.parametrize("script", [each for each in SCRIPTS if each.is_caught], ids=named)
by_gateway = pytest.mark.parametrize("script", [each for each in SCRIPTS if not each.is_caught], ids=named)


def assert_same(ended: Ended, expected: Expected, sandbox: Sandbox, way: Way) -> None:
    """The output is the same to the byte, each write was made once, and the way's endpoints were called."""
    told = f"{way.name}: {ended.complained}"
    assert (ended.status, ended.printed) == (expected.ended.status, expected.ended.printed), told
    assert writes(sandbox) == expected.writes, told
    asked = {call.interface for call in sandbox.calls}
    assert way.must <= asked <= way.must | way.may, told


def shimmed(config: Path, way: Way) -> dict[str, str]:
    """The environment in which the shim answers a process and its children."""
    # Python by itself shows warnings of the script alone, and not of the modules that it imports.
    ours = {"EXAM_COMPAT": "1", "EXAM_COMPAT_CONFIG": str(config), "EXAM_COMPAT_WARNINGS": "default"}
    return {**ours, **way.environment}


def assert_warned(ended: Ended, script: OldScript) -> None:
    """One warning for each line and route; of a line that runs in two processes, one in each."""
    expected = sorted(map(str, script.calls))
    if script.name == "parallel_minutes.py":
        assert set(ended.warned) == set(expected)
    else:
        assert ended.warned == expected, ended.complained


def assert_same_by_the_shim(script: OldScript, way: Way, expected: Expected, folder: Path, **tables: Any) -> None:
    with old_world() as sandbox:
        config = configured(sandbox, folder, migration={"mode": way.mode}, **tables)
        ended = run(script, sandbox, folder, environment=shimmed(config, way))
        assert_same(ended, expected, sandbox, way)
    assert_warned(ended, script)


def assert_same_by_the_gateway(script: OldScript, way: Way, expected: Expected, folder: Path) -> None:
    with old_world() as sandbox:
        config = configured(sandbox, folder, migration={"mode": way.mode})
        with running_gateway(config, **way.environment) as base:
            ended = run(script, sandbox, folder, environment={"PROCTOREXAM_URL": base})
        assert_same(ended, expected, sandbox, way)
    assert ended.complained == expected.ended.complained


@caught
def test_an_unedited_script_prints_the_same_whatever_answers(script: OldScript, tmp_path: Path) -> None:
    expected = expected_of(script, tmp_path)
    for way in some_ways(script):
        assert_same_by_the_shim(script, way, expected, tmp_path)


@by_gateway
def test_a_script_that_is_not_caught_prints_the_same_through_the_gateway(script: OldScript, tmp_path: Path) -> None:
    expected = expected_of(script, tmp_path)
    for way in some_ways(script):
        assert_same_by_the_gateway(script, way, expected, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_every_script_in_every_mode(script: OldScript, way: Way, tmp_path: Path) -> None:
    expected = expected_of(script, tmp_path)
    if script.is_caught:
        assert_same_by_the_shim(script, way, expected, tmp_path)
    else:
        assert_same_by_the_gateway(script, way, expected, tmp_path)


@pytest.mark.soak
@caught
def test_scripts_with_requests_may_call_the_gateway_too(script: OldScript, tmp_path: Path) -> None:
    if not script.same_as:
        assert_same_by_the_gateway(script, NEW_ALONE, expected_of(script, tmp_path), tmp_path)


def unreachable(folder: Path) -> str:
    return f"sqlite:///{folder / 'nowhere' / 'exam-compat.db'}"


def no_database(folder: Path) -> str:
    path = folder / "exam-compat.db"
    path.write_text("not a database, but a page of plain text\n" * 100, encoding="utf-8")
    return f"sqlite:///{path}"


def refused(folder: Path) -> str:
    return "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("store", [unreachable, no_database, refused])
def test_without_its_store_a_script_runs_on(store: Any, tmp_path: Path) -> None:
    script = BY_NAME["all_pages.py"]
    table = {"url": store(tmp_path)}
    assert_same_by_the_shim(script, SHADOW, expected_of(script, tmp_path), tmp_path, store=table)


def test_a_service_outlives_its_store(tmp_path: Path) -> None:
    script, path = BY_NAME["watch_exam.py"], tmp_path / "store" / "exam-compat.db"
    path.parent.mkdir()

    def spoil() -> None:
        for each in path.parent.iterdir():
            each.write_bytes(b"spoilt" * 1000)

    expected = expected_of(script, tmp_path)
    with old_world() as sandbox:
        config = configured(sandbox, tmp_path, migration={"mode": "shadow"}, store={"url": f"sqlite:///{path}"})
        ended = run(script, sandbox, tmp_path, environment=shimmed(config, SHADOW), meanwhile=spoil)
        assert_same(ended, expected, sandbox, SHADOW)
