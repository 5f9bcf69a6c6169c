"""The modules of a program together: what a name, a call or an attribute means across them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment, ImportAssignment

from compat.migration.program.module import Module, Unsure
from compat.processes import cached_property

__all__ = ["Defined", "Program", "bind", "methods_of", "owner_of", "receiver"]

_DEEPEST = 6
_NAMED = "give each argument by itself"
_Assigning = cst.Assign | cst.AnnAssign | cst.AugAssign


class Defined(NamedTuple):
    """A function, a class or a value, and the module that it is in."""

    module: Module
    node: cst.CSTNode


class Program:
    """Some modules of one tree: the one that is rewritten first, then those that it imports, and that import it."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = modules

    @cached_property
    def calls_by_name(self) -> dict[str, list[tuple[Module, cst.Call]]]:
        """Every call, by the last part of what is called."""
        found: dict[str, list[tuple[Module, cst.Call]]] = defaultdict(list)
        for module in self.modules:
            for call in module.all(cst.Call):
                name = call.func.attr.value if isinstance(call.func, cst.Attribute) else module.code(call.func)
                found[name].append((module, call))
        return found

    @cached_property
    def attributes(self) -> dict[str, list[tuple[Module, cst.Attribute]]]:
        """Every attribute that is looked at, by its name."""
        found: dict[str, list[tuple[Module, cst.Attribute]]] = defaultdict(list)
        for module in self.modules:
            for node in module.all(cst.Attribute):
                found[node.attr.value].append((module, node))
        return found

    @cached_property
    def classes(self) -> list[Defined]:
        """Every class."""
        return [Defined(module, node) for module in self.modules for node in module.all(cst.ClassDef)]

    @cached_property
    def written_attributes(self) -> dict[str, list[Defined]]:
        """Attribute to every value that is put into one of that name, in objects and in the bodies of classes."""
        found: dict[str, list[Defined]] = defaultdict(list)
        for module in self.modules:
            statements: Iterator[_Assigning] = module.all(cst.Assign, cst.AnnAssign, cst.AugAssign)
            for statement in statements:
                in_class = isinstance(module.parent(module.parent(module.parent(statement))), cst.ClassDef)
                for target in _targets(statement):
                    name = target.attr.value if isinstance(target, cst.Attribute) else ""
                    if isinstance(target, cst.Name) and in_class:
                        name = target.value
                    if name and statement.value is not None:
                        found[name].append(Defined(module, _matching(statement, target)))
        return found

    def symbol(self, module: Module, node: cst.BaseExpression) -> list[Defined]:
        """What an imported name is in the module that it comes from."""
        return self._at(module.dotted(node), module, 0)

    def _at(self, dotted: str, importing: Module, depth: int) -> list[Defined]:
        parts = dotted.split(".")
        if len(parts) < 2 or depth > _DEEPEST:
            return []
        found: list[Defined] = []
        for other in self.modules:
            if other is importing or not other.name or other.name.rpartition(".")[2] != parts[-2]:
                continue
            found += _at_top(other, parts[-1])
            for further in other.exported(parts[-1]):
                found += self._at(further, other, depth + 1)
        return found

    def named(self, module: Module, node: cst.BaseExpression, depth: int = 0) -> list[Defined]:
        """The functions and classes that a name or an attribute may stand for."""
        if depth > _DEEPEST:
            return []
        if isinstance(node, cst.Name):
            found = []
            for binding in module.bindings(node):
                if isinstance(binding, ImportAssignment):
                    found += self._definitions(self.symbol(module, node), depth)
                elif isinstance(binding, Assignment):
                    value = module.assigned(binding) if isinstance(binding.node, cst.Name) else binding.node
                    found += self._definitions([Defined(module, value)] if value is not None else [], depth)
            return found
        if isinstance(node, cst.Attribute):
            imported = self._definitions(self.symbol(module, node), depth)
            return imported or self.methods(module, node)
        return []

    def _definitions(self, found: Sequence[Defined], depth: int) -> list[Defined]:
        """Functions and classes themselves; of a value what it stands for: another name, or a partial of one."""
        result: list[Defined] = []
        for each in found:
            module, node = each
            if isinstance(node, cst.Call) and module.dotted(node.func) == "functools.partial" and node.args:
                node = node.args[0].value
            if isinstance(node, cst.FunctionDef | cst.ClassDef):
                result.append(each)
            elif isinstance(node, cst.BaseExpression):
                result += self.named(module, node, depth + 1)
        return result

    def methods(self, module: Module, node: cst.Attribute) -> list[Defined]:
        """The methods that an attribute may be: those of the object's own class if that is told, else all so named."""
        owner = receiver(node)
        if module.dotted(node) and not (isinstance(node.value, cst.Name) and self.named(module, node.value)):
            return []
        inside = module.enclosing(node, cst.ClassDef)
        if owner in ("self", "cls", "super()") and inside is not None:
            family = self.family(Defined(module, inside), with_own=owner != "super()", below=owner != "super()")
        else:
            family = self.classes
        return [method for each in family for method in methods_of(each, node.attr.value)]

    def family(self, own: Defined, *, with_own: bool = True, below: bool = True) -> list[Defined]:
        """A class, the classes of the program above it, and those below it."""
        above = [own] if with_own else []
        for base in self.bases(own):
            above += [each for each in self.family(base, below=False) if each not in above]
        if not below:
            return above
        return [*above, *(each for each in self.classes if each not in above and own in self.family(each, below=False))]

    def bases(self, own: Defined) -> list[Defined]:
        """The classes of the program that a class is derived from."""
        node = cst.ensure_type(own.node, cst.ClassDef)
        found = [each for base in node.bases for each in self.named(own.module, base.value)]
        return [each for each in found if isinstance(each.node, cst.ClassDef) and each != own]

    def derived_from(self, own: Defined, names: Sequence[str]) -> bool:
        """Whether a class is derived from one of another library."""
        return any(
            own_base in names
            for each in self.family(own, below=False)
            for base in cst.ensure_type(each.node, cst.ClassDef).bases
            if (own_base := each.module.dotted(base.value))
        )

    def callers(self, function: Defined) -> list[tuple[Module, cst.Call]]:
        """Every call that may call a function; a class's ``__init__`` is called by the class's name."""
        name, owner = cst.ensure_type(function.node, cst.FunctionDef).name.value, owner_of(function)
        if name in ("__init__", "__new__") and owner is not None:
            return self.constructions(Defined(function.module, owner))
        calls = self.calls_by_name["" if name == "__call__" else name]
        return [(module, call) for module, call in calls if function in self.named(module, call.func)]

    def constructions(self, own: Defined) -> list[tuple[Module, cst.Call]]:
        """Every call that makes an object of a class, or of one below it, or begins it by ``super().__init__``."""
        below = [each for each in self.classes if own in self.family(each, below=False)]
        names = {cst.ensure_type(each.node, cst.ClassDef).name.value for each in below}
        found = [
            (module, call)
            for name in names
            for module, call in self.calls_by_name[name]
            if any(each in below for each in self.named(module, call.func))
        ]
        begun = [
            (module, call)
            for module, call in self.calls_by_name["__init__"]
            if (around := module.enclosing(call, cst.ClassDef)) and Defined(module, around) in below
        ]
        return [*found, *begun]

    def escapes(self, function: Defined) -> Iterator[tuple[Module, cst.CSTNode]]:
        """Every use of a function's name that is no call of it: it is handed to something that may call it."""
        name = cst.ensure_type(function.node, cst.FunctionDef).name
        for module in self.modules:
            nodes: Iterator[cst.Name | cst.Attribute] = module.all(cst.Name, cst.Attribute)
            for use in nodes:
                if (use.attr.value if isinstance(use, cst.Attribute) else use.value) != name.value:
                    continue
                parent = module.parent(use)
                is_named = isinstance(parent, cst.Attribute | cst.ImportAlias) or use is name
                is_named |= use in (getattr(parent, "func", None), getattr(parent, "keyword", None))
                if not is_named and function in self.named(module, use):
                    yield module, use


