"""The mapping as tables for people and programs, read off the declarations (contract, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from compat.schemas import COLUMNS
from compat.schemas.fields import Typed
from compat.schemas.rules import Constant, Default, Exact, LookedUp, Rule, SessionOnly
from compat.schemas.student import SESSION_ONLY

__all__ = [
    "CATEGORIES",
    "SUMMARY_COLUMNS",
    "MappingRow",
    "legacy_rows",
    "mapping_rows",
    "markdown_table",
    "markdown_tables",
    "session_rows",
]

SUMMARY_COLUMNS = ("id", "name", "email", "status", "start_time", "end_time")
"""The legacy fields that tell people at a glance who a record is about."""

CATEGORIES = tuple(kind.category for kind in (Exact, Constant, LookedUp, Default, SessionOnly))
"""Every class, the nearer to lossless the earlier."""

_LEGACY_HEADINGS = ("Legacy field", "Type", "Class", "From the session", "Back to the session", "Loss")
_SESSION_HEADINGS = ("Session field", "Type", "In a session made from a legacy record", "Loss")


@dataclass(frozen=True)
class MappingRow:
    """One field, and how the other side knows it; words in backquotes are code.

    Attributes:
        field: its name, of the legacy record, or of the session where the class is "session only".
        type: what its values are, such as "an integer".
        category: its class: exact, derived, looked up, default or session only.
        derived_from: how the legacy value is made of a session; empty for "session only".
        back: where a legacy value goes in a session.
        loss: what the other side cannot say; empty where nothing is lost.
    """

    field: str
    type: str
    category: str
    derived_from: str
    back: str
    loss: str

    def as_dict(self) -> dict[str, str]:
        """The row as a JSON object."""
        given = asdict(self)
        return {{"category": "class", "derived_from": "from"}.get(name, name): text for name, text in given.items()}


def legacy_rows() -> list[MappingRow]:
    """A row for each of the 57 legacy fields, in their order."""
    return [_row(name, field, field.rule) for name, field in COLUMNS.items() if field.rule is not None]


def session_rows() -> list[MappingRow]:
    """A row for each session field that a legacy record has no place for."""
    return [_row(name, field, field.rule) for name, field in SESSION_ONLY.items() if field.rule is not None]


def mapping_rows(category: str | None = None) -> list[MappingRow]:
    """Both kinds of rows, the legacy fields first.

    Args:
        category: only this class; None for all.
    """
    return [row for row in legacy_rows() + session_rows() if category in (None, row.category)]


def markdown_tables(category: str | None = None) -> str:
    """The mapping as Markdown: a table of the legacy fields, then one of the session's own.

    Args:
        category: only this class; None for all.
    """
    rows = mapping_rows(category)
    legacy = [
        (f"`{row.field}`", row.type, row.category, row.derived_from, row.back, row.loss)
        for row in rows
        if row.category != SessionOnly.category
    ]
    own = [(f"`{row.field}`", row.type, row.back, row.loss) for row in rows if row.category == SessionOnly.category]
    tables = ((_LEGACY_HEADINGS, legacy), (_SESSION_HEADINGS, own))
    return "\n".join(markdown_table(headings, cells) for headings, cells in tables if cells)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, ending with a line break."""
    lines = [_line(headings), _line(["---"] * len(headings)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _row(name: str, field: Typed, rule: Rule) -> MappingRow:
    return MappingRow(name, field.kind, rule.category, rule.derived_from, rule.back, rule.loss)


if unknown := set(SUMMARY_COLUMNS) - set(COLUMNS):
    raise TypeError(f"SUMMARY_COLUMNS names no legacy field: {', '.join(sorted(unknown))}")
