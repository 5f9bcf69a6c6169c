"""How a request leaves the process: through a session that the user gave, or as directly as ``requests`` allows.

A script's own call has been through a session of ``requests`` already. What a second one would do to the call made from
it, hooks, cookies, redirects and looking through the environment each time, nobody asked for.

``requests`` merges what a call says with what the environment says for *its* host before an adapter sees either. A
request to another host merges the same again for that host, by the same functions: ``NO_PROXY`` goes by host, a session
may not trust the environment, and a call may want no proxy.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.sessions import merge_setting
from requests.utils import default_headers, get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import ProtocolError

from compat.processes import ForkLock, MadeAnew, renew_after_fork
from compat.upstream.connections import (
    StrictAdapter,
    WholeAnswer,
    check_encoding,
    get_on_open_connection,
    leave_to_parent,
    use_strict_pools,
    without_unbounded,
)
from compat.upstream.responses import every_session_is_mocked, network_is_mocked
from compat.upstream.retries import never
from compat.upstream.strict_responses import FramingError

__all__ = [
    "CallOptions",
    "GivenSession",
    "Incoming",
    "Outgoing",
    "OwnPool",
    "SendOptions",
    "timeout_of",
    "whole_url_of",
]

_SIGNATURE = re.compile(r"signature=[^&\s]*")
_PLAIN = re.compile(r"[A-Za-z0-9_]*")
_CONNECTIONS = 32
"""Connections to an upstream that are kept open between requests."""


_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_READ = (*_PROXY_VARIABLES, *(name.upper() for name in _PROXY_VARIABLES), "REQUEST_METHOD")
"""What ``urllib`` reads of the environment for a proxy; in a CGI script it leaves ``HTTP_PROXY`` alone."""


class ConnectionSettings(NamedTuple):
    """What a connection to one host is made with; each as ``requests`` takes it."""

    verify: Any
    cert: Any
    proxies: Mapping[str, str]


class SendOptions(NamedTuple):
    """What an adapter is told beside the request, by the names and with the meaning that ``requests`` gives them."""

    stream: bool = False
    timeout: Any = None
    verify: bool | str = True
    cert: Any = None
    proxies: Mapping[str, str] | None = None


@dataclass(frozen=True)
class CallOptions:
    """How the old call was to be sent, as far as the new one follows it.

    Attributes:
        timeout: for each request upstream; None for the shim's own limits.
        verify: as ``requests`` takes it; None to take the environment's certificates, or those of ``requests``.
        proxies: what the call itself says, which goes before the environment; a scheme that is None has no proxy.
        session_proxies: what its session says, which the environment goes before.
        trust_env: whether the environment's proxies count.
        retries: the retries that the call's own adapter was made with, or None where it has none of its own.
        adapter_for: the script's own adapter for a URL, where it has one that is not a plain one.
        attempted: told after each request upstream, from whichever thread sent it: the status of its answer, or None
            where no whole answer came.
        cancelled: whether nobody waits for the answer any more; asked before each request upstream and while one more
            attempt is waited for.
    """

    timeout: Timeout | None = None
    verify: Any = None
    cert: Any = None
    proxies: Mapping[str, str | None] | None = None
    session_proxies: Mapping[str, str | None] | None = None
    trust_env: bool = True
    retries: Retry | None = None
    adapter_for: Callable[[str], HTTPAdapter | None] | None = field(default=None, repr=False, compare=False)
    attempted: Callable[[int | None], object] | None = field(default=None, repr=False, compare=False)
    cancelled: Callable[[], bool] = field(default=never, repr=False, compare=False)

    def limits(self, remaining: float) -> tuple[float, float, str]:
        """Seconds to connect, seconds to wait for a byte, and the name of the second limit."""
        if self.timeout is None:
            return remaining, remaining, ""
        timeout = self.timeout.clone()
        # A limit of the whole says what is left to read only once it runs.
        timeout.start_connect()
        connect, read = Timeout.resolve_default_timeout(timeout.connect_timeout), timeout.read_timeout
        connect = remaining if connect is None else min(float(connect), remaining)
        if read is not None and read < remaining:
            return connect, float(read), f"the caller's timeout of {read:g} seconds"
        return connect, remaining, ""

    def settings_for(self, url: str) -> ConnectionSettings:
        """What plain ``requests`` would send a call to that URL with, had the same call been made to it."""
        proxies = dict(self.proxies or {})
        if self.trust_env:
            for scheme, proxy in get_environ_proxies(url, no_proxy=proxies.get("no_proxy")).items():
                proxies.setdefault(scheme, proxy)
        verify = self.verify
        if verify is None:
            verify = next(filter(None, map(os.environ.get, _BUNDLES)), True)
        merged = merge_setting(proxies, dict(self.session_proxies or {}))  # type: ignore[no-untyped-call]  # untyped there
        return ConnectionSettings(verify, self.cert, merged)


def timeout_of(value: Any) -> Timeout | None:
    """A timeout as ``requests`` reads it.

    Raises:
        ValueError: it is none, in the words of ``requests`` and urllib3.
    """
    if value is None or isinstance(value, Timeout):
        return value
    if not isinstance(value, tuple):
        return Timeout(connect=value, read=value)
    try:
        connect, read = value
        return Timeout(connect=connect, read=read)
    except ValueError:
        raise ValueError(
            f"Invalid timeout {value}. Pass a (connect, read) timeout tuple, "
            "or a single float to set both timeouts to the same value."
        ) from None


@dataclass
class Outgoing:
    """A request that is signed and complete, its query apart; it shows nothing of itself: all of it may be secret."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    params: Mapping[str, str] | None = field(default=None, repr=False)
    data: bytes | None = field(default=None, repr=False)


