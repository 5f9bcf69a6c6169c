"""Whole files rewritten: modules in whatever encoding and with whatever line ends, and notebooks."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compat.migration.codemod.responses import names_route
from compat.migration.codemod.results import Change, Left, Rewritten
from compat.migration.codemod.rewrite import RewriteFailed, rewritten
from compat.migration.notebooks import Notebook, read_notebook
from compat.migration.program.module import Module
from compat.migration.program.tree import Importers
from compat.migration.scan.files import Source
from compat.migration.scan.uses import may_use

__all__ = ["MigratedFile", "migrate_source", "refused_lines"]

_ONE_END = "let all lines end in the same way first"


@dataclass(frozen=True)
class MigratedFile:
    """A file and what a rewrite makes of it.

    Attributes:
        source: the file.
        before: its text.
        after: its text after the rewrite; equal where nothing is certain, or nothing old is there.
        changes: what was rewritten; in a notebook the lines are those of all code cells together.
        left: what was not.
        places: line to cell and line in it, for a notebook.
        beside: the other modules of the same program: what one becomes goes with what the others become.
    """

    source: Source
    before: str
    after: str
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()
    places: Mapping[int, tuple[int, int]] | None = None
    beside: frozenset[Path] = frozenset()

    @property
    def content(self) -> bytes:
        """The new text in the file's own encoding."""
        raw = self.source.path.read_bytes()
        encoding = "utf-8" if self.source.is_notebook else tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        if self.source.is_notebook and raw.startswith(b"\xef\xbb\xbf"):
            encoding = "utf-8-sig"
        return self.after.encode(encoding)

    def place(self, line: int) -> str:
        """Where a line is, for people."""
        if self.places is None:
            return f"{self.source.path}:{line}"
        cell, inner = self.places[line]
        return f"{self.source.path}:cell {cell}:{inner}"


def migrate_source(source: Source, configured: str = "", importers: Importers | None = None) -> MigratedFile | None:
    """Rewrite a file; None where it is no Python, or has no use of the old interface in it.

    Args:
        source: the file.
        configured: the kind of upstream that clients have which are made of the configuration file.
        importers: shared by the files of one run, so that each folder is read once.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not in its encoding, or no notebook.
        SyntaxError: it is not Python.
        RewriteFailed: it cannot be rewritten, through a fault of ours.
    """
    if not (source.is_python or source.is_notebook):
        return None
    text, importers = source.text, importers or Importers()
    others = {} if source.is_notebook or not _may_send(text) else importers.around(source.path)
    if not may_use(text) and not names_route(text) and not others:
        return None
    if source.is_notebook:
        return _in_cells(source, read_notebook(text), configured)
    found = _in_its_lines(text, configured, source.path, importers, others)
    if not found.changes and not found.left:
        return None
    return MigratedFile(source, text, found.code, found.changes, found.left, beside=frozenset(others))


def _may_send(text: str) -> bool:
    """Whether a module may be part of a program that calls old routes."""
    return any(each in text for each in ("requests", "httpx", "urllib", "_student"))


def _in_its_lines(
    text: str, configured: str, path: Path, importers: Importers, others: Mapping[Path, Module]
) -> Rewritten:
    """A module rewritten with the line ends that it has; one with several kinds of them stays."""
    ends = "\r\n" if "\r\n" in text else "\n"
    found = rewritten(
        text.replace("\r\n", "\n"),
        configured,
        is_imported=importers.of(path),
        name=importers.name(path),
        others=list(others.values()),
        fixed=importers.fixed(others),
    )
    if not found.changes:
        return Rewritten(text, (), found.left)
    if (text.replace("\r\n", "").count("\n") and ends == "\r\n") or "\r" in text.replace("\r\n", ""):
        line = min(each.line for each in found.changes)
        return Rewritten(text, (), (*found.left, Left(line, "the file's lines end in more than one way", _ONE_END)))
    return Rewritten(found.code.replace("\n", ends), found.changes, found.left)


def _in_cells(source: Source, notebook: Notebook, configured: str) -> MigratedFile | None:
    found = rewritten(notebook.code, configured)
    if not found.changes and not found.left:
        return None
    after = notebook.with_code(found.code) if found.changes else notebook.text
    lines = [each.line for each in found.changes] + [each.line for each in found.left]
    places = {line: notebook.place(line) for line in lines}
    return MigratedFile(source, notebook.text, after, found.changes, found.left, places)


def refused_lines(
    source: Source, code: str, configured: str = "", importers: Importers | None = None
) -> Mapping[int, str]:
    """Why a rewrite leaves what is in a line of a module, by line."""
    found: dict[int, str] = {}
    importers = importers or Importers()
    others = {} if source.is_notebook else importers.around(source.path)
    try:
        left = rewritten(
            code,
            configured,
            is_imported=importers.of(source.path),
            name=importers.name(source.path),
            others=list(others.values()),
        ).left
    except RewriteFailed as error:
        return dict.fromkeys(range(1, code.count("\n") + 2), str(error))
    for each in left:
        if each.needed:
            found.update(dict.fromkeys(range(each.line, max(each.line, each.last) + 1), each.reason))
    return found
