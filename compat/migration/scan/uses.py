"""The uses in files, whatever their language, and whether they can be rewritten."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from compat.call_site import same_file
from compat.migration.inventory.report import CallingLine
from compat.migration.notebooks import Cell, all_cells, as_python, is_for_ipython, read_notebook
from compat.migration.scan.files import NotRead, NotText, Problem, Source, lines_of
from compat.migration.scan.modules import Modules, Shared
from compat.migration.scan.python_uses import graded_uses
from compat.migration.scan.rules import ACTIONS, LIKELY, MENTION, Find, Grade, Use
from compat.migration.scan.strings import parsed, parsed_of_any_age
from compat.migration.scan.text_uses import Marks, text_uses
from compat.text.json import several

__all__ = ["NotebookLines", "Refusals", "Scanned", "finds_in", "may_use", "scan_files"]

Refusals = Callable[[Source, str], Mapping[int, str]]
"""From a file and its Python code to why a rewrite leaves what is in a line; a line that is not in it is rewritten."""

_NOT_PYTHON = "only Python is rewritten: change it by hand, or let it call the gateway"
_OF_PYTHON_2 = "Python 2: change it by hand, or let it call the gateway"
_NOT_READ = "not read as Python: change it by hand"
_MENTIONED = "only mentioned"
_HINTS = (*ACTIONS, "ExamStudentsClient", "StudentsPage", "compat")
_MOST_HANDS = 5
"""Modules through whose functions an address goes, one after the other, at most."""
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
        imports = source.is_python or source.is_notebook
        shares = modules is not None and imports and modules.may_use(content, source.path)
        # Without their zeros, UTF-16 and UTF-32 are the bytes of ASCII.
        if not shares and not _IN_BYTES.search(content.replace(b"\0", b"")):
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
        tree, is_python_2 = parsed_of_any_age(text)
        uses = graded_uses(tree, text, modules.shared(source.path, tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # Its lines can be read all the same.
        yield Problem(path, _why_by_lines(text, error), read=True, line=getattr(error, "lineno", 0) or 0)
        yield from _as_finds(path, lines, text_uses(text, path), by_hand=_NOT_READ)
        return
    if is_python_2:
        doubt = _OF_PYTHON_2
    if doubt:
        yield Problem(path, f"{doubt}: read as Latin-1" if "neither" in doubt else doubt, read=True)
    ask = partial(refusals, source, text) if refusals and not doubt else None
    yield from _as_finds(path, lines, [*uses, *_said(text, path, uses)], ask, doubt)


def _in_notebook(source: Source, text: str, refusals: Refusals | None, modules: Modules) -> Iterator[Find | Problem]:
    path = str(source.path)
    try:
        notebook = NotebookLines.of(text)
        uses = notebook.uses(partial(modules.shared, source.path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield Problem(path, f"{str(error) or type(error).__name__}: read by lines", read=True)
        yield from _as_finds(path, lines_of(text), text_uses(text, path), by_hand=_NOT_PYTHON)
        return
    by_hand = "" if notebook.language == "python" else _NOT_PYTHON
    ask = partial(notebook.refused, source, text, refusals) if refusals and not by_hand else None
    yield from _as_finds(path, notebook.lines, uses, ask, by_hand, notebook.places)


def _said(text: str, path: str, uses: Sequence[Use]) -> Iterator[Use]:
    """What a module only says: in its comments, in docstrings and in names of its own."""
    code = {line for use in uses for line in (*range(use.line, use.last + 1), *use.addresses)}
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
        lines: all of it.
        uses: what is in them.
        ask: says why a rewrite leaves a line; None where nothing is rewritten.
        by_hand: why nothing is rewritten.
        places: the notebook's cell, and the line in it, of each line.
    """
    found, marks = sorted(uses), Marks(lines)
    # Rewriting takes a hundred times as long as looking: only what has a use is rewritten.
    refused = _asked(ask, len(lines)) if ask and any(use.grade != MENTION for use in found) else None
    for use in found:
        shown = [*use.addresses, *range(use.line, use.last + 1)]
        said = {refused[each] for each in shown if refused and each in refused}
        # What is known of other modules counts where the rewrite, which knows them too, says nothing.
        why_not = by_hand or max(said, default=use.why_not)
        why_not = _MENTIONED if use.grade == MENTION else why_not
        cell, line = places[use.line - 1] if places else (0, use.line)
        # A mark may stand at the call, or at its address.
        spans = [(use.line, use.last), *((each, each) for each in use.addresses)]
        yield Find(
            *(path, line, use.column, use.rule, cell, use.library),
            rewritable=refused is not None and not why_not,
            why_not=why_not,
            grade=use.grade,
            digest=_digest(lines[use.line - 1 : use.last]),
            mark=next((mark for each in spans if (mark := marks.over(*each)) is not None), None),
            addresses=() if places else tuple(each for each in use.addresses if not use.line <= each <= use.last),
            constant=use.constant,
            last=line + use.last - use.line,
        )
    for number in marks.unused():
        cell, line = places[number - 1] if places else (0, number)
        where = f"cell {cell}, line {line}" if cell else f"line {line}"
        yield Problem(
            path,
            f"{where}: the mark exam-compat: ignore lets nothing pass; remove it",
            read=True,
            line=1 if cell else number,
        )


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


