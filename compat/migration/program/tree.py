"""The modules around one: those that it imports, and those that import it.

What its functions take and return is the business of those too.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import libcst as cst

from compat.migration.program.module import Module

__all__ = ["Importers"]

_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(.+)|import\s+(.+))", re.MULTILINE)
_MOST = 2000
"""Files that are looked at for one directory."""


_MOST_AROUND = 40
"""Modules that are looked at together with one."""
_LARGEST = 300_000
_ROUTE = re.compile(r"index_students|show_student|add_student|delete_student")


class Importers:
    """Knows which modules import which; each folder is read once, and each module that counts parsed once.

    Args:
        selected: the files that are rewritten; None for all.
    """

    def __init__(self, selected: Iterable[Path] | None = None) -> None:
        self._below: dict[Path, list[tuple[Path, frozenset[str]]]] = {}
        self._parsed: dict[Path, Module | None] = {}
        self._selected = None if selected is None else {each.absolute() for each in selected}

    def of(self, path: Path) -> bool:
        """Whether a file beside a module, or elsewhere in its package, imports something of its name."""
        path = path.absolute()
        return any(other != path and _name(path) in names for other, names in self._in_tree(path))

    def around(self, path: Path) -> dict[Path, Module]:
        """The other modules of the same program, where one of them all names an old route; else none."""
        path = path.absolute()
        tree = dict(self._in_tree(path))
        found, waiting = {path: None}, [path]
        while waiting and len(found) < _MOST_AROUND:
            here = waiting.pop(0)
            for other, names in tree.items():
                if other not in found and (_name(other) in tree.get(here, ()) or _name(here) in names):
                    found[other] = None
                    waiting.append(other)
        texts = {each: _text(each) for each in found}
        if not any(_ROUTE.search(text) for text in texts.values()):
            return {}
        modules = {each: self._module(each, texts[each]) for each in found if each != path}
        return {each: module for each, module in modules.items() if module is not None}

    def fixed(self, modules: Mapping[Path, Module]) -> list[Module]:
        """Those of some modules that are not rewritten."""
        return [each for path, each in modules.items() if self._selected is not None and path not in self._selected]

    def name(self, path: Path) -> str:
        """A module's dotted name."""
        path = path.absolute()
        parts = list(path.relative_to(_top(path)).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _in_tree(self, path: Path) -> list[tuple[Path, frozenset[str]]]:
        top = _top(path)
        if top not in self._below:
            self._below[top] = list(_imported_below(top))
        return self._below[top]

    def _module(self, path: Path, text: str) -> Module | None:
        if path not in self._parsed:
            try:
                self._parsed[path] = Module(text.replace("\r\n", "\n"), is_imported=True, name=self.name(path))
            except (cst.ParserSyntaxError, RecursionError):
                self._parsed[path] = None
        return self._parsed[path]


def _top(path: Path) -> Path:
    top = path.parent
    while (top / "__init__.py").exists():
        top = top.parent
    return top


def _name(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem


def _text(path: Path) -> str:
    try:
        with tokenize.open(path) as file:
            text = file.read(_LARGEST + 1)
    except (OSError, SyntaxError, ValueError):
        return ""
    return text if len(text) <= _LARGEST else ""


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
