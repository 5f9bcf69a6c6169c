"""Inventory, codemod and verdict, joined: one score for each caller."""

from __future__ import annotations

import pytest

from compat.migration.inventory.report import CallerUsage
from compat.migration.scan.rules import Find
from compat.regression.evidence.headline import callers_left, sentence
from compat.regression.evidence.result import CheckResult, Count
from compat.regression.evidence.verdict import judge


def seen(name: str, a_day: float, *call_sites: str) -> CallerUsage:
    """A caller as the inventory has it."""
    return CallerUsage(name, "caller", "active", 1, a_day, first=1.6e9, last=1.7e9, call_sites=call_sites)


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
    ("caller", "said"),
    [
        (seen("registrar", 214.2, "/srv/jobs/export.py:12"), "214 calls a day, rewritable, 0 unexplained in 1,900"),
        (seen("payroll", 1, "jobs/payroll.py:9"), "1 call a day, 1 of 2 places by hand, 2 unexplained in 5"),
        (
            seen("registrar", 0.142, "/srv/other/export.py:12"),
            "0.14 calls a day, script not seen, 0 unexplained in 1,900",
        ),
        (seen("lms", 3), "3 calls a day, script not seen, nothing could be compared in 3 calls"),
        (seen("curl/8.5", 2000), "2,000 calls a day, script not seen, not checked"),
    ],
)
def test_a_caller_has_one_score(caller: CallerUsage, said: str) -> None:
    [left] = callers_left([caller], JUDGED, FINDS)
    assert sentence(left) == said
    assert (left.name, left.last_seen) == (caller.name, caller.last)


def test_the_busiest_comes_first() -> None:
    left = callers_left([seen("a", 1), seen("b", 9), seen("c", 5)], JUDGED)
    assert [each.name for each in left] == ["b", "c", "a"]
