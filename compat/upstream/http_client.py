"""urllib3's connections, kept in step: an answer belongs to its question (contract, section 4).

A connection on which anything was out of step is not used again, and an idle one not for long. Pools, proxies, TLS,
chunks and compression are urllib3's.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.client import HTTP_PORT
from typing import Any

import urllib3.response
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, PoolManager
from urllib3.exceptions import DependencyWarning

from compat.errors import UpstreamError
from compat.upstream.answers_in_step import AnswerInStep, Attempt

__all__ = ["ConnectionInStep", "InStepAdapter", "check_encoding", "keep_in_step"]

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


class ConnectionInStep:
    """Mixed into a connection of urllib3's.

    Attributes:
        answered: how many answers came since it was opened.
        keep_alive: seconds that it is trusted while idle; None for ever.
        kept_at: when it was last used.
        out_of_step: more came than was asked for.
    """

    close: Callable[[], None]
    sock: Any
    answered = 0
    keep_alive: float | None = None
    kept_at = 0.0
    out_of_step = False
    _written: bytes | None = None
    _head: tuple[dict[str, str], bytes] | None = None

    def connect(self) -> None:
        self.answered, self.out_of_step = 0, False
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

    def head_again(self, headers: Mapping[str, str]) -> bytes | None:
        """What the library writes after the first line of a GET with these headers.

        Returns:
            None where it did not do so on this connection, or where opening or checking the connection is to be done.
        """
        open_and_usual = self.sock is not None and self.answered and not self.debuglevel  # type: ignore[attr-defined]
        if not open_and_usual or self._head is None or self._head[0] != headers:
            return None
        if self.proxy is not None or not (self.is_verified or self.default_port == HTTP_PORT):  # type: ignore[attr-defined]
            # urllib3 warns of each request that goes out unverified.
            return None
        return self._head[1]

    def ask(self, head: bytes, silence: float) -> AnswerInStep:
        """Send a head on the open connection, and wait so many seconds for each byte of that of the answer."""
        self._begin_request()
        self.sock.settimeout(silence)
        with suppress(BrokenPipeError, ConnectionResetError):
            # The answer may have come before, as urllib3 has it.
            self.send(head)
        answer = self.response_class(self.sock, method="GET")
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

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> AnswerInStep:
        return AnswerInStep(sock, *args, connection=self, **kwargs)

    def may_be_used(self, attempt: Attempt | None) -> bool:
        """Whether it is as good as a new one."""
        if self.out_of_step or (attempt is not None and attempt.fresh):
            return False
        return self.keep_alive is None or time.monotonic() - self.kept_at < self.keep_alive


@cache
def _connection_in_step(connection: type) -> type:
    return type("ConnectionInStep", (ConnectionInStep, connection), {})


class _Pool:
    """Mixed into a pool of urllib3's: gives and keeps no connection that is out of step, or was idle for long."""

    @property
    def ConnectionCls(self) -> Any:  # noqa: N802 - urllib3's name
        """Asked for anew with each connection: a cassette of vcrpy puts a class of its own where urllib3's was."""
        usual = super().ConnectionCls  # type: ignore[misc]
        return usual if hasattr(usual, "cassette") else _connection_in_step(usual)

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        connection = super()._get_conn(*args, **kwargs)  # type: ignore[misc]
        kept = isinstance(connection, ConnectionInStep) and connection.answered
        if kept and not connection.may_be_used(Attempt.current()):
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if isinstance(connection, ConnectionInStep):
            connection.kept_at = time.monotonic()
            if not connection.may_be_used(None):
                connection.close()
        super()._put_conn(connection)  # type: ignore[misc]


@cache
def _in_step(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    if issubclass(pool, _Pool):
        return pool
    return type("PoolInStep", (_Pool, pool), {})


def keep_in_step(manager: PoolManager) -> None:
    """Let every connection that a manager of pools opens from now on be kept in step, its proxies' as well."""
    classes = manager.pool_classes_by_scheme
    ours = {scheme: _in_step(pool) for scheme, pool in classes.items()}
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


class InStepAdapter(HTTPAdapter):
    """``requests``' own adapter with connections that are kept in step."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        keep_in_step(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        keep_in_step(manager)
        return manager
