"""Calls that send an HTTP request, by the library that they go through, and texts that go nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import Assignment

from compat.migration.program.definitions import Defined, Program, bind, methods_of, owner_of, receiver
from compat.migration.program.flow import sources
from compat.migration.program.module import Module, Unsure

__all__ = ["HMACS", "NEW", "Destinations", "Send", "sends_of"]

HMACS = ("hmac.new", "hmac.digest", "hmac.HMAC")
"""What makes a signature of a key and a text."""
_METHODS = frozenset(("get", "post", "put", "patch", "delete", "head", "request"))
_SESSIONS = ("requests.Session", "requests.session", "requests.sessions.Session", "requests.sessions.session")
_KINDS = {**dict.fromkeys(_SESSIONS, "requests"), "httpx.Client": "httpx", "httpx.AsyncClient": "httpx_async"}
_OPENERS = ("urllib.request.urlopen",)
NEW = ("compat.StudentSessionsHTTP", "compat.entrances.sessions_http.StudentSessionsHTTP")
"""What answers instead."""
_URLS = ("url", "request")
_OWN = "own"
_MADE = ("aiohttp.ClientSession", "urllib3.PoolManager", "urllib.request.build_opener", "http.client.HTTP")
_OTHERS = ("aiohttp", "urllib3", "http.client", "pycurl", "httplib2", "subprocess", "os.system", "os.popen", "treq")


@dataclass(frozen=True)
class Send:
    """A call that sends.

    Attributes:
        call: the call; of a partial the one that makes it.
        sender: the expression that names what sends: ``requests.get``, or ``session.get``.
        library: ``requests``, ``httpx``, ``urllib``, or another.
        method: the name of the function or method that is called.
        session: the session or client that it goes through, or None.
        urls: the expressions that the URL comes in.
        uses: the calls of a partial.
    """

    module: Module
    call: cst.Call
    sender: cst.BaseExpression
    library: str
    method: str
    session: cst.BaseExpression | None
    urls: tuple[cst.BaseExpression, ...]
    uses: tuple[cst.Call, ...] = ()


def sends_of(program: Program, module: Module) -> Iterator[Send]:
    """The calls of a module that send, or may send."""
    for call in module.all(cst.Call):
        dotted = module.dotted(call.func)
        if dotted == "functools.partial" and call.args:
            yield from _partial(program, module, call)
        elif (found := _read(program, module, call, dotted)) is not None:
            yield found


def _read(program: Program, module: Module, call: cst.Call, dotted: str) -> Send | None:
    package, _, name = dotted.rpartition(".")
    library, urls = "", tuple(each.value for each in call.args if each.keyword is None or each.keyword.value in _URLS)
    session = call.func.value if isinstance(call.func, cst.Attribute) and not dotted else None
    if package in ("requests", "requests.api", "httpx") and (name in _METHODS or name == "stream"):
        library = package.partition(".")[0]
    elif dotted in _OPENERS:
        library = "urllib"
    elif dotted:
        library = next((each for each in _OTHERS if dotted == each or dotted.startswith(f"{each}.")), "")
        urls = tuple(each.value for each in call.args)
    elif isinstance(call.func, cst.Attribute) and call.func.attr.value in (*_METHODS, "send", "stream", "open"):
        library, name = _library_of(program, module, call.func), call.func.attr.value
        # What a method of the script's own sends is looked at there.
        urls = () if library == _OWN else urls
    return Send(module, call, call.func, library, name, session, urls) if library else None


def _library_of(program: Program, module: Module, function: cst.Attribute) -> str:
    """Whose session or client an object is; empty where it is none, or sends through a method of the program's own."""
    name, around = receiver(function), module.enclosing(function, cst.ClassDef)
    if name != "super()" and (name != "self" or around is None):
        return _origin(program, module, function.value)
    if around is None or not program.derived_from(Defined(module, around), _SESSIONS):
        return ""
    if name == "self":
        return _of_class(program, Defined(module, around))
    return "" if program.methods(module, function) else "requests"


