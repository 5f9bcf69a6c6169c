"""Calls of the deprecated routes through ``requests``: which of them are certain enough to be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m

from compat.legacy.routes import ROUTES
from compat.migration.codemod.parameters import SIGNING, Given
from compat.migration.program.module import Module, Unsure
from compat.migration.program.stable import demand_stable
from compat.migration.program.texts import Part, parts_of
from compat.migration.scan.text_uses import route_in

__all__ = ["NEW_METHODS", "SentCall", "in_lines", "new_call", "sent_calls"]

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
    exam = call.exam if isinstance(call.exam, str) else module.code(call.exam)
    kept = [] if isinstance(call.exam, str) else [call.exam]
    if not isinstance(call.exam, str):
        demand_stable(module, call.exam, module.statement(call.exam), call.node)
    written = _WRITERS[call.action](module, exam, sent)
    return written, [*kept, *sent.values()]


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

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_TAKEN = frozenset(("url", "method", "params", "data", "json", "headers", "timeout"))
_ALLOWED = {route.action: route.methods[0] for route in ROUTES}
_URL = re.compile(r"(?P<base>.+?)/api/v3/exams/(?P<exam>\0|\d+)/(?P<action>[a-z_]+)/?", re.DOTALL)


@dataclass(frozen=True)
class SentCall:
    """A call of a deprecated route.

    Attributes:
        node: the call.
        action: the last part of the route's path.
        base: the parts of the base URL.
        exam: the exam's id, or its digits.
        parameters: the dictionary that is sent, or None.
    """

    node: cst.Call
    action: str
    base: Sequence[Part]
    exam: Part
    parameters: cst.BaseExpression | None


def sent_calls(module: Module) -> Iterator[tuple[cst.Call, SentCall | Unsure]]:
    """Every call that is given the URL of a deprecated route, read, or with the reason why it cannot be."""
    for call in module.all(cst.Call):
        url = next((each.value for each in call.args if _is_route(module, each.value)), None)
        if url is None or _puts_a_text_together(module, call):
            continue
        try:
            yield call, _read(module, call, url)
        except Unsure as unsure:
            yield call, unsure


def _is_route(module: Module, node: cst.BaseExpression) -> bool:
    return route_in(_shape(parts_of(module, node))) is not None


def _shape(parts: Sequence[Part]) -> str:
    return "".join(part if isinstance(part, str) else "\0" for part in parts)


def _puts_a_text_together(module: Module, call: cst.Call) -> bool:
    name = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    return name in ("format", "join", "rstrip", "lstrip", "strip") or len(parts_of(module, call)) > 1


def _read(module: Module, call: cst.Call, url: cst.BaseExpression) -> SentCall:
    given = _arguments(module, call)
    method = _method(module, call)
    if method == "REQUEST":
        written = given.get("method")
        method = str(written.evaluated_value).upper() if isinstance(written, cst.SimpleString) else ""
    if given.get("url") is not url:
        raise Unsure("the URL is not the argument of that name", _BY_HAND)
    further = sorted(set(given) - _TAKEN)
    if further:
        raise Unsure(f"`{further[0]}` is set for this call alone", _BY_HAND)
    action, base, exam = _address(module, url)
    if _ALLOWED[action] != method:
        raise Unsure(f"{method or 'an unknown method'} is not how {action} is called", _BY_HAND)
    sent = [value for name, value in given.items() if name in ("params", "data", "json")]
    if len(sent) > 1:
        raise Unsure("parameters are sent in more than one place", _BY_HAND)
    return SentCall(call, action, base, exam, sent[0] if sent else None)


def _address(module: Module, url: cst.BaseExpression) -> tuple[str, Sequence[Part], Part]:
    parts = parts_of(module, url)
    found = _URL.fullmatch(_shape(parts))
    if found is None or found["action"] not in _ALLOWED:
        raise Unsure("the base URL, the exam and the route cannot be told apart in the URL", _BY_HAND)
    unknown = [part for part in parts if not isinstance(part, str)]
    count = found["base"].count("\0")
    filling = iter(unknown[:count])
    base: list[Part] = [next(filling) if text == "\0" else text for text in re.split("(\0)", found["base"]) if text]
    exam = unknown[count] if found["exam"] == "\0" else found["exam"]
    return found["action"], base, exam


def _method(module: Module, call: cst.Call) -> str:
    """The HTTP method in capitals, or REQUEST.

    Raises:
        Unsure: it is not ``requests`` itself that is called.
    """
    package, _, name = module.dotted(call.func).rpartition(".")
    if package not in ("requests", "requests.api") or name not in _METHODS:
        raise Unsure(f"the URL goes to `{module.code(call.func)}`, which is not followed", _BY_HAND)
    return name.upper()


def _arguments(module: Module, call: cst.Call) -> dict[str, cst.BaseExpression]:
    names = ["url", "params"]
    method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    if method == "request":
        names = ["method", "url"]
    elif method in ("post", "put", "patch"):
        names = ["url", "data", "json"]
    elif method == "delete":
        names = ["url"]
    given: dict[str, cst.BaseExpression] = {}
    plain = iter(names)
    for argument in call.args:
        if argument.star:
            raise Unsure("arguments are passed on by a star", _BY_HAND)
        if argument.keyword is not None:
            given[argument.keyword.value] = argument.value
        else:
            name = next(plain, "")
            if not name:
                raise Unsure("the call has more arguments than are followed", _BY_HAND)
            given[name] = argument.value
    return {name: value for name, value in given.items() if not m.matches(value, m.Name("None"))}
