"""How a request leaves the process: through a session that the user gave, or as directly as ``requests`` allows.

A script's own call has been through a session of ``requests`` already. What a second one would do to the call made from
it, hooks, cookies, redirects and looking through the environment each time, nobody asked for.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote_plus, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase
from requests.utils import default_headers, select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import ProtocolError

from compat.processes import renew_after_fork
from compat.upstream.answers_in_step import OutOfStep
from compat.upstream.call_options import CallOptions, leave_to_parent
from compat.upstream.connections import (
    InStepAdapter,
    WholeAnswer,
    ask_again,
    check_encoding,
    keep_in_step,
    without_unbounded,
)
from compat.upstream.mock_libraries import every_session_is_mocked, network_is_mocked

__all__ = ["CallOptions", "GivenSession", "Incoming", "Outgoing", "OwnPool", "Sender", "whole_url_of"]

_SIGNATURE = re.compile(r"signature=[^&\s]*")
_PLAIN = re.compile(r"[A-Za-z0-9_]*")
_CONNECTIONS = 32
"""Connections to an upstream that are kept open between requests."""


@dataclass
class Outgoing:
    """A request that is signed and complete; it shows nothing of itself, since all of it may be secret.

    Attributes:
        method: the HTTP method.
        url: the URL, without a query.
        headers: its headers.
        params: the parameters of its query.
        data: its body.
    """

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    params: Mapping[str, str] | None = field(default=None, repr=False)
    data: bytes | None = field(default=None, repr=False)


class Incoming(Protocol):
    """An answer whose body is still to be read."""

    status: int

    @property
    def headers(self) -> Any:
        """Name to value, whatever the case of the name."""

    def read1(self, amt: int | None = ..., decode_content: bool | None = ...) -> bytes:
        """What is there of the body, as soon as anything is; nothing at its end."""

    def drain_conn(self) -> None:
        """Give the connection back."""

    def close(self) -> None:
        """Give the connection up."""


class Sender(Protocol):
    """A way in which requests leave."""

    def send(self, request: Outgoing, options: CallOptions, timeout: tuple[float, float]) -> Incoming:
        """Send a request, with seconds to connect and seconds to wait for a byte."""

    def close(self) -> None:
        """Close the connections that nobody uses, where they are its own."""


class _WithoutSignature(logging.Filter):
    """urllib3 writes each URL to its debug log, and a signed one is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_SIGNATURE.sub("signature=…", a) if isinstance(a, str) else a for a in record.args)
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_WithoutSignature())


class GivenSession:
    """Sends by a session of the user's, with its adapters, proxies, certificates, cookies and hooks."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        renew_after_fork(self.renew)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_session"])  # type: ignore[misc]

    def renew(self) -> None:
        """Leave the session's connections to the parent of this process; its settings stay."""
        leave_to_parent(self._session)

    def send(self, request: Outgoing, options: CallOptions, timeout: tuple[float, float]) -> Incoming:
        """Send a request; the session's settings count, and not those of the old call."""
        headers = {**request.headers}
        if (accepted := self._session.headers.get("Accept-Encoding")) == default_headers()["Accept-Encoding"]:
            headers["Accept-Encoding"] = without_unbounded(str(accepted))
        auth = _HeaderAuth(headers.pop("Authorization"))
        prepared = self._session.prepare_request(
            requests.Request(
                request.method, request.url, headers=headers, params=request.params, data=request.data, auth=auth
            )
        )
        url = prepared.url or ""
        settings = self._session.merge_environment_settings(url, {}, True, None, None)
        return _sent_by(
            self._session.get_adapter(url),
            select_proxy(url, settings["proxies"]),
            lambda: self._session.send(prepared, timeout=timeout, allow_redirects=False, **settings),
        )

    def close(self) -> None:
        """Nothing: the session is the user's."""


def _sent_by(adapter: BaseAdapter, proxy: str | None, send: Callable[[], requests.Response]) -> Incoming:
    """Send by an adapter that is not ours, with its connections kept in step."""
    # A test's mock that answers for connections opens them itself.
    for manager in () if network_is_mocked() else _managers_of(adapter, proxy):
        keep_in_step(manager)
    response = send()
    if response.status_code < HTTPStatus.OK:
        # It opens connections in a way of its own, and the answer is still to come on this one.
        response.close()
        adapter.close()
        raise ProtocolError("", OutOfStep("an informational status"))
    return _Given(response)


def _managers_of(adapter: BaseAdapter, proxy: str | None) -> list[PoolManager]:
    """What an adapter of ``requests`` opens its connections by; nothing of an adapter that is made otherwise."""
    if not isinstance(adapter, HTTPAdapter):
        return []
    found = [adapter.poolmanager] if proxy is None else [adapter.proxy_manager_for(proxy)]
    return [manager for manager in found if isinstance(manager, PoolManager)]


