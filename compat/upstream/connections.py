"""urllib3's connections, kept open as long as each answer belongs to its question (contract, section 4).

A connection on which more came than was asked for is not used again, and an idle one not for long. Pools, proxies, TLS,
chunks and compression are urllib3's.

urllib3 opens connections, finds its way through proxies, sends again, follows redirects and decodes. For one more GET
on a connection of its pool nothing of that is left to do, and finding that out takes most of a request's processor
time. Here the head is what the library wrote on that connection before, but for its target, and the answer is read as
any other. Whatever is otherwise is left to ``urlopen``.

Neither library looks for forks. A parent goes on with its connections: the child lets go of its own descriptor of each,
which tells the other side nothing, and puts new locks where another thread may have held the old ones.
"""

from __future__ import annotations

import http.client
import logging
import queue
import re
import ssl
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.client import HTTP_PORT
from http.cookiejar import CookieJar
from types import FunctionType
from typing import Any, NamedTuple

import requests
import urllib3.response
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import (
    BaseHTTPResponse,
    HTTPConnectionPool,
    HTTPHeaderDict,
    HTTPResponse,
    PoolManager,
    connection,
    connectionpool,
)
from urllib3._collections import RecentlyUsedContainer
from urllib3.exceptions import DependencyWarning, ProtocolError, ReadTimeoutError, SSLError

from compat.errors import UpstreamError
from compat.processes import renew_after_fork
from compat.upstream.limits import SMALL
from compat.upstream.strict_responses import Attempt, StrictResponse

__all__ = [
    "StrictAdapter",
    "StrictConnection",
    "WholeAnswer",
    "check_encoding",
    "get_on_open_connection",
    "leave_in_children",
    "leave_to_parent",
    "use_strict_pools",
]

_ENCODINGS = {"identity": "", "x-gzip": "gzip"}


def _bounded(coding: str) -> bool:
    """Whether urllib3 decodes piece by piece; it warns where Brotli is too old for that (before 1.2)."""
    if coding != "br":
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("error", DependencyWarning)
        try:
            vars(urllib3.response)["BrotliDecoder"]().decompress(b"", max_length=1)
        except DependencyWarning:
            return False
    return True


_DECODED = tuple(filter(_bounded, HTTPResponse.CONTENT_DECODERS))


