"""The configuration under which a shim talks to a sandbox, as a dictionary, as TOML, and the roster file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from compat.testing.sandbox.people import RosterRow


def write_roster(rows: Iterable[RosterRow], path: Path) -> None:
    """Write the roster as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "email", "name", "student_id", "external_id"))
        for row in rows:
            writer.writerow((row.user_id, row.email, row.name, row.student_id, row.external_id))


def as_toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of texts, numbers and lists of texts as TOML; JSON writes these values in the same way."""
    lines = []
    for table, values in settings.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        lines.append("")
    return "\n".join(lines)
