"""What a rewritten module needs beside its calls: imports, the client, and no import that only the old calls needed."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ImportAssignment

from compat.migration.codemod.credentials import Credentials
from compat.migration.codemod.edits import Edits
from compat.migration.program.module import Module

__all__ = ["NAMES", "client_code", "free_name", "with_additions", "without_unused_imports"]

NAMES = ("student_sessions", "sessions_client", "student_sessions_client")
"""What the client of a module is called: the first that it has no use for."""


def free_name(module: Module) -> str:
    """A name that the module does not use."""
    used = {each.value for each in module.all(cst.Name)}
    return next(name for name in (*NAMES, *(f"student_sessions_{n}" for n in range(2, 99))) if name not in used)


def client_code(name: str, credentials: Credentials, line_length: int = 100) -> str:
    """The statements that make the client: at once of what the module has at hand, else at the first call."""
    arguments = [
        f"base_url={credentials.base_url}",
        f"api_token={credentials.api_token}",
        f"secret_key={credentials.secret_key}",
        'records="whole"',
    ]
    made = f"StudentSessionsClient({', '.join(arguments)})"
    if credentials.are_names:
        return f"{name} = {made}\n"
    if len(made) + 11 > line_length:
        made = "StudentSessionsClient(\n" + "".join(f"        {each},\n" for each in arguments) + "    )"
    return f"@functools.cache\ndef {name}():\n    return {made}\n"


def with_additions(
    tree: cst.Module,
    imported: Collection[str],
    code: str,
    names: Collection[str],
    others: Collection[tuple[str, str]] = (),
) -> cst.Module:
    """The module with names of ours imported, and the client made as soon as it can be.

    Args:
        tree: the module.
        imported: names of ``compat``.
        code: what makes the client; empty for nothing.
        names: of the module, which that needs.
        others: modules of the program, and the name that is imported from each.
    """
    body: list[cst.BaseStatement] = list(tree.body)
    place = _behind_imports(body)
    lines: list[cst.BaseStatement] = []
    if "functools" in code and not _imports(tree, "functools"):
        _put_in_order(body, "functools", place)
        place += 1
    missing = _merged(body, imported)
    if missing:
        lines.append(cst.parse_statement(f"from compat import {', '.join(sorted(missing))}"))
    lines += [cst.parse_statement(f"from {module} import {name}") for module, name in others]
    made: list[cst.BaseStatement] = list(cst.parse_module(code, tree.config_for_parsing).body) if code else []
    blank = [cst.EmptyLine(indent=False)] * (2 if "def " in code else 1)
    made = [each.with_changes(leading_lines=blank) for each in made]
    behind = _behind_names(body, names, place)
    if behind == place:
        body[place:place] = [*lines, *made]
    else:
        body[behind:behind] = [each.with_changes(leading_lines=[]) for each in made]
        body[place:place] = lines
    return _spaced(tree.with_changes(body=body), made)


def _merged(body: list[cst.BaseStatement], imported: Collection[str]) -> Collection[str]:
    """Add names to the module's own ``from compat import …``; what is left to import where it has none."""
    for number, statement in enumerate(body):
        only = (
            statement.body[0] if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1 else None
        )
        if only is None or not m.matches(only, m.ImportFrom(module=m.Name("compat"), relative=[])):
            continue
        found = cst.ensure_type(only, cst.ImportFrom)
        if isinstance(found.names, cst.ImportStar) or any(alias.asname for alias in found.names):
            continue
        missing = sorted(set(imported) - {alias.evaluated_name for alias in found.names})
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        before = [
            alias if isinstance(alias.comma, cst.Comma) else alias.with_changes(comma=comma) for alias in found.names
        ]
        added = [cst.ImportAlias(cst.Name(name), comma=comma) for name in missing]
        names = [*before, *added]
        if missing:
            last = cst.MaybeSentinel.DEFAULT if found.lpar is None else names[-1].comma
            names[-1] = names[-1].with_changes(comma=last)
            body[number] = cst.ensure_type(statement, cst.SimpleStatementLine).with_changes(
                body=[found.with_changes(names=names)]
            )
        return ()
    return imported


def _put_in_order(body: list[cst.BaseStatement], name: str, place: int) -> None:
    """Import a module among the others, by the alphabet."""
    statement = cst.parse_statement(f"import {name}")
    for number, other in enumerate(body[:place]):
        first = other.body[0] if isinstance(other, cst.SimpleStatementLine) else None
        if isinstance(first, cst.Import) and first.names[0].evaluated_name > name:
            body[number] = other.with_changes(leading_lines=[])
            body.insert(number, statement.with_changes(leading_lines=_lines_before(other)))
            return
    body.insert(place, statement)


