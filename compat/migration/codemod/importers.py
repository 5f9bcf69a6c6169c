"""Whether a module is one that others import: what its functions take and return is then their business too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

__all__ = ["Importers"]

_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(.+)|import\s+(.+))", re.MULTILINE)
_MOST = 2000
"""Files that are looked at for one directory."""


class Importers:
    """Knows which modules others import; each folder is read once."""

    def __init__(self) -> None:
        self._below: dict[Path, list[tuple[Path, frozenset[str]]]] = {}

    def of(self, path: Path) -> bool:
        """Whether a file beside a module, or elsewhere in its package, imports something of its name."""
        path = path.absolute()
        top = path.parent
        while (top / "__init__.py").exists():
            top = top.parent
        if top not in self._below:
            self._below[top] = list(_imported_below(top))
        return any(other != path and path.stem in names for other, names in self._below[top])


def _imported_below(folder: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    for path in islice(_modules(folder), _MOST):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        yield path, frozenset(word for match in _IMPORT.finditer(text) for word in _words(match))


def _modules(folder: Path) -> Iterator[Path]:
    """The modules in a folder, and those in its packages."""
    yield from sorted(folder.glob("*.py"))
    for package in sorted(folder.glob("*/__init__.py")):
        yield from sorted(package.parent.rglob("*.py"))


def _words(match: re.Match[str]) -> Iterator[str]:
    for part in match.groups():
        yield from re.findall(r"\w+", part or "")
