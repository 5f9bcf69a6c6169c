"""Where a script that signs by hand has its base URL, token and secret key from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import Assignment, BuiltinAssignment, ImportAssignment

from compat.migration.codemod.sends import HMACS
from compat.migration.program.arguments import positional_or_keyword
from compat.migration.program.carried import Carrier, names_in, text_of_key
from compat.migration.program.definitions import Program
from compat.migration.program.module import Unsure
from compat.migration.program.texts import Part, joined, parts_of

__all__ = ["Credentials", "find_credentials"]

_HEADER = "Token token="
_BY_HAND = "make a StudentSessionsClient with base_url, api_token and secret_key, and call it here"


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


def find_credentials(program: Program, base: Sequence[Part]) -> Credentials:
    """The credentials of the calls of a program's first module with that base URL.

    Raises:
        Unsure: one of them cannot be told, or means nothing outside of a function.
    """
    return _Finder(program).credentials(base)


class _Finder:
    def __init__(self, program: Program) -> None:
        self._module = program.modules[0]
        self._carrier = Carrier(program, self._module, None)
        self._names: set[str] = set()
        self._at_top = True

    def credentials(self, base: Sequence[Part]) -> Credentials:
        url = self._text(base, "base URL")
        token, secret = self._token(), self._secret()
        if self._carrier.imports:
            raise Unsure("the account is in another module", _BY_HAND)
        return Credentials(url, token, secret, frozenset(self._names), self._at_top)

    def _text(self, parts: Sequence[Part], what: str) -> str:
        return joined([part if isinstance(part, str) else (self._anywhere(part, what),) for part in parts])

    def _token(self) -> str:
        """The token that the module's Authorization headers hold."""
        found: dict[str, None] = {}
        taken: set[cst.CSTNode] = set()
        for node in self._module.nodes:
            inner = any(above in taken for above in self._module.above(node))
            if inner or not isinstance(node, cst.BaseString | cst.BinaryOperation | cst.Call):
                continue
            parts = parts_of(self._module, node)
            if isinstance(parts[0], str) and parts[0].startswith(_HEADER):
                taken.add(node)
                rest = [parts[0][len(_HEADER) :], *parts[1:]]
                found[self._text([part for part in rest if part != ""], "token")] = None
        return _only(found, "token", "`Token token=…`")

    def _secret(self) -> str:
        """The key of the module's HMACs."""
        found: dict[str, None] = {}
        for call in self._module.all(cst.Call):
            if self._module.dotted(call.func) in HMACS:
                key = positional_or_keyword(call, 0, "key")
                if key is not None:
                    found[text_of_key(self._anywhere(key, "secret key"))] = None
        return _only(found, "secret key", "hmac.new")

    def _anywhere(self, node: cst.BaseExpression, what: str) -> str:
        """The code of an expression that means the same outside of functions as at the call."""
        code = self._carrier.code(self._module, node)
        for name in names_in(cst.parse_expression(code)):
            self._demand_fixed(name.value, what)
        return code

    def _demand_fixed(self, name: str, what: str) -> None:
        """Note a name of the module, which has to mean the same as long as that runs."""
        scope = self._module.scope(self._module.tree)
        found = list(scope[name]) if scope is not None and name in scope else []
        if found and all(isinstance(each, ImportAssignment | BuiltinAssignment) for each in found):
            return
        binding = found[0] if len(found) == 1 else None
        node = binding.node if isinstance(binding, Assignment) else None
        plain = binding is not None and (
            self._module.assigned(binding) is not None or isinstance(node, cst.FunctionDef)
        )
        if node is None or not plain or self._module.loops(node) or self._module.function(node) is not None:
            raise Unsure(f"the {what} is in `{name}`, which may change", _BY_HAND)
        self._names.add(name)
        self._at_top &= self._module.parent(self._module.statement(node)) is self._module.tree


def _only(found: dict[str, None], what: str, where: str) -> str:
    if len(found) != 1:
        how_many = "more than one" if found else "no"
        raise Unsure(f"the {what} cannot be told: there is {how_many} {where}", _BY_HAND)
    return next(iter(found))
