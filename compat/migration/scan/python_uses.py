"""Uses of the old interface in Python, by its syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from compat.migration.scan.files import lines_of
from compat.migration.scan.modules import Shared
from compat.migration.scan.rules import (
    ACTIONS,
    CERTAIN,
    CLIENT,
    LIKELY,
    MENTION,
    METHOD_RULES,
    ROUTE_RULES,
    SHIM,
    Grade,
    Use,
)
from compat.migration.scan.senders import LIBRARIES, Senders, Sent
from compat.migration.scan.strings import bound_once, dotted, folded, imported_names, parsed
from compat.migration.scan.text_uses import grade_in, route_in

__all__ = ["graded_uses", "python_uses"]

ELSEWHERE = "the route is a constant of another module: change it there and here by hand"
_OLD = ("ExamStudentsClient", "StudentsPage")
_ENTRANCES = ("install", "mount")
_SERVING = ("path", "re_path", "url", "add_url_rule", "add_api_route", "add_route", "add_resource", "register",
    "add_get")  # fmt: skip
"""Functions by which web frameworks are given a route of the program's own."""
_DECORATING = ("route", "get", "post", "put", "patch", "delete", "api_route", "action", "view_config")
_SERVERS = ("rest_framework", "pyramid", "litestar", "starlette", "bottle", "robyn", "quart", "sanic")
_SHOWING = (
    *("reverse", "reverse_lazy", "redirect", "render", "render_to_string", "render_template", "get_template"),
    *("url_for", "resolve", "resolve_url", "include", "getattr", "hasattr", "setattr"),
)
"""Functions that take the name of a route, a template or an attribute of the program's own."""


def python_uses(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Where a module writes addresses and names of the old interface, in their order.

    Each is a line and column from 1, the rule's id, and the library that sends the call.

    Raises:
        SyntaxError: it is not Python, or of a newer version than this one.
    """
    search = _Search(parsed(text), lines_of(text), Shared())
    uses = [*(use for _, use in search.addresses()), *search.names()]
    yield from sorted({(use.line, use.column, use.rule, use.library) for use in uses if use.grade != MENTION})


def graded_uses(tree: ast.Module, text: str, shared: Shared) -> list[Use]:
    """The uses in a module, each with its grade, in their order: the lines that call, wherever the address is written.

    Args:
        tree: the module.
        text: the same as text.
        shared: what it has of addresses in common with other modules.
    """
    search = _Search(tree, lines_of(text), shared)
    return sorted({*search.calls(), *search.names()})


class _Search:
    def __init__(self, tree: ast.Module, lines: list[str], shared: Shared) -> None:
        self._tree = tree
        self._lines = lines
        self._shared = shared
        self._foreign = shared.foreign
        others = {name: ast.Constant(value) for name, value in shared.foreign.items()}
        self._constants = {**others, **bound_once(tree)}
        self._imported = imported_names(tree)
        self._docstrings = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.JoinedStr)
        }
        self._has_old = any(
            isinstance(node, ast.alias | ast.Attribute)
            and (getattr(node, "attr", "") or getattr(node, "name", "")) in _OLD
            for node in ast.walk(tree)
        )
        self._is_ours = any(origin.partition(".")[0] == "compat" for origin in self._imported.values())

    def calls(self) -> Iterator[Use]:
        """The calls that send an address of the old interface, and the addresses that are sent by none."""
        written = list(self.addresses())
        said = {node for node, use in written if use.grade == MENTION}
        senders = Senders(self._tree, self._shared, said | self._docstrings)
        found = list(senders.sent())
        explained = senders.answered().union(*(each.origins for each in found))
        for node, use in written:
            if use.grade == MENTION or not senders.origins(node) & explained:
                yield use
        yield from map(self._sent, found)

    def _sent(self, sent: Sent) -> Use:
        call = sent.node
        line, column = call.lineno, call.col_offset
        if isinstance(call.func, ast.Attribute) and call.func.end_lineno != line:
            # A traceback names the line of the method.
            line, column = _name_at(call.func)
        origins = [node for node in sent.origins if node is not None]
        names = {dotted(node) for node in origins if isinstance(node, ast.Name | ast.Attribute)}
        self._shared.sent |= {name.rpartition(".")[2] for name in names}
        return Use(
            *(line, self._characters(line, column), ROUTE_RULES[sent.action].id, self._library(call)),
            grade=CERTAIN if sent.is_whole else LIKELY,
            last=call.end_lineno or line,
            why_not=ELSEWHERE if names else "",
            addresses=tuple(sorted({getattr(node, "lineno", line) for node in origins})),
        )

    def addresses(self) -> Iterator[tuple[ast.AST, Use]]:
        """The expressions that are an address of the old interface."""
        yield from self._routes(self._tree, "", is_own=False)

    def _routes(self, node: ast.AST, library: str, *, is_own: bool) -> Iterator[tuple[ast.AST, Use]]:
        decorators = getattr(node, "decorator_list", ())
        for child in ast.iter_child_nodes(node):
            sending = self._library(child) or library
            own = is_own or self._is_own(child, is_decorator=child in decorators)
            found = self._route(child)
            if found:
                # Its parts are not looked at: each would be found again.
                action, grade, is_foreign = found
                grade = MENTION if own else grade
                use = self._use(child, ROUTE_RULES[action].id, sending, grade, ELSEWHERE if is_foreign else "")
                yield child, use._replace(constant=_constant(node, child))
            else:
                yield from self._routes(child, sending, is_own=own)

    def _route(self, node: ast.AST) -> tuple[str, Grade, bool] | None:
        """The action of the route that an expression is, its grade, and whether another module holds it."""
        if not isinstance(node, ast.expr) or (isinstance(node, ast.Constant) and node in self._docstrings):
            return None
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node) not in self._foreign:
            return None
        text = folded(node, self._constants)
        match = route_in(text) if text else None
        if text is None or match is None:
            return None
        grade = grade_in(text, match.start(1), match.end(1)) or LIKELY
        parts = (each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute))
        return match[1], grade, any(dotted(each) in self._foreign for each in parts)

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

    def names(self) -> Iterator[Use]:
        """The names of our own package."""
        for node in ast.walk(self._tree) if self._is_ours else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "compat":
                yield from (self._use(alias, CLIENT.id) for alias in node.names if alias.name in _OLD)
            elif isinstance(node, ast.Name | ast.Attribute) and self._origin(node) in _OLD:
                yield self._use(node, CLIENT.id)
            elif isinstance(node, ast.Attribute) and node.attr in ACTIONS:
                line, column = _name_at(node)
                grade = CERTAIN if self._has_old else LIKELY
                yield Use(line, self._characters(line, column), METHOD_RULES[node.attr].id, "", grade, line)
            elif isinstance(node, ast.Call) and self._origin(node.func) in _ENTRANCES:
                yield self._use(node, SHIM.id)

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


def _name_at(node: ast.Attribute) -> tuple[int, int]:
    """Where the name of an attribute stands: what it is of may begin lines above."""
    return node.end_lineno or node.lineno, (node.end_col_offset or 0) - len(node.attr)


def _constant(statement: ast.AST, value: ast.AST) -> str:
    """The name that a statement binds to nothing but a value; empty where it does more."""
    if isinstance(statement, ast.Assign) and statement.value is value:
        return next((each.id for each in statement.targets if isinstance(each, ast.Name)), "")
    return getattr(getattr(statement, "target", None), "id", "") if isinstance(statement, ast.AnnAssign) else ""
