"""An expression written anew for another place of the program, where it means the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment, BaseAssignment, BuiltinAssignment, ImportAssignment

from compat.migration.program.definitions import Defined, Program, bind, owner_of, receiver
from compat.migration.program.module import Module, Unsure, inside

__all__ = ["Carrier", "text_of_key"]

_DEEPEST = 8
_BY_HAND = "hand the value to the function that calls, by an argument or an attribute"
_COMPREHENSIONS = (m.ListComp(), m.SetComp(), m.DictComp(), m.GeneratorExp())
_MAKING = m.OneOf(m.Dict(), m.List(), m.Set(), m.Lambda(), m.Await(), m.NamedExpr(), m.Yield(), *_COMPREHENSIONS)
_ENCODING = (
    re.compile(r"(.+)\.encode\((?:[\"'](?:utf-?8|ascii)[\"'])?\)", re.DOTALL | re.IGNORECASE),
    re.compile(r"bytes\((.+), *[\"'](?:utf-?8|ascii)[\"']\)", re.DOTALL | re.IGNORECASE),
)
_TEXT_METHODS = frozenset(("strip", "rstrip", "lstrip", "encode", "decode", "format", "lower", "upper"))


class Carrier:
    """Carries expressions to one place of a module: beside a node."""

    def __init__(self, program: Program, module: Module, place: cst.CSTNode) -> None:
        self._program = program
        self._module = module
        self._place = place
        self._function = module.function(place)
        self.imports: dict[tuple[str, str], None] = {}

    def code(self, module: Module, node: cst.BaseExpression, depth: int = 0) -> str:
        """The code of an expression at the place.

        Raises:
            Unsure: it may mean something else there, or nothing.
        """
        if depth > _DEEPEST:
            raise Unsure(f"`{module.code(node)}` is handed on too often", _BY_HAND, node)
        if module is self._module and module.within(node, self._place):
            return module.code(node)
        here = module is self._module and module.function(node) is self._function
        makes = not here and m.findall(node, _MAKING)
        if makes or not all(_looks_up(module, call) for call in inside(node, cst.Call)):
            raise Unsure(f"`{module.code(node)}` may say something else when it is read again", _BY_HAND, node)
        replaced: dict[cst.CSTNode, str] = {}
        for name in _names_in(node):
            held = module.parent(name)
            if module is not self._module and isinstance(held, cst.Attribute):
                symbols = self._program.symbol(module, held)
                if symbols:
                    other, attribute = symbols[0].module, held.attr.value
                    replaced[held] = attribute if other is self._module else self._imported(other, attribute)
                    continue
            try:
                code = self._name(module, name, here=here, depth=depth)
            except Unsure:
                value = self._in_object(module, name)
                if value is None or held is None:
                    raise
                replaced[held] = self.code(value.module, value.node, depth + 1)  # type: ignore[arg-type]  # as looked for
                continue
            if code != name.value:
                replaced[name] = code
        visited = node.visit(_Replace(replaced))
        return module.tree.code_for_node(visited).strip() if isinstance(visited, cst.CSTNode) else ""

    def _in_object(self, module: Module, name: cst.Name) -> Defined | None:
        """What ``self.name`` is, where the class itself puts one value there."""
        held, around = module.parent(name), module.enclosing(name, cst.ClassDef)
        if name.value != "self" or not isinstance(held, cst.Attribute) or around is None:
            return None
        family = self._program.family(Defined(module, around), below=False)
        written = self._program.written_attributes.get(held.attr.value, ())
        found = [
            each
            for each in written
            if any(each.module is own.module and each.module.within(each.node, own.node) for own in family)
        ]
        return found[0] if len(found) == 1 and isinstance(found[0].node, cst.BaseExpression) else None

    def _kept_as(self, function: Defined, parameter: cst.Param) -> str:
        """``self.name``, where that is what the class of the place has put a parameter of its ``__init__`` into."""
        if not self._is_own(function):
            return ""
        for name, values in self._program.written_attributes.items():
            for each in values:
                node = each.node
                given = isinstance(node, cst.Name) and node.value == parameter.name.value
                if given and each.module is function.module and each.module.function(node) is function.node:
                    return f"self.{name}"
        return ""

    def _name(self, module: Module, name: cst.Name, *, here: bool, depth: int) -> str:
        found = module.bindings(name)
        if not found or all(isinstance(each, BuiltinAssignment) for each in found):
            return name.value
        if all(module.is_module_level(each) for each in found):
            return self._of_module(module, name, found)
        binding = found[0]
        owner = module.function(name)
        outer = module.function(binding.node) if isinstance(binding, Assignment) else None
        # The names of a function are seen in those that lie in it.
        seen = outer is None or (self._function is not None and module.within(self._function, outer))
        if module is self._module and seen:
            self._same_until_the_place(module, name, here=here)
            return name.value
        if len(found) != 1 or not isinstance(binding, Assignment):
            raise Unsure(f"`{name.value}` is bound more than once", _BY_HAND, name)
        if isinstance(binding.node, cst.Param) and outer is not None:
            return self._argument(Defined(module, outer), binding.node, depth)
        value = module.assigned(binding)
        if value is None or owner is None:
            raise Unsure(f"`{name.value}` cannot be told elsewhere", _BY_HAND, name)
        return _in_brackets(self.code(module, value, depth + 1), name, module)

    def _of_module(self, module: Module, name: cst.Name, found: Sequence[BaseAssignment]) -> str:
        if module is self._module:
            if self._function is None:
                self._same_until_the_place(module, name, here=True)
            return name.value
        if any(isinstance(each, ImportAssignment) for each in found):
            for other in self._program.symbol(module, name):
                if isinstance(other.node, cst.BaseExpression):
                    return self._imported(other.module, name.value)
            same = next((each for each in self._module.all(cst.Name) if each.value == name.value), None)
            if same is not None and self._module.dotted(same) == module.dotted(name):
                return name.value
            raise Unsure(f"`{name.value}` is imported elsewhere", _BY_HAND, name)
        return self._imported(module, name.value)

    def _imported(self, module: Module, name: str) -> str:
        """A name of another module, by an import that is there, or a new one."""
        last = module.name.rpartition(".")[2]
        used = [each for each in self._module.all(cst.Name) if each.value == name]
        if any(self._module.dotted(each).endswith(f"{last}.{name}") for each in used):
            return name
        if not module.name or used:
            raise Unsure(f"`{name}` of {module.name or 'another module'} is not seen here", _BY_HAND)
        for statement in self._module.all(cst.ImportFrom):
            text = self._module.code(statement).partition(" import ")[0].removeprefix("from ")
            if text.strip(". ").rpartition(".")[2] == last:
                self.imports[text, name] = None
                return name
        for alias in (alias for whole in self._module.all(cst.Import) for alias in whole.names):
            if alias.evaluated_name.rpartition(".")[2] == last:
                return f"{alias.evaluated_alias or alias.evaluated_name}.{name}"
        self.imports[module.name, name] = None
        return name

    def _same_until_the_place(self, module: Module, name: cst.Name, *, here: bool) -> None:
        """Refuse a name that is bound between where it is read and the place, or later."""
        place, read = module.start(self._place), module.start(name)
        nodes = [each.node for each in module.bindings(name) if isinstance(each, Assignment)]
        for node in nodes:
            if isinstance(node, cst.Param | cst.FunctionDef | cst.ClassDef):
                continue
            at = module.start(node)
            if at > place and module.function(node) is self._function and not module.loops(self._place):
                if all(module.start(other) > place for other in nodes):
                    raise Unsure(f"`{name.value}` is bound only behind the call", _BY_HAND, name)
            elif here and read < at < place:
                raise Unsure(f"`{name.value}` is bound again before the call", _BY_HAND, name)

    def _argument(self, function: Defined, parameter: cst.Param, depth: int) -> str:
        """What a parameter is, where the place's own function calls the function, or all callers give the same."""
        name = parameter.name.value
        node = cst.ensure_type(function.node, cst.FunctionDef)
        calls = self._program.callers(function)
        near = [(module, call) for module, call in calls if self._reaches(module, call)]
        if name == "self" and owner_of(function) is not None and self._is_own(function):
            return "self"
        if node.name.value == "__init__" and (kept := self._kept_as(function, parameter)):
            return kept
        codes: dict[str, None] = {}
        for module, call in near or calls:
            value = _given(call, function, name)
            if value is None:
                raise Unsure(f"what `{node.name.value}` gets as `{name}` is not told", _BY_HAND, call)
            codes[self.code(module, value, depth + 1)] = None
        if len(codes) != 1:
            told = "from whoever calls it" if not codes else "in more than one way"
            raise Unsure(f"`{node.name.value}` gets `{name}` {told}", _BY_HAND, parameter)
        return next(iter(codes))

    def _is_own(self, function: Defined) -> bool:
        """Whether the place is in a method of the same class, whose object has what that method's has."""
        around, owner = self._module.enclosing(self._place, cst.ClassDef), owner_of(function)
        if around is None or owner is None or self._function is None:
            return False
        first = [*self._function.params.posonly_params, *self._function.params.params][:1]
        family = self._program.family(Defined(self._module, around))
        return bool(first) and first[0].name.value == "self" and Defined(function.module, owner) in family

    def _reaches(self, module: Module, call: cst.Call) -> bool:
        """Whether a call is made by the place's function, or by one that this calls."""
        function = module.function(call)
        if module is self._module and function is self._function:
            return True
        return function is not None and any(
            self._module.function(outer) is self._function
            for other, outer in self._program.callers(Defined(module, function))
            if other is self._module
        )


