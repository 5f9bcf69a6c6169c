"""The code cells of a Jupyter notebook, as one module, and back into a file that is else byte for byte the same."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

__all__ = ["Cell", "Notebook", "all_cells", "as_python", "is_for_ipython", "read_notebook"]

_TO_THE_END = r"(?:[^\n]*\\\n)*[^\n]*"
_MAGIC = re.compile(
    rf"^(?P<indent>[ \t]*)(?:(?P<target>[\w.,\[\]'\"() *]+=[ \t]*)(?=[!%]+[ \t]*\w)(?P<assigned>{_TO_THE_END})"
    rf"|(?P<line>(?:!|\?|%%?(?=\w)){_TO_THE_END}|[%!]?[\w.*]+(?:\[[^\]\n]*\])*\?\??;?[ \t]*(?:\#[^\n]*)?))$",
    re.MULTILINE,
)
"""What IPython alone reads: a magic, a shell command or a question, with its further lines; also assigned."""
_HIDDEN = "#exam-compat-magic:"
_VALUE = "get_ipython()  "
_SHOWN = re.compile(rf"^([ \t]*)(?:pass  )?{_HIDDEN}|(?<==)([ \t]*){re.escape(_VALUE)}{_HIDDEN}", re.MULTILINE)
_MARK = "#exam-compat-cell\n"


@dataclass(frozen=True)
class Cell:
    """A cell: its number from 1, counting all; its code or text, and from where to where that stands in the file, where
    somebody asked; and its kind, "code", "markdown" or "raw"."""

    number: int
    source: str
    start: int = 0
    end: int = 0
    kind: str = "code"


@dataclass(frozen=True)
class Notebook:
    """A notebook's code: the text of the file, as it is, and its code cells in Python."""

    text: str
    cells: Sequence[Cell]

    @property
    def code(self) -> str:
        """All code cells, one behind the other; lines for IPython alone are comments in it."""
        return "".join(f"{_MARK}{as_python(cell.source)}\n" for cell in self.cells)

    def place(self, line: int) -> tuple[int, int]:
        """The cell, and the line in it from 1, of a line of :attr:`code`."""
        begins = list(accumulate((cell.source.count("\n") + 2 for cell in self.cells), initial=1))[:-1]
        index = max(number for number, begin in enumerate(begins) if begin <= line)
        return self.cells[index].number, max(line - begins[index], 1)

    def with_code(self, code: str) -> str:
        """The file with other code in its cells.

        Raises:
            ValueError: the code does not fall into the cells any more.
        """
        parts = code.split(_MARK)
        if len(parts) != len(self.cells) + 1:
            raise ValueError("a rewrite went beyond its cell")
        # What was put in before the first cell, such as an import, belongs into it.
        parts[1] = parts[0] + parts[1]
        text = self.text
        for cell, part in reversed(list(zip(self.cells, parts[1:], strict=True))):
            source = _SHOWN.sub(lambda match: match[1] or match[2] or "", part.removesuffix("\n"))
            if source != cell.source:
                text = text[: cell.start] + _written(source, text[cell.start : cell.end]) + text[cell.end :]
        return text


def read_notebook(text: str) -> Notebook:
    """Read a notebook.

    Raises:
        ValueError: it is none, or none in Python.
    """
    language, cells = _read(text, _code_cells)
    if language != "python":
        raise ValueError(f"a notebook in {language}, not in Python")
    # A cell that begins so is in another language, or not for Python to read.
    return Notebook(text, [cell for cell in cells if not cell.source.lstrip().startswith("%%")])


def all_cells(text: str) -> tuple[str, list[Cell]]:
    """A notebook's language, and every cell of it, also those that are no code.

    Raises:
        ValueError: it is no notebook.
    """
    return _read(text, _cells)


def _read(text: str, read: Callable[[str, Sequence[Any]], Iterator[Cell]]) -> tuple[str, list[Cell]]:
    try:
        content = json.loads(text)
        metadata = content.get("metadata", {})
        language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
        return str(language or "python").lower(), list(read(text, content["cells"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("not a Jupyter notebook of format 4") from None


def as_python(source: str) -> str:
    """A cell's code, line for line, with what IPython alone reads as comments."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A percent sign or a question in a string, or a division that goes on, is no magic.
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return _MAGIC.sub(_hidden, source)
    return source


def is_for_ipython(line: str) -> bool:
    """Whether a line of :func:`as_python` is for IPython alone."""
    return _HIDDEN in line


def _cells(text: str, cells: Sequence[Any]) -> Iterator[Cell]:
    for number, cell in enumerate(cells, 1):
        yield Cell(number, "".join(cell["source"]), kind=str(cell["cell_type"]))


def _code_cells(text: str, cells: Sequence[Any]) -> Iterator[Cell]:
    """The code cells with their places, which the JSON library does not tell."""
    decoder = json.JSONDecoder()
    at = re.compile(r'"cells"\s*:\s*\[').search(text).end()  # type: ignore[union-attr]  # they were read before
    for number, cell in enumerate(cells, 1):
        begin = re.compile(r"[\s,]*").match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        found, at = decoder.raw_decode(text, begin)
        if found != cell:
            raise ValueError("its cells are not where they seem to be")
        if cell["cell_type"] != "code":
            continue
        for key in re.compile(r'"source"\s*:\s*').finditer(text, begin, at):
            value, end = decoder.raw_decode(text, key.end())
            if value == cell["source"]:
                yield Cell(number, "".join(value), key.end(), end)
                break


def _hidden(match: re.Match[str]) -> str:
    # Within a block a comment alone might leave it empty.
    before = match["target"] or ("pass  " if match["indent"] else "")
    value = _VALUE if match["target"] else ""
    first, *more = (match["assigned"] or match["line"]).split("\n")
    return "\n".join([f"{match['indent']}{before}{value}{_HIDDEN}{first}", *(_HIDDEN + line for line in more)])


def _written(source: str, before: str) -> str:
    """A source as JSON, in the form in which it stood there."""
    ascii_only = before.isascii()
    if not before.startswith("["):
        return json.dumps(source, ensure_ascii=ascii_only)
    lines = [json.dumps(line, ensure_ascii=ascii_only) for line in source.splitlines(keepends=True)]
    opening = before[1 : len(before) - len(before[1:].lstrip())]
    closing = before[len(before[:-1].rstrip()) : -1]
    return "[" + opening + ("," + (opening or " ")).join(lines) + closing + "]"
