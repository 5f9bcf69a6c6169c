"""What explains a difference: a declared loss, or a rule that people wrote, until it expires."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from answers_of import Page, call_of, pair_of, records

from compat.errors import ConfigurationError
from compat.regression.check import check_pairs
from compat.regression.comparing.known import load_known
from compat.regression.evidence.result import CheckResult
from compat.regression.evidence.verdict import judge

TODAY = date(2026, 6, 1)
RULE = """
[[known]]
reason = "the new endpoint writes browsers in capitals"
expires = 2026-12-31
field = "browser"
kind = "letter case"
"""


def checked(rules: str, tmp_path: Path, **options: Any) -> CheckResult:
    """A check of a call whose browser comes in capitals."""
    path = tmp_path / "known.toml"
    path.write_text(rules)
    whole = [{**record, "browser": "Chrome"} for record in records(5)]
    shouted = [{**record, "browser": "CHROME"} for record in whole]
    pair = pair_of(call_of({"limit": 10}), Page.of(whole).answered(), Page.of(shouted).answered(), **options)
    return check_pairs([pair], known=load_known(path, TODAY))


def test_a_known_difference_is_explained(tmp_path: Path) -> None:
    result = checked(RULE, tmp_path)
    assert (result.all.explained, result.all.unexplained) == (1, 0)
    [rule], [count] = result.known, result.differences
    assert (rule.differences, rule.expired) == (5, False)
    assert (count.by, count.differences, count.calls) == ("known", 5, 1)
    assert count.reason == "field browser, kind letter case: the new endpoint writes browsers in capitals"


def test_an_expired_rule_explains_nothing_and_is_said(tmp_path: Path) -> None:
    result = checked(RULE.replace("2026-12-31", "2026-05-31"), tmp_path)
    assert result.all.unexplained == 1
    assert any(note.startswith("a rule expired on 2026-05-31") for note in judge(result).notes)


@pytest.mark.parametrize(
    "narrower", ['caller = "payroll"', "exam = 18", 'route = "show_student"', 'aspect = "headers"', 'field = "name"']
)
def test_a_rule_for_other_calls_explains_nothing_and_is_said(narrower: str, tmp_path: Path) -> None:
    rule = RULE.replace('field = "browser"\n', "") if narrower.startswith("field") else RULE
    result = checked(f"{rule}{narrower}\n", tmp_path)
    assert result.all.unexplained == 1
    assert any(note.startswith("a rule explained nothing: ") for note in judge(result).notes)


def test_a_pattern_fits_several_callers(tmp_path: Path) -> None:
    rules = RULE + 'caller = "registrar*"\n'
    assert checked(rules, tmp_path, caller="registrar nightly export").all.unexplained == 0
    assert checked(rules, tmp_path, caller=None).all.unexplained == 1


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("[[known]]", "reason"),
        (RULE.replace("2026-12-31", '"2026-12-31"'), r"\[\[known\]\] 1: expires: must be a date"),
        (RULE + 'feild = "x"', "feild: no such key; the nearest known one is field"),
        ('[[known]]\nreason = "x"\nexpires = 2026-12-31\ncaller = "x"', "must name a field, a kind or an aspect"),
        ('[[known]]\nreason = "x"\nexpires = 2026-12-31\nfield = "*"', "must name a field, a kind or an aspect"),
        (RULE.replace('"letter case"', '"lettercase"'), "kind: 'lettercase' is none of"),
        ("known = 1", "known"),
        ("[[known]", "known.toml"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_by_name(rules: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        checked(rules, tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load_known(tmp_path / "nowhere.toml")
