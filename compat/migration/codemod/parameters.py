"""Which parameters a call sends, read off the statements that put them into a dictionary before it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import libcst as cst
import libcst.matchers as m

from compat.migration.program.arguments import bind
from compat.migration.program.blocks import (
    READING,
    READING_FUNCTIONS,
    blocks,
    calls,
    inner_blocks,
    inside,
    is_fixed,
    is_text_method,
    is_written,
    sets_an_entry,
    statements,
)
from compat.migration.program.module import Module, Unsure, is_loop
from compat.migration.program.stable import is_pure

__all__ = ["SIGNING", "Given", "Parameters"]

SIGNING = frozenset(("timestamp", "nonce", "signature", "id"))
"""What the new client adds by itself, and the path's own id, which is signed and need not be sent."""


@dataclass
class Given:
    """A dictionary of parameters at one moment.

    Attributes:
        entries: name to the expression that is sent.
        where: name to the statement or call in which that expression stands.
    """

    entries: dict[str, cst.BaseExpression] = field(default_factory=dict)
    where: dict[str, cst.CSTNode] = field(default_factory=dict)

    def put(self, name: str, value: cst.BaseExpression, where: cst.CSTNode) -> None:
        """Let a parameter have a value."""
        self.entries[name] = value
        self.where[name] = where

    def take(self, other: Given) -> None:
        """Let all of another's parameters be here too."""
        self.entries.update(other.entries)
        self.where.update(other.where)

    def copy(self) -> Given:
        """The same, to be changed by itself."""
        return Given(dict(self.entries), dict(self.where))


_BY_HAND = "pass status, page, limit, filter and sort to the new client by name"
_DEEPEST = 6
_Known = dict[str, Given]


