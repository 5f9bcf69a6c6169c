"""A file of finds that are known: a gate fails on new ones alone, until these are gone too."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.migration.scan.finds import GRADES, Find

__all__ = ["Baseline", "Known"]

_VERSION = 1


@dataclass(frozen=True, order=True)
class Known:
    """A find as a baseline keeps it; no text of the line is in it.

    Attributes:
        path: relative to the baseline's folder, with slashes.
        rule: the rule's id.
        grade: how sure it was; a surer one is a new find.
        digest: of the text of its lines.
    """

    path: str
    rule: str
    grade: str
    digest: str


class Baseline:
    """The finds that are known, how often each."""

    def __init__(self, file: Path, known: Counter[Known] | None = None) -> None:
        """Begin a baseline.

        Args:
            file: where it is; its folder is what paths are relative to.
            known: find to how often.
        """
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
            return cls(file, Counter({_known(each): int(each["count"]) for each in entries}))
        except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("it is not what --write-baseline writes") from None

    def sorted_out(self, finds: Iterable[Find]) -> tuple[list[Find], list[Find]]:
        """The finds that are new, and those that are known: as many of a line as there were."""
        left, new, known = Counter(self._known), list[Find](), list[Find]()
        for find in finds:
            entry = next((each for each in self._entries(find) if left[each] > 0), None)
            if entry is None:
                new.append(find)
            else:
                left[entry] -= 1
                known.append(find)
        return new, known

    def gone(self, finds: Iterable[Find], read: Collection[str], roots: Sequence[Path]) -> list[Known]:
        """The known finds that are there no more, of the files that were looked at or are gone themselves.

        Args:
            finds: all that were found now.
            read: the files that were read.
            roots: the paths that were looked at.
        """
        left = Counter(self._known)
        for find in finds:
            entry = next((each for each in self._entries(find) if left[each] > 0), None)
            if entry is not None:
                left[entry] -= 1
        looked_at = {os.path.realpath(path) for path in read}
        return sorted(each for each in left.elements() if self._is_gone(each, looked_at, roots))

    def text(self, finds: Iterable[Find], roots: Sequence[Path]) -> str:
        """The file anew, with some finds, and with what it knew outside of the paths that were looked at."""
        counts = Counter(Known(self._relative(each.path), each.rule, each.grade, each.digest) for each in finds)
        outside = {each: count for each, count in self._known.items() if not self._is_below(each, roots)}
        entries = [
            {"path": each.path, "rule": each.rule, "grade": each.grade, "digest": each.digest, "count": count}
            for each, count in sorted({**outside, **counts}.items())
        ]
        return json.dumps({"version": _VERSION, "finds": entries}, indent=1) + "\n"

    def _entries(self, find: Find) -> list[Known]:
        """What would know a find: as sure as it is, or surer."""
        path = self._relative(find.path)
        grades = GRADES[: GRADES.index(find.grade) + 1]
        return [Known(path, find.rule, grade, find.digest) for grade in reversed(grades)]

    def _relative(self, path: str) -> str:
        return Path(os.path.relpath(os.path.realpath(path), self._folder)).as_posix()

    def _absolute(self, known: Known) -> str:
        return os.path.normpath(os.path.join(self._folder, known.path))

    def _is_below(self, known: Known, roots: Sequence[Path]) -> bool:
        path = self._absolute(known)
        tops = [os.path.realpath(root) for root in roots]
        return any(path == top or path.startswith(top.rstrip(os.sep) + os.sep) for top in tops)

    def _is_gone(self, known: Known, looked_at: Collection[str], roots: Sequence[Path]) -> bool:
        path = self._absolute(known)
        return path in looked_at or (not os.path.exists(path) and self._is_below(known, roots))


def _known(entry: dict[str, Any]) -> Known:
    return Known(str(entry["path"]), str(entry["rule"]), str(entry["grade"]), str(entry["digest"]))
