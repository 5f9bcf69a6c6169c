"""What a Python expression's text will be, as far as its file says it: names that are bound once, and texts of them."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from compat.migration.scan.files import as_python_3

__all__ = ["Function", "bound_in", "bound_once", "dotted", "folded", "imported_names", "parsed", "parsed_of_any_age"]

UNKNOWN = "\x00"
"""Stands for a part that only the run of the program can tell."""
Constants = Mapping[str, ast.expr]
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_PERCENT = re.compile(r"%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[sdifr]")
_BRACES = re.compile(r"\{[^{}]*\}")
_JOINING = frozenset(("urljoin", "join", "joinpath"))
_DEEPEST = 12


def imported_names(tree: ast.Module) -> dict[str, str]:
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


def parsed(text: str) -> ast.Module:
    """The syntax tree of a module.

    Raises:
        SyntaxError: it is not Python, or of a newer version than this one.
    """
    with warnings.catch_warnings():
        # An odd escape in somebody's script is none of our business.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def parsed_of_any_age(text: str) -> tuple[ast.Module, bool]:
    """The syntax tree of a module, and whether it is in Python 2.

    Raises:
        SyntaxError: it is in neither.
    """
    try:
        return parsed(text), False
    except SyntaxError as error:
        with suppress(SyntaxError):
            return parsed(as_python_3(text)), True
        raise error from None


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


def bound_in(function: Function) -> set[str]:
    """The names that belong to a function."""
    taken = function.args
    found = {
        each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg) if each
    }
    others: set[str] = set()
    waiting: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            others.update(node.names)
        elif isinstance(node, Function | ast.ClassDef):
            continue
        waiting.extend(ast.iter_child_nodes(node))
    return found - others


def folded(
    node: ast.expr, constants: Constants, unknown: Callable[[ast.expr], str] = lambda node: UNKNOWN
) -> str | None:
    """The text of an expression; None where it is no text at all.

    Args:
        node: the expression.
        constants: name to what it is bound to, of the names that the file binds once, and ``settings.NAME`` of those
            that other modules bind.
        unknown: what stands for a part that only the run of the program can tell.
    """
    return _Folder(constants, unknown).text(node, 0)


def dotted(node: ast.expr) -> str:
    """``settings.urls.STUDENTS`` of names joined by dots; empty where it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""


class _Folder:
    def __init__(self, constants: Constants, unknown: Callable[[ast.expr], str]) -> None:
        self._constants = constants
        self._unknown = unknown

    def text(self, node: ast.expr, depth: int) -> str | None:
        """The text of an expression, where so many names lie between."""
        if depth > _DEEPEST:
            return None
        if isinstance(node, ast.Constant):
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            return value if isinstance(value, str) else None
        if isinstance(node, ast.JoinedStr):
            return "".join(self._part(value, depth) for value in node.values)
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else f".{node.attr}"
            bound = self._constants.get(dotted(node)) or self._constants.get(name)
            return self.text(bound, depth + 1) if bound is not None else None
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        return self._call(node, depth) if isinstance(node, ast.Call) else None

    def _known(self, node: ast.expr, depth: int) -> str:
        text = self.text(node, depth + 1)
        return self._unknown(node) if text is None else text

    def _part(self, node: ast.expr, depth: int) -> str:
        if not isinstance(node, ast.FormattedValue):
            return self._known(node, depth)
        return self._known(node.value, depth) if node.conversion == -1 and not node.format_spec else UNKNOWN

    def _operation(self, node: ast.BinOp, depth: int) -> str | None:
        left = self.text(node.left, depth + 1)
        if isinstance(node.op, ast.Mod):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return None if left is None else self._filled(_PERCENT, left, values, depth)
        if not isinstance(node.op, ast.Add | ast.Div):
            return None
        right = self.text(node.right, depth + 1)
        if left is None and right is None:
            return None
        between = "/" if isinstance(node.op, ast.Div) else ""
        return self._known(node.left, depth) + between + self._known(node.right, depth)

    def _call(self, node: ast.Call, depth: int) -> str | None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(function, ast.Attribute) and name == "format":
            text = self.text(function.value, depth + 1)
            return None if text is None else self._filled(_BRACES, text, node.args, depth)
        if name not in _JOINING:
            return None
        parts = node.args
        if len(parts) == 1 and isinstance(parts[0], ast.List | ast.Tuple):
            parts = parts[0].elts
        between = getattr(getattr(function, "value", None), "value", "/")
        texts = (self._known(part, depth) for part in parts)
        return between.join(texts) if between in ("", "?", "&") else "/".join(text.strip("/") for text in texts)

    def _filled(self, pattern: re.Pattern[str], text: str, values: Sequence[ast.expr], depth: int) -> str:
        """A format with its values put in, one after the other; named ones stay unknown."""
        given = iter(values)

        def value(match: re.Match[str]) -> str:
            found = next(given, None)
            return UNKNOWN if found is None else self._known(found, depth)

        return pattern.sub(value, text)
