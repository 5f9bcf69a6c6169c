"""Student sessions in the manner of ``urllib`` and of ``httpx``, whose responses a script goes on reading."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.request import BaseHandler, HTTPSHandler, Request, build_opener

from compat.entrances.library_calls import failure_of
from compat.entrances.urllib_handlers import (
    ExamStudentsHandler,
    bytes_of,
    error_of,
    headers_of,
    options_of,
    response_to,
)
from compat.errors import UpstreamTimeout, UpstreamUnreachable
from compat.legacy.routes import Answer
from compat.upstream.responses import reason_of
from compat.upstream.transport import CallOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncHttpxCalls", "HttpxCalls", "urlopen"]

Ask = Callable[[str, str, Any, Callable[[], bytes], CallOptions], "Answer | None"]
"""Method, URL, headers, what gives the body, and how to send; gives the answer, or None for a call of another route."""


def urlopen(ask: Ask, url: str | Request, data: Any, timeout: float | None, context: ssl.SSLContext | None) -> Any:
    """As ``urllib.request.urlopen``.

    Raises:
        urllib.error.HTTPError: the status is none of success.
        urllib.error.URLError: the upstream cannot be reached.
        TimeoutError: it is too slow.
    """
    checks = HTTPSHandler(context=context) if context is not None else HTTPSHandler()
    opener = build_opener(_Handler(ask, context), checks)
    return opener.open(url, data) if timeout is None else opener.open(url, data, timeout)


class _Handler(BaseHandler):
    """Answers the calls that are ours before they are sent."""

    handler_order = ExamStudentsHandler.handler_order

    def __init__(self, ask: Ask, context: ssl.SSLContext | None) -> None:
        self._ask = ask
        self._verify = False if context is not None and context.verify_mode == ssl.CERT_NONE else None

    def http_open(self, request: Request) -> Any:
        """The answer; None where the call goes out as it is."""
        options, body = options_of(request, verify=self._verify), request.data
        try:
            answer = self._ask(
                request.get_method(), request.full_url, headers_of(request), lambda: bytes_of(body), options
            )
        except (UpstreamTimeout, UpstreamUnreachable) as error:
            raise error_of(failure_of(error), error.message) from None
        if answer is None:
            return None
        return response_to(request, answer.status, reason_of(answer.status), _length_of(answer), answer.body)

    https_open = http_open


def _length_of(answer: Answer) -> dict[str, str]:
    return {"Content-Length": str(len(answer.body)), **answer.headers}


class _Httpx:
    """What the calls of both forms have in common."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def answer(self, request: httpx.Request, transport: object) -> httpx.Response | None:
        """The answer; None where the call goes out as it is, by that transport.

        Raises:
            httpx.TransportError: the upstream cannot be reached, or is too slow.
        """
        # Imported here: it brings httpx, which few need.
        from compat.entrances import httpx_transports as own

        options = own.options_of(request, transport)
        try:
            answer = self._ask(request.method, str(request.url), request.headers, request.read, options)
        except (UpstreamTimeout, UpstreamUnreachable) as error:
            raise own.error_of(failure_of(error), error.message, request) from None
        if answer is None:
            return None
        return own.response_with(answer.status, reason_of(answer.status), _length_of(answer), answer.body)


class _Transport:
    """What a client sends through: answers the calls that are ours, and leaves the others to the client's own."""

    def __init__(self, calls: _Httpx, previous: Any) -> None:
        self._calls, self._previous = calls, previous

    def handle_request(self, request: httpx.Request) -> Any:
        """For a client that waits."""
        found = self._calls.answer(request, self._previous)
        return self._previous.handle_request(request) if found is None else found

    async def handle_async_request(self, request: httpx.Request) -> Any:
        """For one that does not."""
        await request.aread()
        found = await asyncio.to_thread(self._calls.answer, request, self._previous)
        return await self._previous.handle_async_request(request) if found is None else found


def _view_of(client: Any, transport_for: Callable[[Any], _Transport]) -> Any:
    """The client itself, but for what it sends through: whatever somebody made of it stays."""
    view = object.__new__(type(client))
    view.__dict__.update(vars(client))
    view._transport_for_url = transport_for
    return view


class HttpxCalls(_Httpx):
    """``httpx`` calls: ``get(url, …)`` takes what ``httpx.get`` takes, and ``client=`` beside it."""

    def request(self, method: str, url: Any, *, client: httpx.Client | None = None, **options: Any) -> httpx.Response:
        """As ``httpx.request``, with all that it takes.

        Args:
            method: the HTTP method.
            url: the whole URL, or one that the client completes.
            client: the client whose base URL, headers, cookies and hooks count.
            **options: as ``httpx.Client.request`` takes them.

        Raises:
            httpx.HTTPError: what ``httpx`` would raise.
        """
        import httpx

        if client is not None:
            return self._through(client, method, url, options)
        made = {name: options.pop(name) for name in tuple(options) if name in _OF_CLIENT}
        with httpx.Client(**made) as own:
            return self._through(own, method, url, options)

    def _through(self, client: httpx.Client, method: str, url: Any, options: dict[str, Any]) -> httpx.Response:
        import httpx

        view = _view_of(client, lambda url: _Transport(self, client._transport_for_url(url)))
        response: httpx.Response = httpx.Client.request(view, method, url, **options)
        return response

    def get(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.get``.

        Raises:
            httpx.HTTPError: as :meth:`request`; so do the others.
        """
        return self.request("GET", url, **options)

    def post(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.post``."""
        return self.request("POST", url, **options)

    def delete(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.delete``."""
        return self.request("DELETE", url, **options)


class AsyncHttpxCalls(_Httpx):
    """The same for ``httpx.AsyncClient``: what answers waits in a thread."""

    async def request(self, method: str, url: Any, *, client: httpx.AsyncClient, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.request``.

        Raises:
            httpx.HTTPError: what ``httpx`` would raise.
        """
        import httpx

        view = _view_of(client, lambda url: _Transport(self, client._transport_for_url(url)))
        response: httpx.Response = await httpx.AsyncClient.request(view, method, url, **options)
        return response

    async def get(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.get``.

        Raises:
            httpx.HTTPError: as :meth:`request`; so do the others.
        """
        return await self.request("GET", url, **options)

    async def post(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.post``."""
        return await self.request("POST", url, **options)

    async def delete(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.delete``."""
        return await self.request("DELETE", url, **options)


_OF_CLIENT = frozenset(("verify", "cert", "trust_env", "proxy", "proxies", "cookies", "timeout"))
