"""What docs/checks.md says, compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

from compat.cli.check import STATUSES
from compat.regression.comparing.known import ASPECTS, KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_kind_of_difference_is_named_under_its_aspect() -> None:
    named = {aspect: re.findall(r"`([a-z -]+)`", kinds) for aspect, kinds in rows_of("What is a difference")}
    assert named == {aspect: [kind for kind, its in KINDS.items() if its == aspect] for aspect in ASPECTS}


def test_every_verdict_has_its_exit_status() -> None:
    assert {verdict: int(status) for verdict, status, *_ in rows_of("Three verdicts")} == STATUSES