_OF_PYTHON = ("time", "timeit", "capture", "prun", "python", "python3", "debug", "memit", "mprun", "px", "heat",
    "snakeviz")  # fmt: skip
"""Cell magics whose cell is Python all the same."""
_ENDINGS = {"r": ".r", "julia": ".jl", "bash": ".sh", "sh": ".sh", "javascript": ".js", "js": ".js", "html": ".html",
            "sql": ".sql", "ruby": ".rb", "perl": ".pl", "scala": ".scala", "latex": ".tex"}  # fmt: skip
_NO_PYTHON_LINE = "a line that Python does not read: change it by hand"
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

    def uses(self, shared: Callable[[ast.Module], Shared]) -> list[Use]:
        """The uses, with their lines counted over all cells, by what the notebook has in common with other modules."""
        code = "\n".join(self.python)
        tree = parsed(code)
        uses = graded_uses(tree, code, shared(tree))
        said = list(_said(code, "cell.py", uses))
        for begin, text, path in self._others:
            for use in text_uses(text, path):
                uses.append(use._replace(line=use.line + begin, last=use.last + begin, why_not=_NO_PYTHON_LINE))
        return sorted({*uses, *(use for use in said if not is_for_ipython(self.python[use.line - 1]))})

    def refused(self, source: Source, text: str, refusals: Refusals) -> dict[int, str]:
        """Why a rewrite leaves a line, by the lines of all cells."""
        notebook = read_notebook(text)
        rewritten = {cell.number for cell in notebook.cells}
        at = {place: number for number, place in enumerate(self.places, 1)}
        found = {number: _BY_HAND for number, (cell, _) in enumerate(self.places, 1) if cell not in rewritten}
        for line, reason in refusals(source, notebook.code).items():
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


@dataclass
class Scanned:
    """What a scan found.

    Attributes:
        finds: in the order of the files.
        marked: those that a mark in their file lets pass.
        known: those that a baseline has.
        read: the files that were read, whether or not anything is in them.
    """

    finds: list[Find] = field(default_factory=list)
    marked: list[Find] = field(default_factory=list)
    known: list[Find] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    not_read: list[NotRead] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def uses(self, least: Grade = LIKELY) -> list[Find]:
        """The finds that are uses, as sure as a grade at least."""
        return [find for find in self.finds if find.counts(least)]

    def missed(self, seen: Iterable[CallingLine]) -> list[CallingLine]:
        """The lines of the files that were read which were seen calling, and are not among the finds."""
        finds = [*self.finds, *self.marked, *self.known]
        found = []
        for each in seen:
            paths = {path for path in self.read if same_file(each.file, path)}
            if paths and not any(find.path in paths and find.is_at(each.line) for find in finds):
                found.append(each)
        return found

    def unread(self) -> str:
        """How many files were not read, and why; empty where all were."""
        reasons = Counter(each.reason for each in self.problems if not each.read)
        reasons.update(each.reason for each in self.not_read)
        if not reasons:
            return ""
        number = sum(reasons.values())
        told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        return f"{several(number, 'file')} {'was' if number == 1 else 'were'} not read: {told}"

    def forget(self, source: Source) -> None:
        """Leave out what was found in a file, which is looked at once more."""
        path = str(source.path)
        every: tuple[list[Any], ...] = (self.finds, self.marked, self.problems, self.not_read)
        for found in every:
            found[:] = [each for each in found if each.path != path]

    def take(self, source: Source | Problem | NotRead, refusals: Refusals | None, modules: Modules) -> None:
        """Look at a file, and keep what is found, or what hinders it."""
        found: Sequence[Find | Problem | NotRead]
        if isinstance(source, Source):
            found = finds_in(source, refusals, modules)
            source.forget()
            if all(isinstance(each, Find) or getattr(each, "read", False) for each in found):
                self.read.add(str(source.path))
        else:
            found = [source]
        for each in found:
            if isinstance(each, Find):
                (self.finds if each.mark is None else self.marked).append(each)
            elif isinstance(each, Problem):
                self.problems.append(each)
            else:
                self.not_read.append(each)


def scan_files(
    files: Iterable[Source | Problem | NotRead],
    refusals: Refusals | None = None,
    done: Callable[[], None] = lambda: None,
) -> Scanned:
    """Look at files.

    Args:
        files: as :func:`~compat.migration.scan.files.sources` gives them.
        refusals: says what a rewrite leaves.
        done: called after each file.
    """
    scanned, files = Scanned(), list(files)
    modules = Modules(each for each in files if isinstance(each, Source))
    for source in files:
        scanned.take(source, refusals, modules)
        done()
    for _ in range(_MOST_HANDS):
        for again in modules.given_more():
            scanned.forget(again)
            scanned.take(again, refusals, modules)
    place = {str(each.path): number for number, each in enumerate(files)}
    scanned.finds.sort(key=lambda find: place[find.path])
    # A constant that another module sends is a use there, and none where it is bound.
    sent = modules.sent
    only_bound = partial(replace, grade=MENTION, rewritable=False, why_not=_MENTIONED)
    scanned.finds = [only_bound(each) if each.constant in sent else each for each in scanned.finds]
    return scanned
