"""What a Python expression's text will be, as far as the file says it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

__all__ = ["UNKNOWN", "Constants", "dotted", "folded"]

UNKNOWN = "\x00"
"""Stands for a part that only the run of the program can tell."""

Constants = Mapping[str, ast.expr]
_PERCENT = re.compile(r"%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[sdifr]")
_BRACES = re.compile(r"\{[^{}]*\}")
_JOINING = frozenset(("urljoin", "join", "joinpath"))
_DEEPEST = 12


def folded(node: ast.expr, constants: Constants, depth: int = 0) -> str | None:
    """The text of an expression, unknown parts as :data:`UNKNOWN`; None where it is no text at all.

    Args:
        node: the expression.
        constants: name to what it is bound to, of the names that the file binds once, and ``settings.NAME`` of those
            that other modules bind.
        depth: how many names lie between.
    """
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Constant):
        value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        return value if isinstance(value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(value, constants, depth) for value in node.values)
    if isinstance(node, ast.Name | ast.Attribute):
        bound = constants.get(dotted(node)) or constants.get(_named(node))
        return folded(bound, constants, depth + 1) if bound is not None else None
    if isinstance(node, ast.BinOp):
        return _operation(node, constants, depth)
    if isinstance(node, ast.Call):
        return _call(node, constants, depth)
    return None


def dotted(node: ast.expr) -> str:
    """``settings.urls.STUDENTS`` of names joined by dots; empty where it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""


def _part(node: ast.expr, constants: Constants, depth: int) -> str:
    inner = node.value if isinstance(node, ast.FormattedValue) else node
    return _or_unknown(folded(inner, constants, depth + 1))


def _or_unknown(text: str | None) -> str:
    return UNKNOWN if text is None else text


def _named(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else f".{node.attr}"


def _operation(node: ast.BinOp, constants: Constants, depth: int) -> str | None:
    left = folded(node.left, constants, depth + 1)
    if isinstance(node.op, ast.Mod):
        if left is None:
            return None
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _filled(_PERCENT, left, values, constants, depth)
    if isinstance(node.op, ast.Add | ast.Div):
        right = folded(node.right, constants, depth + 1)
        if left is None and right is None:
            return None
        between = "/" if isinstance(node.op, ast.Div) else ""
        return _or_unknown(left) + between + _or_unknown(right)
    return None


def _call(node: ast.Call, constants: Constants, depth: int) -> str | None:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if isinstance(function, ast.Attribute) and name == "format":
        text = folded(function.value, constants, depth + 1)
        return None if text is None else _filled(_BRACES, text, node.args, constants, depth)
    if name in _JOINING:
        parts = node.args
        if len(parts) == 1 and isinstance(parts[0], ast.List | ast.Tuple):
            parts = parts[0].elts
        texts = [_or_unknown(folded(part, constants, depth + 1)) for part in parts]
        return "/".join(text.strip("/") for text in texts)
    return None


def _filled(pattern: re.Pattern[str], text: str, values: Sequence[ast.expr], constants: Constants, depth: int) -> str:
    """A format with its values put in, one after the other; named ones stay unknown."""
    given = iter(values)

    def value(match: re.Match[str]) -> str:
        found = next(given, None)
        return UNKNOWN if found is None else _or_unknown(folded(found, constants, depth + 1))

    return pattern.sub(value, text)
