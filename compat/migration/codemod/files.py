"""Whole files rewritten: modules in whatever encoding and with whatever line ends, and notebooks."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass

from compat.migration.codemod.importers import Importers
from compat.migration.codemod.results import Change, Left, Rewritten
from compat.migration.codemod.rewrite import RewriteFailed, rewritten
from compat.migration.notebooks import Notebook, read_notebook
from compat.migration.scan.files import Source
from compat.migration.scan.uses import may_use

__all__ = ["MigratedFile", "migrate_source", "refused_lines"]


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
    """

    source: Source
    before: str
    after: str
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()
    places: Mapping[int, tuple[int, int]] | None = None

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
    text = source.text
    if not may_use(text):
        return None
    if source.is_notebook:
        return _in_cells(source, read_notebook(text), configured)
    found = _in_its_lines(text, configured, (importers or Importers()).of(source.path))
    return MigratedFile(source, text, found.code, found.changes, found.left) if found.changes or found.left else None


def _in_its_lines(text: str, configured: str, imported: bool) -> Rewritten:
    """A module rewritten with the line ends that it has; mixed ones stay where nothing is rewritten."""
    ends = "\r\n" if "\r\n" in text else "\n"
    found = rewritten(text.replace("\r\n", "\n"), configured, is_imported=imported)
    if not found.changes:
        return Rewritten(text, (), found.left)
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
    try:
        left = rewritten(code, configured, is_imported=(importers or Importers()).of(source.path)).left
    except RewriteFailed as error:
        return dict.fromkeys(range(1, code.count("\n") + 2), str(error))
    for each in left:
        if each.needed:
            found.update(dict.fromkeys(range(each.line, max(each.line, each.last) + 1), each.reason))
    return found
