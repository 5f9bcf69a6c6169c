"""A call of the new client, made from what an old call sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import libcst as cst
import libcst.matchers as m

from compat.migration.codemod.given import SIGNING, Given
from compat.migration.codemod.module import Module
from compat.migration.codemod.results import Unsure
from compat.migration.codemod.sent_calls import SentCall
from compat.migration.codemod.stable import demand_stable

__all__ = ["NEW_METHODS", "in_lines", "new_call", "signing_writes"]

NEW_METHODS = {"index_students": "page", "show_student": "get", "add_student": "create", "delete_student": "delete"}
_LISTING = ("status", "filter", "sort", "page", "limit")
_ADDING = ("name", "email", "individual_info", "is_individual_info_html", "skip_requirements", "open_time")
_LINE = 100
_BY_HAND = "call page, get, create or delete of a StudentSessionsClient here"


def new_call(module: Module, call: SentCall, given: Given) -> tuple[list[str], list[cst.CSTNode]]:
    """The code of the new call's arguments, and the nodes that live on in them.

    Raises:
        Unsure: a parameter is not one of the route's, or its value may have changed.
    """
    sent = {name: value for name, value in given.entries.items() if name not in SIGNING}
    for name, value in sent.items():
        demand_stable(module, value, given.where[name], call.node)
    passed = _passed_on(module, call, given)
    exam = call.exam if isinstance(call.exam, str) else module.code(call.exam)
    kept = [] if isinstance(call.exam, str) else [call.exam]
    if not isinstance(call.exam, str):
        demand_stable(module, call.exam, module.statement(call.exam), call.node)
    written = _WRITERS[call.action](module, exam, sent)
    return [*written, *passed], [*kept, *sent.values()]


def _passed_on(module: Module, call: SentCall, given: Given) -> list[str]:
    """The argument by which a function passes on what it was given by name."""
    if given.passed is None:
        return []
    name = given.passed.name.value
    if call.action != "index_students" or set(given.entries) - SIGNING:
        raise Unsure(f"`{name}` is passed on with other parameters", _BY_HAND, call.node)
    _known(dict.fromkeys(sorted(given.passed_names - SIGNING), call.node), _LISTING)
    if given.passed_names & SIGNING:
        raise Unsure(f"`{name}` holds what signs", _BY_HAND, call.node)
    return [f"**{name}"]


def signing_writes(module: Module, parameter: cst.Param) -> list[cst.BaseSmallStatement]:
    """The statements that put what signs into the dictionary of ``**parameter``.

    Raises:
        Unsure: one puts something else into it, or the name stands for something else later.
    """
    scope = module.scope(parameter.name)
    bindings = list(scope[parameter.name.value]) if scope is not None else []
    if len(bindings) != 1:
        raise Unsure(f"`{parameter.name.value}` is bound again", _BY_HAND, parameter)
    found: list[cst.BaseSmallStatement] = []
    for access in bindings[0].references:
        statement = module.enclosing(access.node, cst.Assign, cst.Expr)
        target = m.Subscript(value=m.Name(parameter.name.value))
        if isinstance(statement, cst.Assign) and m.matches(statement.targets[0].target, target):
            index = m.findall(statement.targets[0].target, m.SimpleString())
            names = {str(cst.ensure_type(each, cst.SimpleString).evaluated_value) for each in index}
        elif isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call):
            names = {each.keyword.value if each.keyword else "" for each in statement.value.args}
        else:
            continue
        if not names or not names <= SIGNING:
            raise Unsure(f"`{parameter.name.value}` is changed before it is sent", _BY_HAND, statement)
        found.append(statement)
    return found


def in_lines(function: str, arguments: Sequence[str], indent: int) -> str:
    """The code of a call in a block that is indented so far, an argument a line where it would be too long."""
    code = f"{function}({', '.join(arguments)})"
    if indent + len(code) <= _LINE and "\n" not in code:
        return code
    return f"{function}(\n" + "".join(f"    {each},\n" for each in arguments) + ")"


def _listing(module: Module, exam: str, sent: Mapping[str, cst.BaseExpression]) -> list[str]:
    _known(sent, _LISTING)
    return [exam, *(f"{name}={_value(module, name, value)}" for name, value in sent.items())]


def _adding(module: Module, exam: str, sent: Mapping[str, cst.BaseExpression]) -> list[str]:
    _known(sent, _ADDING)
    if not {"name", "email"} <= set(sent):
        raise Unsure("the name or the email is not given", _BY_HAND)
    return [exam, *(f"{name}={module.code(value)}" for name, value in sent.items())]


def _one(module: Module, exam: str, sent: Mapping[str, cst.BaseExpression]) -> list[str]:
    _known(sent, ("student_session_id",))
    if not sent:
        raise Unsure("the student session's id is not given", _BY_HAND)
    return [module.code(sent["student_session_id"]), f"exam_id={exam}"]


def _known(sent: Mapping[str, object], names: tuple[str, ...]) -> None:
    for name in sent:
        if name not in names:
            raise Unsure(f"the parameter `{name}` is none of the route's", "leave it out, if it does nothing")


def _value(module: Module, name: str, value: cst.BaseExpression) -> str:
    """The code of a value; the client writes JSON by itself."""
    if name in ("filter", "sort") and isinstance(value, cst.Call) and len(value.args) == 1:
        argument = value.args[0]
        if module.dotted(value.func) == "json.dumps" and argument.keyword is None and not argument.star:
            return module.code(argument.value)
    return module.code(value)


_Writer = Callable[[Module, str, Mapping[str, cst.BaseExpression]], list[str]]
_WRITERS: Mapping[str, _Writer] = {
    "index_students": _listing,
    "show_student": _one,
    "add_student": _adding,
    "delete_student": _one,
}
