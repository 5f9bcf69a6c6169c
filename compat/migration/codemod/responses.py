"""What sends a call of an old route is replaced by what answers it from student sessions; all else stays.

The answer is a response as before, so whatever a script does with it goes on.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import libcst as cst

from compat.migration.codemod.edits import Change, Edits, Left
from compat.migration.codemod.sends import HMACS, Destinations, Send, sends_of
from compat.migration.program.carried import Carrier, text_of_key
from compat.migration.program.definitions import Defined, Program, receiver
from compat.migration.program.flow import Sources, place_of, sources
from compat.migration.program.module import Module, Unsure, inside
from compat.migration.scan.rules import ACTIONS
from compat.processes import cached_property

__all__ = ["ResponsesRewrite", "names_route", "routes_in"]

_ROUTE_NAME = re.compile("|".join(ACTIONS))
_ROUTE = re.compile(rf"(?:(?<=[/\"'}}])|^)({_ROUTE_NAME.pattern})(?=[/?\"'{{.]|$)")
_NEW_ROUTE = "student_sessions"
_CLASS = "StudentSessionsHTTP"
_SENT = ("get", "post", "delete", "request", "send", "urlopen")
_LIBRARIES = ("requests", "httpx", "httpx_async", "urllib")
_MOCKS = re.compile(
    r"(?:patch(?:\.object)?\(\s*[\"']?(?:\w+\.)*(?:requests|httpx|urllib)\b|^\s*(?:import|from)\s+"
    r"(?:responses|requests_mock|httpretty|vcr|respx|betamax|pytest_httpx|httmock|mocket)\b)",
    re.MULTILINE,
)
_ONE = "student_session_id"
_TEXT_LIBRARIES = sys.stdlib_module_names | {"builtins", "requests", "httpx", "urllib3", "attr"}
_BY_HAND = "send the call by compat.StudentSessionsHTTP(secret_key).get(url, …), which takes what requests.get takes"


@dataclass
class _Plan:
    """What becomes of one call that sends."""

    send: Send
    flow: Sources
    routes: Sequence[Defined]
    key: str = ""
    imports: Mapping[tuple[str, str], None] = field(default_factory=dict)
    refused: Unsure | None = None


class ResponsesRewrite:
    """What becomes of the calls that send in the first module of a program; ``fixed`` are modules that stay."""

    def __init__(self, program: Program, fixed: Sequence[Module] = ()) -> None:
        self._program = program
        self._module = program.modules[0]
        self._fixed = fixed
        self.edits = Edits()
        self.changes: list[Change] = []
        self.left: list[Left] = []
        self.touched: list[cst.CSTNode] = []
        self.unreached: dict[int, Left] = {}
        self.unfollowed: dict[int, tuple[int, Left]] = {}

    def run(self) -> None:
        """Plan the changes."""
        for plan in self._plans:
            if plan.send.module is self._module:
                self._convert(plan) if plan.refused is None else self._refuse(plan, plan.refused)
        for route in routes_in(self._module):
            self._rename(route)
        self._tell_unreached()

    @cached_property
    def _plans(self) -> list[_Plan]:
        found = []
        for send in self._sends:
            flow = self._flow(send.module, *send.urls)
            texts = flow.all(cst.SimpleString, cst.FormattedStringText)
            if routes := [Defined(*each) for each in texts if _names_route(*each)]:
                found.append(self._plan(_Plan(send, flow, routes)))
        return found

    @cached_property
    def _sends(self) -> list[Send]:
        return [send for module in self._program.modules for send in sends_of(self._program, module)]

    @cached_property
    def _answers(self) -> set[cst.Call]:
        return {call for send in self._sends for call in (send.call, *send.uses)}

    def _flow(self, module: Module, *values: cst.CSTNode) -> Sources:
        return sources(self._program, module, *values, stop=self._answers)

    def _plan(self, plan: _Plan) -> _Plan:
        try:
            self._demand_known(plan.send)
            plan.key, plan.imports = self._key(plan.send)
        except Unsure as unsure:
            plan.refused = unsure
        return plan

    def _demand_known(self, send: Send) -> None:
        module = send.module
        if send.library not in _LIBRARIES or send.method in ("stream", "open"):
            name = send.library or module.code(send.sender)
            raise Unsure(f"`{name}` is not rewritten", "send it by requests, httpx or urllib, or by hand", send.call)
        if send.library.startswith("httpx") and send.method not in ("get", "post", "delete", "request"):
            name = module.code(send.sender)
            raise Unsure(f"`{name}` is not rewritten", "send it by get, post, delete or request", send.call)
        if send.method in ("put", "patch"):
            raise Unsure(f"{send.method.upper()} is not how an old route is called", "leave the call out", send.call)
        if module in self._fixed:
            raise Unsure(f"the call is made in {module.name}, which is not among the files", "name that file too")
        mocked = _MOCKS.search(module.tree.code)
        if mocked:
            raise Unsure(f"tests put something in the place of {send.library} here", "rewrite call and test together")
        for target in module.all(cst.AssignTarget):
            if module.dotted(target.target).startswith(("requests.", "httpx.")):
                raise Unsure("the script changes requests itself", "undo that first", target)

    def _key(self, send: Send) -> tuple[str, Mapping[tuple[str, str], None]]:
        """The code of the secret key where a call is sent."""
        codes: dict[str, Mapping[tuple[str, str], None]] = {}
        refused: Unsure | None = None
        for module, call in self._signings(send):
            plain = [each.value for each in call.args if each.keyword is None]
            keys = [each.value for each in call.args if each.keyword is not None and each.keyword.value == "key"]
            keys = plain[1 if module.dotted(call.func) == "functools.partial" else 0 :][:1] or keys
            carrier = Carrier(self._program, send.module, send.call)
            try:
                codes.update({text_of_key(carrier.code(module, key)): carrier.imports for key in keys})
            except Unsure as unsure:
                refused = unsure
        if refused is not None:
            raise refused
        if len(codes) == 1:
            return next(iter(codes.items()))
        told = "more than one hmac.new" if codes else "no hmac.new"
        raise Unsure(f"the secret key cannot be told: there is {told}", _BY_HAND, send.call)

    def _signings(self, send: Send) -> list[tuple[Module, cst.Call]]:
        """The calls that may sign another: those that flow into it, else all."""
        every = [(module, call) for module in self._program.modules for call in module.all(cst.Call)
                 if _signs(module, call)]  # fmt: skip
        flow = self._flow(send.module, *(each.value for each in send.call.args))
        flowing = [each for each in every if each[1] in flow.nodes]
        for module, call in flow.all(cst.Call) if every and not flowing else ():
            is_lambda = isinstance(call.func, cst.Name) and isinstance(module.value(call.func), cst.Lambda)
            if not is_lambda and self._is_foreign(module, call):
                name = module.code(call.func)
                raise Unsure(f"`{name}`, which is not followed, may sign the call", _BY_HAND, send.call)
        return flowing or every

    def _is_foreign(self, module: Module, call: cst.Call) -> bool:
        """Whether what a call does is not followed, and more than to put texts, collections and requests together."""
        dotted = module.dotted(call.func)
        makes_text = dotted.partition(".")[0] in _TEXT_LIBRARIES if dotted else isinstance(call.func, cst.Attribute)
        return not makes_text and not self._program.named(module, call.func)

    def _convert(self, plan: _Plan) -> None:
        send = plan.send
        code = _new(send, plan.key)
        made = cst.parse_expression(code, self._module.tree.config_for_parsing)
        self.edits.replace(send.sender, lambda updated: made)
        if send.session is not None:
            is_super = isinstance(send.sender, cst.Attribute) and receiver(send.sender) == "super()"
            name = "client" if send.library.startswith("httpx") else "session"
            given = cst.Name("self") if is_super else send.session
            self.edits.replace(send.call, lambda updated: _with_session(updated, name, given))
        self.edits.imported.add(_CLASS)
        self.edits.others.update(plan.imports)
        self.touched.append(send.call)
        self.changes.append(Change(self._module.line(send.call), f"{self._module.code(send.sender)} → {code}"))

    def _refuse(self, plan: _Plan, why: Unsure) -> None:
        call, node, told = plan.send.call, why.node, why.reason
        where = next((each for each in self._program.modules if node is not None and each.parent(node)), None)
        elsewhere = where is not self._module or where.line(node or call) != self._module.line(call)
        if where is not None and node is not None and elsewhere:
            told = f"{where.name + ' ' if where is not self._module else ''}line {where.line(node)}: {why.reason}"
        way = tuple(place_of(each) for each in plan.flow.way(plan.routes[0].node))
        line, last = self._module.line(call), self._module.last(call)
        self.left.append(Left(line, told, why.by_hand, last=last, way=way, snippet=self._snippet(plan.send)))
        self.touched += [call, *(each.node for each in plan.routes if each.module is self._module)]

    def _snippet(self, send: Send) -> str:
        """The call as it has to be, once there is a key."""
        if send.library not in _LIBRARIES or send.method not in _SENT:
            return ""
        made = cst.parse_expression(_new(send, "secret_key"))
        call = send.call.with_changes(func=made) if send.sender is send.call.func else send.call
        return f"from compat import {_CLASS}\n{self._module.code(call)}"

    def _rename(self, route: cst.CSTNode) -> None:
        """Let a route be the new one's, where all calls that it goes to take it, and nobody else sees it."""
        plans = [plan for plan in self._plans if any(each.node is route for each in plan.routes)]
        refused = next((plan for plan in plans if plan.refused is not None), None)
        if refused is not None and refused.refused is not None:
            way, line = tuple(place_of(each) for each in refused.flow.way(route)), self._module.line(route)
            self.unreached[line] = Left(line, refused.refused.reason, refused.refused.by_hand, way=way)
        if refused is not None or not plans:
            return
        self.touched.append(route)
        if not self._may_be_renamed(route, plans):
            line = self._module.line(route)
            reason = "the name of the old route stays, since the script does more with it than call one route"
            self.left.append(Left(line, reason, f"write {_NEW_ROUTE} where nothing depends on that", False))
            return
        self.edits.replace(route, lambda updated: updated.with_changes(value=_ROUTE.sub(_NEW_ROUTE, updated.value)))
        if all(plan.send.module is not self._module for plan in plans):
            old = _ROUTE.findall(getattr(route, "value", ""))[0]
            self.changes.append(Change(self._module.line(route), f"{old} → {_NEW_ROUTE}"))

    def _may_be_renamed(self, route: cst.CSTNode, plans: Sequence[_Plan]) -> bool:
        """Whether no output can depend on the name: one route alone is called so, and nobody else sees it."""
        if self._is_compared or not all(self._is_told_by_its_parameters(plan) for plan in plans):
            return False
        urls = {url for plan in plans for url in plan.send.urls}
        return Destinations(self._program, urls).are_urls(self._module, route)

    def _is_told_by_its_parameters(self, plan: _Plan) -> bool:
        """Whether calls of the new route are read as the one old route that they were.

        A list and a single student have one path: the id of the student tells them apart.
        """
        names = {name for each in plan.routes for name in _ROUTE.findall(getattr(each.node, "value", ""))}
        if names <= {"add_student"}:
            return len(names) == 1
        calls = (plan.send.call, *plan.send.uses)
        flow = self._flow(plan.send.module, *(each.value for call in calls for each in call.args))
        texts = (getattr(node, "value", "") for _, node in flow.all(cst.SimpleString, cst.FormattedStringText))
        names_one = any(_ONE in text for text in texts) or any(_ONE in each for each in _keywords(flow))
        return len(names) == 1 and names_one == (names != {"index_students"})

    @cached_property
    def _is_compared(self) -> bool:
        """Whether a script looks for the name of a route in a text, by which it may tell its calls apart."""
        return any(
            _ROUTE_NAME.search(module.code(text))
            for module in self._program.modules
            for node in module.all(cst.Comparison, cst.Subscript, cst.MatchValue)
            for text in inside(node, cst.SimpleString)
            if not any(
                isinstance(above, cst.Call | cst.Dict) and module.within(above, node) for above in module.above(text)
            )
        )

    def _tell_unreached(self) -> None:
        """Note what a route goes to, where that is nothing that sends."""
        reached = {each.node for plan in self._plans for each in plan.routes}
        for route in routes_in(self._module):
            if route not in reached:
                line = self._module.line(route)
                self.unreached[line] = self._lost(route, line)

    def _lost(self, route: cst.CSTNode, line: int) -> Left:
        for call in reversed(list(self._module.all(cst.Call))):
            if not self._is_foreign(self._module, call):
                continue
            flow = self._flow(self._module, *(each.value for each in call.args))
            if route in flow.nodes:
                name, at = self._module.code(call.func), self._module.line(call)
                way = tuple(place_of(each) for each in flow.way(route))
                lost = Left(line, f"the route goes to `{name}`, which is not followed", _BY_HAND, way=way)
                self.unfollowed.setdefault(at, (line, replace(lost, line=at, last=self._module.last(call))))
                return lost
        return Left(line, "no call was found that the route goes to", _BY_HAND)


