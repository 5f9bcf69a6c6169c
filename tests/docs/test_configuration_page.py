"""docs/configuration.md names every key and every variable that the code reads."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from compat.config.schemas import TABLES
from compat.upstream.base import Upstream
from compat.upstream.kinds import KINDS, SHARED
from compat.upstream.limits import AnswerLimits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_key_is_on_the_page() -> None:
    upstream = {*SHARED, *(name for kind in KINDS.values() for name in (*kind.needs, *kind.takes))}
    keys = upstream | {name for table, names in TABLES.items() if table for name in names}
    assert not sorted(key for key in keys if f"`{key}`" not in PAGE and f".{key}]]`" not in PAGE)


def test_every_variable_is_on_the_page() -> None:
    sources = [*(ROOT / "compat").rglob("*.py"), ROOT / "exam_compat_startup.py"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    inner = {
        "EXAM_COMPAT_RUN",
        "EXAM_COMPAT_DIRECTORY",
        "EXAM_COMPAT_CONFIG_OPTION",
    }  # what one process of ours tells the next
    read = set(re.findall(r'"(EXAM_COMPAT(?:_[A-Z]+)*)"', code)) - inner
    assert len(read) > 8
    assert not sorted(name for name in read if f"`{name}`" not in PAGE)


def test_the_limits_have_their_defaults() -> None:
    written = dict(re.findall(r'^\| `(\w+)` \| `?"?([\w.]+)"?`? \|', PAGE, flags=re.MULTILINE))
    given = {each.name: each.default for each in inspect.signature(Upstream).parameters.values()}
    given |= {each.name: each.default for each in fields(AnswerLimits)}
    limits = SHARED.keys() - {"base_url"}
    assert {name: written[name] for name in limits} == {name: str(given[name]).removesuffix(".0") for name in limits}