class Parameters:
    """Reads dictionaries of one module.

    Args:
        module: the module.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._depth = 0

    def at(self, node: cst.BaseExpression) -> Given:
        """What a dictionary holds where an expression of it stands.

        Raises:
            Unsure: its content cannot be told.
        """
        function = self._module.function(node)
        body = function or self._module.tree
        known: _Known = {}
        self._run(statements(body), node, known)
        return self._evaluate(node, known)

    def _evaluate(self, node: cst.BaseExpression, known: _Known) -> Given:
        if isinstance(node, cst.Dict):
            return self._display(node, known)
        if isinstance(node, cst.Name):
            if node.value == "None":
                return Given()
            if node.value in known:
                return known[node.value]
            raise Unsure(f"what is in `{node.value}` cannot be told", _BY_HAND, node)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
            found = self._evaluate(node.left, known).copy()
            found.take(self._evaluate(node.right, known))
            return found
        if isinstance(node, cst.Call):
            return self._call(node, known)
        raise Unsure("the parameters are put together in a way that is not followed", _BY_HAND, node)

    def _display(self, node: cst.Dict, known: _Known) -> Given:
        found = Given()
        for element in node.elements:
            if isinstance(element, cst.StarredDictElement):
                found.take(self._evaluate(element.value, known))
            elif isinstance(element, cst.DictElement):
                found.put(self._key(element.key), element.value, node)
        return found

    def _key(self, node: cst.BaseExpression) -> str:
        value = node.evaluated_value if isinstance(node, cst.SimpleString) else None
        if not isinstance(value, str):
            raise Unsure("a parameter's name is not written out", _BY_HAND, node)
        return value

    def _call(self, node: cst.Call, known: _Known) -> Given:
        if self._module.dotted(node.func) == "builtins.dict":
            found = Given()
            for argument in node.args:
                if argument.star == "*":
                    raise Unsure("the parameters are passed on by a star", _BY_HAND, node)
                if argument.keyword is None:
                    found.take(self._evaluate(argument.value, known))
                else:
                    found.put(argument.keyword.value, argument.value, node)
            return found
        if m.matches(node, m.Call(func=m.Attribute(attr=m.Name("copy")), args=[])):
            return self._evaluate(cst.ensure_type(node.func, cst.Attribute).value, known).copy()
        function = self._module.called(node)
        if function is None:
            told = self._module.code(node.func)
            raise Unsure(f"the parameters come from `{told}`, which is not followed", _BY_HAND, node)
        return self._returned(node, function, known)

    def _returned(self, call: cst.Call, function: cst.FunctionDef, known: _Known) -> Given:
        """What a function of the module returns, such as one that signs."""
        returns = [each for each in inside(function.body) if isinstance(each, cst.Return)]
        if len(returns) != 1 or returns[0].value is None or function.decorators or function.asynchronous:
            raise Unsure(f"what `{function.name.value}` returns is not followed", _BY_HAND, call)
        if not is_pure(self._module, function.body, own_dictionaries=True):
            raise Unsure(f"`{function.name.value}` does more than to put parameters together", _BY_HAND, call)
        inner = self._entered(call, function, known)
        self._run(statements(function), returns[0], inner)
        return self._without_locals(self._evaluate(returns[0].value, inner), function)

    def _entered(self, call: cst.Call, function: cst.FunctionDef, known: _Known) -> _Known:
        if self._depth > _DEEPEST:
            raise Unsure(f"`{function.name.value}` calls itself", _BY_HAND, call)
        starred = [each.value for each in call.args if each.star == "**"]
        bound = bind(call.with_changes(args=[each for each in call.args if each.star != "**"]), function)
        inner: _Known = {}
        for name, value in bound.values.items():
            with suppress(Unsure):
                inner[name] = self._evaluate(value, known)
        if bound.rest_name:
            inner[bound.rest_name] = Given(dict(bound.rest), dict.fromkeys(bound.rest, call))
        for each in starred:
            given = self._evaluate(each, known)
            if not bound.rest_name or set(given.entries) & set(bound.values):
                raise Unsure("arguments are passed on by two stars", _BY_HAND, call)
            inner[bound.rest_name].take(given)
        return inner

    def _without_locals(self, found: Given, function: cst.FunctionDef) -> Given:
        """Only what means the same outside of a function: what came in, fixed values, and what is dropped anyway."""
        for name, value in found.entries.items():
            if name not in SIGNING and self._module.within(value, function) and not is_fixed(value):
                raise Unsure(f"`{function.name.value}` makes the parameter `{name}`", _BY_HAND, value)
        return found

    def _run(self, statements: Sequence[cst.BaseStatement], until: cst.CSTNode, known: _Known) -> None:
        """Follow statements up to the one that a node is in."""
        for statement in statements:
            if self._module.within(until, statement):
                self._enter(statement, until, known)
                return
            self._follow(statement, known)

    def _enter(self, statement: cst.BaseStatement, until: cst.CSTNode, known: _Known) -> None:
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                if self._module.within(until, small):
                    return
                self._small(small, known)
            return
        for block in blocks(statement):
            if self._module.within(until, block):
                if is_loop(statement):
                    self._forget_repeated(block, until, known)
                self._run([each for each in block.body if isinstance(each, cst.BaseStatement)], until, known)
                return

    def _forget_repeated(self, block: cst.BaseSuite, until: cst.CSTNode, known: _Known) -> None:
        """A loop's later statements change what its earlier ones see in the next round."""
        before = {id(each) for each in block.body if self._module.end(each) <= self._module.start(until)}
        for statement in block.body:
            if id(statement) not in before:
                self._forget(statement, known)

    def _follow(self, statement: cst.BaseStatement, known: _Known) -> None:
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                self._small(small, known)
        elif isinstance(statement, cst.If) and statement.orelse is None and self._conditional(statement, known):
            return
        elif not isinstance(statement, cst.FunctionDef | cst.ClassDef):
            self._forget(statement, known)

    def _conditional(self, statement: cst.If, known: _Known) -> bool:
        """``if wanted: params["status"] = wanted``; whether it is of that kind."""
        inner = {name: Given() for name in known}
        plain = [small for small in inside(statement.body) if isinstance(small, cst.BaseSmallStatement)]
        if not all(sets_an_entry(small) for small in plain) or len(inner_blocks(statement)) != 1:
            return False
        for small in plain:
            self._small(small, inner)
        if set(inner) != set(known):
            return False
        for name, given in inner.items():
            for key, value in given.entries.items():
                otherwise = known[name].entries.get(key, cst.Name("None"))
                known[name].put(key, cst.IfExp(test=statement.test, body=value, orelse=otherwise), statement)
        return True

    def _small(self, small: cst.BaseSmallStatement, known: _Known) -> None:
        if isinstance(small, cst.Assign) and len(small.targets) == 1:
            self._assign(small.targets[0].target, small.value, small, known)
        elif isinstance(small, cst.AnnAssign) and small.value is not None:
            self._assign(small.target, small.value, small, known)
        elif isinstance(small, cst.Expr):
            self._expression(small.value, small, known)
        else:
            self._forget(small, known)

    def _assign(
        self, target: cst.BaseExpression, value: cst.BaseExpression, small: cst.BaseSmallStatement, known: _Known
    ) -> None:
        self._passed_on(value, known)
        if isinstance(target, cst.Name):
            try:
                known[target.value] = self._evaluate(value, known)
            except Unsure:
                known.pop(target.value, None)
        elif m.matches(target, m.Subscript(value=m.Name())):
            subscript = cst.ensure_type(target, cst.Subscript)
            name = cst.ensure_type(subscript.value, cst.Name).value
            index = subscript.slice[0].slice if len(subscript.slice) == 1 else None
            if name in known and isinstance(index, cst.Index):
                try:
                    known[name].put(self._key(index.value), value, small)
                except Unsure:
                    del known[name]
        else:
            self._forget(small, known)

    def _expression(self, node: cst.BaseExpression, small: cst.CSTNode, known: _Known) -> None:
        updated = m.Call(func=m.Attribute(value=m.Name(), attr=m.Name("update")))
        if not m.matches(node, updated):
            self._passed_on(node, known)
            return
        call = cst.ensure_type(node, cst.Call)
        name = cst.ensure_type(cst.ensure_type(call.func, cst.Attribute).value, cst.Name).value
        if name not in known:
            return
        try:
            for argument in call.args:
                if argument.keyword is not None:
                    known[name].put(argument.keyword.value, argument.value, small)
                elif argument.star == "*":
                    raise Unsure("the parameters are passed on by a star", _BY_HAND, node)
                else:
                    known[name].take(self._evaluate(argument.value, known))
        except Unsure:
            known.pop(name, None)

    def _passed_on(self, node: cst.BaseExpression, known: _Known) -> None:
        """Forget what a call may change that gets it; a function of the module is followed."""
        for call in calls(node):
            function = self._module.called(call)
            method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
            owner = call.func.value if isinstance(call.func, cst.Attribute) else None
            if isinstance(owner, cst.Name) and owner.value in known and method not in READING:
                del known[owner.value]
            for argument in call.args:
                name = argument.value.value if isinstance(argument.value, cst.Name) else ""
                if name not in known or argument.star:
                    continue
                if self._module.dotted(call.func) in READING_FUNCTIONS:
                    continue
                if (function is None or not _only_reads(function)) and not is_text_method(call):
                    known.pop(name, None)

    def _forget(self, node: cst.CSTNode, known: _Known) -> None:
        for name in [each for each in known if is_written(node, each)]:
            del known[name]


def _only_reads(function: cst.FunctionDef) -> bool:
    """Whether a function changes none of its parameters, by their names."""
    parameters = [*function.params.posonly_params, *function.params.params, *function.params.kwonly_params]
    return not any(is_written(function.body, each.name.value) for each in parameters)