def _signs(module: Module, call: cst.Call) -> bool:
    dotted = module.dotted(call.func)
    return dotted in HMACS or (
        dotted == "functools.partial" and bool(call.args) and module.dotted(call.args[0].value) in HMACS
    )


def _keywords(flow: Sources) -> Iterator[str]:
    """The names of keywords of calls, ``dict(student_session_id=5)`` among them."""
    return (each.keyword.value for _, call in flow.all(cst.Call) for each in call.args if each.keyword is not None)


def _new(send: Send, key: str) -> str:
    """The code of what sends instead."""
    part = f".{send.library}" if send.library.startswith("httpx") else ""
    return f"{_CLASS}({key}){part}.{send.method}"


def names_route(code: str) -> bool:
    """Whether a text may name an old route."""
    return _ROUTE_NAME.search(code) is not None


def routes_in(module: Module) -> Iterator[cst.CSTNode]:
    """The texts of a module that name an old route; no docstring is one."""
    for node in module.all(cst.SimpleString, cst.FormattedStringText):
        if _names_route(module, node) and not isinstance(module.parent(node), cst.Expr):
            yield node


def _names_route(module: Module, text: cst.CSTNode) -> bool:
    parent = module.parent(text)
    is_key = isinstance(parent, cst.DictElement) and parent.key is text
    return not is_key and _ROUTE.search(getattr(text, "value", "")) is not None


def _with_session(call: cst.Call, name: str, session: cst.BaseExpression) -> cst.Call:
    """The call with one more argument, before what is passed on by two stars, and set as the others are."""
    added = cst.Arg(session, keyword=cst.Name(name), equal=cst.AssignEqual(*[cst.SimpleWhitespace("")] * 2))
    place = next((number for number, each in enumerate(call.args) if each.star == "**"), len(call.args))
    given = [*call.args[:place], added, *call.args[place:]]
    commas = [each.comma for each in call.args]
    between = commas[0] if len(commas) > 1 else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = commas[-1] if commas else cst.MaybeSentinel.DEFAULT
    return call.with_changes(
        args=[*(each.with_changes(comma=between) for each in given[:-1]), given[-1].with_changes(comma=last)]
    )
