"""What counts as a use of the old interface, what to use instead, and a use as reports show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from compat.deprecation import REGISTRY
from compat.legacy.routes import ROUTES

__all__ = [
    "ACTIONS",
    "CERTAIN",
    "CLIENT",
    "GRADES",
    "LIKELY",
    "MENTION",
    "METHOD_RULES",
    "ROUTE_RULES",
    "RULES",
    "SHIM",
    "Find",
    "Grade",
    "Rule",
    "Use",
]

ACTIONS = tuple(route.action for route in ROUTES)
"""The last parts of the deprecated routes' paths, which are also the old client's methods."""


@dataclass(frozen=True)
class Rule:
    """A kind of use."""

    id: str
    title: str
    instead: str
    level: str = "warning"
    """"note" for what only keeps uses working."""


def _of_route(action: str, method: str) -> Rule:
    name = f"{method} exams/:id/{action}"
    client = REGISTRY[f"ExamStudentsClient.{action}"].instead
    return Rule(f"{action.replace('_', '-')}-route", name, f"{client}, or {REGISTRY[name].instead}")


def _of_method(action: str) -> Rule:
    name = f"ExamStudentsClient.{action}"
    return Rule(f"{action.replace('_', '-')}-method", name, REGISTRY[name].instead)


ROUTE_RULES = {route.action: _of_route(route.action, route.methods[0]) for route in ROUTES}
METHOD_RULES = {action: _of_method(action) for action in ACTIONS}
CLIENT = Rule("old-client", "ExamStudentsClient, StudentsPage", "StudentSessionsClient, SessionsPage")
SHIM = Rule("shim", "compat.install, compat.mount", "nothing, once no old call is left behind them", "note")
RULES = {rule.id: rule for rule in (*ROUTE_RULES.values(), *METHOD_RULES.values(), CLIENT, SHIM)}
"""Every rule, by its id."""


Grade = Literal["certain", "likely", "mention"]
CERTAIN: Grade = "certain"
LIKELY: Grade = "likely"
MENTION: Grade = "mention"
GRADES: tuple[Grade, ...] = (CERTAIN, LIKELY, MENTION)
"""How sure it is that a line calls the old interface: by its route; by its name; not at all (a comment, prose)."""

_LEVELS = {CERTAIN: "error", LIKELY: "warning", MENTION: "note"}


class Use(NamedTuple):
    """A use in a text.

    Attributes:
        line: from 1, as is the column, in characters.
        library: what sends the call, where that can be seen.
        why_not: why it is not rewritten, where that is known already.
        addresses: the lines in which the address is written that the call sends.
        constant: the name that holds the address, where the line only binds it.
    """

    line: int
    column: int
    rule: str
    library: str
    grade: Grade
    last: int
    why_not: str = ""
    addresses: tuple[int, ...] = ()
    constant: str = ""


@dataclass(frozen=True, order=True)
class Find:
    """A use of the old interface.

    Attributes:
        line: from 1; in a notebook counted within the cell.
        column: from 1, in characters.
        cell: the notebook's cell, from 1; 0 in other files.
        library: what sends the call, such as ``httpx``, where that can be seen.
        rewritable: whether ``exam-compat migrate`` can do it; else ``why_not`` says why.
        digest: of the text of its lines, which stays the same when they move.
        mark: the reason of the mark that lets it pass, perhaps empty; None where it has none.
        addresses: the lines above or below in which the address is written that the call sends; none for a notebook.
        constant: the name that holds the address, where the line only binds it.
    """

    path: str
    line: int
    column: int
    rule: str
    cell: int = 0
    library: str = ""
    rewritable: bool = False
    why_not: str = ""
    grade: Grade = CERTAIN
    digest: str = ""
    mark: str | None = None
    addresses: tuple[int, ...] = ()
    constant: str = ""
    last: int = 0

    def is_at(self, line: int) -> bool:
        """Whether a line of its file is one of its lines."""
        return self.line <= line <= max(self.line, self.last)

    @property
    def of(self) -> Rule:
        """What it is a use of."""
        return RULES[self.rule]

    @property
    def level(self) -> str:
        """The level as SARIF has it: "error" for certain, "warning" for likely, "note" for what is no use."""
        return "note" if self.of.level == "note" else _LEVELS[self.grade]

    def counts(self, least: Grade = LIKELY) -> bool:
        """Whether it is a use, as sure as a grade at least; what only keeps old calls working is none."""
        return self.of.level != "note" and GRADES.index(self.grade) <= GRADES.index(least)

    @property
    def place(self) -> str:
        """File, cell, line and column, as people read them."""
        cell = f":cell {self.cell}" if self.cell else ""
        return f"{self.path}{cell}:{self.line}:{self.column}"

    @property
    def linked(self) -> str:
        """File, line and column, as editors and terminals follow them; a notebook's cells have no lines of its file."""
        return f"{self.path}:1:1: cell {self.cell}, line {self.line}" if self.cell else self.place

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": self.path,
            "cell": self.cell or None,
            "line": self.line,
            "column": self.column,
            "rule": self.rule,
            "grade": self.grade,
            "level": self.level,
            "uses": self.of.title,
            "library": self.library or None,
            "addresses": list(self.addresses),
            "instead": self.of.instead,
            "migrate": self.rewritable,
            "why_not": self.why_not or None,
        }
