"""Calls whose answers are read as records alone become pages of ``StudentSessionsClient``.

This begins where ``StudentSessionsHTTP`` sends already and nothing signs any more. A shape that is not known stays.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.migration.codemod.edits import Edits, is_idle, only_read_by, with_imports, without_unused_imports
from compat.migration.codemod.signing import new_sends
from compat.migration.program.module import Module, inside
from compat.migration.scan.strings import bound_once, folded, parsed

__all__ = ["idiomatic"]

_CLASS = "StudentSessionsClient"
_SELECTING = frozenset(("status", "page", "limit", "filter", "sort"))
_CATCHING = re.compile(
    r"\bexcept\b(?! (?:ImportError|IndexError|FileNotFoundError|KeyboardInterrupt)\b)|\bsuppress\b|\bexcepthook\b"
    r"|\b__exit__\b|return_exceptions|\.exception\(|\bfinally\b|\braises\(|assertRaises|tenacity|backoff|\bretry"
    r"|\b(?:requests|exceptions)\.\w*(?:Error|Exception|Timeout)\b|\bfrom requests\.exceptions\b"
)
"""What may see the error of a call that fails: the client has errors of its own."""
_LOOSE = re.compile(r"\b(?:urljoin|joinpath|path\.join)\b")
"""What puts addresses together by rules of its own."""
_ADDRESS = re.compile(r"([^\0]+|\0\d+\0)/api/v3/exams/(\d+|\0\d+\0)/student_sessions/?")
_TOKEN = re.compile(r"Token token=([^\0\" ]+|\0\d+\0)")
_COUNTS = {"x-pagination-page-count": "page_count", "x-pagination-item-count": "item_count"}
_READING = frozenset(("str", "int", "os.getenv", "os.environ.get"))
"""What may be called once more, or at another time."""
_SLOWEST = 30
"""Seconds: the client waits no longer for an answer, so a call that would is not its."""
_HEADER = r"(?i:[\"']x-pagination-(?:page|item)-count[\"'])"
_COUNT = m.Call(m.Name("int"), [m.Arg(m.Subscript(m.Attribute(attr=m.Name("headers"))))])


class _Unlike(Exception):
    """The call is of no shape that is known here."""


def idiomatic(code: str) -> str:
    """A module that no other imports, its calls those of ``StudentSessionsClient`` where their answers allow it."""
    module, edits = Module(code), Edits()
    if _CATCHING.search(code) or _LOOSE.search(code):
        return code
    gone: list[cst.CSTNode] = []
    for send in new_sends(module):
        try:
            reading = _Reading(module)
            reading.follow(send)
            call = _Call(module, send)
            call.change(edits)
        except _Unlike:
            continue
        reading.change(edits)
        gone += [*send.args, send.func, *reading.checks, *call.changed]
    if not gone:
        return code
    for statement in only_read_by(module, gone, keep_reads=True):
        edits.remove(statement)
    return without_unused_imports(module, with_imports(edits.apply(module), {_CLASS})).code


@dataclass
class _Reading:
    """How the answer of a call is read.

    Attributes:
        checks: the statements that only raise where the call failed.
        bodies: where its JSON is read.
        records: where the list of records is taken out of that.
        counts: where a count is.
    """

    module: Module
    checks: list[cst.BaseSmallStatement] = field(default_factory=list)
    bodies: list[cst.Call] = field(default_factory=list)
    records: list[cst.Subscript] = field(default_factory=list)
    counts: list[cst.Call] = field(default_factory=list)

    def follow(self, value: cst.CSTNode, *, is_body: bool = False) -> None:
        """Follow an answer, or its JSON, to all that reads it.

        Raises:
            _Unlike: something reads more of it than records and counts.
        """
        parent = self.module.parent(value)
        method = self.module.parent(parent)
        if isinstance(parent, cst.Assign) and m.matches(parent, m.Assign([m.AssignTarget(m.Name())])):
            self._follow_name(cst.ensure_type(parent.targets[0].target, cst.Name), is_body)
        elif isinstance(parent, cst.Return):
            function = self.module.function(parent)
            calls = self.module.calls(function)
            if function is None or not calls or function.decorators or function.returns:
                raise _Unlike
            if len(m.findall(function.body, m.OneOf(m.Return(), m.Yield()))) != 1:
                raise _Unlike
            for call in calls:
                self.follow(call, is_body=is_body)
        elif is_body and _is(parent, _item(r"[\"']students[\"']")) and getattr(method, "target", None) is not parent:
            self.records.append(cst.ensure_type(parent, cst.Subscript))
        elif not is_body and isinstance(method, cst.Call | cst.Subscript):
            self._follow_response(method)
        else:
            raise _Unlike

    def _follow_response(self, read: cst.Call | cst.Subscript) -> None:
        whole = self.module.parent(read)
        number = self.module.parent(whole)
        if _is(whole, m.Expr(m.Call(m.Attribute(attr=m.Name("raise_for_status")), []))):
            self.checks.append(cst.ensure_type(whole, cst.Expr))
        elif isinstance(read, cst.Call) and m.matches(read, m.Call(m.Attribute(attr=m.Name("json")), [])):
            self.bodies.append(read)
            self.follow(read, is_body=True)
        elif m.matches(read, _item(_HEADER)) and _is(number, _COUNT):
            self.counts.append(cst.ensure_type(number, cst.Call))
        else:
            raise _Unlike

    def _follow_name(self, name: cst.Name, is_body: bool) -> None:
        before = len(self.bodies)
        for access in _only_binding(self.module, name).references:
            self.follow(access.node, is_body=is_body)
        # Each reading of the JSON made a list of its own.
        if len(self.bodies) > before + 1:
            raise _Unlike

    def change(self, edits: Edits) -> None:
        """Let a page be read."""
        for check in self.checks:
            edits.remove(check)
        for body in self.bodies:
            edits.replace(body, lambda updated: updated.func.value)
        for node in self.records:
            edits.replace(node, lambda updated: cst.Attribute(updated.value, cst.Name("sessions")))
        for count in self.counts:
            headers = (str(each.raw_value).lower() for each in inside(count, cst.SimpleString))
            name = cst.Name(next(_COUNTS[each] for each in headers if each in _COUNTS))
            edits.replace(count, lambda updated, name=name: cst.Attribute(updated.args[0].value.value.value, name))  # type: ignore[misc]


def _only_binding(module: Module, name: cst.Name) -> Assignment:
    bindings = module.bindings(name)
    if len(bindings) != 1 or not isinstance(bindings[0], Assignment):
        raise _Unlike
    return bindings[0]


def _is(node: cst.CSTNode | None, matcher: m.BaseMatcherNode) -> bool:
    return node is not None and m.matches(node, matcher)


def _item(pattern: str) -> m.Subscript:
    return m.Subscript(slice=[m.SubscriptElement(m.Index(m.SimpleString(m.MatchRegex(pattern))))])


class _Call:
    """What one call of ``StudentSessionsHTTP(key).get`` asks for.

    Attributes:
        changed: the statements that only change the dictionary of its parameters.
    """

    def __init__(self, module: Module, send: cst.Call) -> None:
        self._module = module
        self._send = send
        bound = bound_once(parsed(module.tree.code))
        self._constants = {name: value for name, value in bound.items() if "." not in name}
        self._holders = {id(part): name for name, value in self._constants.items() for part in ast.walk(value)}
        self.changed: list[cst.BaseSmallStatement] = []

    def change(self, edits: Edits) -> None:
        """Let a page be asked for.

        Raises:
            _Unlike: it cannot be told which.
        """
        module, send = self._module, self._send
        given = {"url" if each.keyword is None else each.keyword.value: each.value for each in send.args}
        if not m.matches(send.func, m.Attribute(m.Call(args=[m.Arg()]), m.Name("get"))) or len(given) < len(send.args):
            raise _Unlike
        slow = module.code(given["timeout"]) if "timeout" in given else "0"
        if any(each.star for each in send.args) or not slow.isdigit() or int(slow) > _SLOWEST:
            raise _Unlike
        if not {"url", "headers"} <= set(given) <= {"url", "headers", "params", "timeout"}:
            raise _Unlike
        key = cst.ensure_type(cst.ensure_type(send.func, cst.Attribute).value, cst.Call).args[0].value
        base, exam = self._texts(_ADDRESS, given["url"])
        (token,) = self._texts(_TOKEN, self._authorization(given["headers"]), given["headers"])
        exam = re.sub(r"^(?:str\((\w+)\)|\"([1-9]\d*)\")$", r"\1\2", exam)
        wanted = ", ".join([exam, *self._wanted(given.get("params"))])
        made = f"{_CLASS}(base_url={base}, api_token={token}, secret_key={module.code(key)})"
        line = module.statement(send)
        used = {each.value for each in module.all(cst.Name)}
        name = next((each for each in ("client", "sessions_client") if each not in used), "")
        is_alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        # What is in one of these may run at another time than its line, or not at all.
        inner = (cst.Lambda, cst.BaseComp, cst.IfExp, cst.BooleanOperation)
        if name and is_alone and not any(isinstance(above, inner) for above in module.above(send)):
            edits.insert(line, f"{name} = {made}")
            made = name
        page = cst.parse_expression(f"{made}.page({wanted})", module.tree.config_for_parsing)
        edits.replace(send, lambda updated: page)
        for statement in self.changed:
            edits.remove(statement)

    def _authorization(self, node: cst.BaseExpression) -> cst.BaseExpression:
        headers, uses = self._followed(node)
        if not isinstance(headers, cst.Dict) or not all(isinstance(each, cst.Arg) for each in uses):
            raise _Unlike
        found = {name.lower(): value for name, value in self._items(headers)}
        if not {"authorization"} <= set(found) <= {"authorization", "accept"}:
            raise _Unlike
        return found["authorization"]

    def _texts(
        self, pattern: re.Pattern[str], node: cst.BaseExpression, holder: cst.BaseExpression | None = None
    ) -> list[str]:
        """The code of each group of the text that an expression makes, which is in what a name may hold."""
        held: list[str] = []

        def hold(part: ast.expr) -> str:
            within = self._holders.get(id(part), holder.value if isinstance(holder, cst.Name) else "")
            names = {each.id for each in ast.walk(part) if isinstance(each, ast.Name)}
            called = {ast.unparse(each.func) for each in ast.walk(part) if isinstance(each, ast.Call)}
            if not called <= _READING or not self._are_seen(names, within):
                raise _Unlike
            held.append(ast.unparse(part))
            return f"\0{len(held) - 1}\0"

        text = folded(ast.parse(self._module.code(node), mode="eval").body, self._constants, hold)
        found = pattern.fullmatch(text or "")
        if found is None or '"' in found[0]:
            raise _Unlike
        codes = [held[int(group.strip("\0"))] if "\0" in group else f'"{group}"' for group in found.groups()]
        return [code if '"' in code else code.replace("'", '"') for code in codes]

    def _are_seen(self, names: Collection[str], within: str) -> bool:
        """Whether names mean one thing at the call, and the same as in what another name holds."""
        scope, is_outer = self._module.scope(self._send), self._module.is_module_level
        if scope is None or any(len(scope[name]) != 1 for name in names):
            return False
        is_own = not within or not all(map(is_outer, scope[within]))
        return is_own or all(is_outer(each) for name in names for each in scope[name])

    def _followed(self, node: cst.BaseExpression) -> tuple[cst.BaseExpression | None, list[cst.CSTNode | None]]:
        """What an argument is, and what holds the other uses of its name; None for a function's ``**`` parameter."""
        if not isinstance(node, cst.Name):
            return node, []
        binding = _only_binding(self._module, node)
        uses = [self._module.parent(access.node) for access in binding.references if access.node is not node]
        value = self._module.assigned(binding)
        if value is None and not (isinstance(binding.node, cst.Param) and binding.node.star == "**"):
            raise _Unlike
        return value, uses

    def _wanted(self, node: cst.BaseExpression | None) -> Iterator[str]:
        """The arguments of the page that a dictionary of parameters makes."""
        if node is None:
            return
        value, uses = self._followed(node)
        items = [("**", node)] if value is None else list(self._items(value))
        for use in sorted((each for each in uses if each is not None), key=self._module.start):
            items += self._put(use)
        wanted = {name: each for name, each in items if name != "id"}
        names = [*wanted, *(self._passed(wanted["**"]) if "**" in wanted else ())]
        if not set(names) - {"**"} <= _SELECTING or len(names) != len(set(names)):
            raise _Unlike
        if not all(is_idle(self._module, each) for _, each in items) or [name for name, _ in items].count("**") > 1:
            raise _Unlike
        if value is not None and not self._means_the_same(value, [each for _, each in items]):
            raise _Unlike
        for name, each in wanted.items():
            yield f"**{self._module.code(each)}" if name == "**" else f"{name}={self._module.code(each)}"

    def _means_the_same(self, since: cst.CSTNode, values: Sequence[cst.BaseExpression]) -> bool:
        """Whether no name of some expressions is bound between a node and the call, and they run equally often."""
        module, begin, end = self._module, self._module.start(since), self._module.start(self._send)
        names = [name for each in values for name in inside(each, cst.Name)]
        bound = [each.node for name in names for each in module.bindings(name) if isinstance(each, Assignment)]
        is_near = module.function(since) is module.function(self._send)
        is_near = is_near and module.loops(since) == module.loops(self._send)
        return not names or (is_near and not any(begin < module.start(node) < end for node in bound))

    def _items(self, value: cst.BaseExpression) -> Iterator[tuple[str, cst.BaseExpression]]:
        """Name and value of what a dictionary is made of, two stars for another one."""
        if isinstance(value, cst.Dict):
            for element in value.elements:
                if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString):
                    yield str(element.key.raw_value), element.value
                elif isinstance(element, cst.StarredDictElement):
                    yield "**", element.value
                else:
                    raise _Unlike
        elif isinstance(value, cst.Call) and m.matches(value.func, m.Name("dict") | m.Attribute(attr=m.Name("update"))):
            for each in value.args:
                if each.keyword is None and isinstance(each.value, cst.Dict):
                    yield from self._items(each.value)
                else:
                    yield (each.keyword.value if each.keyword is not None else "**"), each.value
        else:
            raise _Unlike

    def _put(self, use: cst.CSTNode) -> Sequence[tuple[str, cst.BaseExpression]]:
        """What a statement beside the call puts into the parameters; the statement goes."""
        statement = self._module.enclosing(use, cst.Assign) or self._module.enclosing(use, cst.Expr)
        block = self._module.parent(self._module.parent(statement))
        is_before = self._module.start(use) < self._module.start(self._send)
        if statement is None or not is_before or block is not self._module.parent(self._module.statement(self._send)):
            raise _Unlike
        self.changed.append(statement)
        is_update = m.matches(statement, m.Expr(m.Call(m.Attribute(attr=m.Name("update")))))
        if is_update and cst.ensure_type(statement.value, cst.Call).func is use:
            return list(self._items(cst.ensure_type(statement.value, cst.Call)))
        if not isinstance(statement, cst.Assign) or not m.matches(statement, m.Assign([m.AssignTarget(_item(".*"))])):
            raise _Unlike
        if statement.targets[0].target is not use:
            raise _Unlike
        *_, name = inside(use, cst.SimpleString)
        return [(str(name.raw_value), statement.value)]

    def _passed(self, node: cst.BaseExpression) -> list[str]:
        """The names of what callers give as a function's ``**`` parameter."""
        function = self._module.function(self._send)
        rest = function.params.star_kwarg if function is not None else None
        calls = self._module.calls(function)
        if function is None or rest is None or calls is None or not m.matches(node, m.Name(rest.name.value)):
            raise _Unlike
        own = {each.name.value for each in (*function.params.params, *function.params.kwonly_params)}
        given = [each for call in calls for each in call.args]
        if any(each.star for each in given):
            raise _Unlike
        return sorted({each.keyword.value for each in given if each.keyword is not None} - own)
