"""Texts that a program puts together, in whatever way: which parts are fixed, and which expressions fill the rest."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import libcst as cst
import libcst.matchers as m

from compat.migration.program.module import Module

__all__ = ["Part", "joined", "parts_of"]

Part = str | cst.BaseExpression
"""A fixed text, or an expression whose text stands there."""

_PERCENT = re.compile(r"%(?:\((?P<name>\w+)\))?(?P<kind>[sd%]|[^sd%])")
_DEEPEST = 12
_ROUTE = ("/api/v3", "/exams")


def parts_of(module: Module, node: cst.BaseExpression, depth: int = 0) -> list[Part]:
    """The parts of a text, in their order; an expression that says nothing more is a part by itself.

    A name stays a name unless a part of a route is in what it stands for.
    """
    if depth > _DEEPEST:
        return [node]
    if isinstance(node, cst.SimpleString):
        value = node.evaluated_value
        return [value] if isinstance(value, str) else [node]
    if isinstance(node, cst.ConcatenatedString):
        return [*parts_of(module, node.left, depth + 1), *parts_of(module, node.right, depth + 1)]
    if isinstance(node, cst.FormattedString):
        return _formatted(module, node, depth)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return [*parts_of(module, node.left, depth + 1), *parts_of(module, node.right, depth + 1)]
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Modulo):
        return _percent(module, node, depth) or [node]
    if m.matches(node, m.Call(func=m.Attribute(attr=m.Name("format")))):
        return _format(module, cst.ensure_type(node, cst.Call), depth) or [node]
    if isinstance(node, cst.Name | cst.Attribute):
        bound = module.value(node) if isinstance(node, cst.Name) else module.attribute(node)
        found: list[Part] = parts_of(module, bound, depth + 1) if bound is not None else [node]
        names_a_route = any(mark in part for part in found if isinstance(part, str) for mark in _ROUTE)
        return found if names_a_route else [node]
    return [node]


def _formatted(module: Module, node: cst.FormattedString, depth: int) -> list[Part]:
    found: list[Part] = []
    for part in node.parts:
        if isinstance(part, cst.FormattedStringText):
            raw = "r" in node.prefix.lower()
            text = part.value.replace("{{", "{").replace("}}", "}")
            found.append(text if raw else text.encode("latin-1", "backslashreplace").decode("unicode_escape"))
        elif isinstance(part, cst.FormattedStringExpression):
            if part.conversion or part.format_spec or part.equal:
                return [node]
            found += parts_of(module, part.expression, depth + 1)
    return found


def _percent(module: Module, node: cst.BinaryOperation, depth: int) -> list[Part] | None:
    left = parts_of(module, node.left, depth + 1)
    if not all(isinstance(part, str) for part in left):
        return None
    text = "".join(part for part in left if isinstance(part, str))
    right = node.right
    values = [each.value for each in right.elements] if isinstance(right, cst.Tuple) else [right]
    found: list[Part] = []
    at = 0
    given = iter(values)
    for match in _PERCENT.finditer(text):
        found.append(text[at : match.start()])
        at = match.end()
        if match["kind"] == "%":
            found.append("%")
            continue
        value = next(given, None)
        if match["name"] or match["kind"] not in "sd" or value is None:
            return None
        found += parts_of(module, value, depth + 1)
    return None if next(given, None) is not None else [*found, text[at:]]


def _format(module: Module, node: cst.Call, depth: int) -> list[Part] | None:
    left = parts_of(module, cst.ensure_type(node.func, cst.Attribute).value, depth + 1)
    if not all(isinstance(part, str) for part in left):
        return None
    plain = [each.value for each in node.args if each.keyword is None and not each.star]
    named = {each.keyword.value: each.value for each in node.args if each.keyword is not None}
    starred = [each.value for each in node.args if each.star]
    if any(module.dotted(each) != "os.environ" for each in starred) or len(starred) > 1:
        return None
    found: list[Part] = []
    try:
        fields = list(string.Formatter().parse("".join(part for part in left if isinstance(part, str))))
    except ValueError:
        return None
    for count, (text, name, spec, conversion) in enumerate(fields):
        found.append(text)
        if name is None:
            continue
        value = _field(module, name or str(count), plain, named, starred)
        if value is None or spec or conversion:
            return None
        found += parts_of(module, value, depth + 1)
    return found


def _field(
    module: Module,
    name: str,
    plain: Sequence[cst.BaseExpression],
    named: dict[str, cst.BaseExpression],
    starred: Sequence[cst.BaseExpression],
) -> cst.BaseExpression | None:
    if name.isdigit():
        return plain[int(name)] if int(name) < len(plain) else None
    if name in named or not name.isidentifier():
        return named.get(name)
    return cst.parse_expression(f'{module.code(starred[0])}["{name}"]') if starred else None


def joined(code: Sequence[str | tuple[str]]) -> str:
    """An expression that puts a text together from fixed texts and, as tuples of one, the code of expressions."""
    parts = [part for part in code if part != ""]
    if len(parts) == 1:
        return repr_of(parts[0]) if isinstance(parts[0], str) else parts[0][0]
    text = "".join(part.replace("{", "{{").replace("}", "}}") if isinstance(part, str) else "{}" for part in parts)
    values = [part[0] for part in parts if isinstance(part, tuple)]
    if not values:
        return repr_of("".join(part for part in parts if isinstance(part, str)))
    if any(set(value) & set("\"'\\{}\n") for value in values):
        return f"{repr_of(text)}.format({', '.join(values)})"
    inside = "".join(
        part.replace("{", "{{").replace("}", "}}") if isinstance(part, str) else f"{{{part[0]}}}" for part in parts
    )
    return f"f{repr_of(inside)}"


def repr_of(text: str) -> str:
    """A text as Python writes it, in double quotes where that is no longer."""
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written
