"""Where the old client's pages and the client itself go within a module."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
from libcst.metadata import Assignment

from compat.migration.codemod.arguments import bind
from compat.migration.codemod.edits import Edits
from compat.migration.codemod.module import Module
from compat.migration.codemod.results import Unsure

__all__ = ["follow_page", "handed_to"]

_SAME = ("item_count", "page_count", "page", "limit", "unsettled")
_BY_HAND = "use the page's sessions"


def follow_page(module: Module, node: cst.BaseExpression, edits: Edits, seen: set[cst.CSTNode] | None = None) -> None:
    """Let every place that looks at a page's students look at its sessions.

    Raises:
        Unsure: a page goes where it is not followed.
    """
    seen = set() if seen is None else seen
    if node in seen:
        return
    seen.add(node)
    parent = module.parent(node)
    if isinstance(parent, cst.Attribute) and parent.value is node:
        if parent.attr.value == "students":
            edits.replace(parent, lambda updated: updated.with_changes(attr=cst.Name("sessions")))
        elif parent.attr.value not in _SAME:
            raise Unsure(f"a page has no `{parent.attr.value}`", _BY_HAND, parent)
    elif isinstance(parent, cst.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0].target, cst.Name):
        _bound(module, parent.targets[0].target, edits, seen)
    elif isinstance(parent, cst.Arg):
        parameter, values = handed_to(module, parent)
        seen.update(values)
        for access in parameter.references:
            _access(module, access.node, edits, seen)
        for value in values:
            _demand_page(module, value)
    elif isinstance(parent, cst.Return):
        function = module.function(parent)
        calls = module.calls(function) if function is not None and not function.decorators else None
        if not calls:
            raise Unsure("a page is returned to who knows whom", _BY_HAND, parent)
        for call in calls:
            follow_page(module, call, edits, seen)
    elif not isinstance(parent, cst.Expr):
        raise Unsure("a page goes where it is not followed", _BY_HAND, node)


def _bound(module: Module, target: cst.Name, edits: Edits, seen: set[cst.CSTNode]) -> None:
    for binding in module.bindings(target):
        value = module.assigned(binding)
        if not isinstance(binding, Assignment) or value is None:
            raise Unsure(f"`{target.value}` is not only a page", _BY_HAND, target)
        _demand_page(module, value)
        for access in binding.references:
            _access(module, access.node, edits, seen)


def _access(module: Module, node: cst.CSTNode, edits: Edits, seen: set[cst.CSTNode]) -> None:
    if not isinstance(node, cst.Name):
        raise Unsure("a page is used in a way that is not followed", _BY_HAND, node)
    follow_page(module, node, edits, seen)


def _demand_page(module: Module, value: cst.BaseExpression) -> None:
    """Refuse what is no page by its looks: a call of index_students, of a function of the module, or a name."""
    is_listing = (
        isinstance(value, cst.Call)
        and isinstance(value.func, cst.Attribute)
        and (value.func.attr.value == "index_students")
    )
    if is_listing or (isinstance(value, cst.Call) and module.called(value) is not None):
        return
    bound = module.value(value) if isinstance(value, cst.Name) else None
    if bound is None:
        raise Unsure(f"`{module.code(value)}` is not a page for certain", _BY_HAND, value)
    _demand_page(module, bound)


def handed_to(module: Module, argument: cst.Arg) -> tuple[Assignment, Sequence[cst.BaseExpression]]:
    """The parameter of the module's own function that an argument goes to, and what it gets in every call.

    Raises:
        Unsure: it goes anywhere else.
    """
    call = module.parent(argument)
    function = module.called(call) if isinstance(call, cst.Call) else None
    calls = module.calls(function) if function is not None and not function.decorators else None
    if function is None or calls is None or argument.star:
        told = module.code(call.func) if isinstance(call, cst.Call) else "something"
        raise Unsure(f"it is handed to `{told}`, which is not followed", "rewrite that too, by hand", argument)
    bound = [bind(each, function).values for each in calls]
    mine = bind(call, function).values if isinstance(call, cst.Call) else {}
    name = next((name for name, value in mine.items() if value is argument.value), "")
    scope = module.scope(function.body)
    found = [each for each in scope[name] if isinstance(each, Assignment)] if scope is not None and name else []
    values = [values[name] for values in bound if name in values]
    if len(found) != 1 or len(values) != len(calls):
        raise Unsure("it is handed to a parameter that is not followed", "rewrite that too, by hand", argument)
    return found[0], values
