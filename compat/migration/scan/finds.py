"""One use of the old interface, as reports show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compat.migration.scan.rules import RULES, Rule

__all__ = ["Find"]


@dataclass(frozen=True, order=True)
class Find:
    """A use of the old interface.

    Attributes:
        path: the file, as it was named.
        line: from 1; in a notebook counted within the cell.
        column: from 1, in characters.
        rule: the id of its :class:`~compat.migration.scan.rules.Rule`.
        cell: the notebook's cell, from 1; 0 in other files.
        library: what sends the call, such as ``httpx``, where that can be seen.
        rewritable: whether ``exam-compat migrate`` can do it.
        why_not: why it cannot; empty where it can.
    """

    path: str
    line: int
    column: int
    rule: str
    cell: int = 0
    library: str = ""
    rewritable: bool = False
    why_not: str = ""

    @property
    def of(self) -> Rule:
        """What it is a use of."""
        return RULES[self.rule]

    @property
    def place(self) -> str:
        """File, cell, line and column, as editors and people read them."""
        cell = f":cell {self.cell}" if self.cell else ""
        return f"{self.path}{cell}:{self.line}:{self.column}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": self.path,
            "cell": self.cell or None,
            "line": self.line,
            "column": self.column,
            "rule": self.rule,
            "level": self.of.level,
            "uses": self.of.title,
            "library": self.library or None,
            "instead": self.of.instead,
            "migrate": self.rewritable,
            "why_not": self.why_not or None,
        }
