"""Uses of the old interface in Python, by its syntax."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator

from compat.migration.scan.folding import folded
from compat.migration.scan.rules import ACTIONS, CLIENT, METHOD_RULES, ROUTE_RULES, SHIM
from compat.migration.scan.text_uses import route_in

__all__ = ["python_uses"]

LIBRARIES = ("requests", "httpx", "aiohttp", "urllib", "urllib3", "http", "subprocess", "os", "pycurl", "httplib2")
_OLD = ("ExamStudentsClient", "StudentsPage")
_ENTRANCES = ("install", "mount")

Use = tuple[int, int, str, str]
"""Line and column from 1, the rule's id, the library that sends the call."""


def python_uses(text: str) -> Iterator[Use]:
    """The uses in a module, in their order.

    Raises:
        SyntaxError: it is not Python, or of a newer version than this one.
    """
    with warnings.catch_warnings():
        # An odd escape in somebody's script is none of our business.
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    yield from sorted(set(_Search(tree, text.splitlines()).uses()))


class _Search:
    def __init__(self, tree: ast.Module, lines: list[str]) -> None:
        self._tree = tree
        self._lines = lines
        self._constants = _bound_once(tree)
        self._imported = _imported(tree)
        self._docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}

    def uses(self) -> Iterator[Use]:
        yield from self._routes(self._tree, "")
        if any(origin.partition(".")[0] == "compat" for origin in self._imported.values()):
            yield from self._names()

    def _routes(self, node: ast.AST, library: str) -> Iterator[Use]:
        for child in ast.iter_child_nodes(node):
            sending = self._library(child) or library
            found = self._route(child)
            if found:
                # Its parts are not looked at: each would be found again.
                yield self._use(child, ROUTE_RULES[found].id, sending)
            else:
                yield from self._routes(child, sending)

    def _route(self, node: ast.AST) -> str | None:
        if not isinstance(node, ast.expr) or isinstance(node, ast.Name | ast.Attribute):
            return None
        if isinstance(node, ast.Constant) and id(node) in self._docstrings:
            return None
        text = folded(node, self._constants)
        found = route_in(text) if text else None
        return found[1] if found else None

    def _library(self, node: ast.AST) -> str:
        if not isinstance(node, ast.Call):
            return ""
        root = node.func
        while isinstance(root, ast.Attribute | ast.Call):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        origin = self._imported.get(root.id, "") if isinstance(root, ast.Name) else ""
        package = origin.partition(".")[0]
        return package if package in LIBRARIES else ""

    def _names(self) -> Iterator[Use]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "compat":
                for alias in node.names:
                    if alias.name in _OLD:
                        yield self._use(alias, CLIENT.id, "")
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(node)
            elif isinstance(node, ast.Name) and self._origin(node) in _OLD:
                yield self._use(node, CLIENT.id, "")
            if isinstance(node, ast.Call) and self._origin(node.func) in _ENTRANCES:
                yield self._use(node, SHIM.id, "")

    def _attribute(self, node: ast.Attribute) -> Iterator[Use]:
        if self._origin(node) in _OLD:
            yield self._use(node, CLIENT.id, "")
        elif node.attr in ACTIONS:
            # Where the attribute stands, and not where its expression begins, which may be lines above.
            line, end = node.end_lineno or node.lineno, node.end_col_offset or 0
            yield line, self._characters(line, end - len(node.attr)), METHOD_RULES[node.attr].id, ""

    def _origin(self, node: ast.expr) -> str:
        """The name in our package that an expression stands for; empty where it stands for none."""
        if isinstance(node, ast.Name):
            origin = self._imported.get(node.id, "")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            origin = f"{self._imported.get(node.value.id, '')}.{node.attr}"
        else:
            return ""
        package, _, name = origin.rpartition(".")
        return name if package.partition(".")[0] == "compat" else ""

    def _use(self, node: ast.AST, rule: str, library: str) -> Use:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        return line, self._characters(line, column), rule, library

    def _characters(self, line: int, column: int) -> int:
        """A column from 1 in characters, of one from 0 in bytes."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        return len(text.encode()[:column].decode(errors="replace")) + 1


def _imported(tree: ast.Module) -> dict[str, str]:
    """Name to where it comes from, of all that the file imports anywhere."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                found[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _bound_once(tree: ast.Module) -> dict[str, ast.expr]:
    """Name to its expression, of what the whole file binds once; an attribute of self by its name behind a dot."""
    values: dict[str, ast.expr] = {}
    times: Counter[str] = Counter()
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            name = _name_of(target)
            if name:
                times[name] += 1
                value = getattr(node, "value", None)
                if isinstance(value, ast.expr) and not isinstance(node, ast.AugAssign):
                    values[name] = value
        if isinstance(node, ast.arg):
            times[node.arg] += 1
    return {name: value for name, value in values.items() if times[name] == 1}


def _name_of(target: object) -> str:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in ("self", "cls"):
        return f".{target.attr}"
    return ""
