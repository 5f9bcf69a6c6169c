"""Writes the tables of MIGRATION.md anew, from the schemas: ``python tests/docs/write_tables.py``."""

from __future__ import annotations

from pathlib import Path

from compat.mapping.tables import markdown_tables

BEGIN = "<!-- fields:begin -->\n"
END = "<!-- fields:end -->\n"
_MIGRATION = Path(__file__).parents[2] / "MIGRATION.md"


def tables_in(document: str) -> str:
    """What stands between the two marks."""
    return document.split(BEGIN)[1].split(END)[0]


def written_anew(document: str) -> str:
    """The document with the tables that the schemas give."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{markdown_tables()}\n{END}{after}"


if __name__ == "__main__":
    _MIGRATION.write_text(written_anew(_MIGRATION.read_text(encoding="utf-8")), encoding="utf-8")
