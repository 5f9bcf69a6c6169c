"""A module as the rewrites see it: its syntax, and who binds and uses each name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
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

__all__ = ["Module", "Unsure"]

_Node = TypeVar("_Node", bound=cst.CSTNode)
Function = cst.FunctionDef
Position = tuple[int, int]


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
        self._parents = cast("Mapping[cst.CSTNode, cst.CSTNode]", found[ParentNodeProvider])
        self._positions = cast("Mapping[cst.CSTNode, CodeRange]", found[PositionProvider])
        self._scopes = cast("Mapping[cst.CSTNode, Scope | None]", found[ScopeProvider])

    @cached_property
    def nodes(self) -> Sequence[cst.CSTNode]:
        """Every node, outer before inner."""
        found: list[cst.CSTNode] = []

        def gather(node: cst.CSTNode) -> None:
            found.append(node)
            for child in node.children:
                gather(child)

        gather(self.tree)
        return found

    def all(self, *kinds: type[_Node]) -> Iterator[_Node]:
        """Every node of some kinds."""
        return (node for node in self.nodes if isinstance(node, kinds))

    def code(self, node: cst.CSTNode) -> str:
        """The text of a node."""
        return self.tree.code_for_node(node).strip()

    def line(self, node: cst.CSTNode) -> int:
        """Where a node begins, from 1."""
        return int(self._positions[node].start.line)

    def start(self, node: cst.CSTNode) -> Position:
        """Line and column where a node begins."""
        start = self._positions[node].start
        return start.line, start.column

    def end(self, node: cst.CSTNode) -> Position:
        """Line and column behind a node."""
        end = self._positions[node].end
        return end.line, end.column

    def within(self, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
        """Whether a node is another, or lies in it."""
        return any(above is outer for above in (node, *self.above(node)))

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that holds another."""
        return self._parents.get(node)

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes that hold a node, the nearest first."""
        here = self._parents.get(node)
        while here is not None:
            yield here
            here = self._parents.get(here)

    def enclosing(self, node: cst.CSTNode, *kinds: type[_Node]) -> _Node | None:
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
        """The loops of its function that a node is in."""
        found: list[cst.CSTNode] = []
        for above in self.above(node):
            if isinstance(above, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                break
            if _is_loop(above):
                found.append(above)
        return found

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """The scope that a node's names are looked up in."""
        for here in (node, *self.above(node)):
            found = self._scopes.get(here)
            if found is not None:
                return found
        return None

    def bindings(self, name: cst.Name) -> list[BaseAssignment]:
        """Everything that binds a name that is used."""
        scope = self.scope(name)
        return list(scope[name.value]) if scope is not None else []

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
        if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
            return statement.value
        return None

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
        if len(found) > 1 and all(isinstance(each, ImportAssignment) for each in found):
            full = {name.name for each in found for name in each.get_qualified_names_for(node.value)}
            return full.pop() if len(full) == 1 else ""
        if len(found) != 1:
            return ""
        if isinstance(found[0].scope, BuiltinScope):
            return f"builtins.{node.value}"
        if not isinstance(found[0], ImportAssignment):
            return ""
        names = found[0].get_qualified_names_for(node.value)
        return next(iter(names)).name if len(names) == 1 else ""

    def _stands_in(self, binding: BaseAssignment) -> bool:
        """Whether a binding only says that an import failed: ``requests = None`` behind ``except``."""
        value = self.assigned(binding)
        return m.matches(value or self.tree, m.Name("None")) and self.enclosing(value, cst.ExceptHandler) is not None  # type: ignore[arg-type]

    def exported(self, name: str) -> list[str]:
        """The full names of what the module has imported under a name, for others to import from here."""
        scope = self.scope(self.tree)
        found = [each for each in scope[name] if isinstance(each, ImportAssignment)] if scope is not None else []
        return [qualified.name for each in found for qualified in each.get_qualified_names_for(name)]

    def called(self, call: cst.Call) -> cst.FunctionDef | None:
        """The module's own plain function that a call calls."""
        if not isinstance(call.func, cst.Name):
            return None
        found = self.bindings(call.func)
        if len(found) != 1 or not isinstance(found[0], Assignment) or not isinstance(found[0].node, cst.FunctionDef):
            return None
        return found[0].node

    def uses(self, function: cst.FunctionDef) -> list[cst.CSTNode]:
        """Every use of a function's name."""
        scope = self._scopes.get(function)
        found = scope[function.name.value] if scope is not None else set()
        return [access.node for binding in found for access in binding.references]

    def calls(self, function: cst.FunctionDef) -> list[cst.Call] | None:
        """Every call of a function; None where it is used in another way, so that others may call it too."""
        if self.is_imported or isinstance(self.parent(self.parent(function) or function), cst.ClassDef):
            return None
        found: list[cst.Call] = []
        for use in self.uses(function):
            call = self.parent(use)
            if not isinstance(call, cst.Call) or call.func is not use:
                return None
            found.append(call)
        return found


def _is_loop(node: cst.CSTNode) -> bool:
    """Whether what is in a node may run more than once."""
    return isinstance(node, cst.For | cst.While | cst.CompFor)
