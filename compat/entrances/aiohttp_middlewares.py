"""Entrance: ``aiohttp``, by a client middleware: to mount in a session, or behind those of all sessions of a process.

The loop goes on meanwhile: a thread of ours answers, and has the script's own task send what goes on to the old one.
An answer of ours is read by aiohttp's own parser, on a connection that leads nowhere, so it is what a server's is.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, TypeVar

import aiohttp
from aiohttp import ClientRequest, ClientResponse
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy

from compat.call_site import CallSite, call_site, led_by
from compat.entrances.install import answering
from compat.entrances.library_calls import (
    Answering,
    Failure,
    LibraryCall,
    checks_of,
    limits_of,
    passing_on,
    proxies_of,
    takes,
    unpacked,
    work_for,
)
from compat.processes import renew_after_fork
from compat.upstream.senders import CallOptions

__all__ = ["ExamStudentsMiddleware", "request"]

_T = TypeVar("_T")
_Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]

_WITH_MIDDLEWARES = hasattr(aiohttp, "ClientMiddlewareType")
"""Since aiohttp 3.12."""
_THREADS = 32
_LINE = 1 << 20
"""Bytes of a header's line; whoever sent it has bounded it before."""
_AT_ONCE = (b"content-length", b"transfer-encoding")
_ERRORS: Mapping[Failure, Callable[[Any, str], Exception]] = {
    "read timeout": lambda _, message: aiohttp.SocketTimeoutError(message),
    "connect timeout": lambda _, message: aiohttp.ConnectionTimeoutError(message),
    # Of a ServerDisconnectedError aiohttp would have its session ask again, which was done.
    "broken": lambda _, message: aiohttp.ClientConnectionError(message),
    "certificate": lambda key, message: aiohttp.ClientConnectorCertificateError(key, ssl.SSLError(message)),
    "proxy": lambda key, message: aiohttp.ClientProxyConnectionError(key, OSError(None, message)),
    "connect": lambda key, message: aiohttp.ClientConnectorError(key, OSError(None, message)),
}
"""What the library raises, by what fails, of the key of the connection and a message."""
_threads = ThreadPoolExecutor(_THREADS, "exam-compat")


def _renew() -> None:
    global _threads  # noqa: PLW0603 - the threads are the process's own
    _threads = ThreadPoolExecutor(_THREADS, "exam-compat")


renew_after_fork(_renew)


class ExamStudentsMiddleware:
    """Answers the calls of a session that are ours; all others go on.

    Args:
        site: the script's line that calls; None to look for it.
    """

    def __init__(self, adapter: Answering, site: CallSite | None = None) -> None:
        self._adapter, self._site = adapter, site

    async def __call__(self, request: ClientRequest, handler: _Handler) -> ClientResponse:
        """Answer a call, or send it on; where an endpoint fails, ``aiohttp`` gets an error of its own."""
        if not takes(self._adapter, request.method, str(request.url)):
            # It may connect in tasks of its own.
            with passing_on():
                return await handler(request)
        call = _Call(request, handler, await _body_of(request), _said_of(sys._getframe()))
        with led_by(self._site or call_site()):
            work = work_for(self._adapter, call)
        found = await call.tasks.while_a_thread_does(work)
        return await found.response(request) if isinstance(found, _Answer) else found


def request(original: Any, self: aiohttp.ClientSession, method: str, str_or_url: Any, **options: Any) -> Any:
    """``ClientSession._request``, where the shim is installed: our middleware stands behind those of the script."""
    adapter = answering() if _WITH_MIDDLEWARES else None
    if adapter is not None:
        # A task that runs nothing but this call has no line of the script's, later.
        site = call_site() if takes(adapter, method.upper(), str(str_or_url)) else None
        given = options.get("middlewares")
        before = vars(self).get("_middlewares", ()) if given is None else given
        options["middlewares"] = (*before, ExamStudentsMiddleware(adapter, site))
    return original(self, method, str_or_url, **options)


def _said_of(frame: FrameType | None) -> Mapping[str, Any]:
    """What a session makes of a call, which a middleware is not told: the variables of ``ClientSession._request``."""
    while frame is not None:
        if frame.f_code.co_name == "_request" and frame.f_globals is vars(aiohttp.client):
            return frame.f_locals
        frame = frame.f_back
    return {}


async def _body_of(request: ClientRequest) -> bytes:
    """The body, before it is compressed; it stays there for the old endpoint."""
    body = request.body
    if isinstance(body, bytes):
        return body
    whole = await body.as_bytes()
    if not isinstance(body, aiohttp.BytesPayload):
        # A file or a generator can be read once. What describes the body stays.
        kept = {name: request.headers[name] for name in ("Content-Type",) if name in request.headers}
        await request.update_body(whole)
        request.headers.update(kept)
    return whole


