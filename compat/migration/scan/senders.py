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
from compat.migration.scan.strings import Function, bound_in, dotted, imported_names, parameters_of

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
_LIB, _SENDS, _EXAM, _OWN = "library", "sends", "exams", "own"


class _Action(NamedTuple):
    """The last part of an old address, and the expression that writes it; None where another module does."""

    name: str
    origin: ast.AST | None


class _Instance(NamedTuple):
    of: ast.ClassDef


_Value = frozenset[str | _Action | _Instance | Function | ast.ClassDef]
_NOTHING: _Value = frozenset()


class Sent(NamedTuple):
    """A call by which an old address leaves the program.

    Attributes:
        action: the last part of the address.
        is_whole: whether the exams' part of the address was seen too.
        origins: the expressions that the action comes from; None for one that another module gives.
    """

    node: ast.Call
    action: str
    is_whole: bool
    origins: frozenset[ast.AST | None]


class Senders:
    """The flow of addresses through one module.

    Args:
        tree: the module.
        shared: what it has from other modules; what it hands on is added.
        left_out: the expressions that are no address of somebody else's.
    """

    def __init__(self, tree: ast.Module, shared: Shared, left_out: Collection[ast.AST]) -> None:
        self._imported = imported_names(tree)
        self._foreign = shared.foreign
        self._own = shared.own
        self._left_out = left_out
        self._held: defaultdict[tuple[object, str], _Value] = defaultdict(frozenset)
        self._known: dict[ast.AST, _Value] = {}
        self._scopes: dict[ast.AST, tuple[Function | None, ...]] = {}
        self._locals: dict[Function, set[str]] = {}
        self._functions: dict[str, list[Function]] = defaultdict(list)
        self._classes: dict[str, ast.ClassDef] = {}
        self._class_of: dict[Function, ast.ClassDef] = {}
        self._nodes: list[ast.AST] = []
        self._place(tree, (None,), None)
        self._calls = [node for node in self._nodes if isinstance(node, ast.Call)]
        for name, part in shared.given:
            self._give(name, frozenset({_EXAM if part == _EXAM else _Action(part, None)}))
        if self._has_actions():
            self._settle()
        for call in self._calls:
            if self._is_handed_on(call):
                name = dotted(call.func).rpartition(".")[2] or getattr(call.func, "attr", "")
                held = self._arguments(call)
                shared.handed |= {(name, each.name) for each in held if isinstance(each, _Action)}
                shared.handed |= {(name, _EXAM)} if _EXAM in held else set()

    def sent(self) -> Iterator[Sent]:
        """The calls that send an old address, each as often as it has actions."""
        ways = (self._sends, self._is_handed_on, self._gives_sender)
        calls = (call for call in self._calls if any(way(call) for way in ways))
        found = [each for call in calls for each in self._of(call)]
        yield from found
        # Where nothing else sends it, what looks like a sender is one: an object of which the module says nothing.
        known = frozenset[ast.AST | None]().union(*(each.origins for each in found))
        for call in filter(self._may_send, self._calls):
            yield from (each for each in self._of(call) if not each.origins <= known)

    def _of(self, call: ast.Call) -> Iterator[Sent]:
        held = self._arguments(call)
        for action in ACTIONS:
            origins = frozenset(each.origin for each in held if isinstance(each, _Action) and each.name == action)
            if origins and (_EXAM in held or action == "index_students"):
                yield Sent(call, action, _EXAM in held, origins)

    def answered(self) -> set[ast.AST | None]:
        """Where the actions come from that calls of ``StudentSessionsHTTP`` are given, which takes the old names."""
        calls = (call for call in self._calls if self._is_new(call))
        return {each.origin for call in calls for each in self._arguments(call) if isinstance(each, _Action)}

    def _is_new(self, call: ast.Call) -> bool:
        root: ast.expr = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        origin = self._imported.get(dotted(root.func), "") if isinstance(root, ast.Call) else ""
        return origin.rpartition(".")[2] == "StudentSessionsHTTP" and origin.partition(".")[0] == "compat"

    def _gives_sender(self, call: ast.Call) -> bool:
        """Whether a call gives an address and what sends it to what may call it, such as a pool of threads."""
        if self._called(self._value(call.func)) or self._sends(call):
            return False
        return any(_SENDS in self._value(each) for each in call.args) and _has_action(self._arguments(call))

    def origins(self, node: ast.AST) -> set[ast.AST | None]:
        """Where the actions come from that an expression may hold."""
        return {each.origin for each in self._value(node) if isinstance(each, _Action)}

    def _place(self, node: ast.AST, scopes: tuple[Function | None, ...], owner: ast.ClassDef | None) -> None:
        """Note of every node which functions are around it."""
        for child in ast.iter_child_nodes(node):
            inner, inner_owner = scopes, owner
            self._nodes.append(child)
            self._scopes[child] = scopes
            if isinstance(child, Function):
                self._functions[getattr(child, "name", "")].append(child)
                self._locals[child] = bound_in(child)
                if owner is not None:
                    self._class_of[child] = owner
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
            self._bind(node.target, self._value(node.value))
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._bind(node.target, self._value(node.iter))
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._bind(node.optional_vars, self._value(node.context_expr))
        elif isinstance(node, ast.Return | ast.Yield | ast.YieldFrom):
            self._add(self._scopes[node][0], "return", self._value(node.value))
        elif isinstance(node, ast.Call):
            self._hand_over(node)
        elif isinstance(node, Function):
            self._defaults(node)

    def _defaults(self, function: Function) -> None:
        taken = function.args
        pairs = [*zip(reversed([*taken.posonlyargs, *taken.args]), reversed(taken.defaults), strict=False)]
        pairs += [(name, value) for name, value in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if value]
        for name, value in pairs:
            self._add(function, name.arg, self._value(value))
        if isinstance(function, ast.Lambda):
            self._add(function, "return", self._value(function.body))

    def _bind(self, target: ast.expr, value: _Value) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._bind(each, value)
        elif isinstance(target, ast.Name):
            self._add(self._scope_of(target), target.id, value)
            # The body of a class is in no function of its own: whoever reads its name reads an attribute.
            if self._scopes[target][0] is None and self._classes:
                self._add("attribute", target.id, value)
        elif isinstance(target, ast.Attribute):
            self._add("attribute", target.attr, value)
        elif isinstance(target, ast.Subscript | ast.Starred):
            self._bind(target.value, value)

    def _add(self, scope: object, name: str, value: _Value) -> None:
        if not value <= self._held[scope, name]:
            self._held[scope, name] |= value

    def _scope_of(self, name: ast.Name) -> Function | None:
        around = (scope for scope in self._scopes[name] if scope is not None)
        return next((scope for scope in around if name.id in self._locals[scope]), None)

    def _value(self, node: ast.AST | None) -> _Value:
        """What an expression may hold."""
        if node is None or node in self._left_out:
            return _NOTHING
        if node not in self._known:
            # What is asked for while it is worked out holds nothing yet; the next round adds it.
            self._known[node] = _NOTHING
            self._known[node] = self._worked_out(node)
        return self._known[node]

    def _worked_out(self, node: ast.AST) -> _Value:
        if isinstance(node, ast.Constant):
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            return _of_text(text, node) if isinstance(text, str) else _NOTHING
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.Lambda):
            return frozenset({node})
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
        return _NOTHING.union(*map(self._value, nodes))

    def _name(self, node: ast.Name) -> _Value:
        held = self._held[self._scope_of(node), node.id] | self._library_of(self._imported.get(node.id, ""))
        if node.id in self._foreign:
            held |= _of_text(self._foreign[node.id], node)
        if node.id in self._classes:
            held |= {self._classes[node.id]}
        if node.id in self._own:
            held |= {_OWN}
        return held.union(each for each in self._functions.get(node.id, ()) if each not in self._class_of)

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
            return _of_text(self._foreign[name], node)
        owner = self._value(node.value)
        root, _, rest = name.partition(".")
        if _LIB in owner and node.attr in _VERBS:
            return frozenset({_LIB, _SENDS})
        if self._imported.get(root) in _COMMANDS and self._library_of(f"{self._imported[root]}.{rest}"):
            return frozenset({_SENDS})
        methods = [each for each in self._functions.get(node.attr, ()) if each in self._class_of]
        given = (self._held[each, "return"] for each in methods if _is_property(each))
        return self._held["attribute", node.attr].union(_parts_of(owner), methods, *given)

    def _owner_around(self, call: ast.Call) -> ast.ClassDef | None:
        """The class whose method a call is in."""
        around = (self._class_of[each] for each in self._scopes[call] if each in self._class_of)
        return next(around, None)

    def _sends(self, call: ast.Call) -> bool:
        """Whether a call hands its arguments to a library that sends them."""
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in _VERBS and _is_super(function.value):
            around = self._owner_around(call)
            return around is not None and self._is_of_library(around)
        return _SENDS in self._value(function)

    def _may_send(self, call: ast.Call) -> bool:
        """Whether a call has the name of one that sends, an address, and an object of which nothing is known."""
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr not in _VERBS or self._is_new(call):
            return False
        package = self._imported.get(dotted(function.value).partition(".")[0], "").partition(".")[0]
        is_own = _is_of_self(function) or any(each in self._class_of for each in self._functions.get(function.attr, ()))
        if is_own or package in sys.stdlib_module_names or self._sends(call) or any(self._made_by(function.value)):
            return False
        held = self._arguments(call)
        return _OWN not in self._value(function) and _EXAM in held and _has_action(held)

    def _is_handed_on(self, call: ast.Call) -> bool:
        """Whether a call gives an address to a function of another module of the tree."""
        function, held = call.func, self._value(call.func)
        around = self._owner_around(call) if _is_of_self(function) else None
        if around is not None and not any(isinstance(each, Function) for each in held):
            held = self._all(around.bases)
        return _OWN in held and not self._sends(call) and _has_action(self._arguments(call))

    def _give(self, name: str, value: _Value) -> None:
        """Let a value reach the parameters of all functions of a name, and of the classes of it."""
        made = _methods(self._classes[name], "__init__") if name in self._classes else []
        for function in (*self._functions.get(name, ()), *made):
            self._pass_all(function, value)

    def _is_of_library(self, owner: ast.ClassDef) -> bool:
        held = self._all(owner.bases)
        inner = {each.name for each in held if isinstance(each, ast.ClassDef)} - {owner.name}
        return _LIB in held or any(self._is_of_library(self._classes[name]) for name in inner)

    def _made_by(self, node: ast.expr) -> Iterator[ast.ClassDef]:
        """The classes of the module that an object may be of, where a library's class is their base."""
        made = (each.of for each in self._value(node) if isinstance(each, _Instance))
        yield from filter(self._is_of_library, made)

    def _arguments(self, call: ast.Call) -> _Value:
        named = (each.value for each in call.keywords if each.arg not in _NO_ADDRESS)
        return self._all([*call.args, *named])

    def _result(self, call: ast.Call) -> _Value:
        function = self._value(call.func)
        if self._sends(call):
            return _NOTHING
        called = self._called(function)
        if called:
            return _NOTHING.union(*(self._held[each, "return"] for each in called))
        instances: _Value = frozenset(_Instance(each) for each in function if isinstance(each, ast.ClassDef))
        receiver = self._value(call.func.value) if isinstance(call.func, ast.Attribute) else function
        held = instances or self._arguments(call)
        if isinstance(call.func, ast.Name) and call.func.id == "getattr" and _LIB in held:
            held |= {_SENDS}
        return held | _parts_of(receiver)

    def _called(self, value: _Value) -> list[Function]:
        """The functions of the module that a call of a value calls."""
        objects = (each.of for each in value if isinstance(each, _Instance))
        return [
            *(each for each in value if isinstance(each, Function)),
            *(method for each in objects for method in _methods(each, "__call__")),
        ]

    def _hand_over(self, call: ast.Call) -> None:
        """Let the arguments of a call reach the parameters of what it calls."""
        function = self._value(call.func)
        arguments = [self._value(each) for each in call.args]
        named = {each.arg: self._value(each.value) for each in call.keywords}
        for called in self._called(function):
            self._pass(called, arguments, named)
        for each in function:
            if isinstance(each, ast.ClassDef):
                self._make(each, arguments, named)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _VERBS:
            for owner in self._made_by(call.func.value):
                # A session of its own: the library calls its request() or send() with the same address.
                for inner in _methods(owner, "request", "send"):
                    self._pass_all(inner, self._arguments(call))
        if not any(isinstance(each, Function | ast.ClassDef) for each in function):
            handed = self._all([*call.args, *(each.value for each in call.keywords)])
            for each in handed:
                if isinstance(each, Function):
                    self._pass_all(each, handed)

    def _make(self, owner: ast.ClassDef, arguments: list[_Value], named: Mapping[str | None, _Value]) -> None:
        for each in self._all(owner.bases):
            if isinstance(each, ast.ClassDef) and each.name != owner.name:
                self._make(each, arguments, named)
        made = _methods(owner, "__init__")
        for function in made:
            self._pass(function, arguments, named)
        if not made:
            fields = [each.target.id for each in owner.body
                      if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]  # fmt: skip
            for name, value in [*zip(fields, arguments, strict=False), *named.items()]:
                self._add("attribute", name or "", value)

    def _pass(self, function: Function, arguments: list[_Value], named: Mapping[str | None, _Value]) -> None:
        taken = function.args
        names = [each.arg for each in (*taken.posonlyargs, *taken.args)]
        if function in self._class_of and names[:1] in (["self"], ["cls"]):
            del names[0]
        for name, value in zip(names, arguments, strict=False):
            self._add(function, name, value)
        if taken.vararg is not None:
            self._add(function, taken.vararg.arg, _NOTHING.union(*arguments[len(names) :]))
        known = {*names, *(each.arg for each in taken.kwonlyargs)}
        for key, value in named.items():
            if key in known:
                self._add(function, str(key), value)
            elif taken.kwarg is not None:
                self._add(function, taken.kwarg.arg, value)

    def _pass_all(self, function: Function, value: _Value) -> None:
        for each in parameters_of(function):
            if each is not function.args.kwarg and each.arg not in ("self", "cls"):
                self._add(function, each.arg, value)


def _of_text(text: str, origin: ast.AST) -> _Value:
    return frozenset({*(_Action(each, origin) for each in _ACTION.findall(text)), *_EXAMS.findall(text)})


def _parts_of(value: _Value) -> _Value:
    """What the parts and the results of a value hold: it is called itself, and not they."""
    return frozenset(each for each in value if each != _SENDS and not isinstance(each, Function | ast.ClassDef))


def _has_action(value: _Value) -> bool:
    return any(isinstance(each, _Action) for each in value)


def _methods(owner: ast.ClassDef, *names: str) -> list[Function]:
    return [each for each in owner.body if isinstance(each, Function) and getattr(each, "name", "") in names]


def _is_property(function: Function) -> bool:
    names = (getattr(each, "attr", getattr(each, "id", "")) for each in getattr(function, "decorator_list", ()))
    return any(name in ("property", "cached_property") for name in names)


def _is_of_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and (_is_super(node.value) or dotted(node.value) == "self")


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
