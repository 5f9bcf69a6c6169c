"""Where a script that signs by hand has its base URL, token and secret key from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment, BaseAssignment, BuiltinAssignment, ImportAssignment

from compat.migration.codemod.arguments import bind, positional_or_keyword
from compat.migration.codemod.module import Module
from compat.migration.codemod.results import Unsure
from compat.migration.codemod.texts import Part, joined, parts_of

__all__ = ["Credentials", "find_credentials"]

_HEADER = "Token token="
_BY_HAND = "make a StudentSessionsClient with base_url, api_token and secret_key, and call it here"
_DEEPEST = 8


@dataclass(frozen=True)
class Credentials:
    """The code of three expressions that mean the same anywhere in the module once its imports ran.

    Attributes:
        base_url: of the old and the new endpoint.
        api_token: the token.
        secret_key: the key.
        names: the module's own names in them.
        at_top: whether each of these is bound by a line of the module itself, in no block.
    """

    base_url: str
    api_token: str
    secret_key: str
    names: frozenset[str]
    at_top: bool

    @property
    def are_names(self) -> bool:
        """Whether each is a plain name or a fixed text, so that a client can be made right behind their lines."""
        return self.at_top and all(
            each.isidentifier() or each[:1] in "\"'" for each in (self.base_url, self.api_token, self.secret_key)
        )


def find_credentials(module: Module, base: Sequence[Part]) -> Credentials:
    """The credentials of a call with that base URL.

    Raises:
        Unsure: one of them cannot be told, or has no meaning outside of a function.
    """
    finder = _Finder(module)
    base_url = finder.text(base, "base URL")
    token, secret = finder.token(), finder.secret()
    return Credentials(base_url, token, secret, frozenset(finder.names), finder.at_top)


class _Finder:
    def __init__(self, module: Module) -> None:
        self._module = module
        self.names: set[str] = set()
        self.at_top = True

    def text(self, parts: Sequence[Part], what: str) -> str:
        """The code of a text's parts."""
        return joined([part if isinstance(part, str) else (self._anywhere(part, what),) for part in parts])

    def token(self) -> str:
        """The token that the module's Authorization headers hold."""
        found: dict[str, None] = {}
        taken: set[int] = set()
        for node in self._module.nodes:
            if not isinstance(node, cst.BaseString | cst.BinaryOperation | cst.Call) or id(node) in taken:
                continue
            parts = parts_of(self._module, node)
            if isinstance(parts[0], str) and parts[0].startswith(_HEADER):
                _take(node, taken)
                rest = [parts[0][len(_HEADER) :], *parts[1:]]
                found[self.text([part for part in rest if part != ""], "token")] = None
        return _only(found, "token", "`Token token=…`")

    def secret(self) -> str:
        """The key of the module's HMACs."""
        found: dict[str, None] = {}
        for call in self._module.all(cst.Call):
            if self._module.dotted(call.func) in ("hmac.new", "hmac.digest", "hmac.HMAC"):
                key = positional_or_keyword(call, 0, "key")
                if key is not None:
                    found[self._key(key, 0)] = None
        return _only(found, "secret key", "hmac.new")

    def _key(self, node: cst.BaseExpression, depth: int) -> str:
        """The code of the text whose bytes a key is."""
        if m.matches(node, m.Call(func=m.Attribute(attr=m.Name("encode")))):
            return self._anywhere(cst.ensure_type(cst.ensure_type(node, cst.Call).func, cst.Attribute).value, "key")
        if isinstance(node, cst.Call) and self._module.dotted(node.func) == "builtins.bytes" and len(node.args) > 1:
            return self._anywhere(node.args[0].value, "key")
        if isinstance(node, cst.SimpleString) and isinstance(node.evaluated_value, bytes):
            return repr(node.evaluated_value.decode("latin-1"))
        if isinstance(node, cst.Name) and depth < _DEEPEST:
            value = self._module.value(node)
            return self._key(value if value is not None else self._argument(node), depth + 1)
        raise Unsure("the secret key cannot be told", _BY_HAND, node)

    def _anywhere(self, node: cst.BaseExpression, what: str, depth: int = 0) -> str:
        """The code of an expression, with what is a function's own replaced by what it stands for."""
        if depth > _DEEPEST:
            raise Unsure(f"the {what} is handed on too often", _BY_HAND, node)
        replaced: dict[cst.CSTNode, str] = {}
        for name in _names(node):
            found = self._module.bindings(name)
            if not found:
                continue
            if len(found) != 1:
                raise Unsure(f"the {what} is in `{name.value}`, which is bound more than once", _BY_HAND, node)
            if self._module.is_module_level(found[0]):
                self._fixed(found[0], name, what)
                continue
            value = self._module.value(name)
            inner = value if value is not None else self._argument(name)
            replaced[name] = f"{self._anywhere(inner, what, depth + 1)}"
        if m.findall(node, m.Name("self")):
            raise Unsure(f"each object may have a {what} of its own", _BY_HAND, node)
        return self._module.tree.code_for_node(node.visit(_Replace(replaced)))  # type: ignore[arg-type]

    def _fixed(self, binding: BaseAssignment, name: cst.Name, what: str) -> None:
        """Note a name of the module, which has to mean the same as long as that runs."""
        if isinstance(binding, ImportAssignment | BuiltinAssignment):
            return
        node = binding.node if isinstance(binding, Assignment) else None
        plain = node is not None and (self._module.assigned(binding) is not None or isinstance(node, cst.FunctionDef))
        if node is None or not plain or self._module.loops(node) or self._module.function(node) is not None:
            raise Unsure(f"the {what} is in `{name.value}`, which may change", _BY_HAND, name)
        self.names.add(name.value)
        self.at_top &= self._module.parent(self._module.statement(node)) is self._module.tree

    def _argument(self, name: cst.Name) -> cst.BaseExpression:
        """What a parameter is in every call of its function."""
        (binding,) = self._module.bindings(name)
        function = self._module.function(name)
        if function is None or not isinstance(binding, Assignment) or not isinstance(binding.node, cst.Param):
            raise Unsure(f"`{name.value}` cannot be told", _BY_HAND, name)
        calls = self._module.calls(function)
        if not calls:
            raise Unsure(f"`{name.value}` comes from whoever calls `{function.name.value}`", _BY_HAND, name)
        values = [bind(call, function).values.get(name.value) for call in calls]
        codes = {self._module.code(value) if value is not None else "" for value in values}
        if len(codes) != 1 or values[0] is None:
            raise Unsure(f"`{name.value}` is not the same in every call of `{function.name.value}`", _BY_HAND, name)
        return values[0]


class _Replace(cst.CSTTransformer):
    def __init__(self, replaced: dict[cst.CSTNode, str]) -> None:
        super().__init__()
        self._replaced = replaced

    def on_leave(self, original: cst.CSTNode, updated: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        code = self._replaced.get(original)
        return updated if code is None else cst.parse_expression(code)


def _names(node: cst.CSTNode) -> list[cst.Name]:
    """The names that an expression looks up, without those of attributes and keywords."""
    found: list[cst.Name] = []

    def gather(each: cst.CSTNode) -> None:
        if isinstance(each, cst.Name):
            found.append(each)
        elif isinstance(each, cst.Attribute | cst.Arg):
            gather(each.value)
        else:
            for child in each.children:
                gather(child)

    gather(node)
    return found


def _take(node: cst.CSTNode, taken: set[int]) -> None:
    taken.add(id(node))
    for child in node.children:
        _take(child, taken)


def _only(found: dict[str, None], what: str, where: str) -> str:
    if len(found) != 1:
        how_many = "more than one" if found else "no"
        raise Unsure(f"the {what} cannot be told: there is {how_many} {where}", _BY_HAND)
    return next(iter(found))
