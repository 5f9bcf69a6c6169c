"""Inventory, codemod and verdict, joined: one score for each caller."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from compat.migration.scan.rules import Find
from compat.regression.evidence.callers_left import callers_left, sentence
from compat.regression.evidence.result import CheckResult, Count
from compat.regression.evidence.verdict import judge


@dataclass(frozen=True)
class Seen:
    """A caller as the inventory has it."""

    name: str
    a_day: float
    call_sites: tuple[str, ...] = ()
    last: float | None = 1.7e9


def find(path: str, line: int, *, rewritable: bool) -> Find:
    return Find(path, line, 1, "index_students", rewritable=rewritable)


JUDGED = judge(
    CheckResult(
        all=Count(1_905, 2),
        callers={"registrar": Count(1_900), "payroll": Count(5, 2), "lms": Count(0, not_comparable=3)},
    )
)
FINDS = (
    find("jobs/export.py", 12, rewritable=True),
    find("jobs/payroll.py", 3, rewritable=True),
    find("jobs/payroll.py", 9, rewritable=False),
)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen("registrar", 214.2, ("/srv/jobs/export.py:12",)), "214 calls a day, rewritable, 0 unexplained in 1,900"),
        (Seen("payroll", 1, ("jobs/payroll.py:9",)), "1 call a day, 1 of 2 places by hand, 2 unexplained in 5"),
        (
            Seen("registrar", 0.142, ("/srv/other/export.py:12",)),
            "0.14 calls a day, script not seen, 0 unexplained in 1,900",
        ),
        (Seen("lms", 3), "3 calls a day, script not seen, nothing could be compared in 3 calls"),
        (Seen("curl/8.5", 2000), "2,000 calls a day, script not seen, not checked"),
    ],
)
def test_a_caller_has_one_score(seen: Seen, said: str) -> None:
    [left] = callers_left([seen], JUDGED, FINDS)
    assert sentence(left) == said
    assert (left.name, left.last_seen) == (seen.name, seen.last)


def test_the_busiest_comes_first() -> None:
    left = callers_left([Seen("a", 1), Seen("b", 9), Seen("c", 5)], JUDGED)
    assert [each.name for each in left] == ["b", "c", "a"]
