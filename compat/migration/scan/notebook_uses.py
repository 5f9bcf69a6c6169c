"""Uses of the old interface in a notebook: Python by its syntax, and every other line by its text."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compat.migration.notebooks import Cell, all_cells, as_python, is_for_ipython, read_notebook
from compat.migration.scan.decoding import lines_of
from compat.migration.scan.finds import MENTION, Use
from compat.migration.scan.python_uses import graded_uses, parsed
from compat.migration.scan.text_uses import text_uses

__all__ = ["NotebookLines"]

_OF_PYTHON = (
    "time",
    "timeit",
    "capture",
    "prun",
    "python",
    "python3",
    "debug",
    "memit",
    "mprun",
    "px",
    "heat",
    "snakeviz",
)
"""Cell magics whose cell is Python all the same."""
_ENDINGS = {"r": ".r", "julia": ".jl", "bash": ".sh", "sh": ".sh", "javascript": ".js", "js": ".js", "html": ".html",
            "sql": ".sql", "ruby": ".rb", "perl": ".pl", "scala": ".scala", "latex": ".tex"}  # fmt: skip
_NOT_PYTHON = "a line that Python does not read: change it by hand"
_BY_HAND = "in a cell with a magic: change it by hand"


@dataclass(frozen=True)
class NotebookLines:
    """All lines of a notebook's cells, one cell behind the other.

    Attributes:
        lines: as they stand in the cells.
        places: the cell, from 1, and the line in it, of each of them.
        python: the same lines as Python, empty where they are none.
        language: of the notebook.
    """

    lines: list[str]
    places: list[tuple[int, int]]
    python: list[str]
    language: str
    _others: list[tuple[int, str, str]]

    @classmethod
    def of(cls, text: str) -> NotebookLines:
        """Read a notebook.

        Raises:
            ValueError: it is none.
        """
        language, cells = all_cells(text)
        notebook = cls([], [], [], language, [])
        for cell in cells:
            notebook._add(cell)
        return notebook

    def uses(self, foreign: Callable[[ast.Module], Mapping[str, str]] = lambda _: {}) -> list[Use]:
        """The uses, with their lines counted over all cells.

        Args:
            foreign: gives the constants that come from other modules.
        """
        code = "\n".join(self.python)
        tree = parsed(code)
        uses = graded_uses(tree, code, foreign(tree))
        known = {line for use in uses for line in range(use.line, use.last + 1)}
        for begin, text, path in self._others:
            for use in text_uses(text, path):
                uses.append(use._replace(line=use.line + begin, last=use.last + begin, why_not=_NOT_PYTHON))
        said = [use._replace(grade=MENTION) for use in text_uses(code, "cell.py") if use.line not in known]
        return sorted({*uses, *(use for use in said if not is_for_ipython(self.python[use.line - 1]))})

    def refused(self, text: str, reasons: Mapping[int, str]) -> dict[int, str]:
        """Why a rewrite leaves a line, by the lines of all cells.

        Args:
            text: the notebook.
            reasons: by the lines of its :attr:`~compat.migration.notebooks.Notebook.code`.
        """
        notebook = read_notebook(text)
        rewritten = {cell.number for cell in notebook.cells}
        at = {place: number for number, place in enumerate(self.places, 1)}
        found = {number: _BY_HAND for number, (cell, _) in enumerate(self.places, 1) if cell not in rewritten}
        for line, reason in reasons.items():
            number = at.get(notebook.place(line))
            if number is not None:
                found[number] = reason
        return found

    def _add(self, cell: Cell) -> None:
        begin, source = len(self.lines), lines_of(cell.source)
        self.lines.extend(source)
        self.places.extend((cell.number, number) for number in range(1, len(source) + 1))
        code = _code(cell, self.language)
        self.python.extend(lines_of(code) if code is not None else [""] * len(source))
        if code is None:
            self._others.append((begin, cell.source, _path(cell, self.language)))
        elif any(map(is_for_ipython, lines_of(code))):
            magics = [line if is_for_ipython(shown) else "" for line, shown in zip(source, lines_of(code), strict=True)]
            self._others.append((begin, "\n".join(magics), "cell.sh"))


def _code(cell: Cell, language: str) -> str | None:
    """A cell as Python; None where it is none."""
    if cell.kind != "code" or language != "python" or _magic(cell) not in ("", *_OF_PYTHON):
        return None
    code = as_python(cell.source)
    try:
        parsed(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return code


def _magic(cell: Cell) -> str:
    """The name of a cell's magic; empty where it has none."""
    first = cell.source.lstrip().partition("\n")[0]
    return first[2:].partition(" ")[0].strip() if first.startswith("%%") else ""


def _path(cell: Cell, language: str) -> str:
    """A file's name for the language of a cell."""
    if cell.kind != "code":
        return "cell.md"
    return "cell" + _ENDINGS.get(_magic(cell) or language, ".sh")