def receiver(node: cst.Attribute) -> str:
    """``self``, ``super()`` and the like; empty for anything longer."""
    if isinstance(node.value, cst.Name):
        return node.value.value
    return "super()" if m.matches(node.value, m.Call(func=m.Name("super"))) else ""


def owner_of(function: Defined) -> cst.ClassDef | None:
    """The class that a method is of."""
    owner = function.module.parent(function.module.parent(function.node))
    return owner if isinstance(owner, cst.ClassDef) else None


def methods_of(owner: Defined, *names: str) -> list[Defined]:
    """The methods of some names that a class itself has."""
    body = cst.ensure_type(owner.node, cst.ClassDef).body.body
    found = (each for each in body if isinstance(each, cst.FunctionDef) and each.name.value in names)
    return [Defined(owner.module, each) for each in found]


def _at_top(module: Module, name: str) -> list[Defined]:
    """What a module binds to a name at its top level: functions, classes and values."""
    bindings = module.bound(module.tree, name)
    nodes = (module.assigned(each) or getattr(each, "node", None) for each in bindings)
    kinds = (cst.BaseExpression, cst.FunctionDef, cst.ClassDef)
    return [Defined(module, node) for node in nodes if isinstance(node, kinds)]


def _targets(statement: _Assigning) -> list[cst.BaseExpression]:
    whole = [each.target for each in statement.targets] if isinstance(statement, cst.Assign) else [statement.target]
    found: list[cst.BaseExpression] = []
    for target in whole:
        found += [each.value for each in target.elements] if isinstance(target, cst.Tuple | cst.List) else [target]
    return found