def _lines_before(statement: cst.BaseStatement) -> Sequence[cst.EmptyLine]:
    """The comments and blank lines before a line."""
    return statement.leading_lines if isinstance(statement, cst.SimpleStatementLine) else ()


def _behind_imports(body: Sequence[cst.BaseStatement]) -> int:
    place = 0
    for number, statement in enumerate(body):
        if _is_import(statement):
            place = number + 1
        elif not (number == 0 and m.matches(statement, m.SimpleStatementLine(body=[m.Expr(m.SimpleString())]))):
            break
        else:
            place = number + 1
    return place


def _is_import(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(each, cst.Import | cst.ImportFrom) for each in statement.body
    )


def _behind_names(body: Sequence[cst.BaseStatement], names: Collection[str], place: int) -> int:
    """Behind the last top-level assignment of some names."""
    for number, statement in enumerate(body):
        if not isinstance(statement, cst.SimpleStatementLine):
            continue
        targets = m.findall(statement, m.AssignTarget(target=m.Name()) | m.AnnAssign(target=m.Name()))
        if any(each.target.value in names for each in targets):  # type: ignore[attr-defined]  # as matched
            place = max(place, number + 1)
    return place


def _imports(tree: cst.Module, name: str) -> bool:
    wanted = m.Import(names=[m.ZeroOrMore(), m.ImportAlias(name=m.Name(name), asname=None), m.ZeroOrMore()])
    return any(bool(m.findall(statement, wanted)) for statement in tree.body if _is_import(statement))


def _spaced(tree: cst.Module, made: Sequence[cst.CSTNode]) -> cst.Module:
    """Two blank lines behind a function that was put in."""
    body = list(tree.body)
    for number, statement in enumerate(body[:-1]):
        if statement in made and isinstance(statement, cst.FunctionDef):
            following = body[number + 1]
            lines = list(following.leading_lines)
            blanks = next((count for count, line in enumerate(lines) if line.comment is not None), len(lines))
            missing = [cst.EmptyLine(indent=False)] * max(0, 2 - blanks)
            body[number + 1] = following.with_changes(leading_lines=[*missing, *lines])
    return tree.with_changes(body=body)


def without_unused_imports(before: Module, tree: cst.Module) -> cst.Module:
    """The module without the imports that were used before and are not now."""
    # Importing a package of one's own may do something by itself.
    was_used = {name for name, used in _imported(before).items() if used and _only_gives_names(before, name)}
    after = Module(tree.code)
    unused = {name for name, used in _imported(after).items() if not used and name in was_used | _old_names(after)}
    if not unused:
        return after.tree
    edits = Edits()
    for statement in after.nodes:
        if not isinstance(statement, cst.Import | cst.ImportFrom):
            continue
        if isinstance(statement.names, cst.ImportStar):
            continue
        rest = [alias for alias in statement.names if _bound_name(alias) not in unused]
        if not rest:
            edits.remove(statement)
        elif len(rest) < len(statement.names):
            rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            edits.replace(statement, lambda updated, names=tuple(rest): updated.with_changes(names=names))  # type: ignore[misc]
    return edits.apply(after)


def _only_gives_names(module: Module, name: str) -> bool:
    scope = module.scope(module.tree)
    found = [each for each in scope[name] if isinstance(each, ImportAssignment)] if scope is not None else []
    packages = {each.name.partition(".")[0] for item in found for each in item.get_qualified_names_for(name)}
    return packages <= sys.stdlib_module_names | {"requests", "urllib3", "compat"}


def _imported(module: Module) -> dict[str, bool]:
    """Name to whether it is used, of what the module imports at its top level."""
    found: dict[str, bool] = {}
    scope = module.scope(module.tree)
    if scope is None:
        return found
    for assignment in scope.assignments:
        if isinstance(assignment, ImportAssignment):
            found[assignment.name.partition(".")[0]] = bool(assignment.references)
    return found


def _old_names(module: Module) -> set[str]:
    """What the module calls the old client and its pages."""
    return {
        _bound_name(alias)
        for statement in module.all(cst.ImportFrom)
        if not isinstance(statement.names, cst.ImportStar)
        for alias in statement.names
        if alias.evaluated_name in ("ExamStudentsClient", "StudentsPage")
    }


def _bound_name(alias: cst.ImportAlias) -> str:
    bound = alias.evaluated_alias or alias.evaluated_name
    return bound.partition(".")[0]
