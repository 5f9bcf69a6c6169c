"""Finds for other programs: SARIF for code hosts and editors, and the file of finds that are known.

A code host refuses a whole log that is beyond its limits. So what is beyond them is left out here, the least certain
first, and the log says by name how much that is. A gate fails on finds alone that are not in the file of known ones.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from compat._version import __version__
from compat.migration.scan.files import Problem, is_below
from compat.migration.scan.rules import GRADES, RULES, Find, Rule
from compat.text.json import several

__all__ = ["MOST_BYTES", "MOST_NOTES", "MOST_RESULTS", "Baseline", "Known", "left_out", "sarif"]

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
        most_results: finds that the log may have.
        most_bytes: its size at most, compressed.
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
        notes.append(_note(f"{several(len(problems) - MOST_NOTES, 'more file')} were not looked at", "warning"))
    if unread:
        notes.append(_note(unread, "note"))
    if kept < len(ordered):
        rules = Counter(find.rule for find in ordered[kept:])
        named = ", ".join(f"{number:,} of {rule}" for rule, number in rules.most_common())
        told = f"{kept:,} of {several(len(ordered), 'find')} are in this log, the most certain ones, since code hosts "
        told += f"take no more; left out: {named}. exam-compat scan --json has all of them"
        notes.append(_note(told, "warning"))
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


def _note(text: str, level: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": f"{text}."}}


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


_VERSION = 1


@dataclass(frozen=True, order=True)
class Known:
    """A find as a baseline keeps it; no text of the line is in it.

    Attributes:
        path: relative to the baseline's folder, with slashes.
        grade: how sure it was; a surer one is a new find.
    """

    path: str
    rule: str
    grade: str
    digest: str


_KEPT = tuple(each.name for each in fields(Known))


class Baseline:
    """The finds that are known, how often each.

    Args:
        file: where it is; its folder is what paths are relative to.
        known: find to how often.
    """

    def __init__(self, file: Path, known: Counter[Known] | None = None) -> None:
        self.file = file
        self._folder = os.path.realpath(file.parent)
        self._known = known or Counter()

    @classmethod
    def read(cls, file: Path) -> Baseline:
        """Read one.

        Raises:
            OSError: it cannot be read.
            ValueError: it is none; the text says why.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            version, entries = content["version"], content["finds"]
            if version != _VERSION:
                raise ValueError(f"its version is {version!r}, not {_VERSION}")
            return cls(file, Counter({Known(*(str(each[name]) for name in _KEPT)): int(each["count"])
                                      for each in entries}))  # fmt: skip
        except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("it is not what --write-baseline writes") from None

    def sorted_out(self, finds: Iterable[Find]) -> tuple[list[Find], list[Find]]:
        """The finds that are new, and those that are known: as many of a line as there were."""
        new, known, _ = self._compared(finds)
        return new, known

    def gone(self, finds: Iterable[Find], read: Collection[str], roots: Sequence[Path]) -> list[Known]:
        """The known finds that are there no more, of the files that were looked at or are gone themselves.

        Args:
            finds: all that were found now.
            read: the files that were read.
            roots: the paths that were looked at.
        """
        *_, left = self._compared(finds)
        looked_at = {os.path.realpath(path) for path in read}

        def is_gone(known: Known) -> bool:
            path = self._absolute(known)
            return path in looked_at or (not os.path.exists(path) and is_below(path, roots))

        return sorted(filter(is_gone, left.elements()))

    def text(self, finds: Iterable[Find], roots: Sequence[Path]) -> str:
        """The file anew, with some finds, and with what it knew outside of the paths that were looked at."""
        counts = Counter(Known(self._relative(each.path), each.rule, each.grade, each.digest) for each in finds)
        outside = {each: count for each, count in self._known.items() if not is_below(self._absolute(each), roots)}
        entries = [{**asdict(each), "count": count} for each, count in sorted({**outside, **counts}.items())]
        return json.dumps({"version": _VERSION, "finds": entries}, indent=1) + "\n"

    def _compared(self, finds: Iterable[Find]) -> tuple[list[Find], list[Find], Counter[Known]]:
        """The finds that are new, those that are known, and how often each known one is not among them."""
        left, new, known = Counter(self._known), list[Find](), list[Find]()
        for find in finds:
            path = self._relative(find.path)
            # One as sure as it is knows it, or a surer one.
            grades = reversed(GRADES[: GRADES.index(find.grade) + 1])
            entries = (Known(path, find.rule, grade, find.digest) for grade in grades)
            entry = next((each for each in entries if left[each] > 0), None)
            (new if entry is None else known).append(find)
            if entry is not None:
                left[entry] -= 1
        return new, known, left

    def _relative(self, path: str) -> str:
        return Path(os.path.relpath(os.path.realpath(path), self._folder)).as_posix()

    def _absolute(self, known: Known) -> str:
        return os.path.normpath(os.path.join(self._folder, known.path))