class _Tasks:
    """What a task of a loop does for the thread that it waits for.

    Attributes:
        over: nobody waits any more.
    """

    def __init__(self) -> None:
        self.over = False
        self._loop = asyncio.get_running_loop()
        self._wishes: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], Future[Any]] | None] = asyncio.Queue()
        self._asked: Future[Any] | None = None

    async def while_a_thread_does(self, work: Callable[[], _T]) -> _T:
        """What a thread finds; meanwhile this task does what that asks for."""
        working = self._loop.run_in_executor(_threads, partial(copy_context().run, work))
        working.add_done_callback(self._end)
        try:
            while (wish := await self._wishes.get()) is not None:
                await self._fulfil(*wish)
            return await working
        finally:
            # Where the task was cancelled, the thread waits for nothing more, and sends nothing more.
            self.over = not working.done()
            if self._asked is not None:
                self._asked.cancel()
            working.cancel()

    def ask(self, wish: Callable[[], Awaitable[_T]]) -> _T:
        """Have the task await something; for the thread."""
        asked: Future[_T] = Future()
        self._asked = asked
        self._loop.call_soon_threadsafe(self._wishes.put_nowait, (wish, asked))
        if self.over:
            asked.cancel()
        return asked.result()

    async def _fulfil(self, wish: Callable[[], Awaitable[Any]], asked: Future[Any]) -> None:
        try:
            found = await wish()
        except BaseException as error:
            asked.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            asked.set_result(found)

    def _end(self, working: asyncio.Future[Any]) -> None:
        if not working.cancelled():
            # asyncio would tell of an error that nobody has asked for.
            working.exception()
        self._wishes.put_nowait(None)


@dataclass
class _Answer:
    """What is to be a response, once the loop makes it."""

    status: int
    reason: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def response(self, request: ClientRequest) -> ClientResponse:
        """The response, as aiohttp reads it."""
        connection = await _Nowhere().connect(request, traces=[], timeout=aiohttp.ClientTimeout())
        protocol: Any = connection.protocol
        protocol.set_response_params(
            skip_payload=request.method == "HEAD", auto_decompress=False, max_line_size=_LINE, max_field_size=_LINE
        )
        try:
            response = await request.send(connection)
            protocol.data_received(self._whole())
            return await response.start(connection)
        except BaseException:
            connection.close()
            raise

    def _whole(self) -> bytes:
        length = next((value for name, value in self.headers if name.lower() == b"content-length"), b"0")
        headers = [(name, value) for name, value in self.headers if name.lower() not in _AT_ONCE]
        # An answer to HEAD names the length of what it leaves out.
        headers.append((b"Content-Length", b"%d" % len(self.body) if self.body else length))
        lines = [b"HTTP/1.1 %d %s" % (self.status, self.reason.encode()), *(b"%s: %s" % each for each in headers)]
        return b"\r\n".join([*lines, b"", self.body])


class _Nowhere(aiohttp.BaseConnector):
    """Opens connections that nothing is sent by."""

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.connection_made(_Discarding())
        # It is kept for no other call.
        protocol.force_close()
        return protocol


class _Discarding(asyncio.Transport):
    """What an answer of ours is asked by: the question is not needed any more."""

    _closing = False

    def write(self, data: object) -> None:
        pass

    def writelines(self, list_of_data: object) -> None:
        pass

    def close(self) -> None:
        self._closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._closing


class _Call(LibraryCall[Any]):
    """A call of a session, whose response is aiohttp's, or an :class:`_Answer` to make one of."""

    def __init__(self, request: ClientRequest, handler: _Handler, body: bytes, said: Mapping[str, Any]) -> None:
        self.tasks = _Tasks()
        self._sent, self._handler = request, handler
        self._unpacks = bool(said.get("auto_decompress", True))
        headers = request.headers.copy()
        if request.compress:
            headers.pop("Content-Encoding", None)
        super().__init__(request.method, str(request.url), headers.items(), body, self._options_of(request, said))

    def _options_of(self, request: ClientRequest, said: Mapping[str, Any]) -> CallOptions:
        limits = said.get("real_timeout", aiohttp.ClientTimeout())
        session = said.get("self")
        shown = request.proxy_headers.get("Proxy-Authorization") if request.proxy_headers else None
        if shown is None and request.proxy_auth is not None:
            shown = request.proxy_auth.encode()
        connecting = [each for each in (limits.connect, limits.sock_connect) if each]
        return CallOptions(
            timeout=limits_of(min(connecting, default=None), limits.sock_read or None),
            proxies=proxies_of(str(request.proxy) if request.proxy else None, shown),
            trust_env=getattr(session, "trust_env", False),
            cancelled=lambda: self.tasks.over,
            **self._checks(request, getattr(session, "connector", None)),
        )

    def _checks(self, request: ClientRequest, connector: object) -> dict[str, Any]:
        """How certificates are checked: as the call says, else as the connector does, else as aiohttp does."""
        said: Any = request.ssl
        owner: object = self
        if said is True and connector is not None:
            said, owner = getattr(connector, "_ssl", True), connector
        if said is False:
            return {"verify": False}
        if isinstance(said, ssl.SSLContext):
            return {"adapter_for": checks_of(owner, lambda: said)}
        return {"adapter_for": checks_of(owner, ssl.create_default_context)} if said is True else {}

    def send_on(self) -> Any:
        return self.tasks.ask(self._send)

    def read(self, given: ClientResponse) -> tuple[Any, bytes]:
        raw = self.tasks.ask(given.read)
        again = _Answer(given.status, given.reason or "", list(given.raw_headers), raw)
        return again, raw if self._unpacks else unpacked(given.headers.get("Content-Encoding"), raw)

    def mark(self, given: Any, name: str, value: str) -> None:
        if isinstance(given, _Answer):
            given.headers.append((name.encode(), value.encode()))
            return
        # aiohttp has no way to set one.
        headers = CIMultiDict(given.headers)
        headers[name] = value
        given._headers = CIMultiDictProxy(headers)
        given._cache.pop("headers", None)

    def respond(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        return _Answer(status, reason, [(name.encode(), value.encode()) for name, value in headers.items()], body)

    def error(self, failure: Failure, message: str) -> Exception:
        return _ERRORS[failure](self._sent.connection_key, message)

    async def _send(self) -> ClientResponse:
        with passing_on():
            return await self._handler(self._sent)
