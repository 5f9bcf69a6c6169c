"""Calls that send an HTTP request, by the library that they go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from compat.migration.program.definitions import Defined, Program, receiver
from compat.migration.program.flow import sources
from compat.migration.program.module import Module

__all__ = ["HMACS", "NEW", "Send", "sends_of"]

HMACS = ("hmac.new", "hmac.digest", "hmac.HMAC")
"""What makes a signature of a key and a text."""
_METHODS = frozenset(("get", "post", "put", "patch", "delete", "head", "request"))
_SESSIONS = ("requests.Session", "requests.session", "requests.sessions.Session", "requests.sessions.session")
_CLIENTS = ("httpx.Client", "httpx.AsyncClient")
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
        module: where it is.
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
        elif (found := _read(program, module, call, call.func, dotted)) is not None:
            yield found


def _read(program: Program, module: Module, call: cst.Call, sender: cst.BaseExpression, dotted: str) -> Send | None:
    package, _, name = dotted.rpartition(".")
    urls = tuple(each.value for each in call.args if each.keyword is None or each.keyword.value in _URLS)
    if package in ("requests", "requests.api", "httpx") and (name in _METHODS or name == "stream"):
        return Send(module, call, sender, package.partition(".")[0], name, None, urls)
    if dotted in _OPENERS:
        return Send(module, call, sender, "urllib", name, None, urls)
    if dotted:
        other = next((each for each in _OTHERS if dotted == each or dotted.startswith(f"{each}.")), "")
        every = tuple(each.value for each in call.args)
        return Send(module, call, sender, other, name, None, every) if other else None
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in (*_METHODS, "send", "stream", "open"):
        return None
    library = _library_of(program, module, call.func)
    if not library:
        return None
    # What a method of the script's own sends is looked at there.
    urls = () if library == _OWN else urls
    return Send(module, call, sender, library, call.func.attr.value, call.func.value, urls)


def _library_of(program: Program, module: Module, function: cst.Attribute) -> str:
    """Whose session or client an object is; empty where it is none, or sends through a method of the program's own."""
    if receiver(function) == "super()":
        inside = module.enclosing(function, cst.ClassDef)
        if inside is not None and program.derived_from(Defined(module, inside), _SESSIONS):
            return "" if program.methods(module, function) else "requests"
        return ""
    inside = module.enclosing(function, cst.ClassDef)
    if receiver(function) == "self" and inside is not None:
        derived = program.derived_from(Defined(module, inside), _SESSIONS)
        own = _OWN if _overridden(program, Defined(module, inside)) else "requests"
        return own if derived else ""
    return _origin(program, module, function.value)


def _origin(program: Program, module: Module, node: cst.BaseExpression) -> str:
    found = ""
    for each in sources(program, module, node, same=True).all(cst.Call):
        call = cst.ensure_type(each.node, cst.Call)
        dotted = each.module.dotted(call.func) or _kind(program, each.module, call.func)
        if dotted in _SESSIONS:
            found = "requests"
        elif dotted in _CLIENTS:
            found = "httpx" if dotted == _CLIENTS[0] else "httpx_async"
        elif dotted.startswith(_MADE):
            found = dotted
        for own in program.named(each.module, call.func):
            if isinstance(own.node, cst.ClassDef) and program.derived_from(own, _SESSIONS):
                return _OWN if _overridden(program, own) else "requests"
    return found


def _kind(program: Program, module: Module, function: cst.BaseExpression) -> str:
    """What is called, where a name stands for one of several."""
    flow = sources(program, module, function, same=True)
    names = [each.module.dotted(cst.ensure_type(each.node, cst.Attribute)) for each in flow.all(cst.Attribute)]
    return next((each for each in names if each), "")


def _overridden(program: Program, own: Defined) -> bool:
    """Whether a session class sends in a method of its own, which is looked at for itself."""
    return any(
        isinstance(method, cst.FunctionDef) and method.name.value in ("request", "send", "get")
        for each in program.family(own, below=False)
        for method in cst.ensure_type(each.node, cst.ClassDef).body.body
    )


def _partial(program: Program, module: Module, call: cst.Call) -> Iterator[Send]:
    """``functools.partial(requests.get, …)``: the URL comes where the partial is called."""
    sender = call.args[0].value
    dotted = module.dotted(sender)
    package, _, name = dotted.rpartition(".")
    if package not in ("requests", "requests.api", "httpx") or name not in _METHODS:
        return
    uses: list[cst.Call] = []
    urls = [each.value for each in call.args[1:] if each.keyword is None or each.keyword.value == "url"]
    for other in program.modules:
        for use in other.all(cst.Call):
            if use is not call and isinstance(use.func, cst.Name | cst.Attribute):
                made = sources(program, other, use.func, same=True)
                if call in made.nodes:
                    uses.append(use)
                    urls += [each.value for each in use.args if each.keyword is None or each.keyword.value == "url"]
    yield Send(module, call, sender, package.partition(".")[0], name, None, tuple(urls), tuple(uses))
