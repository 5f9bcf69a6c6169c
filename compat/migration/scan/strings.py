"""What a Python expression's text will be, as far as its file says it: names that are bound once, and texts of them."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from compat.migration.scan.files import lines_of

__all__ = [
    "Function",
    "bound_in",
    "bound_once",
    "dotted",
    "folded",
    "imported_names",
    "parameters_of",
    "parsed",
    "parsed_of_any_age",
]

UNKNOWN = "\x00"
"""Stands for a part that only the run of the program can tell."""
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
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
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
            return parsed(_as_python_3(text)), True
        raise error from None


def _as_python_3(text: str) -> str:
    """The text of a Python 2 module so that it can be parsed: line by line the same calls with the same arguments.

    It is for reading alone: a statement that prints becomes an assignment, whatever it prints to.
    """
    for pattern, new in _PYTHON_2_FORMS:
        text = pattern.sub(new, text)
    return "\n".join(_INDENT.sub(lambda match: match[0].expandtabs(8), line) for line in lines_of(text))


_INDENT = re.compile(r"^[ \t]+")
_STATEMENT = r"(^[ \t]*|[:;][ \t]*)"
_PYTHON_2_FORMS = [
    (re.compile(pattern, re.MULTILINE), new)
    for pattern, new in (
        (_STATEMENT + r"print[ \t]*>>", r"\1_   = "),
        (_STATEMENT + r"print[ \t]*(?=$|;|\#)", r"\1pass "),
        (_STATEMENT + r"(?:print|exec)\b[ \t]*(?![ \t]*[=.,)])", r"\1_   = "),
        (r"\bexcept\b([ \t]+[\w. \t]+|[ \t]*\([^()]*\)[ \t]*),[ \t]*(\w+)[ \t]*:", r"except\1 as \2:"),
        (r"\braise[ \t]+([\w.]+)[ \t]*,", r"raise \1 or"),
        (r"`([^`\n]*)`", r"(\1)"),
        (r"\b[uU][rR](?=[\"'])", "r"),
        (r"<>", "!="),
        (r"(?<![\w.])0([0-7]+)[lL]?\b", r"0o\1"),
        (r"(?<![\w.])(\d+)[lL]\b", r"\1"),
    )
]


def bound_once(tree: ast.Module) -> dict[str, ast.expr]:
    """Name to its expression, of what the whole file binds once; an attribute of self by its name behind a dot."""
    values: dict[str, ast.expr] = {}
    times: Counter[str] = Counter()
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for name in filter(None, map(_name_of, targets)):
            times[name] += 1
            value = getattr(node, "value", None)
            if isinstance(value, ast.expr) and not isinstance(node, ast.AugAssign):
                values[name] = value
        if isinstance(node, ast.arg):
            times[node.arg] += 1
    return {name: value for name, value in values.items() if times[name] == 1}


def _name_of(target: object) -> str:
    if isinstance(target, ast.Attribute) and dotted(target.value) in ("self", "cls"):
        return f".{target.attr}"
    return target.id if isinstance(target, ast.Name) else ""


def parameters_of(function: Function) -> list[ast.arg]:
    """All parameters, the starred ones last."""
    taken = function.args
    every = (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg)
    return [each for each in every if each is not None]


def bound_in(function: Function) -> set[str]:
    """The names that belong to a function."""
    found = {each.arg for each in parameters_of(function)}
    others: set[str] = set()
    waiting: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            others.update(node.names)
        if not isinstance(node, Function | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
    return found - others


def dotted(node: ast.expr) -> str:
    """``settings.urls.STUDENTS`` of names joined by dots; empty where it is something else."""
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return node.id if isinstance(node, ast.Name) else ""


def folded(
    node: ast.expr, constants: Mapping[str, ast.expr], unknown: Callable[[ast.expr], str] = lambda node: UNKNOWN
) -> str | None:
    """The text of an expression; None where it is no text at all.

    Args:
        node: the expression.
        constants: name to what it is bound to, of the names that the file binds once, and ``settings.NAME`` of those
            that other modules bind.
        unknown: what stands for a part that only the run of the program can tell.
    """
    return _Folder(constants, unknown).text(node, 0)


class _Folder(NamedTuple):
    constants: Mapping[str, ast.expr]
    unknown: Callable[[ast.expr], str]

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
            bound = self.constants.get(dotted(node)) or self.constants.get(name)
            return self.text(bound, depth + 1) if bound is not None else None
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        return self._call(node, depth) if isinstance(node, ast.Call) else None

    def _known(self, node: ast.expr, depth: int) -> str:
        text = self.text(node, depth + 1)
        return self.unknown(node) if text is None else text

    def _part(self, node: ast.expr, depth: int) -> str:
        if not isinstance(node, ast.FormattedValue):
            return self._known(node, depth)
        return self._known(node.value, depth) if node.conversion == -1 and not node.format_spec else UNKNOWN

    def _operation(self, node: ast.BinOp, depth: int) -> str | None:
        left = self.text(node.left, depth + 1)
        if isinstance(node.op, ast.Mod):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return None if left is None else self._filled(_PERCENT, left, values, depth)
        if not isinstance(node.op, ast.Add | ast.Div) or (left is None and self.text(node.right, depth + 1) is None):
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

        def value(_: re.Match[str]) -> str:
            found = next(given, None)
            return UNKNOWN if found is None else self._known(found, depth)

        return pattern.sub(value, text)
