"""Where a value may come from: every expression of a program that may flow into another, and by which way.

It says what *may* flow: a list or an object gives all that was put into it, and a method is every one of that name
where the object's class is not told. So it never misses what a script's own code does; what another library does with
a value is not seen, and counts as letting it through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import Assignment, ImportAssignment

from compat.migration.program.definitions import Defined, Program, owner_of, receiver
from compat.migration.program.module import Module

__all__ = ["Sources", "place_of", "sources"]

_SAME = (cst.BooleanOperation, cst.NamedExpr, cst.Await, cst.WithItem)
_ADDING = frozenset(("append", "extend", "insert", "add", "update", "setdefault", "appendleft", "put"))
_OF_COLLECTIONS = frozenset(("get", "pop", "setdefault", "format", "join", "replace", "copy"))
_SENDING = frozenset(("get", "post", "put", "patch", "delete", "head", "request", "send"))
Stop = Callable[[Module, cst.Call], bool]


@dataclass
class Sources:
    """What may flow into a value.

    Attributes:
        nodes: each expression, and the one that it flows into; None for the value itself.
        modules: the module of each.
    """

    nodes: dict[cst.CSTNode, cst.CSTNode | None] = field(default_factory=dict)
    modules: dict[cst.CSTNode, Module] = field(default_factory=dict)

    def all(self, *kinds: type[cst.CSTNode]) -> Iterator[Defined]:
        """Those of some kinds."""
        return (Defined(self.modules[node], node) for node in self.nodes if isinstance(node, kinds))

    def way(self, node: cst.CSTNode) -> list[Defined]:
        """The expressions from one to the value."""
        found: list[Defined] = []
        here: cst.CSTNode | None = node
        while here is not None:
            found.append(Defined(self.modules[here], here))
            here = self.nodes[here]
        return found


def sources(
    program: Program, module: Module, *values: cst.CSTNode, stop: Stop = lambda module, call: False, same: bool = False
) -> Sources:
    """Follow values back.

    Args:
        program: what is looked through.
        module: the module of the values.
        values: the expressions.
        stop: whether what a call gives comes from nothing that the call gets, such as an answer of a server.
        same: whether to follow only what the value may be itself, and not what is in it or was made of.
    """
    walk = _Walk(program, stop, same)
    for value in values:
        walk.take(module, value, None)
    return walk.found


class _Walk:
    def __init__(self, program: Program, stop: Stop, same: bool) -> None:
        self._program = program
        self._stop = stop
        self._same = same
        self.found = Sources()

    def take(self, module: Module, node: cst.CSTNode, into: cst.CSTNode | None) -> None:
        """Take an expression, and what flows into it."""
        waiting: list[tuple[Module, cst.CSTNode, cst.CSTNode | None]] = [(module, node, into)]
        while waiting:
            module, node, into = waiting.pop()
            if node in self.found.nodes:
                continue
            self.found.nodes[node] = into
            self.found.modules[node] = module
            waiting += [(each.module, each.node, node) for each in self._before(module, node)]

    def _before(self, module: Module, node: cst.CSTNode) -> Iterator[Defined]:
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
        elif isinstance(node, cst.ListComp | cst.SetComp | cst.GeneratorExp) and not self._same:
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
        node = binding.node
        if isinstance(node, cst.Param):
            yield Defined(module, node)
            return
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            return
        for above in module.above(node):
            if isinstance(above, cst.Assign | cst.AnnAssign | cst.AugAssign | cst.NamedExpr):
                if above.value is not None:
                    yield Defined(module, above.value)
                return
            if isinstance(above, cst.For | cst.CompFor):
                yield Defined(module, above.iter)
                return
            if isinstance(above, cst.WithItem):
                yield Defined(module, above.item)
                return
            if isinstance(above, cst.BaseStatement | cst.ExceptHandler):
                return

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
        written = self._program.written_attributes.get(name, [])
        yield from written
        yield from self._given_by_name(name)
        for each in self._program.methods(module, node):
            if cst.ensure_type(each.node, cst.FunctionDef).decorators:
                yield each
        if self._same:
            return
        for other, use in self._program.attributes[name]:
            yield from self._put_into(other, use)
        yield Defined(module, node.value)

    def _given_by_name(self, name: str) -> Iterator[Defined]:
        """What objects of data classes and the like are made with."""
        for own in self._program.classes:
            body = cst.ensure_type(own.node, cst.ClassDef).body.body
            lines = [each for each in body if isinstance(each, cst.SimpleStatementLine)]
            fields = [small for line in lines for small in line.body if isinstance(small, cst.AnnAssign)]
            if any(isinstance(each.target, cst.Name) and each.target.value == name for each in fields):
                for module, call in self._program.constructions(own):
                    yield from (Defined(module, each.value) for each in call.args)

    def _call(self, module: Module, node: cst.Call) -> Iterator[Defined]:
        if self._stop(module, node):
            return
        called = self._program.named(module, node.func)
        functions = [each for each in called if isinstance(each.node, cst.FunctionDef)]
        yield from functions
        if self._same:
            return
        value = module.value(node.func) if isinstance(node.func, cst.Name) else None
        if isinstance(value, cst.Lambda):
            yield Defined(module, value.body)
        if not functions:
            yield from (Defined(module, each.value) for each in node.args)
            if isinstance(node.func, cst.Attribute):
                yield Defined(module, node.func.value)
        elif len(functions) < len(called) or (
            isinstance(node.func, cst.Attribute)
            and node.func.attr.value in _OF_COLLECTIONS
            and receiver(node.func) != "self"
        ):
            # It may be the method of a text or a collection.
            yield from (Defined(module, each.value) for each in node.args)

    def _returned(self, module: Module, function: cst.FunctionDef) -> Iterator[Defined]:
        ends: list[cst.Return | cst.Yield] = [*module.all(cst.Return), *module.all(cst.Yield)]
        for each in ends:
            if module.function(each) is function and each.value is not None:
                value = each.value.item if isinstance(each.value, cst.From) else each.value
                yield Defined(module, value)

    def _parameter(self, module: Module, node: cst.Param) -> Iterator[Defined]:
        function = module.function(node)
        if node.default is not None:
            yield Defined(module, node.default)
        if function is None:
            return
        own = Defined(module, function)
        place = _place(function, node)
        for other, call in self._callers(own):
            yield from (
                Defined(other, value) for value in _given(call, node, place, is_method=owner_of(own) is not None)
            )
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


def _place(function: cst.FunctionDef, node: cst.Param) -> int:
    plain = [*function.params.posonly_params, *function.params.params]
    return next((number for number, each in enumerate(plain) if each is node), -1)


def _given(call: cst.Call, node: cst.Param, place: int, *, is_method: bool) -> list[cst.BaseExpression]:
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
    shift = 1 if is_method else 0
    starred = [each.value for each in call.args if each.star]
    # Whether the object itself is among the arguments depends on how the method is reached: both places are looked at.
    at = {place - shift, place} if is_method else {place}
    return [*(each.value for number, each in enumerate(plain) if number in at), *starred]


def place_of(found: Defined) -> str:
    """Where an expression is, for people: its line and its code."""
    code = found.module.code(found.node).partition("\n")[0][:60]
    name = f"{found.module.name} " if found.module.name else ""
    return f"{name}line {found.module.line(found.node)}: `{code}`"
