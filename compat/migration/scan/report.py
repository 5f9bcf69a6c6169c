"""Finds for other programs: SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from compat._version import __version__
from compat.migration.scan.files import Problem
from compat.migration.scan.finds import Find
from compat.migration.scan.rules import RULES, Rule

__all__ = ["sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(finds: Sequence[Find], problems: Sequence[Problem]) -> dict[str, Any]:
    """The finds as one run of a SARIF log."""
    driver = {"name": "exam-compat scan", "version": __version__, "rules": [_rule(rule) for rule in RULES.values()]}
    notes = [_notification(problem) for problem in problems]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(find) for find in finds],
                "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": f"{rule.title} is deprecated." if rule.level == "warning" else rule.title},
        "help": {"text": f"Use {rule.instead}: see MIGRATION.md."},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(find: Find) -> dict[str, Any]:
    cell = f"Cell {find.cell}, line {find.line}: " if find.cell else ""
    told = "`exam-compat migrate` rewrites it." if find.rewritable else find.why_not
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(find.path)}}
    if not find.cell:
        # The lines of a notebook are not those of its file.
        place["region"] = {"startLine": find.line, "startColumn": find.column}
    return {
        "ruleId": find.rule,
        "ruleIndex": list(RULES).index(find.rule),
        "level": find.of.level,
        "message": {"text": f"{cell}{find.of.title}: use {find.of.instead}. {told}".strip()},
        "locations": [{"physicalLocation": place}],
        "properties": {"migrate": find.rewritable},
    }


def _notification(problem: Problem) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": {"uri": _uri(problem.path)}}}
    return {"level": "error", "message": {"text": f"Not looked at: {problem.reason}"}, "locations": [location]}


def _uri(path: str) -> str:
    if Path(path).is_absolute():
        return Path(path).as_uri()
    return quote(Path(path).as_posix())
