"""All files of some trees, looked at one by one, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from compat.migration.scan.files import NotRead, Problem, Source
from compat.migration.scan.finds import LIKELY, Find, Grade
from compat.migration.scan.modules import Modules
from compat.migration.scan.uses import Refusals, finds_in
from compat.text.json import several

__all__ = ["Scanned", "scan_files"]


@dataclass
class Scanned:
    """What a scan found.

    Attributes:
        finds: in the order of the files.
        marked: those that a mark in their file lets pass.
        known: those that a baseline has.
        problems: files that were not looked at as they should be.
        not_read: what holds no text.
        read: the files that were read, whether or not anything is in them.
    """

    finds: list[Find] = field(default_factory=list)
    marked: list[Find] = field(default_factory=list)
    known: list[Find] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    not_read: list[NotRead] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def uses(self, least: Grade = LIKELY) -> list[Find]:
        """The finds that are uses, as sure as a grade at least."""
        return [find for find in self.finds if find.counts(least)]

    def unread(self) -> str:
        """How many files were not read, and why; empty where all were."""
        reasons = Counter(each.reason for each in self.problems if not each.read)
        reasons.update(each.reason for each in self.not_read)
        if not reasons:
            return ""
        number = sum(reasons.values())
        told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        return f"{several(number, 'file')} {'was' if number == 1 else 'were'} not read: {told}"

    def take(self, found: Find | Problem | NotRead) -> None:
        """Put a find, or what hindered one, where it belongs."""
        if isinstance(found, Find):
            (self.finds if found.mark is None else self.marked).append(found)
        elif isinstance(found, Problem):
            self.problems.append(found)
        else:
            self.not_read.append(found)


def scan_files(
    files: Iterable[Source | Problem | NotRead],
    refusals: Refusals | None = None,
    done: Callable[[], None] = lambda: None,
) -> Scanned:
    """Look at files.

    Args:
        files: as :func:`~compat.migration.scan.files.sources` gives them.
        refusals: says what a rewrite leaves.
        done: called after each file.
    """
    scanned, files = Scanned(), list(files)
    modules = Modules(each for each in files if isinstance(each, Source))
    for source in files:
        if isinstance(source, Source):
            found = finds_in(source, refusals, modules)
            source.forget()
            if all(isinstance(each, Find) or getattr(each, "read", False) for each in found):
                scanned.read.add(str(source.path))
        else:
            found = [source]
        for each in found:
            scanned.take(each)
        done()
    return scanned
