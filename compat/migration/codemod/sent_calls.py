"""Calls of the deprecated routes through ``requests``: which of them are certain enough to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.legacy.routes import ROUTES
from compat.migration.codemod.arguments import bind
from compat.migration.codemod.module import Module
from compat.migration.codemod.results import Unsure
from compat.migration.codemod.texts import Part, parts_of
from compat.migration.scan.text_uses import route_in

__all__ = ["SentCall", "is_session", "sent_calls"]

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
_SESSIONS = ("requests.Session", "requests.session", "requests.sessions.Session")
_TUNED = frozenset(("auth", "verify", "proxies", "cert", "hooks", "params", "trust_env"))
_TAKEN = frozenset(("url", "method", "params", "data", "json", "headers", "timeout"))
_ALLOWED = {route.action: route.methods[0] for route in ROUTES}
_URL = re.compile(r"(?P<base>.+?)/api/v3/exams/(?P<exam>\0|\d+)/(?P<action>[a-z_]+)/?", re.DOTALL)
_BY_HAND = "call page, get, create or delete of a StudentSessionsClient here"
_DEEPEST = 5


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
        Unsure: it is not ``requests`` that is called, or a session that does more than it should.
    """
    made = _made_partially(module, call.func)
    dotted = module.dotted(made.args[0].value if made is not None else call.func)
    package, _, name = dotted.rpartition(".")
    if package in ("requests", "requests.api") and name in _METHODS:
        return name.upper()
    if dotted:
        raise Unsure(f"`{dotted}` is not rewritten", _BY_HAND)
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in _METHODS:
        raise Unsure(f"the URL goes to `{module.code(call.func)}`, which is not followed", _BY_HAND)
    if not is_session(module, call.func.value):
        raise Unsure(f"`{module.code(call.func.value)}` is no plain requests.Session for certain", _BY_HAND)
    _untuned(module)
    return call.func.attr.value.upper()


def _made_partially(module: Module, function: cst.BaseExpression) -> cst.Call | None:
    """``functools.partial(requests.get, …)``, where a name stands for it."""
    value = module.value(function) if isinstance(function, cst.Name) else None
    if isinstance(value, cst.Call) and module.dotted(value.func) == "functools.partial" and value.args:
        return value
    return None


def _arguments(module: Module, call: cst.Call) -> dict[str, cst.BaseExpression]:
    made = _made_partially(module, call.func)
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
    for argument in [*(made.args[1:] if made is not None else ()), *call.args]:
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


def is_session(module: Module, node: cst.BaseExpression, depth: int = 0) -> bool:
    """Whether an expression is a plain ``requests.Session`` for certain."""
    if isinstance(node, cst.Call):
        return module.dotted(node.func) in _SESSIONS and not node.args
    if depth > _DEEPEST:
        return False
    if isinstance(node, cst.Attribute):
        value = module.attribute(node)
        return value is not None and is_session(module, value, depth + 1)
    if not isinstance(node, cst.Name):
        return False
    found = module.bindings(node)
    if len(found) != 1 or not isinstance(found[0], Assignment):
        return False
    return _bound_session(module, node, found[0], depth)


def _bound_session(module: Module, node: cst.Name, binding: Assignment, depth: int) -> bool:
    value = module.assigned(binding)
    if value is None and isinstance(binding.node, cst.Name):
        as_name = module.parent(binding.node)
        item = module.parent(as_name) if isinstance(as_name, cst.AsName) else None
        value = item.item if isinstance(item, cst.WithItem) else None
    if value is not None:
        return is_session(module, value, depth + 1)
    function = module.function(node)
    if function is None or not isinstance(binding.node, cst.Param):
        return False
    calls = module.calls(function) or []
    try:
        values = [bind(call, function).values.get(node.value) for call in calls]
    except Unsure:
        return False
    return bool(values) and all(value is not None and is_session(module, value, depth + 1) for value in values)


def _untuned(module: Module) -> None:
    """Refuse where the sessions of a module are made to do what the client would not."""
    for assigned in module.all(cst.AssignTarget):
        target = assigned.target
        if not isinstance(target, cst.Attribute) or target.attr.value not in _TUNED:
            continue
        if is_session(module, target.value):
            raise Unsure(f"the session's `{target.attr.value}` is set", _BY_HAND, target)
    for call in module.all(cst.Call):
        if not m.matches(call, m.Call(func=m.Attribute(attr=m.Name("mount")), args=[m.Arg(), m.Arg()])):
            continue
        adapter = call.args[1].value
        plain = isinstance(adapter, cst.Call) and module.dotted(adapter.func) == "requests.adapters.HTTPAdapter"
        if not plain and module.dotted(call.func) != "compat.mount":
            raise Unsure("an adapter of its own is mounted on the session", _BY_HAND, call)
