"""Pastes the blocks of the guides and writes what their commands print: ``python tests/docs/write_outputs.py``.

What a line ``…`` leaves out stays left out where the rest still agrees; look at the difference before committing it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from consoles import ROOT, agrees, commands_in, terminal

PASTED = (
    "README.md",
    "MIGRATION.md",
    *(f"docs/{name}.md" for name in ("python", "libraries", "configuration", "cron", "clients")),
)
"""Pages all of whose blocks run, and end with status 0."""

PAGES = (
    *PASTED,
    "docs/checks.md",
    "docs/modes.md",
    "docs/recordings.md",
    "docs/inventory.md",
    "docs/brownouts.md",
)


def written_anew(document: str, folder: Path) -> str:
    """The document with what its commands print now."""
    pieces, place = [], 0
    with terminal(folder) as shell:
        for command in commands_in(document):
            came = shell.paste(command)
            if command.printed is not None:
                pieces += [document[place : command.starts], command.printed if agrees(command.printed, came) else came]
                place = command.ends
    return "".join(pieces) + document[place:]


if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        with tempfile.TemporaryDirectory() as temporary:
            path = ROOT / name
            path.write_text(written_anew(path.read_text(encoding="utf-8"), Path(temporary)), encoding="utf-8")
