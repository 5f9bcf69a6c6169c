"""``except requests.…`` around calls that raise errors of the client from now on."""

from __future__ import annotations

import libcst as cst

from compat.migration.codemod.edits import Edits
from compat.migration.codemod.module import Module
from compat.migration.codemod.results import Unsure

__all__ = ["widened_handlers"]

_COUNTERPARTS = {
    "RequestException": "CompatError",
    "ConnectionError": "UpstreamUnreachable",
    "Timeout": "UpstreamTimeout",
    "ReadTimeout": "UpstreamTimeout",
}
_PACKAGES = ("requests", "requests.exceptions")


def widened_handlers(module: Module) -> Edits:
    """Let every handler of ``requests``' errors handle the client's too.

    Raises:
        Unsure: a handler looks at the error, or catches one that has no counterpart.
    """
    edits = Edits()
    for handler in module.all(cst.ExceptHandler):
        if handler.type is None:
            continue
        kinds = (
            [each.value for each in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
        )
        caught = [(kind, *module.dotted(kind).rpartition(".")[::2]) for kind in kinds]
        ours = [name for _, package, name in caught if package in _PACKAGES]
        if not ours:
            continue
        unknown = [name for name in ours if name not in _COUNTERPARTS]
        if unknown:
            raise Unsure(
                f"`except {unknown[0]}` has no single counterpart among the client's errors",
                "catch compat.CompatError, or the errors below it that matter",
                handler,
            )
        if handler.name is not None:
            raise Unsure(
                "a handler looks at the error of requests", "catch compat.CompatError too, and word it anew", handler
            )
        new = sorted({_COUNTERPARTS[name] for name in ours})
        edits.imported |= set(new)
        codes = [module.code(kind) for kind in kinds]
        tuple_of = cst.parse_expression(f"({', '.join([*codes, *new])})")
        edits.replace(handler.type, lambda updated, made=tuple_of: made)  # type: ignore[misc]
    return edits
