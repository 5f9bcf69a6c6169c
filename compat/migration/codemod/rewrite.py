"""Old scripts rewritten: all rewrites of one module, and whole files in whatever encoding, line ends or notebook."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import libcst as cst

from compat.migration.codemod.edits import Change, Left, remove_shim_calls, with_imports, without_unused_imports
from compat.migration.codemod.idiomatic import idiomatic
from compat.migration.codemod.old_client import OldClientRewrite
from compat.migration.codemod.responses import ResponsesRewrite, names_route
from compat.migration.codemod.signing import without_signing
from compat.migration.notebooks import read_notebook
from compat.migration.program.definitions import Program
from compat.migration.program.module import Module
from compat.migration.scan.files import Source, lines_of
from compat.migration.scan.python_uses import python_uses
from compat.migration.scan.rules import CLIENT, RULES, SHIM
from compat.migration.scan.uses import may_use

__all__ = ["Importers", "MigratedFile", "RewriteFailed", "Rewritten", "migrate_source", "refused_lines", "rewritten"]

_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(.+)|import\s+(.+))", re.MULTILINE)
_MOST = 2000
"""Files that are looked at for one directory."""
_MOST_AROUND = 40
"""Modules that are looked at together with one."""
_LARGEST = 300_000
_ONE_END = "let all lines end in the same way first"


@dataclass(frozen=True)
class Rewritten:
    """A module after the rewrite, what was rewritten, and what was not."""

    code: str
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()


class RewriteFailed(Exception):
    """The rewrite met something in a script that it was not made for: a fault of ours, whose cause says more."""


def rewritten(
    code: str,
    configured: str = "",
    *,
    is_imported: bool = False,
    name: str = "",
    others: Sequence[Module] = (),
    fixed: Sequence[Module] = (),
    is_notebook: bool = False,
) -> Rewritten:
    """A module with everything rewritten that is certain.

    Args:
        code: its text, lines ended by ``\\n``.
        configured: the kind of upstream that clients have which are made of the configuration file, if that is known.
        is_imported: whether another module imports it, and may call its functions.
        name: its name, as others import it.
        others: the modules of the same tree that it imports, or that import it.
        fixed: those of the others that stay as they are.
        is_notebook: whether it is cells, which run in any order and show values: answers stay responses.

    Raises:
        SyntaxError: it is not Python.
        RewriteFailed: it cannot be rewritten, through a fault of ours.
    """
    if not others and not names_route(code) and not list(python_uses(code)):
        return Rewritten(code)
    try:
        module = Module(code, is_imported=is_imported, name=name)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message) from None
    try:
        found = _rewritten(Program([module, *others]), configured, fixed)
        if not found.changes or others or is_imported or is_notebook or any(each.needed for each in found.left):
            return found
        return _shortened(found)
    except RecursionError:
        raise
    except Exception as error:
        # Scripts are of every make, and one that is beyond us has to stay as it is, and hold up no other.
        raise RewriteFailed(f"the rewrite failed: {type(error).__name__}") from error


def _shortened(found: Rewritten) -> Rewritten:
    """The same without its signing, and with pages for answers where these will do."""
    try:
        code = idiomatic(without_signing(found.code))
        cst.parse_module(code)
    except Exception as error:  # noqa: BLE001 - the longer form is right too, and a script beyond us keeps it
        why = f"a shorter form was not found: {type(error).__name__}"
        note = Left(1, why, "report it, please: that is a fault of exam-compat", needed=False)
        return replace(found, left=(note, *found.left))
    return replace(found, code=code)


def _rewritten(program: Program, configured: str, fixed: Sequence[Module]) -> Rewritten:
    module = program.modules[0]
    client, responses = OldClientRewrite(module, configured), ResponsesRewrite(program, fixed)
    client.run()
    responses.run()
    edits = responses.edits
    edits.take(client.edits)
    left = [*responses.left, *client.left, *_unexplained(module, client, responses)]
    gone = [node for node in responses.touched if isinstance(node, cst.Call)]
    removed, noted = remove_shim_calls(module, edits, gone, all_gone=not any(each.needed for each in left))
    changes = sorted([*responses.changes, *client.changes, *removed])
    code = module.tree.code
    if changes:
        tree = with_imports(edits.apply(module), edits.imported, edits.others)
        code = without_unused_imports(module, tree).code
    return Rewritten(code, tuple(changes), tuple(sorted({*left, *noted})))


def _unexplained(module: Module, client: OldClientRewrite, responses: ResponsesRewrite) -> list[Left]:
    """Uses that no rewrite looked at: with the reason why none did."""
    touched = [*responses.touched, *client.touched]
    explained = {each.line for each in client.left}
    explained.update(line for node in touched for line in range(module.line(node), module.last(node) + 1))
    found: list[Left] = []
    for line, _, rule, library in python_uses(module.tree.code):
        if rule in (SHIM.id, CLIENT.id) or line in explained:
            continue
        reason = "the route is put together or handed on in a way that is not followed"
        if library not in ("requests", ""):
            reason = f"{library} is not rewritten"
        found.append(responses.unreached.get(line, Left(line, reason, f"use {RULES[rule].instead}")))
    told = explained | {each.line for each in found}
    # What alone looks like no use at all, such as a name that a function hands to another one.
    return [*found, *(each for line, each in responses.unfollowed.values() if not {line, each.line} & told)]


@dataclass(frozen=True)
class MigratedFile:
    """A file and what a rewrite makes of it.

    Attributes:
        after: its text after the rewrite; equal where nothing is certain, or nothing old is there.
        changes: what was rewritten; in a notebook the lines are those of all code cells together.
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

    def linked(self, line: int) -> str:
        """Where a line begins, as editors and terminals follow it; a notebook's cells have no lines of its file."""
        if self.places is not None:
            cell, inner = self.places[line]
            return f"{self.source.path}:1:1: cell {cell}, line {inner}"
        text = "".join(lines_of(self.before)[line - 1 : line])
        return f"{self.source.path}:{line}:{len(text) - len(text.lstrip()) + 1}"


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
    may_send = any(each in text for each in ("requests", "httpx", "urllib", "_student"))
    others = importers.around(source.path) if may_send and not source.is_notebook else {}
    if not may_use(text) and not names_route(text) and not others:
        return None
    places, notebook = None, read_notebook(text) if source.is_notebook else None
    if notebook is not None:
        found = rewritten(notebook.code, configured, is_notebook=True)
        found = replace(found, code=notebook.with_code(found.code) if found.changes else text)
        lines = [each.line for each in found.changes] + [each.line for each in found.left]
        places = {line: notebook.place(line) for line in lines}
    else:
        found = _in_its_lines(text, source, configured, importers, others)
    if not found.changes and not found.left:
        return None
    return MigratedFile(source, text, found.code, found.changes, found.left, places, frozenset(others))


