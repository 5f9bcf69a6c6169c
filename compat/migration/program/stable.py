"""Which expressions say the same a few lines later, and which may be left out since nothing but their value counts."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.migration.program.module import Module, Unsure

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
_PURE_BUILTINS = {
    *("str", "int", "float", "bool", "bytes", "dict", "list", "tuple", "set", "repr", "round", "sorted", "len", "map"),
    *("next", "iter", "min", "max", "abs", "sum", "any", "all", "enumerate", "zip", "range", "isinstance", "filter"),
}
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
    _demand_untouched(module, node, where, until)
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


def _demand_untouched(module: Module, node: cst.BaseExpression, where: cst.CSTNode, until: cst.CSTNode) -> None:
    """Refuse what an object or a collection holds, if something is done to any of them in between."""
    if not m.findall(node, m.Attribute() | m.Subscript()) or module.dotted(node).startswith("os.environ"):
        return
    function = module.function(until) or module.tree
    for other in module.nodes:
        if not module.start(where) < module.start(other) < module.start(until) or not module.within(other, function):
            continue
        target = other.target if isinstance(other, cst.AssignTarget | cst.AugAssign | cst.AnnAssign) else None
        changes = isinstance(target, cst.Attribute) or (isinstance(other, cst.Del))
        does = isinstance(other, cst.Expr) and not is_pure(module, other.value, own_dictionaries=True)
        if changes or does:
            raise Unsure(f"`{module.code(node)}` may be changed before the call", _BY_HAND, other)


def is_pure(module: Module, node: cst.CSTNode, depth: int = 0, *, own_dictionaries: bool = False) -> bool:
    """Whether nothing but the value of an expression, or of a function's calls, counts.

    Args:
        module: the module.
        node: the expression, or a function's body.
        depth: how many calls of the module's own functions lie between.
        own_dictionaries: whether dictionaries may be updated, since what they hold is followed.
    """
    depth = max(depth, 1) if own_dictionaries else depth
    if m.findall(node, m.OneOf(m.Await(), m.Yield(), m.Global(), m.Nonlocal(), m.NamedExpr(), m.Raise(), m.With())):
        return False
    return all(_is_pure_call(module, call, depth) for call in m.findall(node, m.Call()) if isinstance(call, cst.Call))


def _is_pure_call(module: Module, call: cst.Call, depth: int) -> bool:
    dotted = module.dotted(call.func)
    if dotted:
        return dotted.removeprefix("builtins.") in _PURE_BUILTINS or dotted.startswith(
            (*_PURE, *_SESSION_PARTS, "datetime.")
        )
    function = module.called(call)
    if function is not None:
        return depth < 3 and is_pure(module, function.body, depth + 1)
    method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    return method in _PURE_METHODS or (method == "update" and depth > 0)
