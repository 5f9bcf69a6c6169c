"""Calls that send an HTTP request, by the library that they go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from compat.migration.program.definitions import Defined, Program, methods_of, receiver
from compat.migration.program.flow import sources
from compat.migration.program.module import Module

__all__ = ["HMACS", "NEW", "Send", "sends_of"]

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
