"""Entrance: ``httpx``, by its transports: to mount in a client, or before those of every client of the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx

from compat.entrances.adapter import ExamStudentsAdapter
from compat.entrances.install import answering
from compat.entrances.library_calls import (
    Failure,
    LibraryCall,
    answer,
    checks_of,
    limits_of,
    passing_on,
    proxies_of,
    takes,
    work_for,
)
from compat.upstream.senders import CallOptions

__all__ = [
    "AsyncExamStudentsTransport",
    "ExamStudentsTransport",
    "error_of",
    "handle_async_request",
    "handle_request",
    "options_of",
    "response_with",
]

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
    """Answers the deprecated calls of a client; all others go on to another transport.

    Args:
        adapter: what answers.
        transport: takes what is not for us.
    """

    def __init__(self, adapter: ExamStudentsAdapter, transport: httpx.BaseTransport) -> None:
        self._adapter, self._transport = adapter, transport

    def __enter__(self) -> ExamStudentsTransport:
        self._transport.__enter__()
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a call, or send it on.

        Raises:
            httpx.TransportError: an endpoint cannot be reached, or is too slow.
        """
        return _answered(self._adapter, self._transport.handle_request, self._transport, request)

    def close(self) -> None:
        """Close the other transport."""
        self._transport.close()


class AsyncExamStudentsTransport(httpx.AsyncBaseTransport):
    """The same for an ``httpx.AsyncClient``; what answers waits in a thread.

    Args:
        adapter: what answers.
        transport: takes what is not for us.
    """

    def __init__(self, adapter: ExamStudentsAdapter, transport: httpx.AsyncBaseTransport) -> None:
        self._adapter, self._transport = adapter, transport

    async def __aenter__(self) -> AsyncExamStudentsTransport:
        await self._transport.__aenter__()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a call, or send it on.

        Raises:
            httpx.TransportError: an endpoint cannot be reached, or is too slow.
        """
        return await _async_answered(self._adapter, self._transport.handle_async_request, self._transport, request)

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._transport.aclose()


def handle_request(original: Any, self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
    """``HTTPTransport.handle_request``, where the shim is installed."""
    return _answered(answering(), lambda onward: original(self, onward), self, request)


async def handle_async_request(original: Any, self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
    """``AsyncHTTPTransport.handle_async_request``, where the shim is installed."""

    async def send(onward: httpx.Request) -> httpx.Response:
        # Also of a call that is none of ours: it connects in tasks of its own.
        with passing_on():
            response: httpx.Response = await original(self, onward)
            return response

    return await _async_answered(answering(), send, self, request)


def _answered(
    adapter: ExamStudentsAdapter | None, send: _Send, transport: object, request: httpx.Request
) -> httpx.Response:
    if adapter is None or not takes(adapter, request.method, str(request.url)):
        return send(request)
    request.read()
    return answer(adapter, _Call(request, transport, send))


async def _async_answered(
    adapter: ExamStudentsAdapter | None, send: _AsyncSend, transport: object, request: httpx.Request
) -> httpx.Response:
    if adapter is None or not takes(adapter, request.method, str(request.url)):
        return await send(request)
    await request.aread()
    call = _AsyncCall(request, transport, send)
    try:
        return await anyio.to_thread.run_sync(work_for(adapter, call), abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        call.over = True
        raise


class _Call(LibraryCall[httpx.Response]):
    """A call of a client that waits."""

    def __init__(self, request: httpx.Request, transport: object, send: Callable[[httpx.Request], Any]) -> None:
        self._request, self._send = request, send
        self.over = False
        options = replace(options_of(request, transport), cancelled=lambda: self.over)
        super().__init__(request.method, str(request.url), request.headers.items(), request.content, options)

    def send_on(self) -> httpx.Response:
        with passing_on():
            response: httpx.Response = self._send(self._request)
            return response

    def head(self, given: httpx.Response) -> tuple[int, Iterable[tuple[str, str]]]:
        return given.status_code, given.headers.items()

    def read(self, given: httpx.Response) -> tuple[httpx.Response, bytes]:
        with passing_on():
            raw = b"".join(given.iter_raw())
            given.close()
        return _again(given, raw)

    def mark(self, given: httpx.Response, name: str, value: str) -> None:
        given.headers[name] = value

    def respond(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        return response_with(status, reason, headers, body)

    def error(self, failure: Failure, message: str) -> Exception:
        return error_of(failure, message, self._request)


class _AsyncCall(_Call):
    """A call of one that does not; the thread that answers has the client's own loop send."""

    def send_on(self) -> httpx.Response:
        async def send() -> httpx.Response:
            with passing_on():
                response: httpx.Response = await self._send(self._request)
                return response

        return anyio.from_thread.run(send)

    def read(self, given: httpx.Response) -> tuple[httpx.Response, bytes]:
        async def read() -> bytes:
            with passing_on():
                raw = b"".join([part async for part in given.aiter_raw()])
                await given.aclose()
                return raw

        return _again(given, anyio.from_thread.run(read))


def _again(given: httpx.Response, raw: bytes) -> tuple[httpx.Response, bytes]:
    """A response whose body was read, to be read again, and that body, unpacked."""
    status, headers = given.status_code, given.headers.raw
    again = httpx.Response(status, headers=headers, stream=httpx.ByteStream(raw), extensions=given.extensions)
    try:
        return again, httpx.Response(status, headers=headers, content=raw).content
    except httpx.DecodingError:
        # The script finds that out by itself, if it looks.
        return again, raw


def options_of(request: httpx.Request, transport: object) -> CallOptions:
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


def response_with(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
    """A response whose body is still to be read, as a transport gives it to its client."""
    extensions = {"http_version": b"HTTP/1.1", "reason_phrase": reason.encode()}
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body), extensions=extensions)


def error_of(failure: Failure, message: str, request: httpx.Request) -> httpx.TransportError:
    """What ``httpx`` raises for a failure."""
    return _ERRORS[failure](message, request=request)


def _proxies_of(pool: object) -> dict[str, str | None]:
    url = getattr(pool, "_proxy_url", None)
    if url is None:
        return {}
    place = f"{url.scheme.decode('ascii')}://{url.host.decode('ascii')}" + (f":{url.port}" if url.port else "")
    shown = {name.lower(): value for name, value in getattr(pool, "_proxy_headers", ())}
    return proxies_of(place, shown.get(b"proxy-authorization", b"").decode("latin-1"))
