"""The uses in one file, whatever its language, and whether they can be rewritten."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from compat.migration.notebooks import read_notebook
from compat.migration.scan.decoding import NotText, lines_of
from compat.migration.scan.files import NotRead, Problem, Source
from compat.migration.scan.finds import MENTION, Find, Use
from compat.migration.scan.marks import Marks
from compat.migration.scan.modules import Modules
from compat.migration.scan.notebook_uses import NotebookLines
from compat.migration.scan.python_uses import graded_uses, parsed
from compat.migration.scan.rules import ACTIONS
from compat.migration.scan.text_uses import text_uses

__all__ = ["Refusals", "finds_in", "may_use"]

Refusals = Callable[[Source, str], Mapping[int, str]]
"""From a file and its Python code to why a rewrite leaves what is in a line; a line that is not in it is rewritten."""

_NOT_PYTHON = "only Python is rewritten: change it by hand, or let it call the gateway"
_NOT_READ = "not read as Python: change it by hand"
_HINTS = (*ACTIONS, "ExamStudentsClient", "StudentsPage", "compat")
_IN_BYTES = re.compile("|".join(_HINTS).encode())
_REPORT = re.compile(rb"\s*\{\s*(?:\"finds\": \[|\"\$schema\": \"[^\"]*sarif)")
_PYTHON_2 = re.compile(
    r"""^\s*(?:print\s+[^\s=(.,\[)]|print\s*>>|exec\s+[\w"']|except\s+[\w.() ,]+,\s*\w+\s*:|raise\s+[\w.]+\s*,)"""
    r"""|\bur["']|<>|(?<![\w.])0[0-7]+L?\b|\b\d+[lL]\b|^\#!.*python2""",
    re.MULTILINE,
)


def may_use(text: str) -> bool:
    """Whether a file's text can hold a use at all; most files are done with this."""
    return any(hint in text for hint in _HINTS)


def finds_in(
    source: Source, refusals: Refusals | None = None, modules: Modules | None = None
) -> list[Find | Problem | NotRead]:
    """The uses in a file, and what hindered looking for them.

    Args:
        source: the file.
        refusals: asked for each Python file with uses; without it no find says that it can be rewritten.
        modules: of the tree, whose constants it may use.
    """
    try:
        content = source.content
        shares = modules is not None and source.may_import and modules.may_use(content)
        if not shares and not _may_hold(content):
            # Decoded only where it may be binary.
            return [NotRead(str(source.path), "binary")] if b"\0" in content and not _is_text(source) else []
        text, doubt = source.reading()
    except NotText as error:
        return [NotRead(str(source.path), str(error))]
    except (OSError, ValueError) as error:
        return [Problem(str(source.path), getattr(error, "strerror", None) or str(error))]
    if _REPORT.match(content):
        return [NotRead(str(source.path), "a report of a scan")]
    return [*_in_file(source, text, doubt, refusals, modules or Modules())]


def _may_hold(content: bytes) -> bool:
    # Without their zeros, UTF-16 and UTF-32 are the bytes of ASCII.
    return bool(_IN_BYTES.search(content.replace(b"\0", b"")))


def _is_text(source: Source) -> bool:
    try:
        return bool(source.reading()[0])
    except NotText:
        return False


def _in_file(
    source: Source, text: str, doubt: str, refusals: Refusals | None, modules: Modules
) -> Iterator[Find | Problem]:
    path, lines = str(source.path), lines_of(text)
    if source.is_notebook:
        yield from _in_notebook(source, text, refusals, modules)
        return
    if not source.is_python:
        yield from _as_finds(path, lines, text_uses(text, path), by_hand=_NOT_PYTHON)
        return
    try:
        tree = parsed(text)
        uses = graded_uses(tree, text, modules.foreign(source.path, tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # Its lines can be read all the same.
        yield Problem(path, _why_by_lines(text, error), read=True)
        yield from _as_finds(path, lines, text_uses(text, path), by_hand=_NOT_READ)
        return
    if doubt:
        yield Problem(path, f"{doubt}: read as Latin-1" if "neither" in doubt else doubt, read=True)
    ask = partial(refusals, source, text) if refusals and not doubt else None
    yield from _as_finds(path, lines, [*uses, *_said(text, path, uses)], ask, doubt)


def _in_notebook(source: Source, text: str, refusals: Refusals | None, modules: Modules) -> Iterator[Find | Problem]:
    path = str(source.path)
    try:
        notebook = NotebookLines.of(text)
        uses = notebook.uses(partial(modules.foreign, source.path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield Problem(path, f"{str(error) or type(error).__name__}: read by lines", read=True)
        yield from _as_finds(path, lines_of(text), text_uses(text, path), by_hand=_NOT_PYTHON)
        return
    by_hand = "" if notebook.language == "python" else _NOT_PYTHON
    ask = partial(_refused_in, source, text, notebook, refusals) if refusals and not by_hand else None
    yield from _as_finds(path, notebook.lines, uses, ask, by_hand, notebook.places)


def _refused_in(source: Source, text: str, notebook: NotebookLines, refusals: Refusals) -> Mapping[int, str]:
    return notebook.refused(text, refusals(source, read_notebook(text).code))


def _said(text: str, path: str, uses: Sequence[Use]) -> Iterator[Use]:
    """What a module only says: in its comments, in docstrings and in names of its own."""
    code = {line for use in uses for line in range(use.line, use.last + 1)}
    for use in text_uses(text, path):
        if use.line not in code:
            yield use._replace(grade=MENTION)


def _as_finds(
    path: str,
    lines: Sequence[str],
    uses: Iterable[Use],
    ask: Callable[[], Mapping[int, str]] | None = None,
    by_hand: str = "",
    places: Sequence[tuple[int, int]] | None = None,
) -> Iterator[Find | Problem]:
    """The finds of a file, and the marks in it that let nothing pass.

    Args:
        path: the file.
        lines: of it.
        uses: what is in them.
        ask: says why a rewrite leaves a line; None where nothing is rewritten.
        by_hand: why nothing is rewritten.
        places: the notebook's cell, and the line in it, of each line.
    """
    found, marks = sorted(uses), Marks(lines)
    # Rewriting takes a hundred times as long as looking: only what has a use is rewritten.
    refused = _asked(ask, len(lines)) if ask and any(use.grade != MENTION for use in found) else None
    for use in found:
        why_not = use.why_not or by_hand or (refused or {}).get(use.line, "")
        why_not = "only mentioned" if use.grade == MENTION else why_not
        cell, line = places[use.line - 1] if places else (0, use.line)
        yield Find(
            *(path, line, use.column, use.rule, cell, use.library),
            rewritable=refused is not None and not why_not,
            why_not=why_not,
            grade=use.grade,
            digest=_digest(lines[use.line - 1 : use.last]),
            mark=marks.over(use.line, use.last),
        )
    for number in marks.unused():
        cell, line = places[number - 1] if places else (0, number)
        where = f"cell {cell}, line {line}" if cell else f"line {line}"
        yield Problem(path, f"{where}: the mark exam-compat: ignore lets nothing pass; remove it", read=True)


def _asked(ask: Callable[[], Mapping[int, str]], lines: int) -> Mapping[int, str]:
    try:
        return ask()
    except (SyntaxError, ValueError, RecursionError):
        # A cell that is no Python keeps a notebook from being rewritten, and new syntax a module.
        return dict.fromkeys(range(1, lines + 1), "the rewrite cannot read it as Python: change it by hand")


def _digest(lines: Iterable[str]) -> str:
    """Of lines' text, so that it can be known again and not be read."""
    return hashlib.sha256("\n".join(line.strip() for line in lines).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _why_by_lines(text: str, error: Exception) -> str:
    if isinstance(error, SyntaxError) and (isinstance(error, TabError) or _PYTHON_2.search(text)):
        return "Python 2: read by lines"
    told = f"{error.msg}, line {error.lineno}" if isinstance(error, SyntaxError) else str(error) or type(error).__name__
    return f"not read as Python: {told}: read by lines"
