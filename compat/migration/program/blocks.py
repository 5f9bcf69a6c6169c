"""What is in a block of statements, and what it may change."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
import libcst.matchers as m

__all__ = [
    "READING",
    "READING_FUNCTIONS",
    "blocks",
    "calls",
    "inner_blocks",
    "inside",
    "is_fixed",
    "is_text_method",
    "is_written",
    "sets_an_entry",
    "statements",
]

READING = frozenset(("items", "keys", "values", "get", "copy"))
"""Methods of a dictionary that change nothing."""

READING_FUNCTIONS = {
    *(f"builtins.{name}" for name in ("sorted", "dict", "list", "tuple", "str", "len", "print", "repr", "set", "iter")),
    *("json.dumps", "urllib.parse.urlencode"),
}
"""Functions that change no dictionary that they get."""


def statements(body: cst.FunctionDef | cst.Module) -> list[cst.BaseStatement]:
    """The statements of a function or a module."""
    block = body.body.body if isinstance(body, cst.FunctionDef) else body.body
    return [each for each in block if isinstance(each, cst.BaseStatement)]


def inside(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What is in a node, but not in functions and classes that are defined there."""
    for child in node.children:
        yield child
        if not isinstance(child, cst.FunctionDef | cst.ClassDef | cst.Lambda):
            yield from inside(child)


def inner_blocks(node: cst.CSTNode) -> list[cst.BaseSuite]:
    """The blocks in a node."""
    return [each for each in inside(node) if isinstance(each, cst.BaseSuite)]


def blocks(statement: cst.BaseStatement) -> Iterator[cst.BaseSuite]:
    """The blocks of a statement, one of which may hold what is looked for."""
    for child in inside(statement):
        if isinstance(child, cst.BaseSuite):
            yield child
            continue


def calls(node: cst.CSTNode) -> Iterator[cst.Call]:
    """The calls in an expression, itself among them."""
    if isinstance(node, cst.Call):
        yield node
    yield from (each for each in inside(node) if isinstance(each, cst.Call))


def sets_an_entry(small: cst.CSTNode) -> bool:
    """Whether a statement is ``name[…] = …``."""
    return m.matches(small, m.Assign(targets=[m.AssignTarget(target=m.Subscript(value=m.Name()))]))


def is_written(node: cst.CSTNode, name: str) -> bool:
    """Whether a statement may change a dictionary of that name, or what the name stands for."""
    mine = m.Name(name)
    targets = m.OneOf(
        m.AssignTarget(target=m.OneOf(mine, m.Subscript(value=mine))),
        m.AugAssign(target=m.OneOf(mine, m.Subscript(value=mine))),
        m.AnnAssign(target=m.OneOf(mine, m.Subscript(value=mine))),
        m.Del(target=m.OneOf(mine, m.Subscript(value=mine))),
        m.For(target=mine),
        m.NamedExpr(target=mine),
        m.AsName(name=mine),
        m.Call(func=m.Attribute(value=mine, attr=~m.OneOf(*(m.Name(each) for each in sorted(READING))))),
        m.Arg(value=mine),
    )
    return bool(m.findall(node, targets))


def is_fixed(node: cst.BaseExpression) -> bool:
    """Whether an expression is a number, a text or one of Python's constants."""
    return isinstance(node, cst.SimpleString | cst.Integer | cst.Float) or m.matches(
        node, m.Name(value=m.MatchIfTrue(lambda value: value in ("True", "False", "None")))
    )


def is_text_method(call: cst.Call) -> bool:
    """``"?".join(...)`` and the like, which read what they get."""
    return isinstance(call.func, cst.Attribute) and isinstance(call.func.value, cst.BaseString)
