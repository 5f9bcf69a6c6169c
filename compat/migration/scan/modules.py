"""The modules of the scanned trees together: which constants with routes, and which parts of addresses, they share."""

from __future__ import annotations

import ast
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from compat.migration.scan.files import Source
from compat.migration.scan.rules import ACTIONS
from compat.migration.scan.strings import bound_once, folded, parsed_of_any_age

__all__ = ["Modules", "Shared"]

_ACTION = re.compile("|".join(ACTIONS))
_IN_BYTES = re.compile(_ACTION.pattern.encode())
_PARTS_IN_BYTES = re.compile(rb"\bexams\b|" + _IN_BYTES.pattern)
_MOST_MODULES = 25
"""Modules that import each other in one line, at most: a constant is hardly handed on so often."""
_SETTINGS = "django.conf.settings"
"""The object by which Django gives the constants of whatever module holds the settings."""

_Place = tuple[str, ...]
"""A module's name with every folder above it."""
Texts = Mapping[str, str]
"""``NAME``, or ``Class.NAME``, to the text of a constant."""
Part = tuple[str, str]
"""A function's name, and what it is given: an action, or "exams"."""


@dataclass
class Shared:
    """What a module has of addresses in common with the other modules of its tree.

    Attributes:
        foreign: ``NAME`` or ``settings.NAME`` to the text of constants that come from other modules.
        own: the names that it imports from modules of the tree.
        given: what other modules give to its functions.
        sent: the names of other modules' constants that it sends; filled as it is looked at.
        handed: what it gives to functions of other modules; likewise.
        modules: the other modules that it imports from.
    """

    foreign: Texts = field(default_factory=dict)
    own: Collection[str] = ()
    given: Collection[Part] = ()
    sent: set[str] = field(default_factory=set)
    handed: set[Part] = field(default_factory=set)
    modules: Collection[_Place] = ()


class _Import(NamedTuple):
    """A name that is imported: of a module, of one as a whole (then ``name`` is empty), or all of one (``*``)."""

    bound: str
    name: str
    whole: str
    module: _Place | None
    of: _Place | None


