"""From which lines a module sends an address that it writes, or puts together, somewhere else.

Every value is a set of what it may hold: parts of an old address, something of a library that sends, a function of the
module. These sets are carried along names, attributes, arguments and results until nothing is added, without regard to
the order of statements. An answer holds nothing: what is read from it is no address.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from compat.migration.scan.modules import Shared
from compat.migration.scan.rules import ACTIONS
from compat.migration.scan.strings import Function, bound_in, dotted, imported_names

__all__ = ["LIBRARIES", "Senders", "Sent"]

LIBRARIES = ("requests", "httpx", "aiohttp", "urllib", "urllib2", "urllib3", "http", "subprocess", "os", "pycurl",
             "httplib2")  # fmt: skip
_VERBS = frozenset(
    ("get", "post", "put", "patch", "delete", "head", "options", "request", "send", "stream", "urlopen", "urlretrieve")
) | {"open", "fetch"}
_COMMANDS = {"os": {"system", "popen"}, "subprocess": {"run", "call", "check_call", "check_output", "Popen"}}
"""What starts a program; nothing else of these libraries sends."""
_NO_ADDRESS = {"params", "data", "json", "headers", "auth", "timeout", "cookies", "files", "verify", "proxies", "cert"}
_ACTION = re.compile(rf"(?<!\w)({'|'.join(ACTIONS)})(?!\w|\s*\(|\.\w)")
_EXAMS = re.compile(r"(?<!\w)exams(?![\w.-])")
_MOST_ROUNDS = 20
_LIB, _SENDS, _EXAM, _OWN = ("library",), ("sends",), ("exams",), ("own",)
_GIVEN = -1
"""The origin of an action that another module gives."""

_OF_CALLS = ("function", "class", "sends")
"""What belongs to what is called, and not to its parts and results."""

_Held = tuple[str, ...] | tuple[str, str, int]
_Value = frozenset[_Held]
_NOTHING: _Value = frozenset()


class Sent(NamedTuple):
    """A call by which an old address leaves the program.

    Attributes:
        node: the call.
        action: the last part of the address.
        is_whole: whether the exams' part of the address was seen too.
        origins: the expressions that the action comes from, each by its ``id``.
    """

    node: ast.Call
    action: str
    is_whole: bool
    origins: frozenset[int]


class Senders:
    """The flow of addresses through one module."""

    def __init__(self, tree: ast.Module, shared: Shared, left_out: Collection[int]) -> None:
        """Follow the values of a module.

        Args:
            tree: the module.
            shared: what it has from other modules; what it hands on is added.
            left_out: the expressions that are no address of somebody else's, each by its ``id``.
        """
        self._imported = imported_names(tree)
        self._foreign = shared.foreign
        self._own = shared.own
        self._left_out = left_out
        self._held: defaultdict[tuple[object, str], _Value] = defaultdict(frozenset)
        self._known: dict[int, _Value] = {}
        self._scopes: dict[int, tuple[Function | None, ...]] = {}
        self._locals: dict[int, set[str]] = {}
        self._functions: dict[str, list[Function]] = defaultdict(list)
        self._by_id: dict[str, Function] = {}
        self._classes: dict[str, ast.ClassDef] = {}
        self._class_of: dict[int, ast.ClassDef] = {}
        self._nodes: list[ast.AST] = []
        self._place(tree, (None,), None)
        for name, part in shared.given:
            self._give(name, frozenset({_EXAM if part == _EXAM[0] else ("action", part, _GIVEN)}))
        if self._has_actions():
            self._settle()
        for node in self._nodes:
            if isinstance(node, ast.Call) and self._is_handed_on(node):
                name = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
                shared.handed |= {(name, str(each[-1] if each == _EXAM else each[1])) for each in self._parts(node)}

    def sent(self) -> Iterator[Sent]:
        """The calls that send an old address, each as often as it has actions."""
        calls = [node for node in self._nodes if isinstance(node, ast.Call)]
        found = [each for call in calls if self._sends(call) or self._is_handed_on(call) for each in self._of(call)]
        yield from found
        # Where nothing else sends it, what looks like a sender is one: an object of which the module says nothing.
        known = frozenset[int]().union(*(each.origins for each in found))
        for call in calls:
            if self._may_send(call):
                yield from (each for each in self._of(call) if not each.origins <= known)

    def _of(self, call: ast.Call) -> Iterator[Sent]:
        held = self._arguments(call)
        for action in ACTIONS:
            origins = frozenset(int(each[2]) for each in held if each[:2] == ("action", action))
            if origins and (_EXAM in held or action == "index_students"):
                yield Sent(call, action, _EXAM in held, origins)

    def origins(self, node: ast.AST) -> set[int]:
        """Where the actions come from that an expression may hold."""
        return {int(each[2]) for each in self._value(node) if each[0] == "action"}

    def _place(self, node: ast.AST, scopes: tuple[Function | None, ...], owner: ast.ClassDef | None) -> None:
        """Note of every node which functions are around it."""
        for child in ast.iter_child_nodes(node):
            inner, inner_owner = scopes, owner
            self._nodes.append(child)
            self._scopes[id(child)] = scopes
            if isinstance(child, Function):
                name = getattr(child, "name", "")
                self._functions[name].append(child)
                self._by_id[str(id(child))] = child
                self._locals[id(child)] = bound_in(child)
                if owner is not None:
                    self._class_of[id(child)] = owner
                inner, inner_owner = (child, *scopes), None
            elif isinstance(child, ast.ClassDef):
                self._classes[child.name] = inner_owner = child
            self._place(child, inner, inner_owner)

    def _has_actions(self) -> bool:
        """Whether there is anything to follow: most modules have nothing."""
        texts = [str(node.value) for node in self._nodes if isinstance(node, ast.Constant)]
        return any(map(_ACTION.search, [*texts, *self._foreign.values()])) or any(self._held.values())

    def _settle(self) -> None:
        for _ in range(_MOST_ROUNDS):
            before = sum(map(len, self._held.values()))
            self._known.clear()
            for node in self._nodes:
                self._step(node)
            if sum(map(len, self._held.values())) == before:
                return

    def _step(self, node: ast.AST) -> None:
        """Carry what one statement or call carries."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, self._value(node.value))
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            if node.value is not None:
                self._bind(node.target, self._value(node.value))
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._bind(node.target, self._value(node.iter))
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._bind(node.optional_vars, self._value(node.context_expr))
        elif isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value is not None:
            self._add((id(self._scopes[id(node)][0]), "return"), self._value(node.value))
        elif isinstance(node, ast.Call):
            self._hand_over(node)
        elif isinstance(node, Function):
            self._defaults(node)

    def _defaults(self, function: Function) -> None:
        taken = function.args
        pairs = [*zip(reversed([*taken.posonlyargs, *taken.args]), reversed(taken.defaults), strict=False)]
        pairs += [(name, value) for name, value in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if value]
        for name, value in pairs:
            self._add((id(function), name.arg), self._value(value))
        if isinstance(function, ast.Lambda):
            self._add((id(function), "return"), self._value(function.body))

    def _bind(self, target: ast.expr, value: _Value) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._bind(each, value)
        elif isinstance(target, ast.Name):
            self._add(self._key(target), value)
            if self._is_in_class(target):
                self._add(("attribute", target.id), value)
        elif isinstance(target, ast.Attribute):
            self._add(("attribute", target.attr), value)
        elif isinstance(target, ast.Subscript | ast.Starred):
            self._bind(target.value, value)

    def _is_in_class(self, target: ast.Name) -> bool:
        # The body of a class is in no function of its own: whoever reads its name reads an attribute.
        return self._scopes[id(target)][0] is None and bool(self._classes)

    def _add(self, key: tuple[object, str], value: _Value) -> None:
        if not value <= self._held[key]:
            self._held[key] |= value

    def _key(self, name: ast.Name) -> tuple[object, str]:
        for scope in self._scopes[id(name)]:
            if scope is not None and name.id in self._locals[id(scope)]:
                return id(scope), name.id
        return None, name.id

    def _value(self, node: ast.AST | None) -> _Value:
        """What an expression may hold."""
        if node is None or id(node) in self._left_out:
            return _NOTHING
        if id(node) not in self._known:
            # What is asked for while it is worked out holds nothing yet; the next round adds it.
            self._known[id(node)] = _NOTHING
            self._known[id(node)] = self._worked_out(node)
        return self._known[id(node)]

    def _worked_out(self, node: ast.AST) -> _Value:
        if isinstance(node, ast.Constant):
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            return _of_text(text, id(node)) if isinstance(text, str) else _NOTHING
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.Lambda):
            return frozenset({("function", str(id(node)))})
        if isinstance(node, ast.Compare):
            return _NOTHING
        if isinstance(node, ast.Dict):
            return self._all(node.values)
        if isinstance(node, ast.Subscript | ast.DictComp):
            return self._value(node.value)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return self._value(node.elt)
        return self._all(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))

    def _all(self, nodes: Iterable[ast.AST | None]) -> _Value:
        return frozenset().union(*map(self._value, nodes))

    def _name(self, node: ast.Name) -> _Value:
        held = self._held[self._key(node)]
        if node.id in self._foreign:
            held |= _of_text(self._foreign[node.id], id(node))
        if node.id in self._classes:
            held |= {("class", node.id)}
        held |= {("function", str(id(each))) for each in self._functions.get(node.id, ())
                 if id(each) not in self._class_of}  # fmt: skip
        if node.id in self._own:
            held |= {_OWN}
        return held | self._library_of(self._imported.get(node.id, ""))

    @staticmethod
    def _library_of(origin: str) -> _Value:
        """What an imported name holds of a library that sends."""
        package, _, last = origin.rpartition(".")
        library = (package or last).partition(".")[0]
        if library in _COMMANDS:
            return frozenset({_SENDS} if package and last in _COMMANDS[library] else ())
        if library not in LIBRARIES:
            return _NOTHING
        return frozenset({_LIB, _SENDS} if package and last in _VERBS else {_LIB})

    def _attribute(self, node: ast.Attribute) -> _Value:
        name = dotted(node)
        if name in self._foreign:
            return _of_text(self._foreign[name], id(node))
        owner = self._value(node.value)
        root, _, rest = name.partition(".")
        if _LIB in owner and node.attr in _VERBS:
            return frozenset({_LIB, _SENDS})
        if self._imported.get(root) in _COMMANDS and self._library_of(f"{self._imported[root]}.{rest}"):
            return frozenset({_SENDS})
        held = self._held["attribute", node.attr] | {each for each in owner if each[0] not in _OF_CALLS}
        methods = [each for each in self._functions.get(node.attr, ()) if id(each) in self._class_of]
        for each in filter(_is_property, methods):
            held |= self._held[id(each), "return"]
        return held | {("function", str(id(each))) for each in methods}

    def _sends(self, call: ast.Call) -> bool:
        """Whether a call hands its arguments to a library that sends them."""
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in _VERBS and _is_super(function.value):
            around = next((each for each in self._scopes[id(call)] if id(each) in self._class_of), None)
            return around is not None and self._is_of_library(self._class_of[id(around)])
        return _SENDS in self._value(function)

    def _may_send(self, call: ast.Call) -> bool:
        """Whether a call has the name of one that sends, an address, and an object of which nothing is known."""
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr not in _VERBS or _is_of_self(function):
            return False
        package = self._imported.get(dotted(function.value).partition(".")[0], "").partition(".")[0]
        is_own = any(id(each) in self._class_of for each in self._functions.get(function.attr, ()))
        if is_own or package in sys.stdlib_module_names or self._sends(call) or self._made_by(function.value):
            return False
        held = self._arguments(call)
        return _OWN not in self._value(function) and _EXAM in held and any(each[0] == "action" for each in held)

    def _is_handed_on(self, call: ast.Call) -> bool:
        """Whether a call gives an address to a function of another module of the tree."""
        function = call.func
        is_own = isinstance(function, ast.Attribute) and (_is_super(function.value) or dotted(function.value) == "self")
        around = next((each for each in self._scopes[id(call)] if id(each) in self._class_of), None) if is_own else None
        held = self._value(function)
        if around is not None and not any(each[0] == "function" for each in held):
            held = self._all(self._class_of[id(around)].bases)
        return _OWN in held and not self._sends(call) and any(each[0] == "action" for each in self._parts(call))

    def _parts(self, call: ast.Call) -> _Value:
        return frozenset(each for each in self._arguments(call) if each == _EXAM or each[0] == "action")

    def _give(self, name: str, value: _Value) -> None:
        """Let a value reach the parameters of all functions of a name, and of the classes of it."""
        for function in self._functions.get(name, ()):
            self._pass_all(function, value)
        for each in self._classes[name].body if name in self._classes else ():
            if isinstance(each, Function) and getattr(each, "name", "") == "__init__":
                self._pass_all(each, value)

    def _is_of_library(self, owner: ast.ClassDef) -> bool:
        bases = [self._value(base) for base in owner.bases]
        names = {str(each[1]) for held in bases for each in held if each[0] == "class"} - {owner.name}
        inner = (self._classes[name] for name in names)
        return any(_LIB in held for held in bases) or any(
            each is not owner and self._is_of_library(each) for each in inner
        )

    def _made_by(self, node: ast.expr) -> list[ast.ClassDef]:
        """The classes of the module that an object may be of, where a library's class is their base."""
        found = [self._classes[str(each[1])] for each in self._value(node) if each[0] == "instance"]
        return [each for each in found if self._is_of_library(each)]

    def _arguments(self, call: ast.Call) -> _Value:
        named = (each.value for each in call.keywords if each.arg not in _NO_ADDRESS)
        return self._all([*call.args, *named])

    def _result(self, call: ast.Call) -> _Value:
        function = self._value(call.func)
        called = {str(id(each)) for each in self._called(function)}
        classes = {("instance", str(each[1])) for each in function if each[0] == "class"}
        if self._sends(call):
            return _NOTHING
        if called:
            return frozenset().union(*(self._held[int(each), "return"] for each in called))
        receiver = self._value(call.func.value) if isinstance(call.func, ast.Attribute) else function
        held = self._arguments(call) if not classes else _NOTHING
        if isinstance(call.func, ast.Name) and call.func.id == "getattr" and _LIB in held:
            held |= {_SENDS}
        return held | classes | {each for each in receiver if each[0] not in _OF_CALLS}

    def _called(self, value: _Value) -> list[Function]:
        """The functions of the module that a call of a value calls."""
        found = [self._by_id[str(each[1])] for each in value if each[0] == "function"]
        for each in value:
            if each[0] == "instance":
                body = self._classes[str(each[1])].body
                found += [one for one in body if isinstance(one, Function) and getattr(one, "name", "") == "__call__"]
        return found

    def _hand_over(self, call: ast.Call) -> None:
        """Let the arguments of a call reach the parameters of what it calls."""
        function = self._value(call.func)
        arguments = [self._value(each) for each in call.args]
        named = {each.arg: self._value(each.value) for each in call.keywords}
        for called in self._called(function):
            self._pass(called, arguments, named)
        for each in function:
            if each[0] == "class":
                self._make(self._classes[str(each[1])], arguments, named)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _VERBS:
            for owner in self._made_by(call.func.value):
                # A session of its own: the library calls its request() or send() with the same address.
                for inner in owner.body:
                    if isinstance(inner, Function) and getattr(inner, "name", "") in ("request", "send"):
                        self._pass_all(inner, self._arguments(call))
        if not any(each[0] in ("function", "class") for each in function):
            handed = self._all([*call.args, *(each.value for each in call.keywords)])
            for each in handed:
                if each[0] == "function":
                    self._pass_all(self._by_id[str(each[1])], handed)

    def _make(self, owner: ast.ClassDef, arguments: list[_Value], named: Mapping[str | None, _Value]) -> None:
        for base in owner.bases:
            for each in self._value(base):
                if each[0] == "class" and each[1] != owner.name:
                    self._make(self._classes[str(each[1])], arguments, named)
        made = [each for each in owner.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        for function in made:
            self._pass(function, arguments, named)
        if not made:
            fields = [each.target.id for each in owner.body
                      if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]  # fmt: skip
            for name, value in [*zip(fields, arguments, strict=False), *named.items()]:
                self._add(("attribute", name or ""), value)

    def _pass(self, function: Function, arguments: list[_Value], named: Mapping[str | None, _Value]) -> None:
        taken = function.args
        names = [each.arg for each in (*taken.posonlyargs, *taken.args)]
        if id(function) in self._class_of and names[:1] in (["self"], ["cls"]):
            del names[0]
        for name, value in zip(names, arguments, strict=False):
            self._add((id(function), name), value)
        if taken.vararg is not None:
            self._add((id(function), taken.vararg.arg), frozenset().union(*arguments[len(names) :]))
        known = {*names, *(each.arg for each in taken.kwonlyargs)}
        for key, value in named.items():
            if key in known:
                self._add((id(function), key), value)
            elif taken.kwarg is not None:
                self._add((id(function), taken.kwarg.arg), value)

    def _pass_all(self, function: Function, value: _Value) -> None:
        taken = function.args
        for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg):
            if each is not None and each.arg not in ("self", "cls"):
                self._add((id(function), each.arg), value)


def _of_text(text: str, origin: int) -> _Value:
    found: set[_Held] = {("action", each, origin) for each in _ACTION.findall(text)}
    return frozenset(found | {_EXAM} if _EXAMS.search(text) else found)


def _is_property(function: Function) -> bool:
    names = (getattr(each, "attr", getattr(each, "id", "")) for each in getattr(function, "decorator_list", ()))
    return any(name in ("property", "cached_property") for name in names)


def _is_of_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and (_is_super(node.value) or dotted(node.value) == "self")


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
