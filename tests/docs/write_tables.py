"""Writes the tables of MIGRATION.md and docs/recordings.md, from the schemas: ``python tests/docs/write_tables.py``."""

from __future__ import annotations

from pathlib import Path

from compat.mapping.tables import markdown_tables
from compat.regression.recordings.redact import kept_table

BEGIN = "<!-- fields:begin -->\n"
END = "<!-- fields:end -->\n"
KEPT_BEGIN = "<!-- kept:begin -->\n"
KEPT_END = "<!-- kept:end -->\n"
_ROOT = Path(__file__).parents[2]


def tables_in(document: str) -> str:
    """What stands between the two marks."""
    return document.split(BEGIN)[1].split(END)[0]


def written_anew(document: str) -> str:
    """The document with the tables that the schemas give."""
    for begin, end, tables in ((BEGIN, END, markdown_tables), (KEPT_BEGIN, KEPT_END, kept_table)):
        if begin in document:
            before, _, rest = document.partition(begin)
            _, _, after = rest.partition(end)
            document = f"{before}{begin}\n{tables()}\n{end}{after}"
    return document


if __name__ == "__main__":
    for name in ("MIGRATION.md", "docs/recordings.md"):
        path = _ROOT / name
        path.write_text(written_anew(path.read_text(encoding="utf-8")), encoding="utf-8")
