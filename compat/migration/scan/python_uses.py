"""Uses of the old interface in Python, by its syntax."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping

from compat.migration.scan.decoding import lines_of
from compat.migration.scan.finds import CERTAIN, LIKELY, MENTION, Grade, Use
from compat.migration.scan.folding import dotted, folded
from compat.migration.scan.rules import ACTIONS, CLIENT, METHOD_RULES, ROUTE_RULES, SHIM
from compat.migration.scan.text_uses import grade_in, route_in

__all__ = ["bound_once", "graded_uses", "parsed", "python_uses"]

LIBRARIES = ("requests", "httpx", "aiohttp", "urllib", "urllib3", "http", "subprocess", "os", "pycurl", "httplib2")
ELSEWHERE = "the route is a constant of another module: change it there and here by hand"
_OLD = ("ExamStudentsClient", "StudentsPage")
_ENTRANCES = ("install", "mount")
_SERVING = (
    "path",
    "re_path",
    "url",
    "add_url_rule",
    "add_api_route",
    "add_route",
    "add_resource",
    "register",
    "add_get",
)
"""Functions by which web frameworks are given a route of the program's own."""
_DECORATING = ("route", "get", "post", "put", "patch", "delete", "api_route", "action", "view_config")
_SERVERS = ("rest_framework", "pyramid", "litestar", "starlette", "bottle", "robyn", "quart", "sanic")
_SHOWING = (
    *("reverse", "reverse_lazy", "redirect", "render", "render_to_string", "render_template", "get_template"),
    *("url_for", "resolve", "resolve_url", "include", "getattr", "hasattr", "setattr"),
)
"""Functions that take the name of a route, a template or an attribute of the program's own."""


def python_uses(text: str) -> Iterator[tuple[int, int, str, str]]:
    """The uses in a module, in their order: line and column from 1, the rule's id, the library that sends the call.

    Raises:
        SyntaxError: it is not Python, or of a newer version than this one.
    """
    uses = graded_uses(parsed(text), text)
    yield from sorted({(use.line, use.column, use.rule, use.library) for use in uses if use.grade != MENTION})


def parsed(text: str) -> ast.Module:
    """The syntax tree of a module.

    Raises:
        SyntaxError: it is not Python, or of a newer version than this one.
    """
    with warnings.catch_warnings():
        # An odd escape in somebody's script is none of our business.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def graded_uses(tree: ast.Module, text: str, foreign: Mapping[str, str] | None = None) -> list[Use]:
    """The uses in a module, each with its grade, in their order.

    Args:
        tree: the module.
        text: the same as text.
        foreign: ``NAME`` or ``settings.NAME`` to the text of constants that come from other modules.
    """
    return sorted(set(_Search(tree, lines_of(text), foreign or {}).uses()))


class _Search:
    def __init__(self, tree: ast.Module, lines: list[str], foreign: Mapping[str, str]) -> None:
        self._tree = tree
        self._lines = lines
        self._foreign = foreign
        others = {name: ast.Constant(value) for name, value in foreign.items()}
        self._constants = {**others, **bound_once(tree)}
        self._imported = _imported(tree)
        self._docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        self._has_old = any(
            isinstance(node, ast.alias | ast.Attribute)
            and (getattr(node, "attr", "") or getattr(node, "name", "")) in _OLD
            for node in ast.walk(tree)
        )
        self._is_ours = any(origin.partition(".")[0] == "compat" for origin in self._imported.values())

    def uses(self) -> Iterator[Use]:
        yield from self._routes(self._tree, "", is_own=False)
        if self._is_ours:
            yield from self._names()

    def _routes(self, node: ast.AST, library: str, *, is_own: bool) -> Iterator[Use]:
        decorators = getattr(node, "decorator_list", ())
        for child in ast.iter_child_nodes(node):
            sending = self._library(child) or library
            own = is_own or self._is_own(child, is_decorator=child in decorators)
            found = self._route(child)
            if found:
                # Its parts are not looked at: each would be found again.
                action, grade, is_foreign = found
                grade = MENTION if own else grade
                yield self._use(child, ROUTE_RULES[action].id, sending, grade, ELSEWHERE if is_foreign else "")
            else:
                yield from self._routes(child, sending, is_own=own)

    def _route(self, node: ast.AST) -> tuple[str, Grade, bool] | None:
        """The action of the route that an expression is, its grade, and whether another module holds it."""
        if not isinstance(node, ast.expr):
            return None
        is_foreign = isinstance(node, ast.Name | ast.Attribute)
        if is_foreign and dotted(node) not in self._foreign:
            return None
        if isinstance(node, ast.Constant) and id(node) in self._docstrings:
            return None
        text = folded(node, self._constants)
        match = route_in(text) if text else None
        if text is None or match is None:
            return None
        grade = grade_in(text, match.start(1), match.end(1)) or LIKELY
        return match[1], grade, is_foreign or self._holds_foreign(node)

    def _holds_foreign(self, node: ast.expr) -> bool:
        parts = (each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute))
        return any(dotted(each) in self._foreign for each in parts)

    def _is_own(self, node: ast.AST, *, is_decorator: bool) -> bool:
        """Whether a call declares or names a route of the program's own, and asks nobody."""
        if not isinstance(node, ast.Call):
            return False
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        texts = [folded(each, self._constants) or "" for each in node.args]
        if any("://" in text for text in texts):
            return False
        if is_decorator:
            origin = self._imported.get(name, "").partition(".")[0]
            return name in _DECORATING if isinstance(function, ast.Attribute) else origin in _SERVERS
        return name in _SERVING or (name in _SHOWING and not self._is_ours)

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
                        yield self._use(alias, CLIENT.id)
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(node)
            elif isinstance(node, ast.Name) and self._origin(node) in _OLD:
                yield self._use(node, CLIENT.id)
            if isinstance(node, ast.Call) and self._origin(node.func) in _ENTRANCES:
                yield self._use(node, SHIM.id)

    def _attribute(self, node: ast.Attribute) -> Iterator[Use]:
        if self._origin(node) in _OLD:
            yield self._use(node, CLIENT.id)
        elif node.attr in ACTIONS:
            # Where the attribute stands, and not where its expression begins, which may be lines above.
            line, end = node.end_lineno or node.lineno, node.end_col_offset or 0
            grade = CERTAIN if self._has_old else LIKELY
            yield Use(line, self._characters(line, end - len(node.attr)), METHOD_RULES[node.attr].id, "", grade, line)

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

    def _use(self, node: ast.AST, rule: str, library: str = "", grade: Grade = CERTAIN, why_not: str = "") -> Use:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        last = getattr(node, "end_lineno", None) or line
        return Use(line, self._characters(line, column), rule, library, grade, last, why_not)

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


def bound_once(tree: ast.Module) -> dict[str, ast.expr]:
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
