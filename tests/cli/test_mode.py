"""``exam-compat mode``: what counts for whom, and the switch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from compat.stores.ledger import open_ledger

Invoke = Callable[..., Result]

CONFIG = """
[upstream]
kind = "student_sessions"
base_url = "http://127.0.0.1:9300"
api_token = "a"
secret_key = "b"

[legacy]
base_url = "http://127.0.0.1:9301"

[migration]
mode = "shadow"

[migration.exams]
17 = "canary:25"

[[callers]]
name = "registrar"
api_token = "x"
secret_key = "y"
exams = {18 = "legacy"}

[[callers]]
name = "LMS"
api_token = "z"
secret_key = "y"
mode = "new"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "exam-compat.toml"
    path.write_text(CONFIG)
    return path


def _shown(invoke: Invoke, *options: str) -> list[tuple[object, ...]]:
    found = invoke("mode", "--json", *options)
    assert found.exit_code == 0, found.output
    return [(each["caller"], each["exam"], each["mode"], each["by"]) for each in json.loads(found.stdout)]


def test_every_rule_is_shown_with_its_reason(invoke: Invoke, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _shown(invoke) == [
        (None, None, "shadow", "configuration"),
        (None, "17", "canary:25", "configuration"),
        ("LMS", None, "new", "configuration"),
        ("registrar", None, "shadow", "configuration"),
        ("registrar", "18", "legacy", "configuration"),
    ]
    table = invoke("mode").stdout
    assert "the configuration for caller 'registrar' and exam 18" in table
    assert "all others" in table
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    assert {row[2:] for row in _shown(invoke)} == {("legacy", "environment")}
    assert "EXAM_COMPAT_MODE, here" in invoke("mode").stdout


def test_a_switch_and_back(invoke: Invoke, config: Path) -> None:
    done = invoke("mode", "canary:50", "--caller", "registrar", "--exam", "018")
    assert done.exit_code == 0
    assert done.stderr == (
        "Switched caller 'registrar' and exam 18 to canary:50; it was not switched. "
        "Whatever runs follows within 2 seconds.\n"
    )
    assert _shown(invoke, "--exam", "18") == [("registrar", "18", "canary:50", "switch")]
    again = invoke("mode", "new", "--caller", "registrar", "--exam", "18")
    assert "to new; it was switched to canary:50" in again.stderr
    ledger = open_ledger(f"sqlite:///{config.parent}/exam-compat.db")
    assert ledger.switches() == {"mode exam=18 caller=registrar": "new"}
    ledger.close()
    gone = invoke("mode", "--clear", "--caller", "registrar", "--exam", "18")
    assert (gone.exit_code, "to new is gone" in gone.stderr) == (0, True)
    assert (
        "There was no switch for caller 'registrar' and exam 18."
        in invoke("mode", "--clear", "--caller", "registrar", "--exam", "18").stderr
    )
    assert _shown(invoke, "--exam", "18") == [("registrar", "18", "legacy", "configuration")]


def test_a_switch_under_a_kill_switch_says_so(invoke: Invoke, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    assert "it counts over every switch in the processes that have it" in invoke("mode", "new").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("turbo",), "must be legacy, shadow, canary:25 (a percentage), new or new+fallback"),
        (("canary:101",), "canary:101"),
        (("new", "--caller", "registra"), "the nearest is 'registrar'"),
        (("new", "--exam", "x"), "'x' is no exam id"),
        (("new", "--clear"), "exclude each other"),
    ],
)
def test_what_cannot_be_switched(invoke: Invoke, config: Path, arguments: tuple[str, ...], told: str) -> None:
    found = invoke("mode", *arguments)
    assert found.exit_code == 2
    assert told in " ".join(found.stderr.split())
    assert not list(config.parent.glob("*.db*"))


def test_a_mode_that_needs_the_old_endpoint(invoke: Invoke, config: Path) -> None:
    text = CONFIG.replace('[legacy]\nbase_url = "http://127.0.0.1:9301"\n', "")
    config.write_text(text.replace("shadow", "new").replace("canary:25", "new").replace('"legacy"', '"new"'))
    found = invoke("mode", "shadow")
    assert (found.exit_code, "needs base_url in [legacy]" in found.stderr) == (2, True)
    ledger = open_ledger(f"sqlite:///{config.parent}/exam-compat.db")
    ledger.set_switch("mode", "legacy")
    ledger.close()
    shown = invoke("mode")
    assert "The switch 'mode' is left alone" in shown.stderr


def test_memory_cannot_be_switched_from_outside(invoke: Invoke, config: Path) -> None:
    config.write_text(CONFIG + '\n[store]\nurl = "memory://"\n')
    found = invoke("mode", "new")
    assert (found.exit_code, "memory:// is each process's own" in found.stderr) == (2, True)
    assert invoke("mode").exit_code == 0