class Modules:
    """The Python modules among some files, and the constants with routes that they share.

    Only what holds a route, or the name of a constant that does, is parsed.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._modules = {_place_of(each.path): each for each in sources if each.path.suffix in (".py", ".pyw")}
        self._by_name: dict[str, list[_Place]] = defaultdict(list)
        for place in self._modules:
            self._by_name[place[-1]].append(place)
        self._texts: dict[_Place, Texts] = {}
        self._trees: dict[_Place, ast.Module | None] = {}
        self._handing_on: dict[_Place, dict[str, _Import]] = {}
        self._depth = 0
        self._names: re.Pattern[bytes] | None = None
        self._shared: list[Shared] = []
        self._given: dict[_Place, set[Part]] = {}
        self._gather()

    def may_use(self, content: bytes, path: Path | None = None) -> bool:
        """Whether a module may use a constant with a route that another one binds, or is given a part of an address."""
        named = self._names is not None and self._names.search(content) is not None
        return named or (path is not None and _place_of(path) in self._given)

    def shared(self, path: Path, tree: ast.Module) -> Shared:
        """What a module has of addresses in common with the others: one record for as long as the tree is looked at."""
        if not self._modules:
            return Shared()
        place = _place_of(path)
        own = {name for name in bound_once(tree) if "." not in name}
        found = self._imported(path, tree)
        foreign = {name: text for name, text in found.items() if name.partition(".")[0] not in own}
        names, modules = set[str](), set[_Place]()
        for each in self._imports(path, tree):
            target = next((other for other in (each.module, each.of) if other and other != place), None)
            if target is not None:
                names.add(each.bound if each.name else each.bound.partition(".")[0])
                modules.add(self._origin(target, each.name))
        shared = Shared(foreign, names, frozenset(self._given.get(place, ())), modules=modules)
        self._shared.append(shared)
        return shared

    @property
    def sent(self) -> set[str]:
        """The names of the constants that another module than their own sends."""
        return set[str]().union(*(shared.sent for shared in self._shared))

    def given_more(self) -> list[Source]:
        """The modules whose functions are given something by others that was not known when they were looked at."""
        grown: set[_Place] = set()
        for shared in self._shared:
            for place in shared.modules if shared.handed else ():
                known = self._given.setdefault(place, set())
                if not shared.handed <= known:
                    known |= shared.handed
                    grown.add(place)
        return [self._modules[place] for place in sorted(grown)]

    def _origin(self, place: _Place, name: str, depth: int = 0) -> _Place:
        """The module that binds a name, where one hands on what it imports, as a package's ``__init__.py`` does."""
        content = _content(self._modules[place])
        if depth > _MOST_MODULES or not name.isidentifier() or not _words([name]).search(content):
            return place
        if place not in self._handing_on:
            tree = self._parsed(place)
            imports = [] if tree is None else self._imports(self._modules[place].path, tree)
            self._handing_on[place] = {each.bound: each for each in imports if each.name}
        found = self._handing_on[place].get(name)
        other = None if found is None else found.module or found.of
        return place if found is None or other in (None, place) else self._origin(other, found.name, depth + 1)

    def _gather(self) -> None:
        """Find the names of all constants that hold a route's action, also those by which they are handed on."""
        names: set[str] = set()
        looked: set[_Place] = set()
        pattern: re.Pattern[bytes] | None = _IN_BYTES
        while pattern is not None:
            before = len(names)
            for place in self._modules.keys() - looked:
                if pattern.search(_content(self._modules[place])):
                    looked.add(place)
                    held = (name for name, text in self._of(place).items() if _ACTION.search(text))
                    names.update(name.rpartition(".")[2] for name in held)
            pattern = _words(names) if len(names) > before else None
            self._names = pattern or self._names
            # A module that hands such a name on may have been left aside before it was known.
            self._texts.clear()

    def _of(self, place: _Place) -> Texts:
        """The constants of a module, its own and those that it hands on."""
        if self._depth > _MOST_MODULES:
            return {}
        if place not in self._texts:
            # Modules that import each other meet what is known so far.
            self._texts[place] = {}
            tree = self._tree(place)
            if tree is not None:
                self._depth += 1
                self._texts[place] = _constants(tree, self._imported(self._modules[place].path, tree))
                self._depth -= 1
        return self._texts[place]

    def _tree(self, place: _Place) -> ast.Module | None:
        """A module, if its text has a part of a route, or the name of a constant that has: few are parsed."""
        source = self._modules[place]
        if place not in self._trees:
            content = _content(source)
            if not self.may_use(content) and not _PARTS_IN_BYTES.search(content):
                return None
            self._trees[place] = self._parsed(place)
        return self._trees[place]

    def _parsed(self, place: _Place) -> ast.Module | None:
        source = self._modules[place]
        try:
            return parsed_of_any_age(source.reading()[0])[0]
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        finally:
            source.forget()

    def _imported(self, path: Path, tree: ast.Module) -> dict[str, str]:
        """The constants that a module imports, as it names them."""
        found: dict[str, str] = {}
        for each in self._imports(path, tree):
            if each.whole == _SETTINGS:
                found.update(_under(each.bound, self._settings()))
                continue
            texts = self._of(each.of) if each.of else {}
            if each.name == "*":
                found.update({name: text for name, text in texts.items() if not name.startswith("_")})
                continue
            if each.module:
                found.update(_under(each.bound, self._of(each.module)))
            for name, text in texts.items():
                if name == each.name or name.startswith(f"{each.name}."):
                    found[each.bound + name[len(each.name) :]] = text
        return found

    def _imports(self, path: Path, tree: ast.Module) -> Iterator[_Import]:
        """What a module imports, and from which modules of the tree."""
        place = _place_of(path)
        package = place if path.name == "__init__.py" else place[:-1]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield _Import(
                        alias.asname or alias.name, "", alias.name, self._nearest(alias.name, package, 0), None
                    )
            elif isinstance(node, ast.ImportFrom):
                of = self._nearest(node.module or "", package, node.level)
                for alias in node.names:
                    whole = f"{node.module or ''}.{alias.name}".strip(".")
                    module = self._nearest(whole, package, node.level)
                    yield _Import(alias.asname or alias.name, alias.name, whole, module, of)

    def _nearest(self, name: str, package: _Place, level: int) -> _Place | None:
        """The module of a name; of several, the one that is nearest to the package that imports it."""
        wanted = tuple(name.split(".")) if name else ()
        if level:
            whole = (*package[: len(package) - level + 1], *wanted)
            return whole if whole in self._modules else None
        found = [each for each in self._by_name.get(wanted[-1], ()) if each[-len(wanted) :] == wanted]
        return max(found, key=lambda each: (_in_common(each, package), -len(each)), default=None)

    def _settings(self) -> Texts:
        found: dict[str, str] = {}
        for place in sorted(self._modules):
            if any(part in ("settings", "config") for part in place[-2:]):
                found.update(self._of(place))
        return found


def _place_of(path: Path) -> _Place:
    place = Path(os.path.abspath(path)).with_suffix("").parts
    return place[:-1] if place[-1] == "__init__" else place


def _in_common(one: _Place, other: _Place) -> int:
    """How many folders two modules have in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _content(source: Source) -> bytes:
    try:
        return source.content
    except (OSError, ValueError):
        return b""
    finally:
        source.forget()


def _words(names: Iterable[str]) -> re.Pattern[bytes]:
    return re.compile(rb"\b(?:" + "|".join(map(re.escape, sorted(names))).encode() + rb")\b")


def _under(prefix: str, texts: Texts) -> dict[str, str]:
    return {f"{prefix}.{name}": text for name, text in texts.items()}


def _constants(tree: ast.Module, imported: Texts) -> dict[str, str]:
    """The texts that a module binds once, on its top level or that of a class, and those that it imports."""
    bound: dict[str, ast.expr] = {name: ast.Constant(text) for name, text in imported.items()}
    bound.update(bound_once(tree))
    found = ((name, folded(value, bound)) for name, value in _assigned(tree.body))
    return {**imported, **{name: text for name, text in found if text is not None}}


def _assigned(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef) and not prefix:
            yield from _assigned(statement.body, f"{statement.name}.")
        elif isinstance(statement, ast.If | ast.Try):
            yield from _assigned(statement.body, prefix)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield prefix + target.id, statement.value