class StrictConnection:
    """Mixed into a connection of urllib3's.

    Attributes:
        answered: how many answers came since it was opened.
        keep_alive: seconds that it is trusted while idle; None for ever.
        has_surplus: more came than was asked for.
    """

    close: Callable[[], None]
    sock: Any
    answered = 0
    keep_alive: float | None = None
    kept_at = 0.0
    has_surplus = False
    _written: bytes | None = None
    _head: tuple[dict[str, str], bytes] | None = None

    def connect(self) -> None:
        self.answered, self.has_surplus = 0, False
        super().connect()  # type: ignore[misc]

    def request(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> Any:
        self._begin_request()
        self._written = self._head = None
        result = super().request(method, url, body, headers, **kwargs)  # type: ignore[misc]
        line, _, others = (self._written or b"").partition(b"\r\n")
        if body is None and line.startswith(b"GET ") and line.endswith(b" HTTP/1.1"):
            self._head = dict(headers or {}), others
        return result

    def send(self, data: Any) -> None:
        # What is written first is the whole head; a proxy's CONNECT is written while that is under way.
        if self._written is None and isinstance(data, bytes):
            self._written = data
        super().send(data)  # type: ignore[misc]

    def get_again(self, target: str, headers: Mapping[str, str], silence: float) -> StrictResponse | None:
        """The head of the answer to a GET on the open connection, waiting so many seconds for each byte of it.

        Returns:
            None where nothing was sent: the library did not send these headers on this connection before, or opening
            or checking the connection is to be done.
        """
        open_and_usual = self.sock is not None and self.answered and not self.debuglevel  # type: ignore[attr-defined]
        if not open_and_usual or self._head is None or self._head[0] != headers:
            return None
        if self.proxy is not None or not (self.is_verified or self.default_port == HTTP_PORT):  # type: ignore[attr-defined]
            # urllib3 warns of each request that goes out unverified.
            return None
        self._begin_request()
        self.sock.settimeout(silence)
        with suppress(BrokenPipeError, ConnectionResetError):
            # The answer may have come before, as urllib3 has it.
            super().send(b"GET %b HTTP/1.1\r\n%b" % (target.encode("ascii"), self._head[1]))  # type: ignore[misc]
        answer = StrictResponse(self.sock, method="GET", connection=self)
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        self.answered += 1
        return answer

    def _begin_request(self) -> None:
        attempt = Attempt.current()
        if attempt is not None:
            # One that was closed is opened while the request is sent.
            attempt.reused = self.sock is not None and self.answered > 0
            self.keep_alive = attempt.limits.keep_alive

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
        self.answered += 1
        return response

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> StrictResponse:
        return StrictResponse(sock, *args, connection=self, **kwargs)

    def may_be_used(self, attempt: Attempt | None) -> bool:
        """Whether it is as good as a new one."""
        if self.has_surplus or (attempt is not None and attempt.fresh):
            return False
        return self.keep_alive is None or time.monotonic() - self.kept_at < self.keep_alive


@cache
def _strict_connection(connection: type) -> type:
    return type("StrictConnection", (StrictConnection, connection), {})


class _StrictPool:
    """Mixed into a pool of urllib3's: gives and keeps no connection with a surplus, or one that was idle for long."""

    @property
    def ConnectionCls(self) -> Any:  # noqa: N802 - urllib3's name
        """Asked for anew with each connection: a cassette of vcrpy puts a class of its own where urllib3's was."""
        usual = super().ConnectionCls  # type: ignore[misc]
        return usual if hasattr(usual, "cassette") else _strict_connection(usual)

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        connection = super()._get_conn(*args, **kwargs)  # type: ignore[misc]
        kept = isinstance(connection, StrictConnection) and connection.answered
        if kept and not connection.may_be_used(Attempt.current()):
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if isinstance(connection, StrictConnection):
            connection.kept_at = time.monotonic()
            if not connection.may_be_used(None):
                connection.close()
        super()._put_conn(connection)  # type: ignore[misc]


@cache
def _strict_pool(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    if issubclass(pool, _StrictPool):
        return pool
    return type("StrictPool", (_StrictPool, pool), {})


def use_strict_pools(manager: PoolManager) -> None:
    """Let a manager open strict connections from now on, its proxies' as well."""
    classes = manager.pool_classes_by_scheme
    ours = {scheme: _strict_pool(pool) for scheme, pool in classes.items()}
    if ours != classes:
        manager.pool_classes_by_scheme = ours
        manager.clear()


def without_unbounded(accepted: str) -> str:
    """An ``Accept-Encoding`` without what cannot be decoded here within a limit."""
    names = [text.strip() for text in accepted.split(",")]
    return ", ".join(name for name in names if name != "br" or name in _DECODED)


def check_encoding(response: BaseHTTPResponse) -> None:
    """Let urllib3 decode a body whichever legal way its encodings are written in.

    Raises:
        UpstreamError: one that cannot be decoded here; the text names it.
    """
    stated = response.headers.get("Content-Encoding")
    if stated is None:
        return
    names = [_ENCODINGS.get(name, name) for name in (text.strip().lower() for text in stated.split(","))]
    codings = [name for name in names if name]
    unknown = [name for name in codings if name not in _DECODED]
    if unknown and response.status < HTTPStatus.MULTIPLE_CHOICES:
        raise UpstreamError(f"The upstream's answer is encoded as {unknown[0][:40]!r}, which cannot be decoded here.")
    del response.headers["Content-Encoding"]
    if codings and not unknown:
        response.headers["Content-Encoding"] = ", ".join(codings)


class StrictAdapter(HTTPAdapter):
    """``requests``' own adapter with strict connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        use_strict_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        use_strict_pools(manager)
        return manager


_TARGET = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*")
"""What urllib3 sends as it is."""

_log = logging.getLogger("urllib3.connectionpool")
_BYPASSED = (
    (HTTPConnectionPool, "urlopen", connectionpool),
    (HTTPConnectionPool, "_make_request", connectionpool),
    (connection.HTTPConnection, "request", connection),
    (connection.HTTPConnection, "getresponse", connection),
    (http.client.HTTPConnection, "putrequest", http.client),
    (http.client.HTTPConnection, "getresponse", http.client),
)
"""Where tracing puts functions of its own, to see each request or to add headers to it."""


class WholeAnswer(NamedTuple):
    """A small answer without an encoding, read to its end."""

    status: int
    headers: HTTPHeaderDict
    body: bytes


def get_on_open_connection(
    pool: HTTPConnectionPool, target: str, headers: Mapping[str, str], silence: float
) -> WholeAnswer | HTTPResponse | None:
    """The answer to a GET, where the pool has an open connection on which the same headers were sent before.

    Args:
        headers: all but those that the library adds.
        silence: seconds to wait for a byte.

    Returns:
        None where nothing was sent: it is for ``urlopen`` then.

    Raises:
        HTTPError, UpstreamError: as ``urlopen`` does; the answer passed a limit.
    """
    if pool.proxy is not None or _TARGET.fullmatch(target) is None or not _unobserved():
        return None
    kept: Any = pool._get_conn()
    try:
        answer = kept.get_again(target, headers, silence) if isinstance(kept, StrictConnection) else None
        if answer is None:
            pool._put_conn(kept)
            return None
        if answer.will_close:
            kept.close()
        found = HTTPHeaderDict(answer.pairs)
        if answer.length is None or answer.length > SMALL or "Content-Encoding" in found:
            return _by_library(pool, kept, answer, found, target)
        with answer:
            body = answer.read()
    except BaseException as error:
        kept.close()
        pool._put_conn(kept)
        _raise_as_urllib3(error, pool, target)
        raise
    pool._put_conn(kept)
    return WholeAnswer(answer.status, found, body)


def _unobserved() -> bool:
    """Whether nobody would miss what is passed by."""
    if _log.isEnabledFor(logging.DEBUG):
        return False
    for owner, name, module in _BYPASSED:
        found = getattr(owner, name)
        if type(found) is not FunctionType or found.__globals__ is not vars(module):
            return False
    return True


def _by_library(
    pool: HTTPConnectionPool, kept: Any, answer: StrictResponse, headers: HTTPHeaderDict, target: str
) -> HTTPResponse:
    """The library's answer, which decodes, and gives the connection back."""
    return HTTPResponse(
        body=answer,
        headers=headers,
        status=answer.status,
        version=answer.version,
        version_string="HTTP/1.1",
        reason=answer.reason,
        preload_content=False,
        original_response=answer,
        pool=pool,
        connection=kept,
        request_method="GET",
        request_url=target,
    )


def _raise_as_urllib3(error: BaseException, pool: HTTPConnectionPool, target: str) -> None:
    """Raise what ``urlopen`` makes of an error; nothing for one that it lets pass."""
    if isinstance(error, TimeoutError):
        raise ReadTimeoutError(pool, target, "Read timed out.") from error
    if isinstance(error, ssl.SSLError):
        raise SSLError(error) from error
    if isinstance(error, http.client.HTTPException | OSError):
        raise ProtocolError("Connection aborted.", error) from error


_met: weakref.WeakSet[BaseAdapter] = weakref.WeakSet()


def leave_in_children(adapter: BaseAdapter) -> None:
    """Have a script's own adapter, by which a call may have gone out, leave its connections in every child to come."""
    _met.add(adapter)


def _leave_met() -> None:
    for adapter in list(_met):
        leave_to_parent(adapter)


renew_after_fork(_leave_met)


def leave_to_parent(held: object) -> None:
    """Drop the connections that a session, an adapter or a pool has from before the fork; for the child alone.

    Found are those that urllib3 pools, of ``requests``' own adapters and of any that keeps its pools in attributes,
    adapters within adapters among them. The settings of all of these stay.

    Args:
        held: a ``requests.Session``, an adapter, or what urllib3 has of pools.
    """
    left, seen = [held], set()
    while left:
        each = left.pop()
        if id(each) not in seen:
            seen.add(id(each))
            left += _within(each)


def _within(held: object) -> list[Any]:
    """What else holds connections in there; those that it has by itself are dropped."""
    if isinstance(held, requests.Session):
        if isinstance(held.cookies, CookieJar):
            held.cookies._cookies_lock = threading.RLock()  # type: ignore[attr-defined]  # its stubs leave it out
        return list(held.adapters.values())
    if isinstance(held, HTTPConnectionPool):
        if isinstance(held.pool, queue.Queue):
            _empty(held.pool)
        return []
    if isinstance(held, PoolManager):
        return [held.pools]
    if isinstance(held, RecentlyUsedContainer):
        held.lock = threading.RLock()
        return [held[key] for key in held.keys()]  # noqa: SIM118 - it does not iterate
    if isinstance(held, BaseAdapter):
        return list(vars(held).values())
    if isinstance(held, Mapping):
        return list(held.values())
    return list(held) if isinstance(held, list | tuple | set | frozenset) else []


def _empty(connections: queue.Queue[Any]) -> None:
    """Make a pool's queue as it was when it was new.

    The queue itself stays: urllib3 empties it when the pool goes, and would wait for a lock that nobody gives back.
    """
    inherited = list(connections.queue)
    connections.mutex = threading.Lock()
    connections.not_empty = threading.Condition(connections.mutex)
    connections.not_full = threading.Condition(connections.mutex)
    connections.all_tasks_done = threading.Condition(connections.mutex)
    connections.queue.clear()
    connections.queue.extend([None] * connections.maxsize)
    for each in inherited:
        if each is not None:
            each.close()
