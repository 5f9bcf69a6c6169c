"""Entrance: ``urllib.request``, by a handler of an opener, or before the connections of every opener of the process."""

from __future__ import annotations

import io
import socket
import ssl
import urllib.error
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.request import AbstractHTTPHandler, BaseHandler, Request

from requests.adapters import HTTPAdapter

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
)
from compat.upstream.responses import Received
from compat.upstream.senders import CallOptions

__all__ = ["ExamStudentsHandler", "do_open", "options_of_request"]

_REASONS: Mapping[Failure, Callable[[str], OSError]] = {
    "connect timeout": TimeoutError,
    "certificate": ssl.SSLError,
    "proxy": OSError,
    "connect": ConnectionError,
    "broken": ConnectionError,
}


class ExamStudentsHandler(BaseHandler):
    """Answers the calls of an opener that are ours; all others go on to the opener's own handlers."""

    handler_order = 200
    """Behind the proxies of ``urllib`` (100), so that the call's own is known, and before what sends (500)."""

    parent: Any

    def __init__(self, adapter: Answering) -> None:
        self._adapter = adapter

    def http_open(self, request: Request) -> Any:
        """The response; None where the call goes on. Where an endpoint fails, ``urllib`` gets an error of its own."""
        if not takes(self._adapter, request.get_method(), request.full_url):
            return None
        return answer(self._adapter, _Call(request, lambda: self._send_on(request), self.options_of(request)))

    https_open = http_open

    def options_of(self, request: Request) -> CallOptions:
        """How a request was to be sent, its certificates checked as the opener's own handler would."""
        context = next((each._context for each in self.parent.handlers if hasattr(each, "_context")), None)
        return options_of_request(request, _checks_of(self, context))

    def _send_on(self, request: Request) -> Any:
        """As the opener would, by its handlers behind this one."""
        handlers = self.parent.handle_open[request.type]
        for handler in handlers[handlers.index(self) + 1 :]:
            response = getattr(handler, f"{request.type}_open")(request)
            if response is not None:
                return response
        raise urllib.error.URLError(f"no handler for {request.type}")


def do_open(original: Any, self: AbstractHTTPHandler, http_class: Any, req: Request, **connection: Any) -> Any:
    """``AbstractHTTPHandler.do_open``, where the shim is installed: it makes the connection of every opener."""
    adapter, send = answering(), partial(original, self, http_class, req, **connection)
    if adapter is None or not takes(adapter, req.get_method(), req.full_url):
        return send()
    options = options_of_request(req, _checks_of(self, connection.get("context")))
    return answer(adapter, _Call(req, send, options))


class _Call(LibraryCall[Any]):
    """A call of an opener; its response is an ``http.client.HTTPResponse``, as ``urllib`` has it."""

    def __init__(self, request: Request, send: Callable[[], Any], options: CallOptions) -> None:
        self._request, self._send = request, send
        if request.data is not None:
            # A file or an iterable can be read once.
            request.data = _bytes_of(request.data)
        headers = {name.title(): value for name, value in request.header_items()}
        super().__init__(request.get_method(), request.full_url, headers.items(), request.data or b"", options)

    def send_on(self) -> Any:
        with passing_on():
            return self._send()

    def read(self, given: Any) -> tuple[Any, bytes]:
        body = given.read()
        given.close()
        again = self.respond(given.status, given.reason, dict(given.headers.items()), body)
        again.headers = given.headers
        return again, unpacked(given.headers.get("Content-Encoding"), body)

    def respond(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> Any:
        response: Any = Received(self._request.get_method(), status, reason, headers, body)
        # One can look ahead in what comes from a socket.
        response.fp = io.BufferedReader(response.fp)
        # As urllib leaves it: the words of the status are found as the message.
        response.url, response.msg = self._request.full_url, reason
        return response

    def error(self, failure: Failure, message: str) -> Exception:
        if failure == "read timeout":
            # Behind the connecting, which alone urllib wraps.
            return TimeoutError(message)
        return urllib.error.URLError(_REASONS[failure](message))


def options_of_request(
    request: Request, adapter_for: Callable[[str], HTTPAdapter | None] | None = None, *, verify: bool | None = None
) -> CallOptions:
    """How a request was to be sent, as far as the one upstream follows it.

    Args:
        request: the request.
        adapter_for: gives what checks certificates for a URL; None for the usual checks.
        verify: False for no checks.
    """
    limit = request.timeout if isinstance(request.timeout, int | float) else socket.getdefaulttimeout()
    # A ProxyHandler leaves the proxy as the host.
    tunnelled = getattr(request, "_tunnel_host", None) is not None
    proxy = request.host if tunnelled or request.has_proxy() else None
    return CallOptions(
        timeout=limits_of(limit, limit),
        verify=verify,
        proxies=proxies_of(proxy, request.get_header("Proxy-authorization")),
        adapter_for=adapter_for,
    )


def _checks_of(sender: BaseHandler, context: ssl.SSLContext | None) -> Callable[[str], HTTPAdapter | None]:
    # As http.client makes a context, in whichever way a script has that made.
    return checks_of(sender, lambda: context or ssl._create_default_https_context())


def _bytes_of(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)