def _matching(statement: _Assigning, target: cst.BaseExpression) -> cst.CSTNode:
    """The value that a target gets: its own part, where several are assigned at once."""
    pairs = [(each.target, statement.value) for each in statement.targets] if isinstance(statement, cst.Assign) else []
    for left, right in pairs:
        both = isinstance(left, cst.Tuple) and isinstance(right, cst.Tuple)
        if both and len(left.elements) == len(right.elements):  # type: ignore[attr-defined]  # tuples
            parts = zip(left.elements, right.elements, strict=True)  # type: ignore[attr-defined]  # likewise
            return next((other.value for one, other in parts if one.value is target), right)
    return statement.value or statement


def bind(call: cst.Call, function: cst.FunctionDef) -> dict[str, cst.BaseExpression]:
    """Parameter to what it gets in a call, a default where the call gives none.

    Raises:
        Unsure: an argument is starred, or fits no parameter.
    """
    parameters = function.params
    if isinstance(parameters.star_arg, cst.Param):
        raise Unsure(f"{function.name.value} takes any number of arguments", _NAMED, call)
    plain = [*parameters.posonly_params, *parameters.params]
    every = [*plain, *parameters.kwonly_params]
    values: dict[str, cst.BaseExpression] = {each.name.value: each.default for each in every if each.default}
    names = {each.name.value for each in every}
    for place, argument in enumerate(call.args):
        if argument.star:
            raise Unsure("arguments are passed on by a star", _NAMED, call)
        if argument.keyword is None:
            if place >= len(plain):
                raise Unsure(f"{function.name.value} is called with too many arguments", _NAMED, call)
            values[plain[place].name.value] = argument.value
        elif argument.keyword.value in names:
            values[argument.keyword.value] = argument.value
        elif parameters.star_kwarg is None:
            raise Unsure(f"{function.name.value} is called with an argument that it does not take", _NAMED, call)
    return values
