"""``compat.install`` and ``compat.mount`` go when nothing old is left behind them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection

import libcst as cst
import libcst.helpers

from compat.migration.codemod.edits import Edits
from compat.migration.codemod.results import Change, Left
from compat.migration.codemod.sweep import sweep
from compat.migration.program.definitions import Program
from compat.migration.program.flow import sources
from compat.migration.program.module import Module

__all__ = ["remove_shim_calls"]

_ENTRANCES = {
    *("compat.install", "compat.mount", "compat.uninstall"),
    *("compat.entrances.install.install", "compat.entrances.install.uninstall", "compat.entrances.adapter.mount"),
}
_BY_HAND = "take it out once no old call is left behind it"
_SENDING = ("requests.", "urllib3.")


def remove_shim_calls(
    module: Module, edits: Edits, rewritten: Collection[cst.Call], *, all_gone: bool
) -> tuple[list[Change], list[Left]]:
    """Take the shim out of a module, if all that it could answer is gone.

    Args:
        module: the module.
        edits: where to put the changes; what it names already is gone.
        rewritten: the calls through ``requests`` that are gone.
        all_gone: whether no use of the old interface is left in the module.
    """
    calls = [call for call in module.all(cst.Call) if module.dotted(call.func) in _ENTRANCES]
    if not calls:
        return [], []
    reason = _reason(module, calls, rewritten, all_gone)
    if reason:
        return [], [Left(module.line(call), reason, _BY_HAND, False) for call in calls]
    statements = [statement for call in calls if isinstance(statement := module.parent(call), cst.Expr)]
    for statement in (*statements, *sweep(module, statements, (), ()).statements):
        edits.remove(statement)
    return [Change(module.line(call), f"{module.code(call.func)} is not needed") for call in calls], []


def _reason(module: Module, calls: Collection[cst.Call], rewritten: Collection[cst.Call], all_gone: bool) -> str:
    """Why the shim may still be needed; empty where it is not."""
    if not all_gone:
        return "old calls are left in this file"
    if any(not isinstance(module.parent(call), cst.Expr) for call in calls):
        return "what it returns is used"
    strange = _first(_imports(module), lambda name: name not in sys.stdlib_module_names | {"compat", "requests"})
    if strange:
        return f"`{strange}`, which is imported here, may make old calls"
    for call in module.all(cst.Call):
        if call not in rewritten and call not in calls and _may_send(module, call):
            return f"line {module.line(call)} may make an old call"
    return ""


def _first(names: Collection[str], wanted: Callable[[str], bool]) -> str:
    return next((name for name in names if wanted(name)), "")


def _imports(module: Module) -> list[str]:
    """The packages that a module imports, a dot for one of its own."""
    found: list[str] = []
    for node in module.nodes:
        if isinstance(node, cst.ImportFrom):
            first = libcst.helpers.get_full_name_for_node(node.module) if node.module is not None else ""
            found.append("." if node.relative else (first or "").partition(".")[0])
        elif isinstance(node, cst.Import):
            found += [alias.evaluated_name.partition(".")[0] for alias in node.names]
    return found


def _may_send(module: Module, call: cst.Call) -> bool:
    """Whether a call may go out through ``requests``; what only makes a session does not."""
    dotted = module.dotted(call.func)
    if dotted:
        return dotted.startswith(_SENDING) and dotted.rpartition(".")[2] in (
            *("get", "post", "put", "patch", "delete", "head", "options", "request", "send"),
        )
    if not isinstance(call.func, cst.Attribute):
        return False
    method = call.func.attr.value
    return method in ("post", "put", "patch", "request", "send") or (
        method == "get" and _is_session(module, call.func.value)
    )


def _is_session(module: Module, node: cst.BaseExpression) -> bool:
    found = sources(Program([module]), module, node, same=True).all(cst.Call)
    calls = [cst.ensure_type(each.node, cst.Call) for each in found]
    return any(module.dotted(each.func).lower().startswith("requests.session") for each in calls)
