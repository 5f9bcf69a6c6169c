"""What users hold on to stays: names, their parameters, commands and their help, entry points, fixtures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from surface import surface

FROZEN = json.loads(Path(__file__).with_name("surface.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", sorted(FROZEN))
def test_it_is_as_it_was(part: str) -> None:
    assert json.loads(json.dumps(surface()[part])) == FROZEN[part]
