"""Which expressions say the same a few lines later, and which may be left out since nothing but their value counts."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.migration.codemod.module import Module
from compat.migration.codemod.results import Unsure

__all__ = ["demand_stable", "is_pure"]

_PURE = (
    "time.",
    "random.",
    "secrets.",
    "uuid.",
    "hmac.",
    "hashlib.",
    "json.",
    "os.environ",
    "urllib.parse.",
    "base64.",
)
_SESSION_PARTS = (
    *("compat.StudentSessions", "compat.PaginatedSessions", "compat.load_config"),
    *("requests.Session", "requests.session", "requests.adapters.", "urllib3.util.", "urllib3.Retry"),
)
"""What only makes something that calls could go through."""
_PURE_BUILTINS = frozenset(
    f"builtins.{name}"
    for name in (
        "str",
        "int",
        "sorted",
        "dict",
        "len",
        "map",
        "list",
        "tuple",
        "bytes",
        "repr",
        "round",
        "set",
        "float",
    )
)
_PURE_METHODS = {
    *("join", "encode", "decode", "hexdigest", "digest", "items", "keys", "values", "format", "get", "copy"),
    *("isoformat", "strip", "rstrip", "lstrip", "lower", "upper", "replace", "timestamp", "strftime", "split"),
}
_BY_HAND = "pass status, page, limit, filter and sort to the new client by name"


def demand_stable(module: Module, node: cst.BaseExpression, where: cst.CSTNode, until: cst.CSTNode) -> None:
    """Refuse an expression that may say something else at another place than where it stands.

    Raises:
        Unsure: a name in it is bound in between, or it does more than look up values.
    """
    if isinstance(node, cst.IfExp) and module.parent(node) is None:
        for part in (node.test, node.body, node.orelse):
            demand_stable(module, part, where, until)
        return
    if module.within(node, until) or module.parent(node) is None:
        return
    if not is_pure(module, node):
        raise Unsure(f"`{module.code(node)}` may say something else when it is read again", _BY_HAND, node)
    around = module.loops(until)
    loops = [loop for loop in around if not module.within(where, loop)]
    for name in m.findall(node, m.Name()):
        if not isinstance(name, cst.Name):
            continue
        for binding in module.bindings(name):
            if not isinstance(binding, Assignment) or isinstance(
                binding.node, cst.Param | cst.FunctionDef | cst.ClassDef
            ):
                continue
            bound = module.statement(binding.node)
            between = module.start(where) < module.start(bound) < module.start(until)
            if between or any(module.within(binding.node, loop) for loop in loops):
                raise Unsure(f"`{name.value}` is bound again before the call", _BY_HAND, node)


def is_pure(module: Module, node: cst.CSTNode, depth: int = 0) -> bool:
    """Whether nothing but the value of an expression, or of a function's calls, counts."""
    if m.findall(node, m.OneOf(m.Await(), m.Yield(), m.Global(), m.Nonlocal(), m.NamedExpr(), m.Raise(), m.With())):
        return False
    return all(_is_pure_call(module, call, depth) for call in m.findall(node, m.Call()) if isinstance(call, cst.Call))


def _is_pure_call(module: Module, call: cst.Call, depth: int) -> bool:
    dotted = module.dotted(call.func)
    if dotted:
        return dotted in _PURE_BUILTINS or dotted.startswith((*_PURE, *_SESSION_PARTS, "datetime."))
    function = module.called(call)
    if function is not None:
        return depth < 3 and is_pure(module, function.body, depth + 1)
    method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    return method in _PURE_METHODS or (method == "update" and depth > 0)
