"""``ExamStudentsClient`` becomes ``StudentSessionsClient``: all of a module's, or none."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment

from compat.migration.codemod.edits import Change, Edits, Left
from compat.migration.program.definitions import Program
from compat.migration.program.flow import sources
from compat.migration.program.module import Module, Unsure, inside
from compat.migration.scan.rules import ACTIONS

__all__ = ["OldClientRewrite"]

_SAME = ("item_count", "page_count", "page", "limit", "unsettled")
_OF_PAGE = "use the page's sessions"
_REWRITE_TOO = "rewrite that too, by hand"
_CLIENT = ("compat.ExamStudentsClient", "compat.entrances.client.ExamStudentsClient")
_PAGE = ("compat.StudentsPage", "compat.entrances.client.StudentsPage")
_NEW = {**dict.fromkeys(_CLIENT, "StudentSessionsClient"), **dict.fromkeys(_PAGE, "SessionsPage")}
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
        configured: the kind of upstream that a configuration file names, for clients that are made of that.
        touched: nodes in whose lines no old name is left.
    """

    module: Module
    configured: str = ""
    edits: Edits = field(default_factory=Edits)
    changes: list[Change] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    touched: list[cst.CSTNode] = field(default_factory=list)

    def run(self) -> None:
        """Plan the changes."""
        named = list(self._named())
        methods = [node for node in self.module.all(cst.Attribute) if node.attr.value in ACTIONS]
        if not named:
            return
        try:
            for node, name in named:
                self._name(node, name)
            clients = {call for call in self.module.all(cst.Call) if self.module.dotted(call.func) in _CLIENT}
            read = [self._method(each) for each in self._read(clients, "client")]
            strange = [node for node in methods if node not in [call.func for call in read]]
            if strange:
                told = self.module.code(strange[0].value)
                raise Unsure(f"`{told}` may be an ExamStudentsClient, or not", _BY_HAND, strange[0])
            pages = {call for call in read if m.matches(call.func, m.Attribute(attr=m.Name("index_students")))}
            for each in self._read(pages, "page"):
                self._page_attribute(each)
        except Unsure as unsure:
            self.edits, self.changes, self.touched = Edits(), [], []
            self._refuse(unsure, [node for node, _ in named], methods)
            return
        self.touched += [*(self.module.statement(node) for node, _ in named), *methods]

    def _read(self, made: Collection[cst.Call], word: str) -> Iterator[cst.Attribute]:
        """The attributes that are read of objects, followed from the calls that make them to all their uses.

        Raises:
            Unsure: one goes where it is not followed, or is something else at times.
        """
        module, program = self.module, Program([self.module])
        for node in module.nodes if made else ():
            if not isinstance(node, cst.Name | cst.Attribute | cst.Call) or _is_label(module, node):
                continue
            flow = sources(program, module, node, same=True)
            if not any(call in flow.nodes for call in made):
                continue
            held = [each for each in flow.nodes if isinstance(each, cst.BaseExpression) and not _is_bound(module, each)]
            if not all(each in made or (isinstance(each, cst.Call) and module.called(each)) for each in held):
                raise Unsure(f"`{module.code(node)}` is not only a {word}", _BY_HAND, node)
            parent = module.parent(node)
            if isinstance(parent, cst.Attribute):
                yield parent
            elif isinstance(parent, cst.Arg):
                call = cst.ensure_type(module.parent(parent), cst.Call)
                function = module.called(call)
                if function is None or parent.star or module.calls(function) is None:
                    raise Unsure(
                        f"it is handed to `{module.code(call.func)}`, which is not followed", _REWRITE_TOO, node
                    )
            elif isinstance(parent, cst.Return):
                if not module.calls(module.function(parent)):
                    raise Unsure(f"the {word} is returned to who knows whom", _BY_HAND, parent)
            elif not isinstance(parent, cst.Assign | cst.AnnAssign | cst.AssignTarget | cst.Expr):
                raise Unsure(f"the {word} goes where it is not followed", _BY_HAND, node)

    def _named(self) -> Iterator[tuple[cst.Name | cst.Attribute, str]]:
        """The uses of both names, but not where they are imported."""
        nodes: Iterator[cst.Name | cst.Attribute] = self.module.all(cst.Name, cst.Attribute)
        for node in nodes:
            dotted = self.module.dotted(node)
            if dotted in _NEW and not isinstance(self.module.parent(node), cst.ImportAlias | cst.AsName):
                yield node, _NEW[dotted]

    def _refuse(self, unsure: Unsure, named: list[cst.Name | cst.Attribute], methods: list[cst.Attribute]) -> None:
        place = self.module.line(unsure.node) if unsure.node is not None else 0
        for node in (*named, *methods):
            line, last = self.module.line(node), self.module.last(node)
            told = unsure.reason if line <= place <= last else f"line {place}: {unsure.reason}"
            self.left.append(Left(line, told, unsure.by_hand, last=last))
        for statement in self.module.all(cst.ImportFrom):
            if any(each.value in ("ExamStudentsClient", "StudentsPage") for each in inside(statement, cst.Name)):
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

    def _method(self, node: cst.Attribute) -> cst.Call:
        action, call = node.attr.value, self.module.parent(node)
        if action not in _METHODS or not isinstance(call, cst.Call) or call.func is not node:
            raise Unsure(f"the client's `{action}` is used in a way that is not followed", _BY_HAND, node)
        if any(argument.star for argument in call.args):
            raise Unsure("arguments are passed on by a star", _BY_HAND, call)
        self.edits.replace(node, lambda updated: updated.with_changes(attr=cst.Name(_METHODS[action])))
        self.changes.append(Change(self.module.line(node), f"{action} → {_METHODS[action]}"))
        if action == "delete_student" and not isinstance(self.module.parent(call), cst.Expr):
            raise Unsure("what delete_student returns is looked at", "the new delete returns nothing", call)
        if action != "index_students":
            self._arguments(call, action)
        return call

    def _page_attribute(self, node: cst.Attribute) -> None:
        if node.attr.value == "students":
            self.edits.replace(node, lambda updated: updated.with_changes(attr=cst.Name("sessions")))
        elif node.attr.value not in _SAME:
            raise Unsure(f"a page has no `{node.attr.value}`", _OF_PAGE, node)

    def _arguments(self, call: cst.Call, action: str) -> None:
        """The new methods take the session's id first, and the exam's by name."""
        names = _PARAMETERS[action]
        if len([each for each in call.args if each.keyword is None]) > len(names):
            raise Unsure(f"{action} is called with too many arguments", _BY_HAND, call)

        def made(updated: cst.Call) -> cst.Call:
            plain = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
            given = [
                each if each.keyword is not None else each.with_changes(keyword=cst.Name(names[place]), equal=plain)
                for place, each in enumerate(updated.args)
            ]
            first = "exam_id" if action == "add_student" else "student_session_id"
            given.sort(key=lambda each: each.keyword is None or each.keyword.value != first)
            given[0] = given[0].with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)
            return updated.with_changes(args=given)

        self.edits.replace(call, made)


def _is_bound(module: Module, node: cst.BaseExpression) -> bool:
    """Whether a node is a name that the module itself binds, or an attribute: its values are followed."""
    if isinstance(node, cst.Name):
        return bool(module.bindings(node)) and all(isinstance(each, Assignment) for each in module.bindings(node))
    return isinstance(node, cst.Attribute) and not module.dotted(node)


def _is_label(module: Module, node: cst.CSTNode) -> bool:
    """Whether a name is an attribute's, an argument's or a definition's own, and no value."""
    parent = module.parent(node)
    labels = [getattr(parent, each, None) for each in ("attr", "keyword", "name", "func", "annotation")]
    return any(each is node for each in labels)


def _closed(arguments: tuple[cst.Arg, ...]) -> list[cst.Arg]:
    """Arguments before one that is added: a last one without a comma gets one."""
    given = list(arguments)
    if given and not isinstance(given[-1].comma, cst.Comma):
        given[-1] = given[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
    return given
