"""What a script does with the answer of a call, as far as a page or a record can stand for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.migration.codemod.edits import Edits
from compat.migration.program.module import Module, Unsure

__all__ = ["Answers", "Flow", "demand_same_end"]

_AT_ONCE = "let the answer raise before anything else is done, or read it as a response"
_READING = m.Subscript(
    value=m.OneOf(m.Call(func=m.Attribute(attr=m.Name("json"))), m.Attribute(attr=m.Name("headers")))
)
_RAISING = m.Call(func=m.Attribute(attr=m.Name("raise_for_status")))


def demand_same_end(module: Module, call: cst.Call) -> None:
    """Refuse a call whose failure the script tells by more than that it raises.

    Raises:
        Unsure: the answer of a call that failed may be looked at, or what it raises may be caught.
    """
    tries: list[cst.Try | cst.TryStar] = [*module.all(cst.Try), *module.all(cst.TryStar)]
    catching = next((each for each in tries if _catches(each)), None)
    if catching is not None:
        raise Unsure("what the call raises may be caught", _AT_ONCE, catching)
    if m.findall(module.tree, m.OneOf(m.Name("suppress"), m.Attribute(attr=m.Name("excepthook")))):
        raise Unsure("what the call raises may be passed over", _AT_ONCE, call)
    function = module.function(call)
    if function is not None and (module.is_imported or function.decorators or function.asynchronous):
        raise Unsure(f"whoever calls `{function.name.value}` may catch what it raises", _AT_ONCE, function)
    if not _raises_at_once(module, call):
        raise Unsure("the answer of a call that failed may be looked at", _AT_ONCE, call)


def _catches(node: cst.Try | cst.TryStar) -> bool:
    """Whether a handler may be there for more than for an import."""
    imports = (cst.Import, cst.ImportFrom)
    lines = [small for line in node.body.body if isinstance(line, cst.SimpleStatementLine) for small in line.body]
    return bool(node.handlers) and not (lines and all(isinstance(each, imports) for each in lines))


def _raises_at_once(module: Module, call: cst.Call) -> bool:
    """Whether nothing is done between the call and where a failed answer raises."""
    statement = module.statement(call)
    if _reads(module, call):
        return True
    parent = module.parent(call)
    target = parent.targets[0].target if isinstance(parent, cst.Assign) and len(parent.targets) == 1 else None
    following = _next(module, statement)
    if not isinstance(target, cst.Name) or following is None:
        return False
    head = _head(following)
    first = [name for name in m.findall(head, m.Name(target.value)) if isinstance(name, cst.Name)]
    return bool(first) and _reads(module, first[0])


def _reads(module: Module, answer: cst.BaseExpression) -> bool:
    """Whether an answer is read in a way that raises where it is that of a failed call."""
    found = module.parent(answer)
    whole = module.parent(found) if isinstance(found, cst.Attribute) and found.value is answer else None
    if whole is None:
        return False
    outer = module.parent(whole)
    return (
        m.matches(whole, _RAISING) or m.matches(whole, _READING) or (outer is not None and m.matches(outer, _READING))
    )


def _next(module: Module, statement: cst.CSTNode) -> cst.CSTNode | None:
    block = module.parent(statement)
    body = list(getattr(block, "body", ()))
    place = body.index(statement) if statement in body else len(body)
    return body[place + 1] if place + 1 < len(body) else None


def _head(statement: cst.CSTNode) -> cst.CSTNode:
    """What a statement evaluates first."""
    if isinstance(statement, cst.For):
        return statement.iter
    return statement if isinstance(statement, cst.SimpleStatementLine) else cst.Pass()


_HEADERS = {
    "x-pagination-item-count": "item_count",
    "x-pagination-page-count": "page_count",
    "x-pagination-page": "page",
    "x-pagination-limit": "limit",
}
_BY_HAND = "use the page's sessions, item_count and page_count; what the client raises says what failed"


@dataclass
class Flow:
    """Where an answer goes.

    Attributes:
        edits: what becomes of the places that look at it.
        others: further expressions that go to the same places, which have to be answers of the same kind.
        answers: every expression that is the answer.
    """

    edits: Edits = field(default_factory=Edits)
    others: list[cst.BaseExpression] = field(default_factory=list)
    answers: set[cst.CSTNode] = field(default_factory=set)


class Answers:
    """Follows the answers of one module.

    Args:
        module: the module.
    """

    def __init__(self, module: Module) -> None:
        self._module = module

    def flow(self, call: cst.BaseExpression, action: str) -> Flow:
        """Follow the answer of a call to every place that looks at it.

        Raises:
            Unsure: one looks at what a page or a record does not have, or hands the answer on.
        """
        found = Flow()
        self._follow(call, action, found)
        return found

    def _follow(self, node: cst.BaseExpression, action: str, flow: Flow) -> None:
        if node in flow.answers:
            return
        flow.answers.add(node)
        parent = self._module.parent(node)
        if isinstance(parent, cst.Attribute) and parent.value is node:
            self._attribute(parent, action, flow)
        elif isinstance(parent, cst.Assign | cst.AnnAssign):
            self._bound(parent, node, action, flow)
        elif isinstance(parent, cst.Return):
            self._returned(parent, action, flow)
        elif not isinstance(parent, cst.Expr):
            told = self._module.code(parent).partition("\n")[0][:60] if parent is not None else ""
            raise Unsure(f"the answer is handed on: `{told}`", _BY_HAND, node)

    def _attribute(self, node: cst.Attribute, action: str, flow: Flow) -> None:
        name, parent = node.attr.value, self._module.parent(node)
        if name == "json" and isinstance(parent, cst.Call) and parent.func is node and not parent.args:
            self._json(parent, action, flow)
        elif name == "raise_for_status" and isinstance(parent, cst.Call):
            statement = self._module.parent(parent)
            if not isinstance(statement, cst.Expr):
                raise Unsure("the answer's raise_for_status is part of more", _BY_HAND, node)
            if isinstance(node.value, cst.Name):
                flow.edits.remove(statement)
            else:
                flow.edits.replace(parent, lambda updated: updated.func.value)
        elif name == "headers" and action == "index_students":
            self._headers(node, flow)
        else:
            raise Unsure(f"the answer's `{name}` is looked at", _BY_HAND, node)

    def _json(self, call: cst.Call, action: str, flow: Flow) -> None:
        if action == "delete_student":
            flow.edits.replace(call, lambda updated: cst.Dict([]))
            raise Unsure("the answer to a deletion is looked at", "the client's delete returns nothing", call)
        key = "students" if action == "index_students" else "student"
        parent = self._module.parent(call)
        if isinstance(parent, cst.Subscript) and m.matches(parent, _subscript(key)):
            flow.edits.replace(parent, lambda updated: _content(updated.value.func.value, action))
            return
        getter = self._module.parent(parent) if isinstance(parent, cst.Attribute) else None
        if isinstance(getter, cst.Call) and m.matches(getter, _getter(key)):
            flow.edits.replace(getter, lambda updated: _content(updated.func.value.func.value, action))
            return
        flow.edits.replace(call, lambda updated: _envelope(key, _content(updated.func.value, action)))

    def _headers(self, node: cst.Attribute, flow: Flow) -> None:
        parent = self._module.parent(node)
        found: cst.CSTNode | None = None
        if isinstance(parent, cst.Subscript) and len(parent.slice) == 1:
            index = parent.slice[0].slice
            name = index.value if isinstance(index, cst.Index) else None
            found, inner = parent, lambda updated: updated.value.value
        else:
            getter = self._module.parent(parent) if isinstance(parent, cst.Attribute) else None
            is_get = isinstance(parent, cst.Attribute) and parent.attr.value == "get"
            if isinstance(getter, cst.Call) and is_get and getter.args:
                found, inner = getter, lambda updated: updated.func.value.value
                name = getter.args[0].value
        text = name.evaluated_value if found is not None and isinstance(name, cst.SimpleString) else ""
        attribute = _HEADERS.get(text.lower()) if isinstance(text, str) else None
        if found is None or attribute is None:
            raise Unsure("a header of the answer is looked at that a page does not have", _BY_HAND, node)
        self._header(found, inner, attribute, flow)

    def _header(
        self, node: cst.CSTNode, inner: Callable[[cst.CSTNode], cst.BaseExpression], attribute: str, flow: Flow
    ) -> None:
        argument = self._module.parent(node)
        whole = self._module.parent(argument) if isinstance(argument, cst.Arg) else None

        def value(updated: cst.CSTNode) -> cst.BaseExpression:
            return cst.Attribute(value=inner(updated), attr=cst.Name(attribute))

        is_int = isinstance(whole, cst.Call) and len(whole.args) == 1 and m.matches(whole.args[0], m.Arg(keyword=None))
        if isinstance(whole, cst.Call) and is_int and self._module.dotted(whole.func) == "builtins.int":
            flow.edits.replace(whole, lambda updated: updated.args[0].value)
            flow.edits.replace(node, value)
        else:
            flow.edits.replace(node, lambda updated: cst.Call(cst.Name("str"), [cst.Arg(value(updated))]))

    def _bound(
        self,
        statement: cst.Assign | cst.AnnAssign,
        node: cst.BaseExpression,
        action: str,
        flow: Flow,
    ) -> None:
        targets = (
            [each.target for each in statement.targets] if isinstance(statement, cst.Assign) else [statement.target]
        )
        if len(targets) != 1 or not isinstance(targets[0], cst.Name):
            raise Unsure("the answer is put somewhere else than into a name", _BY_HAND, node)
        if isinstance(statement, cst.AnnAssign):
            self._annotation(statement.annotation, action, flow)
        for binding in self._module.bindings(targets[0]):
            value = self._module.assigned(binding)
            if not isinstance(binding, Assignment) or value is None:
                raise Unsure(f"`{targets[0].value}` is not only the answer", _BY_HAND, node)
            if value is not node:
                flow.others.append(value)
            for access in binding.references:
                if not isinstance(access.node, cst.Name):
                    raise Unsure(f"`{targets[0].value}` is used in a way that is not followed", _BY_HAND, node)
                self._follow(access.node, action, flow)

    def _returned(self, statement: cst.Return, action: str, flow: Flow) -> None:
        function = self._module.function(statement)
        if function is None or function.decorators or function.asynchronous:
            raise Unsure("the answer is returned to who knows whom", _BY_HAND, statement)
        calls = self._module.calls(function)
        if not calls:
            told = "which others may call" if calls is None else "which nothing here calls"
            raise Unsure(f"the answer is returned by `{function.name.value}`, {told}", _BY_HAND, statement)
        if function.returns is not None:
            self._annotation(function.returns, action, flow)
        for other in m.findall(function.body, m.Return()):
            value = cst.ensure_type(other, cst.Return).value
            if other is not statement and self._module.function(other) is function:
                if value is None:
                    raise Unsure(f"`{function.name.value}` returns something else too", _BY_HAND, other)
                flow.others.append(value)
        for call in calls:
            self._follow(call, action, flow)

    def _annotation(self, annotation: cst.Annotation, action: str, flow: Flow) -> None:
        if self._module.dotted(annotation.annotation) not in ("requests.Response", "requests.models.Response"):
            raise Unsure("the answer is said to be of a type that is not followed", _BY_HAND, annotation)
        kind = {"index_students": "SessionsPage", "delete_student": "None"}.get(action, "dict")
        flow.edits.replace(annotation.annotation, lambda updated: cst.Name(kind))
        if kind == "SessionsPage":
            flow.edits.imported.add(kind)


def _subscript(key: str) -> m.Subscript:
    text = m.SimpleString(value=m.MatchIfTrue(lambda value: value.strip("\"'") == key))
    return m.Subscript(slice=[m.SubscriptElement(slice=m.Index(value=text))])


def _getter(key: str) -> m.Call:
    text = m.SimpleString(value=m.MatchIfTrue(lambda value: value.strip("\"'") == key))
    return m.Call(func=m.Attribute(attr=m.Name("get")), args=[m.Arg(value=text), m.ZeroOrMore()])


def _content(answer: cst.BaseExpression, action: str) -> cst.BaseExpression:
    return cst.Attribute(value=answer, attr=cst.Name("sessions")) if action == "index_students" else answer


def _envelope(key: str, content: cst.BaseExpression) -> cst.BaseExpression:
    return cst.Dict([cst.DictElement(key=cst.SimpleString(f'"{key}"'), value=content)])
