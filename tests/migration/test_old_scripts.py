"""Old scripts of many makes, unedited: what they print does not depend on which endpoint answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateways import running_gateway
from old_scripts import BY_NAME, SCRIPTS, Ended, OldScript, configured, old_world, run

from compat.testing.sandbox import Sandbox

MODES = ("legacy", "new")
ASKED = {"legacy": {"legacy"}, "new": {"student_sessions"}}
"""The interfaces that a mode calls."""


def named(script: OldScript) -> str:
    return script.name


def interfaces(sandbox: Sandbox) -> set[str]:
    return {call.interface for call in sandbox.calls}


def directly(script: OldScript, folder: Path) -> Ended:
    """Run on the old endpoint, with nothing of ours."""
    with old_world() as sandbox:
        ended = run(BY_NAME[script.same_as or script.name], sandbox, folder)
        assert interfaces(sandbox) == {"legacy"}
    assert ended.status == script.status, ended.complained
    assert ended.printed
    # What runs a notebook reports as it goes.
    assert ended.complained == "" or script.name.endswith(".ipynb")
    return ended


def shimmed(mode: str, config: Path) -> dict[str, str]:
    """The environment in which the shim answers a process and its children."""
    return {
        "EXAM_COMPAT": "1",
        "EXAM_COMPAT_CONFIG": str(config),
        "EXAM_COMPAT_MODE": mode,
        # Python by itself shows them of the script alone, and not of the modules that it imports.
        "EXAM_COMPAT_WARNINGS": "default",
    }


def assert_warned(ended: Ended, script: OldScript) -> None:
    """One warning for each line and route; of a line that runs in two processes, one in each."""
    expected = sorted(map(str, script.calls))
    if script.name == "parallel_minutes.py":
        assert set(ended.warned) == set(expected)
    else:
        assert ended.warned == expected, ended.complained


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script.calls_by_requests], ids=named)
def test_an_unedited_script_prints_the_same_whatever_answers(script: OldScript, tmp_path: Path) -> None:
    expected = directly(script, tmp_path)
    for mode in MODES:
        with old_world() as sandbox:
            ended = run(script, sandbox, tmp_path, environment=shimmed(mode, configured(sandbox, tmp_path)))
            assert (ended.status, ended.printed) == (expected.status, expected.printed), (mode, ended.complained)
            if mode != "legacy":
                assert_warned(ended, script)
            # The client class knows the new endpoint alone.
            assert interfaces(sandbox) == (ASKED["new"] if script.same_as else ASKED[mode])


@pytest.mark.parametrize("script", [script for script in SCRIPTS if not script.calls_by_requests], ids=named)
def test_a_script_without_requests_prints_the_same_through_the_gateway(script: OldScript, tmp_path: Path) -> None:
    expected = directly(script, tmp_path)
    for mode in MODES:
        with old_world() as sandbox, running_gateway(configured(sandbox, tmp_path), EXAM_COMPAT_MODE=mode) as base:
            ended = run(script, sandbox, tmp_path, environment={"PROCTOREXAM_URL": base})
            assert (ended.status, ended.printed) == (expected.status, expected.printed), (mode, ended.complained)
            assert interfaces(sandbox) == ASKED[mode]
