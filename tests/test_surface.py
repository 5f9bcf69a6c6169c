"""What users hold on to stays: names, their parameters, commands and their help, entry points, fixtures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FROZEN = json.loads(Path(__file__).with_name("surface.json").read_text(encoding="utf-8"))


PARTS = [(part, name) for part, of in sorted(FROZEN.items()) for name in (of if isinstance(of, dict) else [None])]


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    # In a process of its own: a command that ran before in this one keeps the names of its option for help.
    script = Path(__file__).with_name("surface.py")
    told = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, timeout=120).stdout
    return dict(json.loads(told))


def test_nothing_came_or_went(now: dict[str, Any]) -> None:
    assert {part: list(of) for part, of in now.items()} == {part: list(of) for part, of in FROZEN.items()}


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_it_is_as_it_was(now: dict[str, Any], part: str, name: str | None) -> None:
    assert (now[part][name] if name else now[part]) == (FROZEN[part][name] if name else FROZEN[part])
