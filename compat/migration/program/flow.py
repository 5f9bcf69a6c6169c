"""Where a value may come from: every expression of a program that may flow into another, and by which way.

It says what *may* flow: a list or an object gives all that was put into it, and a method is every one of that name
where the object's class is not told. So it never misses what a script's own code does; what another library does with
a value is not seen, and counts as letting it through.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment, ImportAssignment

from compat.migration.program.definitions import Defined, Program, owner_of, receiver
from compat.migration.program.module import Module

__all__ = ["Sources", "place_of", "sources"]

_BINDING: dict[type[Any], str] = {
    **dict.fromkeys((cst.Assign, cst.AnnAssign, cst.AugAssign, cst.NamedExpr), "value"),
    **dict.fromkeys((cst.For, cst.CompFor), "iter"),
    cst.WithItem: "item",
}
"""What binds a name, and the attribute that holds the value."""
_SAME = (cst.BooleanOperation, cst.NamedExpr, cst.Await, cst.WithItem)
_ADDING = frozenset(("append", "extend", "insert", "add", "update", "setdefault", "appendleft", "put"))
_OF_COLLECTIONS = frozenset(("get", "pop", "setdefault", "format", "join", "replace", "copy"))
_SENDING = frozenset(("get", "post", "put", "patch", "delete", "head", "request", "send"))
_Node = TypeVar("_Node", bound=cst.CSTNode)


@dataclass
class Sources:
    """What may flow into a value.

    Attributes:
        nodes: each expression, and the one that it flows into; None for the value itself.
        modules: the module of each.
    """

    nodes: dict[cst.CSTNode, cst.CSTNode | None] = field(default_factory=dict)
    modules: dict[cst.CSTNode, Module] = field(default_factory=dict)

    def all(self, *kinds: type[_Node]) -> Iterator[tuple[Module, _Node]]:
        """Those of some kinds, and the module of each."""
        return ((self.modules[node], node) for node in self.nodes if isinstance(node, kinds))

    def way(self, node: cst.CSTNode) -> list[Defined]:
        """The expressions from one to the value."""
        found: list[Defined] = []
        here: cst.CSTNode | None = node
        while here is not None:
            found.append(Defined(self.modules[here], here))
            here = self.nodes[here]
        return found


def sources(
    program: Program, module: Module, *values: cst.CSTNode, stop: Container[cst.Call] = (), same: bool = False
) -> Sources:
    """Follow values back.

    Args:
        program: what is looked through.
        module: the module of the values.
        values: the expressions.
        stop: the calls whose results come from nothing that they get, such as answers of a server.
        same: whether to follow only what the value may be itself, and not what is in it or was made of.
    """
    walk, found = _Walk(program, stop, same), Sources()
    for value in values:
        waiting: list[tuple[Module, cst.CSTNode, cst.CSTNode | None]] = [(module, value, None)]
        while waiting:
            holder, node, into = waiting.pop()
            if node not in found.nodes:
                found.nodes[node] = into
                found.modules[node] = holder
                waiting += [(each.module, each.node, node) for each in walk.before(holder, node)]
    return found


@dataclass
class _Walk:
    """One step back of a value."""

    _program: Program
    _stop: Container[cst.Call]
    _same: bool

    def before(self, module: Module, node: cst.CSTNode) -> Iterator[Defined]:
        """What flows straight into an expression."""
        if isinstance(node, cst.Name):
            yield from self._name(module, node)
        elif isinstance(node, cst.Attribute):
            yield from self._attribute(module, node)
        elif isinstance(node, cst.Call):
            yield from self._call(module, node)
        elif isinstance(node, cst.Param):
            yield from self._parameter(module, node)
        elif isinstance(node, cst.Subscript) and not self._same:
            yield Defined(module, node.value)
        elif isinstance(node, cst.IfExp):
            yield from (Defined(module, node.body), Defined(module, node.orelse))
        elif isinstance(node, cst.DictComp) and not self._same:
            yield from (Defined(module, node.key), Defined(module, node.value))
        elif isinstance(node, cst.BaseSimpleComp) and not self._same:
            yield Defined(module, node.elt)
        elif isinstance(node, cst.FunctionDef):
            yield from self._returned(module, node)
        elif self._same and not isinstance(node, _SAME):
            return
        elif not isinstance(node, cst.Comparison | cst.ClassDef | cst.Lambda):
            yield from (Defined(module, child) for child in node.children)

    def _name(self, module: Module, node: cst.Name) -> Iterator[Defined]:
        for binding in module.bindings(node):
            if isinstance(binding, ImportAssignment):
                yield from self._program.symbol(module, node)
            elif isinstance(binding, Assignment):
                yield from self._bound(module, binding)
                for access in () if self._same else binding.references:
                    yield from self._put_into(module, access.node)

    def _bound(self, module: Module, binding: Assignment) -> Iterator[Defined]:
        if isinstance(binding.node, cst.Param):
            yield Defined(module, binding.node)
        elif not isinstance(binding.node, cst.FunctionDef | cst.ClassDef):
            around = module.enclosing(binding.node, *_BINDING, cst.BaseStatement, cst.ExceptHandler)
            value = getattr(around, _BINDING[type(around)], None) if type(around) in _BINDING else None
            if value is not None:
                yield Defined(module, value)

    def _put_into(self, module: Module, node: cst.CSTNode) -> Iterator[Defined]:
        """What is put into a list, a dictionary or the like where it is used."""
        parent = module.parent(node)
        if isinstance(parent, cst.Subscript) and parent.value is node:
            target = module.parent(parent)
            statement = module.parent(target) if isinstance(target, cst.AssignTarget) else target
            if isinstance(statement, cst.Assign | cst.AugAssign) and target is not statement.value:
                yield Defined(module, statement.value)
        elif isinstance(parent, cst.Attribute) and parent.value is node and parent.attr.value in _ADDING:
            call = module.parent(parent)
            if isinstance(call, cst.Call) and call.func is parent:
                yield from (Defined(module, each.value) for each in call.args)
        elif isinstance(parent, cst.AugAssign) and parent.target is node:
            yield Defined(module, parent.value)

    def _attribute(self, module: Module, node: cst.Attribute) -> Iterator[Defined]:
        imported = self._program.symbol(module, node)
        if imported or module.dotted(node):
            yield from imported
            return
        name = node.attr.value
        yield from self._program.written_attributes.get(name, [])
        yield from self._given_by_name(name)
        methods = self._program.methods(module, node)
        yield from (each for each in methods if cst.ensure_type(each.node, cst.FunctionDef).decorators)
        if self._same:
            return
        for other, use in self._program.attributes[name]:
            yield from self._put_into(other, use)
        yield Defined(module, node.value)

    def _given_by_name(self, name: str) -> Iterator[Defined]:
        """What objects of data classes and the like are made with."""
        for own in self._program.classes:
            field = m.SimpleStatementLine([m.ZeroOrMore(), m.AnnAssign(m.Name(name)), m.ZeroOrMore()])
            if any(m.matches(line, field) for line in cst.ensure_type(own.node, cst.ClassDef).body.body):
                for module, call in self._program.constructions(own):
                    yield from (Defined(module, each.value) for each in call.args)

    def _call(self, module: Module, node: cst.Call) -> Iterator[Defined]:
        if node in self._stop:
            return
        called = self._program.named(module, node.func)
        functions = [each for each in called if isinstance(each.node, cst.FunctionDef)]
        yield from functions
        if self._same:
            return
        value = module.value(node.func) if isinstance(node.func, cst.Name) else None
        if isinstance(value, cst.Lambda):
            yield Defined(module, value.body)
        method = node.func if isinstance(node.func, cst.Attribute) else None
        # It may be the method of a text or a collection.
        of_others = method is not None and method.attr.value in _OF_COLLECTIONS and receiver(method) != "self"
        if of_others or not functions or len(functions) < len(called):
            yield from (Defined(module, each.value) for each in node.args)
        if method is not None and not functions:
            yield Defined(module, method.value)

    def _returned(self, module: Module, function: cst.FunctionDef) -> Iterator[Defined]:
        ends: Iterator[cst.Return | cst.Yield] = module.all(cst.Return, cst.Yield)
        for each in ends:
            value = each.value.item if isinstance(each.value, cst.From) else each.value
            if value is not None and module.function(each) is function:
                yield Defined(module, value)

    def _parameter(self, module: Module, node: cst.Param) -> Iterator[Defined]:
        function = module.function(node)
        if node.default is not None:
            yield Defined(module, node.default)
        if function is None:
            return
        own = Defined(module, function)
        plain = [*function.params.posonly_params, *function.params.params]
        place = plain.index(node) if node in plain else -1
        # Whether the object itself is among the arguments depends on how the method is reached: both are looked at.
        places = {place} if owner_of(own) is None else {place - 1, place}
        for other, call in self._callers(own):
            yield from (Defined(other, value) for value in _given(call, node, places))
        for other, use in self._program.escapes(own):
            outer = other.enclosing(use, cst.Call)
            if outer is not None:
                yield from (Defined(other, each.value) for each in outer.args if each.value is not use)

    def _callers(self, own: Defined) -> Sequence[tuple[Module, cst.Call]]:
        name = cst.ensure_type(own.node, cst.FunctionDef).name.value
        found = list(self._program.callers(own))
        if name in ("request", "send") and owner_of(own) is not None:
            # A session's get calls its own request.
            for other in _SENDING - {name}:
                found += self._program.calls_by_name[other]
        return found


def _given(call: cst.Call, node: cst.Param, places: Container[int]) -> list[cst.BaseExpression]:
    """What a call may give a parameter: by name, by its place, or by a star."""
    name = node.name.value
    by_name = [each.value for each in call.args if each.keyword is not None and each.keyword.value == name]
    if by_name:
        return by_name
    if node.star == "**":
        return [each.value for each in call.args if each.keyword is not None or each.star]
    plain = [each for each in call.args if each.keyword is None]
    if node.star == "*" or any(each.star for each in plain):
        return [each.value for each in plain]
    starred = [each.value for each in call.args if each.star]
    return [*(each.value for number, each in enumerate(plain) if number in places), *starred]


def place_of(found: Defined) -> str:
    """Where an expression is, for people: its line and its code."""
    code = found.module.code(found.node).partition("\n")[0][:60]
    name = f"{found.module.name} " if found.module.name else ""
    return f"{name}line {found.module.line(found.node)}: `{code}`"
