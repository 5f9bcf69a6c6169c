"""The modules of the scanned trees together: which constants with routes, and which parts of addresses, they share."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    """

    foreign: Mapping[str, str] = field(default_factory=dict)
    own: Collection[str] = ()
    given: Collection[Part] = ()
    sent: set[str] = field(default_factory=set)
    handed: set[Part] = field(default_factory=set)


class Modules:
    """The Python modules of some trees, and the constants with routes that they share.

    Only what holds a route, or the name of a constant that does, is parsed.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        """Gather the constants.

        Args:
            sources: all files; those that are no modules are left aside.
        """
        self._modules = {_parts(each.path): each for each in sources if each.path.suffix in (".py", ".pyw")}
        self._by_name: dict[str, list[tuple[str, ...]]] = {}
        for parts in self._modules:
            self._by_name.setdefault(parts[-1], []).append(parts)
        self._texts: dict[tuple[str, ...], Texts] = {}
        self._trees: dict[tuple[str, ...], ast.Module | None] = {}
        self._depth = 0
        self.names: re.Pattern[bytes] | None = None
        self._shared: list[tuple[Shared, Mapping[str, tuple[str, ...]]]] = []
        self._given: dict[tuple[str, ...], set[Part]] = {}
        self._gather()

    def may_use(self, content: bytes, path: Path | None = None) -> bool:
        """Whether a module may use a constant with a route that another one binds, or is given a part of an address."""
        named = self.names is not None and self.names.search(content) is not None
        return named or (path is not None and _parts(path) in self._given)

    def shared(self, path: Path, tree: ast.Module) -> Shared:
        """What a module has of addresses in common with the others: one record for as long as the tree is looked at.

        Args:
            path: of the module.
            tree: of the module.
        """
        if not self._modules:
            return Shared()
        parts = _parts(path)
        own = {name for name in bound_once(tree) if "." not in name}
        found = self._imported(parts, path.name == "__init__.py", tree)
        foreign = {name: text for name, text in found.items() if name.partition(".")[0] not in own}
        targets = self._targets(parts, path.name == "__init__.py", tree)
        shared = Shared(foreign, targets.keys(), frozenset(self._given.get(parts, ())))
        self._shared.append((shared, targets))
        return shared

    @property
    def sent(self) -> set[str]:
        """The names of the constants that another module than their own sends."""
        return set[str]().union(*(shared.sent for shared, _ in self._shared))

    def given_more(self) -> list[Source]:
        """The modules whose functions are given something by others that was not known when they were looked at."""
        grown: set[tuple[str, ...]] = set()
        for shared, targets in self._shared:
            for parts in set(targets.values()):
                known = self._given.setdefault(parts, set()) if shared.handed else set()
                if not shared.handed <= known:
                    known |= shared.handed
                    grown.add(parts)
        return [self._modules[parts] for parts in sorted(grown)]

    def _targets(self, parts: tuple[str, ...], is_package: bool, tree: ast.Module) -> dict[str, tuple[str, ...]]:
        """The names that a module imports from others of the tree, and which of them each is from."""
        found: dict[str, tuple[str, ...]] = {}
        package = parts if is_package else parts[:-1]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [(alias.name, alias.asname or alias.name.partition(".")[0]) for alias in node.names]
                found.update({bound: place for name, bound in names if (place := self._nearest(name, parts))})
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
                for alias in node.names:
                    for name in (f"{node.module or ''}.{alias.name}".strip("."), node.module or ""):
                        wanted = (*base.split("."), *name.split(".")) if base else ()
                        place = (wanted if wanted in self._modules else None) if base else self._nearest(name, package)
                        if place and place != parts:
                            found.setdefault(alias.asname or alias.name, place)
        return found

    def _gather(self) -> None:
        """Find the names of all constants that hold a route's action, also those by which they are handed on."""
        names: set[str] = set()
        looked: set[tuple[str, ...]] = set()
        pattern: re.Pattern[bytes] | None = _IN_BYTES
        while pattern is not None:
            before = len(names)
            for parts in self._modules.keys() - looked:
                if pattern.search(_content(self._modules[parts])):
                    looked.add(parts)
                    held = (name for name, text in self._of(parts).items() if _ACTION.search(text))
                    names.update(name.rpartition(".")[2] for name in held)
            pattern = _words(names) if len(names) > before else None
            self.names = pattern or self.names
            # A module that hands such a name on may have been left aside before it was known.
            self._texts.clear()

    def _of(self, parts: tuple[str, ...]) -> Texts:
        """The constants of a module, its own and those that it hands on."""
        if self._depth > _MOST_MODULES:
            return {}
        if parts not in self._texts:
            # Modules that import each other meet what is known so far.
            self._texts[parts] = {}
            tree = self._tree(parts) if self._may_hold(parts) else None
            if tree is not None:
                self._depth += 1
                is_package = self._modules[parts].path.name == "__init__.py"
                self._texts[parts] = _constants(tree, self._imported(parts, is_package, tree))
                self._depth -= 1
        return self._texts[parts]

    def _may_hold(self, parts: tuple[str, ...]) -> bool:
        """Whether a module's text has a part of a route, or the name of a constant that has: few are parsed."""
        if parts in self._trees:
            return True
        content = _content(self._modules[parts])
        return self.may_use(content) or _PARTS_IN_BYTES.search(content) is not None

    def _tree(self, parts: tuple[str, ...]) -> ast.Module | None:
        if parts not in self._trees:
            source = self._modules[parts]
            try:
                self._trees[parts] = parsed_of_any_age(source.reading()[0])[0]
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[parts] = None
            source.forget()
        return self._trees[parts]

    def _imported(self, parts: tuple[str, ...], is_package: bool, tree: ast.Module) -> dict[str, str]:
        found: dict[str, str] = {}
        package = parts if is_package else parts[:-1]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found.update(_under(alias.asname or alias.name, self._named(alias.name, parts)))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found.update(self._from(node, alias, package))
        return found

    def _from(self, node: ast.ImportFrom, alias: ast.alias, package: tuple[str, ...]) -> dict[str, str]:
        module, bound = node.module or "", alias.asname or alias.name
        if f"{module}.{alias.name}" == _SETTINGS:
            return _under(bound, self._settings())
        texts = self._relative(node, module, package) if node.level else self._named(module, package)
        if alias.name == "*":
            return {name: text for name, text in texts.items() if not name.startswith("_")}
        found = {bound: texts[alias.name]} if alias.name in texts else {}
        inner = alias.name + "."
        found.update({f"{bound}.{name[len(inner) :]}": text for name, text in texts.items() if name.startswith(inner)})
        submodule = f"{module}.{alias.name}" if module else alias.name
        below = self._relative(node, submodule, package) if node.level else self._named(submodule, package)
        return {**_under(bound, below), **found}

    def _relative(self, node: ast.ImportFrom, module: str, package: tuple[str, ...]) -> Texts:
        base = package[: len(package) - node.level + 1]
        parts = (*base, *module.split(".")) if module else base
        return self._of(parts) if parts in self._modules else {}

    def _named(self, module: str, importer: tuple[str, ...]) -> Texts:
        """The constants of the module of a name."""
        nearest = self._nearest(module, importer)
        return self._of(nearest) if nearest else {}

    def _nearest(self, module: str, importer: tuple[str, ...]) -> tuple[str, ...] | None:
        """The module of a name; of several, the one that is nearest to who imports it."""
        wanted = tuple(module.split("."))
        found = [each for each in self._by_name.get(wanted[-1], ()) if each[-len(wanted) :] == wanted]
        return max(found, key=lambda each: (_shared(each, importer), -len(each)), default=None)

    def _settings(self) -> Texts:
        found: dict[str, str] = {}
        for parts in sorted(self._modules):
            if any(part in ("settings", "config") for part in parts[-2:]):
                found.update(self._of(parts))
        return found


