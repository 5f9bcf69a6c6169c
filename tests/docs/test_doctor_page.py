"""What docs/doctor.md says, compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

from compat.doctor.dialects import CHOICES, FORMS, LAST

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
SOURCES = Path(__file__).parents[2] / "compat" / "doctor"


def test_the_ways_of_signing_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    known = [*(each for choice in CHOICES for each in choice.deviations), *FORMS, *LAST]
    plain = [(name, did.replace("\\\\", "\\"), fix) for name, did, fix in rows]
    assert plain[: len(known)] == [(each.name, each.did, each.fix) for each in known]


def test_every_other_finding_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    code = "".join((SOURCES / name).read_text(encoding="utf-8") for name in ("diagnosis.py", "findings.py"))
    named = re.findall(r'(?:Finding\(|: \(|= Finding\()\s*"([\w-]+)",', code)
    assert len(named) > 15
    assert not [name for name in named if f"`{name}`" not in page]