def _in_its_lines(
    text: str, source: Source, configured: str, importers: Importers, others: Mapping[Path, Module]
) -> Rewritten:
    """A module rewritten with the line ends that it has; one with several kinds of them stays."""
    ends = "\r\n" if "\r\n" in text else "\n"
    found = _in_program(text.replace("\r\n", "\n"), source, configured, importers, others)
    if not found.changes:
        return Rewritten(text, (), found.left)
    rest = text.replace("\r\n", "")
    if "\r" in rest or ("\n" in rest and ends == "\r\n"):
        line = min(each.line for each in found.changes)
        return Rewritten(text, (), (*found.left, Left(line, "the file's lines end in more than one way", _ONE_END)))
    return Rewritten(found.code.replace("\n", ends), found.changes, found.left)


def _in_program(
    code: str, source: Source, configured: str, importers: Importers, others: Mapping[Path, Module]
) -> Rewritten:
    """A module rewritten together with those that it imports, or that import it."""
    return rewritten(
        code,
        configured,
        is_imported=importers.of(source.path),
        name=importers.name(source.path),
        others=list(others.values()),
        fixed=importers.fixed(others),
        is_notebook=source.is_notebook,
    )


def refused_lines(
    source: Source, code: str, configured: str = "", importers: Importers | None = None
) -> Mapping[int, str]:
    """Why a rewrite leaves what is in a line of a module, by line; an empty text where it changes a call."""
    importers = importers or Importers()
    others = {} if source.is_notebook else importers.around(source.path)
    try:
        made = _in_program(code, source, configured, importers, others)
    except RewriteFailed as error:
        return dict.fromkeys(range(1, code.count("\n") + 2), str(error))
    found = {each.line: "" for each in made.changes}
    for each in made.left:
        if each.needed:
            found.update(dict.fromkeys(range(each.line, max(each.line, each.last) + 1), each.reason))
    return found


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
        found = [path]
        for here in found:
            # What is found here is looked at in its turn.
            near = (each for each in tree if _name(each) in tree.get(here, ()) or _name(here) in tree[each])
            found += [each for each in near if each not in found] if len(found) < _MOST_AROUND else []
        texts = {each: _text(each) for each in found}
        if not any(map(names_route, texts.values())):
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
        parts = (part or "" for match in _IMPORT.finditer(text) for part in match.groups())
        yield path, frozenset(word for part in parts for word in re.findall(r"\w+", part))


def _modules(folder: Path) -> Iterator[Path]:
    """The modules in a folder, and those in its packages."""
    yield from sorted(folder.glob("*.py"))
    for package in sorted(folder.glob("*/__init__.py")):
        yield from sorted(package.parent.rglob("*.py"))