def _parts(path: Path) -> tuple[str, ...]:
    """A module's name with every folder above it."""
    parts = Path(os.path.abspath(path)).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _content(source: Source) -> bytes:
    try:
        return source.content
    except (OSError, ValueError):
        return b""
    finally:
        source.forget()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many folders two modules have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (left, right) in pairs if left != right), min(len(one), len(other)))


def _words(names: Iterable[str]) -> re.Pattern[bytes]:
    return re.compile(rb"\b(?:" + "|".join(map(re.escape, sorted(names))).encode() + rb")\b")


def _under(prefix: str, texts: Texts) -> dict[str, str]:
    return {f"{prefix}.{name}": text for name, text in texts.items()}


def _constants(tree: ast.Module, imported: Mapping[str, str]) -> dict[str, str]:
    """The texts that a module binds once, on its top level or that of a class, and those that it imports."""
    bound: dict[str, ast.expr] = {name: ast.Constant(text) for name, text in imported.items()}
    bound.update(bound_once(tree))
    found = dict(imported)
    for name, value in _assigned(tree.body):
        text = folded(value, bound)
        if text is not None:
            found[name] = text
    return found


def _assigned(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef) and not prefix:
            yield from _assigned(statement.body, f"{statement.name}.")
        elif isinstance(statement, ast.If | ast.Try):
            yield from _assigned(statement.body, prefix)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield prefix + statement.target.id, statement.value
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield prefix + target.id, statement.value
