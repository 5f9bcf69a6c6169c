"""Entrance: ``httpx``, by its transports: to mount in a client, or before those of every client of the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx

from compat.entrances.install import answering
from compat.entrances.library_calls import (
    Answering,
    Failure,
    LibraryCall,
    answer,
    checks_of,
    limits_of,
    passing_on,
    proxies_of,
    takes,
    unpacked,
    work_for,
)
from compat.upstream.senders import CallOptions

__all__ = ["AsyncExamStudentsTransport", "ExamStudentsTransport", "handle_async_request", "handle_request"]

_Send = Callable[[httpx.Request], httpx.Response]
_AsyncSend = Callable[[httpx.Request], Awaitable[httpx.Response]]

_ERRORS: Mapping[Failure, type[httpx.TransportError]] = {
    "read timeout": httpx.ReadTimeout,
    "connect timeout": httpx.ConnectTimeout,
    "proxy": httpx.ProxyError,
    "certificate": httpx.ConnectError,
    "connect": httpx.ConnectError,
    "broken": httpx.ReadError,
}


class ExamStudentsTransport(httpx.BaseTransport):
    """Answers the calls of a client that are ours; all others go on to another transport."""

    def __init__(self, adapter: Answering, transport: httpx.BaseTransport) -> None:
        self._adapter, self._transport = adapter, transport

    def __enter__(self) -> ExamStudentsTransport:
        self._transport.__enter__()
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a call, or send it on; where an endpoint fails, ``httpx`` gets an error of its own."""
        return _answered(self._adapter, self._transport.handle_request, self._transport, request)

    def close(self) -> None:
        """Close the other transport."""
        self._transport.close()


class AsyncExamStudentsTransport(httpx.AsyncBaseTransport):
    """The same for an ``httpx.AsyncClient``; what answers waits in a thread."""

    def __init__(self, adapter: Answering, transport: httpx.AsyncBaseTransport) -> None:
        self._adapter, self._transport = adapter, transport

    async def __aenter__(self) -> AsyncExamStudentsTransport:
        await self._transport.__aenter__()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As the other transport's."""
        return await _async_answered(self._adapter, self._transport.handle_async_request, self._transport, request)

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._transport.aclose()


def handle_request(original: Any, self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
    """``HTTPTransport.handle_request``, where the shim is installed."""
    return _answered(answering(), partial(original, self), self, request)


async def handle_async_request(original: Any, self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
    """``AsyncHTTPTransport.handle_async_request``, where the shim is installed."""

    async def send(onward: httpx.Request) -> httpx.Response:
        # Also of a call that is none of ours: it connects in tasks of its own.
        with passing_on():
            response: httpx.Response = await original(self, onward)
            return response

    return await _async_answered(answering(), send, self, request)


def _answered(adapter: Answering | None, send: _Send, transport: object, request: httpx.Request) -> httpx.Response:
    if adapter is None or not takes(adapter, request.method, str(request.url)):
        return send(request)
    request.read()
    return answer(adapter, _Call(request, transport, send, _read))


async def _async_answered(
    adapter: Answering | None, send: _AsyncSend, transport: object, request: httpx.Request
) -> httpx.Response:
    if adapter is None or not takes(adapter, request.method, str(request.url)):
        return await send(request)
    await request.aread()
    # The thread that answers has the client's own loop send and read.
    in_loop = partial(partial, anyio.from_thread.run)
    call = _Call(request, transport, in_loop(send), in_loop(_read_async))
    try:
        return await anyio.to_thread.run_sync(work_for(adapter, call), abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        call.over = True
        raise


class _Call(LibraryCall[httpx.Response]):
    """A call of a client, which is sent and read by functions that wait."""

    status_name = "status_code"

    def __init__(
        self, request: httpx.Request, transport: object, send: _Send, read: Callable[[httpx.Response], bytes]
    ) -> None:
        self._request, self._send, self._read = request, send, read
        self.over = False
        options = replace(_options_of(request, transport), cancelled=lambda: self.over)
        super().__init__(request.method, str(request.url), request.headers.items(), request.content, options)

    def send_on(self) -> httpx.Response:
        with passing_on():
            return self._send(self._request)

    def read(self, given: httpx.Response) -> tuple[httpx.Response, bytes]:
        with passing_on():
            raw = self._read(given)
        again = httpx.Response(
            given.status_code, headers=given.headers.raw, stream=httpx.ByteStream(raw), extensions=given.extensions
        )
        return again, unpacked(given.headers.get("Content-Encoding"), raw)

    def respond(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        # Its body is still to be read, as a transport gives it to its client.
        extensions = {"http_version": b"HTTP/1.1", "reason_phrase": reason.encode()}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body), extensions=extensions)

    def error(self, failure: Failure, message: str) -> Exception:
        return _ERRORS[failure](message, request=self._request)


def _read(given: httpx.Response) -> bytes:
    raw = b"".join(given.iter_raw())
    given.close()
    return raw


async def _read_async(given: httpx.Response) -> bytes:
    raw = b"".join([part async for part in given.aiter_raw()])
    await given.aclose()
    return raw


def _options_of(request: httpx.Request, transport: object) -> CallOptions:
    """How a request was to be sent by a transport, as far as the one upstream follows it and ``httpx`` tells."""
    limits = request.extensions.get("timeout", {})
    pool = getattr(transport, "_pool", None)
    # One that may speak HTTP/2 says so when it connects, and nothing of ours speaks it.
    context = None if getattr(pool, "_http2", False) else getattr(pool, "_ssl_context", None)
    return CallOptions(
        timeout=limits_of(limits.get("connect"), limits.get("read")),
        proxies=_proxies_of(pool),
        adapter_for=checks_of(transport, lambda: context),
    )


def _proxies_of(pool: object) -> dict[str, str | None]:
    url = getattr(pool, "_proxy_url", None)
    if url is None:
        return {}
    place = f"{url.scheme.decode('ascii')}://{url.host.decode('ascii')}" + (f":{url.port}" if url.port else "")
    shown = {name.lower(): value for name, value in getattr(pool, "_proxy_headers", ())}
    return proxies_of(place, shown.get(b"proxy-authorization", b"").decode("latin-1"))