def _origin(program: Program, module: Module, node: cst.BaseExpression) -> str:
    found = ""
    for holder, call in sources(program, module, node, same=True).all(cst.Call):
        dotted = holder.dotted(call.func)
        if not dotted:
            # A name may stand for one of several.
            kinds = sources(program, holder, call.func, same=True).all(cst.Attribute)
            dotted = next(filter(None, (other.dotted(each) for other, each in kinds)), "")
        if dotted.startswith(_MADE):
            found = dotted
        found = _KINDS.get(dotted, found)
        for own in program.named(holder, call.func):
            if isinstance(own.node, cst.ClassDef) and program.derived_from(own, _SESSIONS):
                return _of_class(program, own)
    return found


def _of_class(program: Program, own: Defined) -> str:
    """Whose session one of a class is: the script's own, where it sends in a method that is looked at for itself."""
    classes = program.family(own, below=False)
    return _OWN if any(methods_of(each, "request", "send", "get") for each in classes) else "requests"


def _partial(program: Program, module: Module, call: cst.Call) -> Iterator[Send]:
    """``functools.partial(requests.get, …)``: the URL comes where the partial is called."""
    sender = call.args[0].value
    dotted = module.dotted(sender)
    package, _, name = dotted.rpartition(".")
    if package not in ("requests", "requests.api", "httpx") or name not in _METHODS:
        return
    uses = [
        use
        for other in program.modules
        for use in other.all(cst.Call)
        if use is not call and isinstance(use.func, cst.Name | cst.Attribute)
        if call in sources(program, other, use.func, same=True).nodes
    ]
    given = [*call.args[1:], *(each for use in uses for each in use.args)]
    urls = tuple(each.value for each in given if each.keyword is None or each.keyword.value == "url")
    yield Send(module, call, sender, package.partition(".")[0], name, None, urls, tuple(uses))


_BUILDING = ("builtins.str", "urllib.parse.urljoin", "posixpath.join", "urllib.request.Request", "requests.Request")
_TEXT_METHODS = frozenset(
    ("format", "join", "encode", "decode", "strip", "rstrip", "lstrip", "prepare", "prepare_request")
)
_PARTS = (cst.BinaryOperation, cst.FormattedStringExpression, cst.FormattedString, cst.ConcatenatedString)