class _Given:
    """An answer that an adapter of the user's may have made."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self._response = response
        self._chunks = response.iter_content(1 << 16)
        if isinstance(response.raw, HTTPResponse):
            check_encoding(response.raw)

    @property
    def headers(self) -> Any:
        return self._response.headers

    def read1(self, amt: int | None = None, decode_content: bool | None = True) -> bytes:
        raw = self._response.raw
        if isinstance(raw, HTTPResponse):
            return raw.read1(amt, decode_content=decode_content)
        part: bytes = next(self._chunks, b"")
        return part

    def drain_conn(self) -> None:
        self._response.close()

    def close(self) -> None:
        self._response.close()


def whole_url_of(request: Outgoing) -> str:
    """The URL of a request with its query, as ``urllib.parse.urlencode`` writes one.

    Nearly all that is sent is digits and letters, which need no quoting; looking for what does is most of its cost.
    """
    if not request.params:
        return request.url
    texts = request.params
    if not _PLAIN.fullmatch("".join([*texts, *texts.values()])):
        texts = {quote_plus(name): quote_plus(text) for name, text in texts.items()}
    return f"{request.url}?{'&'.join([f'{name}={text}' for name, text in texts.items()])}"


class OwnPool:
    """Sends by connections of our own; the proxies and certificates of the old call and of the environment count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adapter = InStepAdapter(pool_maxsize=_CONNECTIONS)
        self._headers = dict(default_headers())
        self._headers["Accept-Encoding"] = without_unbounded(self._headers["Accept-Encoding"])
        self._pools: dict[tuple[Any, ...], tuple[HTTPConnectionPool, bool]] = {}
        renew_after_fork(self.renew)

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]

    def renew(self) -> None:
        """Begin without connections, in a process that was forked."""
        self._lock = threading.Lock()
        leave_to_parent(self._adapter)
        for pool, _ in self._pools.values():
            leave_to_parent(pool)

    def send(self, request: Outgoing, options: CallOptions, timeout: tuple[float, float]) -> Incoming:
        """Send a request that is signed and complete: nothing is added but the usual headers."""
        if options.adapter_for is None and every_session_is_mocked():
            # No script's call is behind it that a test's mocks have let through: it is for them to answer itself.
            return GivenSession(_Uninstalled()).send(request, options, timeout)
        url = whole_url_of(request)
        own = options.adapter_for(url) if options.adapter_for is not None else None
        if own is not None:
            return self._send_by(own, url, request, options, timeout)
        pool, whole_url = self._pool_of(url, options)
        _, _, beyond = url.partition("://")
        target = url if whole_url else "/" + beyond.partition("/")[2]
        headers = {**self._headers, **request.headers}
        response: BaseHTTPResponse | None = None
        if request.method == "GET" and request.data is None and options.total is None:
            again = ask_again(pool, target, headers, timeout[1])
            if isinstance(again, WholeAnswer):
                return again
            response = again
        if response is None:
            response = pool.urlopen(
                request.method,
                target,
                body=request.data,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                timeout=Timeout(connect=timeout[0], read=timeout[1], total=options.total),
            )
        check_encoding(response)
        return response

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._adapter.close()

    def _send_by(
        self, own: HTTPAdapter, url: str, request: Outgoing, options: CallOptions, timeout: tuple[float, float]
    ) -> Incoming:
        """Send by an adapter of the script's, with its connections."""
        prepared = requests.PreparedRequest()
        prepared.prepare(request.method, url, {**self._headers, **request.headers}, data=request.data)
        verify, cert, proxies = options.settings_for(url)
        once = _without_retries(own)
        return _sent_by(
            own, select_proxy(url, proxies), lambda: once.send(prepared, True, timeout, verify, cert, dict(proxies))
        )

    def _pool_of(self, url: str, options: CallOptions) -> tuple[HTTPConnectionPool, bool]:
        """The connections to a host, and whether a proxy wants to be told the whole URL.

        Looking through the environment is half the cost of a call, so it is done once.
        """
        key = (urlsplit(url)[:2], options.settings_key())
        found = self._pools.get(key)
        if found is None:
            with self._lock:
                found = self._pools.get(key) or self._new_pool(url, options)
                if len(self._pools) < _CONNECTIONS:
                    self._pools[key] = found
        return found

    def _new_pool(self, url: str, options: CallOptions) -> tuple[HTTPConnectionPool, bool]:
        verify, cert, proxies = options.settings_for(url)
        prepared = requests.PreparedRequest()
        prepared.url = url
        pool = self._adapter.get_connection_with_tls_context(prepared, verify, proxies=proxies, cert=cert)
        if not isinstance(pool, HTTPConnectionPool):
            raise TypeError(f"requests gave {type(pool).__name__} for connections")
        self._adapter.cert_verify(pool, url, verify, cert)  # type: ignore[no-untyped-call]  # untyped in its stubs
        return pool, not self._adapter.request_url(prepared, proxies).startswith("/")


class _Uninstalled(requests.Session):
    """A plain session, also for calls of the old endpoint, which are not to come back to us where we are installed."""

    def get_adapter(self, url: str) -> BaseAdapter:
        return next(adapter for prefix, adapter in self.adapters.items() if url.lower().startswith(prefix))


def _without_retries(adapter: HTTPAdapter) -> HTTPAdapter:
    """The adapter with the same connections, which sends once: whatever is sent again is signed anew."""
    once = object.__new__(type(adapter))
    vars(once).update(vars(adapter))
    once.max_retries = Retry(0, read=False)
    return once


class _HeaderAuth(AuthBase):
    """Sets the Authorization header last, so that a ``.netrc`` entry for the host does not replace it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request
