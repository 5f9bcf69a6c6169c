"""What only served the calls that are gone: the statements that put parameters together and signed them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment, BaseAssignment, BuiltinAssignment, ImportAssignment

from compat.migration.program.module import Module
from compat.migration.program.stable import is_pure

__all__ = ["Swept", "sweep"]


@dataclass(frozen=True)
class Swept:
    """What nothing needs any more.

    Attributes:
        statements: to take out.
        unused: functions and constants of the module that stay, since another module may import them.
    """

    statements: Sequence[cst.BaseSmallStatement]
    unused: Sequence[cst.CSTNode]


def sweep(
    module: Module, gone: Collection[cst.CSTNode], kept: Collection[cst.CSTNode], names: Collection[str]
) -> Swept:
    """Find the assignments that nothing reads any more, and what they alone read.

    Args:
        module: the module.
        gone: nodes that are taken out, with all that is in them.
        kept: nodes in them that live on somewhere else.
        names: of the module, which something new reads.
    """
    return _Sweep(module, gone, kept, names).run()


class _Sweep:
    """Takes for useless whatever is read by what is gone, and then lets live what anything else reads."""

    def __init__(
        self, module: Module, gone: Collection[cst.CSTNode], kept: Collection[cst.CSTNode], names: Collection[str]
    ) -> None:
        self._module = module
        self._gone = set(gone)
        self._kept = set(kept)
        self._names = set(names)
        self._useless: dict[Assignment, list[cst.CSTNode]] = {}

    def run(self) -> Swept:
        for node in list(self._gone):
            self._suspect_read_by(node)
        while True:
            alive = [binding for binding in self._useless if self._lives(binding)]
            if not alive:
                break
            for binding in alive:
                self._gone.difference_update(self._useless.pop(binding))
        statements: dict[cst.BaseSmallStatement, None] = {}
        unused: dict[cst.CSTNode, None] = {}
        for binding, nodes in self._useless.items():
            if self._stays(binding):
                unused[binding.node] = None
            else:
                statements.update((node, None) for node in nodes if isinstance(node, cst.BaseSmallStatement))
        return Swept(list(statements), list(unused))

    def _suspect_read_by(self, node: cst.CSTNode) -> None:
        for name in m.findall(node, m.Name()):
            if not isinstance(name, cst.Name) or self._lives_on(name):
                continue
            for binding in self._module.bindings(name):
                if self._may_be_useless(binding) and binding not in self._useless:
                    # What stays goes on reading what it reads.
                    nodes = [] if self._stays(binding) else self._nodes(binding)
                    self._useless[binding] = nodes
                    self._gone.update(nodes)
                    for each in nodes:
                        self._suspect_read_by(each)

    def _may_be_useless(self, binding: BaseAssignment) -> TypeGuard[Assignment]:
        if not isinstance(binding, Assignment) or isinstance(binding, ImportAssignment | BuiltinAssignment):
            return False
        if isinstance(binding.node, cst.FunctionDef):
            return self._module.is_module_level(binding)
        return self._module.enclosing(binding.node, cst.Assign, cst.AnnAssign) is not None and (
            self._module.assigned(binding) is not None
        )

    def _nodes(self, binding: Assignment) -> list[cst.CSTNode]:
        writes = [self._write(access.node) for access in binding.references]
        bound = self._module.enclosing(binding.node, cst.Assign, cst.AnnAssign)
        return [each for each in (bound, *writes) if each is not None]

    def _lives(self, binding: Assignment) -> bool:
        if binding.name in self._names and self._module.is_module_level(binding):
            return True
        if any(self._lives_on(access.node) for access in binding.references):
            return True
        if self._stays(binding):
            return False
        return not all(self._may_go(node) for node in self._useless[binding])

    def _stays(self, binding: Assignment) -> bool:
        """Whether another module may import it."""
        return isinstance(binding.node, cst.FunctionDef) or (
            self._module.is_module_level(binding) and binding.name.isupper()
        )

    def _lives_on(self, node: cst.CSTNode) -> bool:
        for here in (node, *self._module.above(node)):
            if here in self._kept:
                return True
            if here in self._gone:
                return False
        return True

    def _write(self, node: cst.CSTNode) -> cst.BaseSmallStatement | None:
        """The statement ``name[…] = …``, ``name.update(…)`` or the like that a name stands in."""
        parent = self._module.parent(node)
        if isinstance(parent, cst.Attribute) and parent.attr.value == "headers":
            # A session's headers, which nothing sends any more.
            node, parent = parent, self._module.parent(parent)
        if isinstance(parent, cst.Subscript) and parent.value is node:
            target = self._module.parent(parent)
            statement = self._module.parent(target) if isinstance(target, cst.AssignTarget) else None
            return statement if isinstance(statement, cst.Assign) and len(statement.targets) == 1 else None
        if isinstance(parent, cst.Attribute) and parent.attr.value in ("update", "mount"):
            call = self._module.parent(parent)
            statement = self._module.parent(call) if isinstance(call, cst.Call) else None
            return statement if isinstance(statement, cst.Expr) else None
        return None

    def _may_go(self, statement: cst.CSTNode) -> bool:
        if not isinstance(self._module.parent(statement), cst.SimpleStatementLine):
            return False
        if isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call):
            return all(is_pure(self._module, argument) for argument in statement.value.args)
        value = statement.value if isinstance(statement, cst.Assign | cst.AnnAssign) else None
        return value is not None and is_pure(self._module, value)
