"""``ExamStudentsClient`` becomes ``StudentSessionsClient``: all of a module's, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.migration.codemod.edits import Change, Edits, Left
from compat.migration.program.definitions import bind
from compat.migration.program.module import Module, Unsure
from compat.migration.scan.rules import ACTIONS

__all__ = ["OldClientRewrite"]

_SAME = ("item_count", "page_count", "page", "limit", "unsettled")
_OF_PAGE = "use the page's sessions"


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
            raise Unsure(f"a page has no `{parent.attr.value}`", _OF_PAGE, parent)
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
            raise Unsure("a page is returned to who knows whom", _OF_PAGE, parent)
        for call in calls:
            follow_page(module, call, edits, seen)
    elif not isinstance(parent, cst.Expr):
        raise Unsure("a page goes where it is not followed", _OF_PAGE, node)


def _bound(module: Module, target: cst.Name, edits: Edits, seen: set[cst.CSTNode]) -> None:
    for binding in module.bindings(target):
        value = module.assigned(binding)
        if not isinstance(binding, Assignment) or value is None:
            raise Unsure(f"`{target.value}` is not only a page", _OF_PAGE, target)
        _demand_page(module, value)
        for access in binding.references:
            _access(module, access.node, edits, seen)


def _access(module: Module, node: cst.CSTNode, edits: Edits, seen: set[cst.CSTNode]) -> None:
    if not isinstance(node, cst.Name):
        raise Unsure("a page is used in a way that is not followed", _OF_PAGE, node)
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
        raise Unsure(f"`{module.code(value)}` is not a page for certain", _OF_PAGE, value)
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
    bound = [bind(each, function) for each in calls]
    mine = bind(call, function) if isinstance(call, cst.Call) else {}
    name = next((name for name, value in mine.items() if value is argument.value), "")
    scope = module.scope(function.body)
    found = [each for each in scope[name] if isinstance(each, Assignment)] if scope is not None and name else []
    values = [values[name] for values in bound if name in values]
    if len(found) != 1 or len(values) != len(calls):
        raise Unsure("it is handed to a parameter that is not followed", "rewrite that too, by hand", argument)
    return found[0], values


_CLIENT = ("compat.ExamStudentsClient", "compat.entrances.client.ExamStudentsClient")
_PAGE = ("compat.StudentsPage", "compat.entrances.client.StudentsPage")
_SESSIONS = ("compat.StudentSessions", "compat.upstream.StudentSessions")
_METHODS = {"index_students": "page", "show_student": "get", "add_student": "create", "delete_student": "delete"}
_PARAMETERS = {
    "show_student": ("exam_id", "student_session_id"),
    "delete_student": ("exam_id", "student_session_id"),
    "add_student": ("exam_id", "name", "email"),
}
_BY_HAND = "use a StudentSessionsClient there, by hand"
_UPSTREAM = "make the client of compat.StudentSessions(…) or of base_url, api_token and secret_key"


@dataclass
class OldClientRewrite:
    """What becomes of the old client in one module.

    Attributes:
        module: the module.
        configured: the kind of upstream that a configuration file names, for clients that are made of that.
        edits: the changes.
        changes: what they are, for people.
        left: what is not changed.
        touched: nodes in whose lines no old name is left.
    """

    module: Module
    configured: str = ""
    edits: Edits = field(default_factory=Edits)
    changes: list[Change] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    touched: list[cst.CSTNode] = field(default_factory=list)
    _seen: set[cst.CSTNode] = field(default_factory=set)

    def run(self) -> None:
        """Plan the changes."""
        named = list(self._named())
        methods = [node for node in self.module.all(cst.Attribute) if node.attr.value in ACTIONS]
        if not named:
            return
        try:
            for node, name in named:
                self._name(node, name)
            strange = [node for node in methods if node.value not in self._seen]
            if strange:
                told = self.module.code(strange[0].value)
                raise Unsure(f"`{told}` may be an ExamStudentsClient, or not", _BY_HAND, strange[0])
        except Unsure as unsure:
            self.edits, self.changes, self.touched = Edits(), [], []
            self._refuse(unsure, [node for node, _ in named], methods)
            return
        self.touched += [*(self.module.statement(node) for node, _ in named), *methods]

    def _named(self) -> Iterator[tuple[cst.Name | cst.Attribute, str]]:
        """The uses of both names, but not where they are imported."""
        for node in self.module.nodes:
            if not isinstance(node, cst.Name | cst.Attribute):
                continue
            if isinstance(self.module.parent(node), cst.ImportAlias | cst.AsName):
                continue
            dotted = self.module.dotted(node)
            if dotted in _CLIENT:
                yield node, "StudentSessionsClient"
            elif dotted in _PAGE:
                yield node, "SessionsPage"

    def _refuse(self, unsure: Unsure, named: list[cst.Name | cst.Attribute], methods: list[cst.Attribute]) -> None:
        place = self.module.line(unsure.node) if unsure.node is not None else 0
        for node in (*named, *methods):
            line, last = self.module.line(node), self.module.end(node)[0]
            told = unsure.reason if line <= place <= last else f"line {place}: {unsure.reason}"
            self.left.append(Left(line, told, unsure.by_hand, last=last))
        for statement in self.module.all(cst.ImportFrom):
            if m.findall(statement, m.Name("ExamStudentsClient") | m.Name("StudentsPage")):
                self.left.append(Left(self.module.line(statement), f"line {place}: {unsure.reason}", unsure.by_hand))

    def _name(self, node: cst.Name | cst.Attribute, new: str) -> None:
        parent = self.module.parent(node)
        if isinstance(parent, cst.Call) and parent.func is node and new == "StudentSessionsClient":
            self._made(parent)
        elif not any(isinstance(above, cst.Annotation) for above in self.module.above(node)):
            raise Unsure(f"`{self.module.code(node)}` is used for more than to make a client", _BY_HAND, node)
        if isinstance(node, cst.Attribute):
            self.edits.replace(node, lambda updated: updated.with_changes(attr=cst.Name(new)))
        else:
            self.edits.replace(node, lambda updated: cst.Name(new))
            self.edits.imported.add(new)

    def _made(self, call: cst.Call) -> None:
        if any(argument.star for argument in call.args):
            raise Unsure("arguments are passed on by a star", _BY_HAND, call)
        if not self._is_of_student_sessions(call):
            raise Unsure("which upstream the client is of cannot be told", _UPSTREAM, call)
        whole = cst.parse_expression('f(records="whole")')
        record = cst.ensure_type(whole, cst.Call).args[0]
        self.edits.replace(call, lambda updated: updated.with_changes(args=[*_closed(updated.args), record]))
        self.changes.append(Change(self.module.line(call), "ExamStudentsClient → StudentSessionsClient"))
        self._follow(call)

    def _is_of_student_sessions(self, call: cst.Call) -> bool:
        given = {each.keyword.value: each.value for each in call.args if each.keyword is not None}
        plain = [each.value for each in call.args if each.keyword is None]
        upstream = plain[0] if plain else given.get("upstream")
        if upstream is None:
            # With one of them given, the others come from the environment, and no file is read.
            return bool(set(given) & {"base_url", "api_token", "secret_key"}) or self.configured == "student_sessions"
        value = self.module.value(upstream) if isinstance(upstream, cst.Name) else upstream
        if not isinstance(value, cst.Call):
            return False
        dotted = self.module.dotted(value.func)
        return dotted in _SESSIONS or (dotted == "compat.load_config" and self.configured == "student_sessions")

    def _follow(self, node: cst.BaseExpression) -> None:
        """Follow a client to every place that uses it."""
        if node in self._seen:
            return
        self._seen.add(node)
        parent = self.module.parent(node)
        if isinstance(parent, cst.Attribute) and parent.value is node:
            self._method(parent)
        elif isinstance(parent, cst.Assign | cst.AnnAssign):
            self._bound(parent, node)
        elif isinstance(parent, cst.Arg):
            self._handed_on(parent, node)
        elif isinstance(parent, cst.Return):
            self._returned(parent)
        elif isinstance(parent, cst.AsName | cst.WithItem) or not isinstance(parent, cst.Expr):
            raise Unsure("the client goes where it is not followed", _BY_HAND, node)

    def _bound(self, statement: cst.Assign | cst.AnnAssign, node: cst.BaseExpression) -> None:
        targets = (
            [each.target for each in statement.targets] if isinstance(statement, cst.Assign) else [statement.target]
        )
        target = targets[0]
        if len(targets) == 1 and isinstance(target, cst.Name):
            found = self.module.bindings(target)
            if len(found) != 1 or not isinstance(found[0], Assignment):
                raise Unsure(f"`{target.value}` is not only a client", _BY_HAND, node)
            for access in found[0].references:
                if isinstance(access.node, cst.Name):
                    self._follow(access.node)
        elif len(targets) == 1 and isinstance(target, cst.Attribute) and self.module.attribute(target) is node:
            for other in self.module.all(cst.Attribute):
                if other is not target and other.attr.value == target.attr.value:
                    if not m.matches(other.value, m.Name("self")):
                        raise Unsure(f"`{self.module.code(other)}` may be the client", _BY_HAND, other)
                    self._follow(other)
        else:
            raise Unsure("the client is put somewhere else than into a name", _BY_HAND, node)

    def _handed_on(self, argument: cst.Arg, node: cst.BaseExpression) -> None:
        parameter, values = handed_to(self.module, argument)
        for value in values:
            made = self.module.value(value) if isinstance(value, cst.Name) else value
            if not isinstance(made, cst.Call) or self.module.dotted(made.func) not in _CLIENT:
                raise Unsure(f"`{parameter.name}` is not a client in every call", _BY_HAND, node)
        for access in parameter.references:
            if isinstance(access.node, cst.Name):
                self._follow(access.node)

    def _returned(self, statement: cst.Return) -> None:
        function = self.module.function(statement)
        calls = self.module.calls(function) if function is not None and not function.decorators else None
        if function is None or not calls or len(m.findall(function.body, m.Return())) != 1:
            raise Unsure("the client is returned to who knows whom", _BY_HAND, statement)
        for call in calls:
            self._follow(call)

    def _method(self, node: cst.Attribute) -> None:
        action, call = node.attr.value, self.module.parent(node)
        if action not in _METHODS or not isinstance(call, cst.Call) or call.func is not node:
            raise Unsure(f"the client's `{action}` is used in a way that is not followed", _BY_HAND, node)
        if any(argument.star for argument in call.args):
            raise Unsure("arguments are passed on by a star", _BY_HAND, call)
        self.edits.replace(node, lambda updated: updated.with_changes(attr=cst.Name(_METHODS[action])))
        self.changes.append(Change(self.module.line(node), f"{action} → {_METHODS[action]}"))
        if action == "index_students":
            follow_page(self.module, call, self.edits)
            return
        if action == "delete_student" and not isinstance(self.module.parent(call), cst.Expr):
            raise Unsure("what delete_student returns is looked at", "the new delete returns nothing", call)
        self._arguments(call, action)

    def _arguments(self, call: cst.Call, action: str) -> None:
        """The new methods take the session's id first, and the exam's by name."""
        names = _PARAMETERS[action]
        if len([each for each in call.args if each.keyword is None]) > len(names):
            raise Unsure(f"{action} is called with too many arguments", _BY_HAND, call)

        def made(updated: cst.Call) -> cst.Call:
            given = [
                each if each.keyword is not None else _by_name(each, names[place])
                for place, each in enumerate(updated.args)
            ]
            first = "exam_id" if action == "add_student" else "student_session_id"
            given.sort(key=lambda each: each.keyword is None or each.keyword.value != first)
            return updated.with_changes(
                args=[given[0].with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT), *given[1:]]
            )

        self.edits.replace(call, made)


def _by_name(argument: cst.Arg, name: str) -> cst.Arg:
    plain = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return argument.with_changes(keyword=cst.Name(name), equal=plain, comma=argument.comma)


def _closed(arguments: tuple[cst.Arg, ...]) -> list[cst.Arg]:
    """Arguments before one that is added: a last one without a comma gets one."""
    if not arguments:
        return []
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = arguments[-1]
    given = last if isinstance(last.comma, cst.Comma) else last.with_changes(comma=comma)
    return [*arguments[:-1], given]