class Destinations:
    """Tells whether a text goes into the URLs of some calls, and nowhere else: then no output depends on it.

    Whatever is not followed here counts as somewhere else.
    """

    def __init__(self, program: Program, urls: Collection[cst.CSTNode]) -> None:
        self._program = program
        self._urls = urls
        self._looked: set[cst.CSTNode] = set()

    def are_urls(self, module: Module, node: cst.CSTNode) -> bool:
        """Whether an expression goes only there."""
        if node in self._urls or node in self._looked:
            return True
        self._looked.add(node)
        parent = module.parent(node)
        if isinstance(parent, _PARTS) or (isinstance(parent, cst.IfExp) and parent.test is not node):
            return self.are_urls(module, parent)
        if isinstance(parent, cst.Element):
            return self._in_row(module, module.parent(parent))
        if isinstance(parent, cst.Attribute) and parent.value is node:
            call = module.parent(parent)
            is_method = isinstance(call, cst.Call) and call.func is parent and parent.attr.value in _TEXT_METHODS
            return is_method and call is not None and self.are_urls(module, call)
        if isinstance(parent, cst.Arg):
            return self._argument(module, parent)
        if isinstance(parent, cst.Assign):
            return all(self._target(module, each.target) for each in parent.targets)
        if isinstance(parent, cst.AnnAssign | cst.AugAssign):
            return parent.target is node or self._target(module, parent.target)
        if isinstance(parent, cst.AssignTarget):
            return True
        if isinstance(parent, cst.Param) and parent.default is node:
            return self._name(module, parent.name)
        return isinstance(parent, cst.Return) and self._returned(module, parent)

    def _in_row(self, module: Module, row: cst.CSTNode | None) -> bool:
        """A tuple or a list, all of which becomes one text."""
        outer = module.parent(row)
        if isinstance(outer, cst.BinaryOperation):
            return self.are_urls(module, outer)
        return isinstance(outer, cst.Arg) and self._makes_text(module, module.parent(outer))

    def _makes_text(self, module: Module, call: cst.CSTNode | None) -> bool:
        """A call of a text's own method, or of what builds a URL, whose result goes only there."""
        if not isinstance(call, cst.Call):
            return False
        method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
        makes = module.dotted(call.func) in _BUILDING or method in _TEXT_METHODS
        return makes and not self._program.named(module, call.func) and self.are_urls(module, call)

    def _argument(self, module: Module, argument: cst.Arg) -> bool:
        call = cst.ensure_type(module.parent(argument), cst.Call)
        functions = self._program.named(module, call.func)
        if not functions:
            return self._makes_text(module, call)
        for each in functions:
            methods = methods_of(each, "__init__") if isinstance(each.node, cst.ClassDef) else [each]
            if not methods or not all(self._parameter(own, call, argument) for own in methods):
                return False
        return True

    def _parameter(self, function: Defined, call: cst.Call, argument: cst.Arg) -> bool:
        """What a function does with what it is given."""
        node = cst.ensure_type(function.node, cst.FunctionDef)
        if argument.star or node.decorators:
            return False
        own = [cst.Arg(cst.Name("self"))] if owner_of(function) is not None else []
        try:
            given = bind(call.with_changes(args=[*own, *(each for each in call.args if each.star != "**")]), node)
        except Unsure:
            return False
        names = [name for name, value in given.items() if value is argument.value]
        plain = [*node.params.posonly_params, *node.params.params, *node.params.kwonly_params]
        found = [each for each in plain if each.name.value in names]
        return bool(found) and all(self._name(function.module, each.name) for each in found)

    def _target(self, module: Module, target: cst.BaseExpression) -> bool:
        if isinstance(target, cst.Attribute):
            return self._attribute(target.attr.value)
        return isinstance(target, cst.Name) and self._name(module, target)

    def _name(self, module: Module, name: cst.Name) -> bool:
        """Every use of a name that is bound here, also of a module's and a class's."""
        around = module.enclosing(name, cst.FunctionDef, cst.ClassDef)
        if isinstance(around, cst.ClassDef) and not (self._is_plain(module, around) and self._attribute(name.value)):
            return False
        bindings = [each for each in module.bindings(name) if isinstance(each, Assignment)]
        if around is None and not all(self._elsewhere(other, name.value) for other in self._others(module)):
            return False
        return all(self.are_urls(module, access.node) for each in bindings for access in each.references)

    def _others(self, module: Module) -> Iterable[Module]:
        return (each for each in self._program.modules if each is not module)

    def _elsewhere(self, module: Module, name: str) -> bool:
        """Every use of a name, or an attribute so named, in a module that may import it."""
        names = (each for each in module.all(cst.Name) if each.value == name)
        return self._attribute(name) and all(
            isinstance(module.parent(each), cst.ImportAlias | cst.AsName | cst.Attribute) or self.are_urls(module, each)
            for each in names
        )

    def _attribute(self, name: str) -> bool:
        return all(self.are_urls(module, use) for module, use in self._program.attributes[name])

    def _is_plain(self, module: Module, own: cst.ClassDef) -> bool:
        """Whether nobody else makes something of a class's attributes, as of an enumeration's or a data class's."""
        known = all(
            self._program.named(module, base.value) or module.dotted(base.value).startswith("requests.")
            for base in own.bases
        )
        return known and not own.decorators and not own.keywords

    def _returned(self, module: Module, end: cst.Return) -> bool:
        function = module.function(end)
        if function is None or function.decorators:
            return False
        own = Defined(module, function)
        return not any(True for _ in self._program.escapes(own)) and all(
            self.are_urls(other, call) for other, call in self._program.callers(own)
        )
