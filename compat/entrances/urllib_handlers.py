"""Entrance: ``urllib.request``, by a handler of an opener, or before the connections of every opener of the process."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.request import AbstractHTTPHandler, BaseHandler, OpenerDirector, Request

from requests.adapters import HTTPAdapter

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
    unpacked,
)
from compat.upstream.responses import received
from compat.upstream.senders import CallOptions

__all__ = ["ExamStudentsHandler", "bytes_of", "do_open", "error_of", "headers_of", "options_of", "response_to"]

_REASONS: Mapping[Failure, Callable[[str], OSError]] = {
    "connect timeout": TimeoutError,
    "certificate": ssl.SSLError,
    "proxy": OSError,
    "connect": ConnectionError,
    "broken": ConnectionError,
}


class ExamStudentsHandler(BaseHandler):
    """Answers the deprecated calls of an opener; all others go on to the opener's own handlers.

    Args:
        adapter: what answers.
    """

    handler_order = 200
    """Behind the proxies of ``urllib`` (100), so that the call's own is known, and before what sends (500)."""

    parent: OpenerDirector

    def __init__(self, adapter: ExamStudentsAdapter) -> None:
        self._adapter = adapter

    def http_open(self, request: Request) -> Any:
        """The response; None where the call goes on.

        Raises:
            urllib.error.URLError: an endpoint cannot be reached.
            TimeoutError: it is too slow.
        """
        if not takes(self._adapter, request.get_method(), request.full_url):
            return None
        context = next((each._context for each in _of(self.parent, "handlers") if hasattr(each, "_context")), None)
        return answer(self._adapter, _Call(request, lambda: self._send_on(request), self, context))

    https_open = http_open

    def _send_on(self, request: Request) -> Any:
        """As the opener would, by its handlers behind this one."""
        handlers = _of(self.parent, "handle_open")[request.type]
        for handler in handlers[handlers.index(self) + 1 :]:
            response = getattr(handler, f"{request.type}_open")(request)
            if response is not None:
                return response
        raise urllib.error.URLError(f"no handler for {request.type}")


def do_open(original: Any, self: AbstractHTTPHandler, http_class: Any, req: Request, **connection: Any) -> Any:
    """``AbstractHTTPHandler.do_open``, where the shim is installed: it makes the connection of every opener."""
    adapter = answering()
    if adapter is None or not takes(adapter, req.get_method(), req.full_url):
        return original(self, http_class, req, **connection)

    def send() -> Any:
        return original(self, http_class, req, **connection)

    return answer(adapter, _Call(req, send, self, connection.get("context")))


class _Call(LibraryCall[Any]):
    """A call of an opener; its response is an ``http.client.HTTPResponse``, as ``urllib`` has it."""

    def __init__(
        self, request: Request, send: Callable[[], Any], sender: BaseHandler, context: ssl.SSLContext | None
    ) -> None:
        self._request, self._send = request, send
        if request.data is not None:
            # A file or an iterable can be read once.
            request.data = bytes_of(request.data)
        super().__init__(
            request.get_method(),
            request.full_url,
            headers_of(request).items(),
            request.data or b"",
            # As http.client makes one, in whichever way a script has that made.
            options_of(request, checks_of(sender, lambda: context or ssl._create_default_https_context())),
        )

    def send_on(self) -> Any:
        with passing_on():
            return self._send()

    def head(self, given: Any) -> tuple[int, Iterable[tuple[str, str]]]:
        return given.status, given.headers.items()

    def read(self, given: Any) -> tuple[Any, bytes]:
        body = given.read()
        given.close()
        again = self.respond(given.status, given.reason, dict(given.headers.items()), body)
        again.headers = given.headers
        return again, unpacked(given.headers.get("Content-Encoding"), body)

    def mark(self, given: Any, name: str, value: str) -> None:
        given.headers[name] = value

    def respond(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> Any:
        return response_to(self._request, status, reason, headers, body)

    def error(self, failure: Failure, message: str) -> Exception:
        return error_of(failure, message)


def headers_of(request: Request) -> dict[str, str]:
    """The headers of a request, each name as it is sent."""
    return {name.title(): value for name, value in request.header_items()}


def options_of(
    request: Request, adapter_for: Callable[[str], HTTPAdapter | None] | None = None, *, verify: bool | None = None
) -> CallOptions:
    """How a request was to be sent, as far as the one upstream follows it.

    Args:
        request: the request.
        adapter_for: gives what checks certificates for a URL; None for the usual checks.
        verify: False for no checks.
    """
    limit = request.timeout
    if not isinstance(limit, int | float):
        limit = socket.getdefaulttimeout()
    return CallOptions(
        timeout=limits_of(limit, limit),
        verify=verify,
        proxies=proxies_of(_proxy_of(request), request.get_header("Proxy-authorization")),
        adapter_for=adapter_for,
    )


def response_to(
    request: Request, status: int, reason: str, headers: Mapping[str, str], body: bytes
) -> http.client.HTTPResponse:
    """The response to a request, as a handler gives it to its opener."""
    response: Any = received(request.get_method(), status, reason, headers, body)
    # As urllib leaves it: the words of the status are found as the message.
    response.url, response.msg = request.full_url, reason
    made: http.client.HTTPResponse = response
    return made


def error_of(failure: Failure, message: str) -> OSError:
    """What ``urllib`` raises for a failure."""
    if failure == "read timeout":
        # Behind the connecting, which alone urllib wraps.
        return TimeoutError(message)
    return urllib.error.URLError(_REASONS[failure](message))


def bytes_of(body: Any) -> bytes:
    """The body of a request, read where it is a file or comes in parts."""
    if body is None or isinstance(body, bytes):
        return body or b""
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)


def _of(opener: OpenerDirector, name: str) -> Any:
    """What an opener holds, which its stubs leave out."""
    return getattr(opener, name)


def _proxy_of(request: Request) -> str | None:
    """The proxy that a request goes by, as a ``ProxyHandler`` left it."""
    tunnelled = getattr(request, "_tunnel_host", None) is not None
    return request.host if tunnelled or request.has_proxy() else None