def _given(call: cst.Call, function: Defined, name: str) -> cst.BaseExpression | None:
    """What a call gives a parameter; for ``self`` the object whose method it calls."""
    if name == "self":
        is_of_object = isinstance(call.func, cst.Attribute) and receiver(call.func) != "super()"
        return cst.ensure_type(call.func, cst.Attribute).value if is_of_object else None
    given = [cst.Arg(cst.Name("self"))] if owner_of(function) is not None else []
    plain = [*given, *(each for each in call.args if each.star != "**")]
    return bind(call.with_changes(args=plain), cst.ensure_type(function.node, cst.FunctionDef)).get(name)


def _looks_up(module: Module, call: cst.Call) -> bool:
    """Whether a call only reads what is there anyway: the environment, and texts made of it and of names."""
    dotted = module.dotted(call.func)
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    if dotted in ("os.getenv", "os.environ.get", "builtins.str", "builtins.bytes") or name in _TEXT_METHODS:
        return True
    return not dotted and name == "get"


def _names_in(node: cst.CSTNode) -> list[cst.Name]:
    """The names that an expression looks up, without those of attributes and keywords."""
    if isinstance(node, cst.Name):
        return [node]
    if isinstance(node, cst.Attribute | cst.Arg):
        return _names_in(node.value)
    return [name for child in node.children for name in _names_in(child)]


def _in_brackets(code: str, name: cst.Name, module: Module) -> str:
    """Code that stands for a name: in brackets where what is around it would else bind to a part of it."""
    kinds = cst.Name | cst.Attribute | cst.Subscript | cst.Call | cst.BaseString
    binds = isinstance(module.parent(name), cst.Attribute | cst.Subscript | cst.BinaryOperation)
    return f"({code})" if binds and not isinstance(cst.parse_expression(code), kinds) else code


class _Replace(cst.CSTTransformer):
    def __init__(self, replaced: dict[cst.CSTNode, str]) -> None:
        super().__init__()
        self._replaced = replaced

    def on_leave(self, original: cst.CSTNode, updated: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        code = self._replaced.get(original)
        return updated if code is None else cst.parse_expression(code)


def text_of_key(code: str) -> str:
    """The text whose bytes a key is: the client encodes it by itself."""
    for pattern in _ENCODING:
        found = pattern.fullmatch(code)
        with suppress(cst.ParserSyntaxError):
            if found and cst.parse_expression(found[1]):
                return found[1]
    return code
