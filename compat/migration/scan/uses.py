"""The uses in one file, whatever its language, and whether they can be rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from compat.migration.notebooks import Notebook, read_notebook
from compat.migration.scan.files import Problem, Source
from compat.migration.scan.finds import Find
from compat.migration.scan.python_uses import Use, python_uses
from compat.migration.scan.rules import ACTIONS
from compat.migration.scan.text_uses import mentions

__all__ = ["Refusals", "finds_in", "may_use"]

Refusals = Callable[[Source, str], Mapping[int, str]]
"""From a file and its Python code to why a rewrite leaves what is in a line; a line that is not in it is rewritten."""

_NOT_PYTHON = "only Python is rewritten: change it by hand, or let it call the gateway"
_HINTS = (*ACTIONS, "ExamStudentsClient", "StudentsPage", "compat")


def may_use(text: str) -> bool:
    """Whether a file's text can hold a use at all; most files are done with this."""
    return any(hint in text for hint in _HINTS)


def finds_in(source: Source, refusals: Refusals | None = None) -> list[Find | Problem]:
    """The uses in a file, and what hindered looking for them.

    Args:
        source: the file.
        refusals: asked for each Python file with uses; without it no find says that it can be rewritten.
    """
    try:
        text = source.text
    except (OSError, ValueError) as error:
        return [Problem(str(source.path), getattr(error, "strerror", None) or str(error))]
    if "\0" in text or not may_use(text):
        return []
    try:
        if source.is_notebook:
            return [*_in_notebook(source, read_notebook(text), refusals)]
        if source.is_python:
            return [*_finds(source, python_uses(text), partial(_asked, source, text, refusals))]
    except (SyntaxError, ValueError, RecursionError) as error:
        # Its lines can be read all the same.
        return [Problem(str(source.path), _told(error)), *_in_text(source, text)]
    return [*_in_text(source, text)]


def _in_text(source: Source, text: str) -> Iterable[Find]:
    return [
        Find(str(source.path), line, column, rule, library=library, why_not=_NOT_PYTHON)
        for line, column, rule, library in mentions(text)
    ]


def _in_notebook(source: Source, notebook: Notebook, refusals: Refusals | None) -> Iterable[Find]:
    for find in _finds(source, python_uses(notebook.code), partial(_asked, source, notebook.code, refusals)):
        cell, line = notebook.place(find.line)
        yield replace(find, line=line, cell=cell)


def _asked(source: Source, code: str, refusals: Refusals | None) -> Mapping[int, str] | None:
    return None if refusals is None else refusals(source, code)


def _finds(source: Source, uses: Iterable[Use], ask: Callable[[], Mapping[int, str] | None]) -> Iterable[Find]:
    found = list(uses)
    # Rewriting takes a hundred times as long as looking: only what has a use is rewritten.
    refused = ask() if found else None
    for line, column, rule, library in found:
        why_not = "" if refused is None else refused.get(line, "")
        yield Find(str(source.path), line, column, rule, 0, library, refused is not None and not why_not, why_not)


def _told(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"not read as Python: {error.msg}, line {error.lineno}"
    return str(error) or type(error).__name__
