"""A module as the rewrites see it: its syntax, and who binds and uses each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, cast

import libcst as cst
import libcst.matchers as m
from libcst.metadata import (
    Assignment,
    BaseAssignment,
    BuiltinAssignment,
    BuiltinScope,
    CodeRange,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    Scope,
    ScopeProvider,
)

from compat.processes import cached_property

__all__ = ["Module", "Unsure", "inside"]

_Node = TypeVar("_Node", bound=cst.CSTNode)


class Unsure(Exception):
    """It is not certain what to write.

    Attributes:
        reason: why.
        by_hand: what to do instead.
        node: where, if not at the call itself.
    """

    def __init__(self, reason: str, by_hand: str, node: cst.CSTNode | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_hand = by_hand
        self.node = node


def inside(node: cst.CSTNode, *kinds: type[_Node]) -> Iterator[_Node]:
    """Every node of some kinds in a node, and it itself, outer before inner; without kinds all of them."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if not kinds or isinstance(here, kinds):
            yield here  # type: ignore[misc]  # any node, where no kind is asked for
        waiting += reversed(here.children)


class Module:
    """A parsed module.

    Args:
        code: its text.
        is_imported: whether another module imports it, and may call its functions.
        name: its dotted name, as others import it; empty where none do.

    Raises:
        ParserSyntaxError: it is not Python.
    """

    def __init__(self, code: str, *, is_imported: bool = False, name: str = "") -> None:
        self.name = name
        self.is_imported = is_imported
        wrapper = MetadataWrapper(cst.parse_module(code))
        self.tree = wrapper.module
        found = wrapper.resolve_many([ParentNodeProvider, PositionProvider, ScopeProvider])
        self._parents = cast("Mapping[cst.CSTNode | None, cst.CSTNode]", found[ParentNodeProvider])
        self._positions = cast("Mapping[cst.CSTNode, CodeRange]", found[PositionProvider])
        self._scopes = cast("Mapping[cst.CSTNode, Scope | None]", found[ScopeProvider])

    @cached_property
    def nodes(self) -> Sequence[cst.CSTNode]:
        """Every node, outer before inner."""
        return list(inside(self.tree))

    def all(self, *kinds: type[_Node]) -> Iterator[_Node]:
        """Every node of some kinds."""
        return (node for node in self.nodes if isinstance(node, kinds))

    def code(self, node: cst.CSTNode) -> str:
        """The text of a node."""
        return self.tree.code_for_node(node).strip()

    def line(self, node: cst.CSTNode) -> int:
        """Where a node begins, from 1."""
        return self.start(node)[0]

    def start(self, node: cst.CSTNode) -> tuple[int, int]:
        """Line and column where a node begins."""
        start = self._positions[node].start
        return start.line, start.column

    def last(self, node: cst.CSTNode) -> int:
        """The last line of a node."""
        return self._positions[node].end.line

    def within(self, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
        """Whether a node is another, or lies in it."""
        return any(above is outer for above in (node, *self.above(node)))

    def parent(self, node: cst.CSTNode | None) -> cst.CSTNode | None:
        """The node that holds another."""
        return self._parents.get(node)

    def above(self, node: cst.CSTNode | None) -> Iterator[cst.CSTNode]:
        """The nodes that hold a node, the nearest first."""
        while (node := self._parents.get(node)) is not None:
            yield node

    def enclosing(self, node: cst.CSTNode | None, *kinds: type[_Node]) -> _Node | None:
        """The nearest of some kinds that holds a node."""
        return next((above for above in self.above(node) if isinstance(above, kinds)), None)

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """The function that a node is in."""
        return self.enclosing(node, cst.FunctionDef)

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The statement that a node is in: a line, or the head of a block."""
        kinds = (cst.SimpleStatementLine, cst.BaseCompoundStatement)
        return next((above for above in self.above(node) if isinstance(above, kinds)), self.tree)

    def loops(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """The loops of its function that a node is in: it may run more than once."""
        found: list[cst.CSTNode] = []
        for above in self.above(node):
            if isinstance(above, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                break
            if isinstance(above, cst.For | cst.While | cst.CompFor):
                found.append(above)
        return found

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """The scope that a node's names are looked up in."""
        scopes = (self._scopes.get(here) for here in (node, *self.above(node)))
        return next((scope for scope in scopes if scope is not None), None)

    def bindings(self, name: cst.Name) -> list[BaseAssignment]:
        """Everything that binds a name that is used."""
        return self.bound(name, name.value)

    def bound(self, node: cst.CSTNode, name: str) -> list[BaseAssignment]:
        """Everything that binds a name where a node is; at the top level for the module itself."""
        scope = self.scope(node)
        return list(scope[name]) if scope is not None else []

    def value(self, name: cst.Name) -> cst.BaseExpression | None:
        """What a name stands for where one plain assignment alone binds it."""
        found = self.bindings(name)
        return self.assigned(found[0]) if len(found) == 1 else None

    def assigned(self, binding: BaseAssignment) -> cst.BaseExpression | None:
        """The value of a plain assignment; None where a binding is something else."""
        if not isinstance(binding, Assignment) or not isinstance(binding.node, cst.Name):
            return None
        target = self.parent(binding.node)
        if isinstance(target, cst.AnnAssign) and target.target is binding.node:
            return target.value
        statement = self.parent(target) if isinstance(target, cst.AssignTarget) else None
        return statement.value if isinstance(statement, cst.Assign) and len(statement.targets) == 1 else None

    def is_module_level(self, binding: BaseAssignment) -> bool:
        """Whether a binding is the module's own, or Python's."""
        return isinstance(binding, BuiltinAssignment) or binding.scope is binding.scope.globals

    def dotted(self, node: cst.BaseExpression) -> str:
        """The full name of what was imported or is built in; empty for anything else."""
        if isinstance(node, cst.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr.value}" if base else ""
        if not isinstance(node, cst.Name):
            return ""
        found = [each for each in self.bindings(node) if not self._stands_in(each)]
        if len(found) == 1 and isinstance(found[0].scope, BuiltinScope):
            return f"builtins.{node.value}"
        imported = [each for each in found if isinstance(each, ImportAssignment)]
        full = {name.name for each in imported for name in each.get_qualified_names_for(node.value)}
        return full.pop() if len(full) == 1 and len(imported) == len(found) else ""

    def _stands_in(self, binding: BaseAssignment) -> bool:
        """Whether a binding only says that an import failed: ``requests = None`` behind ``except``."""
        value = self.assigned(binding)
        return m.matches(value or self.tree, m.Name("None")) and self.enclosing(value, cst.ExceptHandler) is not None

    def exported(self, name: str) -> list[str]:
        """The full names of what the module has imported under a name, for others to import from here."""
        found = (each for each in self.bound(self.tree, name) if isinstance(each, ImportAssignment))
        return [qualified.name for each in found for qualified in each.get_qualified_names_for(name)]

    def called(self, call: cst.Call) -> cst.FunctionDef | None:
        """The module's own plain function that a call calls."""
        found = self.bindings(call.func) if isinstance(call.func, cst.Name) else []
        node = getattr(found[0], "node", None) if len(found) == 1 else None
        return node if isinstance(node, cst.FunctionDef) else None

    def uses(self, function: cst.FunctionDef) -> list[cst.CSTNode]:
        """Every use of a function's name."""
        scope = self._scopes.get(function)
        found = scope[function.name.value] if scope is not None else set()
        return [access.node for binding in found for access in binding.references]

    def calls(self, function: cst.FunctionDef | None) -> list[cst.Call] | None:
        """Every call of a function; None where it is used in another way, so that others may call it too."""
        if function is None or self.is_imported or isinstance(self.parent(self.parent(function)), cst.ClassDef):
            return None
        uses = self.uses(function)
        calls = [self.parent(use) for use in uses]
        found = [call for call, use in zip(calls, uses, strict=True) if isinstance(call, cst.Call) and call.func is use]
        return found if len(found) == len(uses) else None
