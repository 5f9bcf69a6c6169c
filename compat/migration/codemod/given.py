"""A dictionary of parameters, as far as a module says what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

__all__ = ["SIGNING", "Given"]

SIGNING = frozenset(("timestamp", "nonce", "signature", "id"))
"""What the new client adds by itself, and the path's own id, which is signed and need not be sent."""


@dataclass
class Given:
    """A dictionary of parameters at one moment.

    Attributes:
        entries: name to the expression that is sent.
        where: name to the statement or call in which that expression stands.
        passed: the function's parameter ``**passed`` whose content is among them; None where there is none.
        passed_names: what is in that, of all calls of the function.
    """

    entries: dict[str, cst.BaseExpression] = field(default_factory=dict)
    where: dict[str, cst.CSTNode] = field(default_factory=dict)
    passed: cst.Param | None = None
    passed_names: frozenset[str] = frozenset()

    def put(self, name: str, value: cst.BaseExpression, where: cst.CSTNode) -> None:
        """Let a parameter have a value."""
        self.entries[name] = value
        self.where[name] = where

    def take(self, other: Given) -> None:
        """Let all of another's parameters be here too."""
        self.entries.update(other.entries)
        self.where.update(other.where)
        if other.passed is not None:
            self.passed, self.passed_names = other.passed, self.passed_names | other.passed_names

    def copy(self) -> Given:
        """The same, to be changed by itself."""
        return Given(dict(self.entries), dict(self.where), self.passed, self.passed_names)
