"""All rewrites of one module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import libcst as cst

from compat.migration.codemod.cleanup import remove_shim_calls, with_imports, without_unused_imports
from compat.migration.codemod.edits import Change, Left
from compat.migration.codemod.idiomatic import idiomatic
from compat.migration.codemod.old_client import OldClientRewrite
from compat.migration.codemod.responses import ResponsesRewrite, names_route
from compat.migration.codemod.signing import without_signing
from compat.migration.program.definitions import Program
from compat.migration.program.module import Module
from compat.migration.scan.python_uses import python_uses
from compat.migration.scan.rules import CLIENT, RULES, SHIM

__all__ = ["RewriteFailed", "Rewritten", "rewritten"]


@dataclass(frozen=True)
class Rewritten:
    """A module after the rewrite, what was rewritten, and what was not."""

    code: str
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()


class RewriteFailed(Exception):
    """The rewrite met something in a script that it was not made for: a fault of ours, whose cause says more."""


def rewritten(
    code: str,
    configured: str = "",
    *,
    is_imported: bool = False,
    name: str = "",
    others: Sequence[Module] = (),
    fixed: Sequence[Module] = (),
    is_notebook: bool = False,
) -> Rewritten:
    """A module with everything rewritten that is certain.

    Args:
        code: its text, lines ended by ``\\n``.
        configured: the kind of upstream that clients have which are made of the configuration file, if that is known.
        is_imported: whether another module imports it, and may call its functions.
        name: its name, as others import it.
        others: the modules of the same tree that it imports, or that import it.
        fixed: those of the others that stay as they are.
        is_notebook: whether it is cells, which run in any order and show values: answers stay responses.

    Raises:
        SyntaxError: it is not Python.
        RewriteFailed: it cannot be rewritten, through a fault of ours.
    """
    if not others and not names_route(code) and not list(python_uses(code)):
        return Rewritten(code)
    try:
        module = Module(code, is_imported=is_imported, name=name)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message) from None
    try:
        found = _rewritten(Program([module, *others]), configured, fixed)
        if not found.changes or others or is_imported or is_notebook or any(each.needed for each in found.left):
            return found
        return _shortened(found)
    except RecursionError:
        raise
    except Exception as error:
        # Scripts are of every make, and one that is beyond us has to stay as it is, and hold up no other.
        raise RewriteFailed(f"the rewrite failed: {type(error).__name__}") from error


def _shortened(found: Rewritten) -> Rewritten:
    """The same without its signing, and with pages for answers where these will do."""
    try:
        code = idiomatic(without_signing(found.code))
        cst.parse_module(code)
    except Exception as error:  # noqa: BLE001 - the longer form is right too, and a script beyond us keeps it
        why = f"a shorter form was not found: {type(error).__name__}"
        note = Left(1, why, "report it, please: that is a fault of exam-compat", needed=False)
        return replace(found, left=(note, *found.left))
    return replace(found, code=code)


def _rewritten(program: Program, configured: str, fixed: Sequence[Module]) -> Rewritten:
    module = program.modules[0]
    client, responses = OldClientRewrite(module, configured), ResponsesRewrite(program, fixed)
    client.run()
    responses.run()
    edits = responses.edits
    edits.take(client.edits)
    left = [*responses.left, *client.left, *_unexplained(module, client, responses)]
    gone = [node for node in responses.touched if isinstance(node, cst.Call)]
    removed, noted = remove_shim_calls(module, edits, gone, all_gone=not any(each.needed for each in left))
    changes = sorted([*responses.changes, *client.changes, *removed])
    code = module.tree.code
    if changes:
        tree = with_imports(edits.apply(module), edits.imported, edits.others)
        code = without_unused_imports(module, tree).code
    return Rewritten(code, tuple(changes), tuple(sorted({*left, *noted})))


def _unexplained(module: Module, client: OldClientRewrite, responses: ResponsesRewrite) -> list[Left]:
    """Uses that no rewrite looked at: with the reason why none did."""
    touched = [*responses.touched, *client.touched]
    explained = {each.line for each in client.left}
    explained.update(line for node in touched for line in range(module.line(node), module.last(node) + 1))
    found: list[Left] = []
    for line, _, rule, library in python_uses(module.tree.code):
        if rule in (SHIM.id, CLIENT.id) or line in explained:
            continue
        reason = "the route is put together or handed on in a way that is not followed"
        if library not in ("requests", ""):
            reason = f"{library} is not rewritten"
        found.append(responses.unreached.get(line, Left(line, reason, f"use {RULES[rule].instead}")))
    return found