class _WithoutSignature(logging.Filter):
    """urllib3 writes each URL to its debug log, and a signed one is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_SIGNATURE.sub("signature=…", a) if isinstance(a, str) else a for a in record.args)
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_WithoutSignature())


class GivenSession(MadeAnew):
    """Sends by a session of the user's, with its adapters, proxies, certificates, cookies and hooks."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Leave the session's connections to the parent of this process; its settings stay."""
        leave_to_parent(self._session)

    def send(self, request: Outgoing, options: CallOptions, timeout: tuple[float, float]) -> Incoming:
        """Send a request; the session's settings count, and not those of the old call."""
        headers = {**request.headers}
        if (accepted := self._session.headers.get("Accept-Encoding")) == default_headers()["Accept-Encoding"]:
            headers["Accept-Encoding"] = without_unbounded(str(accepted))
        auth = partial(_authorized, headers.pop("Authorization"))
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

    def proxy_to(self, url: str, options: CallOptions) -> str | None:
        """The proxy by which a request to a URL goes, or None."""
        return select_proxy(url, self._session.merge_environment_settings(url, {}, True, None, None)["proxies"])

    def close(self) -> None:
        """Nothing: the session is the user's."""


def _sent_by(adapter: BaseAdapter, proxy: str | None, send: Callable[[], requests.Response]) -> Incoming:
    """Send by an adapter that is not ours, over strict connections."""
    # A test's mock that answers for connections opens them itself.
    for manager in () if network_is_mocked() else _managers_of(adapter, proxy):
        use_strict_pools(manager)
    response = send()
    if response.status_code < HTTPStatus.OK:
        # It opens connections in a way of its own, and the answer is still to come on this one.
        response.close()
        adapter.close()
        raise ProtocolError("", FramingError("an informational status"))
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

    def close(self) -> None:
        self._response.close()

    drain_conn = close


Incoming = BaseHTTPResponse | _Given
"""An answer whose body is still to be read."""


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


class OwnPool(MadeAnew):
    """Sends by connections of our own; the proxies and certificates of the old call and of the environment count."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._adapter = StrictAdapter(pool_maxsize=_CONNECTIONS)
        self._headers = dict(default_headers())
        self._headers["Accept-Encoding"] = without_unbounded(self._headers["Accept-Encoding"])
        self._pools: dict[tuple[Any, ...], tuple[HTTPConnectionPool, bool]] = {}
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin without connections, in a process that was forked."""
        leave_to_parent(self._adapter)
        for pool, _ in self._pools.values():
            leave_to_parent(pool)

    def send(self, request: Outgoing, options: CallOptions, timeout: tuple[float, float]) -> Incoming | WholeAnswer:
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
        # Seconds for connecting and waiting together.
        total = options.timeout.total if options.timeout is not None else None
        # urllib3 has a mark of its own for its default.
        total = total if isinstance(total, int | float) else None
        response: BaseHTTPResponse | None = None
        if request.method == "GET" and request.data is None and total is None:
            again = get_on_open_connection(pool, target, headers, timeout[1])
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
                timeout=Timeout(connect=timeout[0], read=timeout[1], total=total),
            )
        check_encoding(response)
        return response

    def proxy_to(self, url: str, options: CallOptions) -> str | None:
        """The proxy by which a request to a URL goes, or None."""
        return select_proxy(url, options.settings_for(url).proxies)

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

        Looking through the whole environment is half the cost of a call: it is done once for each key, which holds the
        variables that matter. Where no script's call is behind a request, the environment is that of the start.
        """
        cert = tuple(options.cert) if isinstance(options.cert, list) else options.cert
        key: tuple[Any, ...] = (urlsplit(url)[:2], options.verify, cert)
        if options.proxies is not None:
            key += tuple(tuple(sorted((each or {}).items())) for each in (options.proxies, options.session_proxies))
            key += tuple(map(os.environ.get, _READ)) if options.trust_env else ()
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
        pool: Any = self._adapter.get_connection_with_tls_context(prepared, verify, proxies=proxies, cert=cert)
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


def _authorized(authorization: str, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Set the Authorization header last, so that a ``.netrc`` entry for the host does not replace it."""
    request.headers["Authorization"] = authorization
    return request
