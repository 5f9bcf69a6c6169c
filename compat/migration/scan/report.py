"""Finds for other programs: SARIF 2.1.0, which code hosts and editors show beside the lines.

A code host refuses a whole file that is beyond its limits. So what is beyond them is left out here, the least certain
first, and the log says by name how much that is.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from compat._version import __version__
from compat.migration.scan.files import Problem
from compat.migration.scan.finds import GRADES, Find
from compat.migration.scan.rules import RULES, Rule
from compat.text.json import several

__all__ = ["MOST_BYTES", "MOST_NOTES", "MOST_RESULTS", "left_out", "sarif"]

MOST_RESULTS = 25_000
"""Results of a run that GitHub's code scanning takes ("SARIF support for code scanning", its limits)."""
MOST_BYTES = 10_000_000
"""Bytes of the log, compressed by gzip, that it takes."""
MOST_NOTES = 1_000
"""Files that were not looked at, each by name."""

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FILE = {"startLine": 1}
"""The region of what is in no line of its file: a code host shows nothing that has none."""


def sarif(
    finds: Sequence[Find],
    problems: Sequence[Problem],
    unread: str = "",
    *,
    most_results: int = MOST_RESULTS,
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any]:
    """The finds as one run of a SARIF log, the most certain first, within the limits of a code host.

    Args:
        finds: the uses.
        problems: what hindered looking for them.
        unread: how many files were not read, and why.
        most_results: how many finds the log may have.
        most_bytes: how large it may be, compressed.
    """
    root = _repository(Path.cwd())
    ordered = sorted(finds, key=_least_certain)
    kept = min(len(ordered), most_results)
    log = _log(ordered, kept, problems, unread, root)
    while kept and len(gzip.compress(json.dumps(log, ensure_ascii=False).encode(), 6)) > most_bytes:
        kept = kept * 3 // 4
        log = _log(ordered, kept, problems, unread, root)
    return log


def left_out(log: dict[str, Any]) -> list[str]:
    """What a log does not say of all that was found, in words."""
    notes = log["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    return [each["message"]["text"] for each in notes if each["level"] == "warning"]


def _least_certain(find: Find) -> tuple[Any, ...]:
    """Where a find stands: a use before a note, what was understood before what was only found."""
    return find.of.level == "note", GRADES.index(find.grade), not find.rewritable, not find.library, find


def _log(
    ordered: Sequence[Find], kept: int, problems: Sequence[Problem], unread: str, root: Path | None
) -> dict[str, Any]:
    driver = {"name": "exam-compat scan", "version": __version__, "rules": [_rule(rule) for rule in RULES.values()]}
    notes = [_not_looked_at(problem, root) for problem in problems[:MOST_NOTES]]
    if len(problems) > MOST_NOTES:
        notes.append(_left_out(f"{several(len(problems) - MOST_NOTES, 'more file')} were not looked at"))
    if unread:
        notes.append({"level": "note", "message": {"text": f"{unread}."}})
    if kept < len(ordered):
        rules = Counter(find.rule for find in ordered[kept:])
        named = ", ".join(f"{number:,} of {rule}" for rule, number in rules.most_common())
        notes.append(
            _left_out(
                f"{kept:,} of {several(len(ordered), 'find')} are in this log, the most certain ones, since code hosts "
                f"take no more; left out: {named}. exam-compat scan --json has all of them"
            )
        )
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(find, root) for find in ordered[:kept]],
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


def _result(find: Find, root: Path | None) -> dict[str, Any]:
    cell = f"Cell {find.cell}, line {find.line}: " if find.cell else ""
    told = "`exam-compat migrate` rewrites it." if find.rewritable else find.why_not
    # The lines of a notebook are not those of its file.
    region = _FILE if find.cell else {"startLine": find.line, "startColumn": find.column}
    return {
        "ruleId": find.rule,
        "ruleIndex": list(RULES).index(find.rule),
        "level": find.level,
        "message": {"text": f"{cell}{find.of.title}: use {find.of.instead}. {told}".strip()},
        "locations": [_location(find.path, region, root)],
        "properties": {"migrate": find.rewritable, "grade": find.grade},
    }


def _location(path: str, region: dict[str, int], root: Path | None) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(path, root)}, "region": region}}


def _not_looked_at(problem: Problem, root: Path | None) -> dict[str, Any]:
    return {
        "level": "note" if problem.read else "error",
        "message": {"text": problem.reason if problem.read else f"Not looked at: {problem.reason}"},
        "locations": [_location(problem.path, _FILE, root)],
    }


def _left_out(text: str) -> dict[str, Any]:
    return {"level": "warning", "message": {"text": f"{text}."}}


def _repository(folder: Path) -> Path | None:
    """The repository that a folder is in."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


def _uri(path: str, root: Path | None) -> str:
    """A file relative to its repository, as a code host names it; without one to where the command runs."""
    whole = Path(os.path.abspath(path))
    base = root if root is not None and whole.is_relative_to(root) else _repository(whole.parent) or Path.cwd()
    try:
        return quote(Path(os.path.relpath(whole, base)).as_posix())
    except ValueError:
        # On another drive of Windows nothing is relative to here.
        return whole.as_uri()
