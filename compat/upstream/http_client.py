"""urllib3's connections, kept in step: an answer belongs to its question (contract, section 4).

``http.client``, which urllib3 reads heads with, reads past 100 alone: after any other informational answer each answer
of the connection is the one before (https://github.com/urllib3/urllib3/issues/3336). It also drops what came after an
answer, takes the first of two lengths, and starts its time limit anew with each byte. What is added here is that and
no more; pools, proxies, TLS, chunks and compression are urllib3's.
"""

from __future__ import annotations

import http.client
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, PoolManager
from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from compat.errors import UpstreamError
from compat.upstream.answer_limits import USUAL_LIMITS, AnswerLimits, too_large
from compat.upstream.retries import Deadline

__all__ = ["Attempt", "InStepAdapter", "OutOfStep", "check_encoding", "keep_in_step"]

_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LONGEST_LINE = 1 << 16
_MOST_LINES = 100
"""Of one head; ``http.client`` reads no more either."""

_ENCODINGS = {"identity": "", "x-gzip": "gzip"}
_DECODED = tuple(HTTPResponse.CONTENT_DECODERS)
_LINE_ENDS = bytes.maketrans(b"\x0b\x0c\x1c\x1d\x1e\x85", b"      ")
"""What the parser of heads takes for the end of a line, and HTTP for a part of a value."""


class OutOfStep(http.client.HTTPException):
    """An answer after which nobody can tell where the next one begins; the text says why."""


@dataclass
class Attempt:
    """One request, as its connection has to know it.

    Attributes:
        deadline: when its answer has to be there, body included.
        limits: how much of an answer is taken.
        fresh: use no connection that was used before.
        reused: the connection had been used before.
        received: bytes that came.
        head: bytes of them that are no body.
    """

    deadline: Deadline
    limits: AnswerLimits
    fresh: bool = False
    reused: bool = False
    received: int = 0
    head: int | None = None

    def check_received(self) -> None:
        """Let no body be sent without an end, its chunks' sizes and trailers included.

        Raises:
            UpstreamError: more came than an answer may have.
        """
        limits = self.limits
        head = limits.answer_head_bytes if self.head is None else self.head
        if self.received > head + limits.answer_body_bytes:
            raise too_large("body", limits.answer_body_bytes, "answer_body_bytes", " as sent")

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Let the connections that this thread uses know of it."""
        token = _under_way.set(self)
        try:
            yield
        finally:
            _under_way.reset(token)


_under_way: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


class _Wire(io.RawIOBase):
    """What comes from a socket, within the limits of the attempt that waits for it.

    Args:
        raw: the socket's bytes.
        sock: the socket; its timeout is how long is waited for each byte.
    """

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._silence: float | None = sock.gettimeout()
        self._attempt = _under_way.get()
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return 0
        attempt = self._attempt
        if attempt is None:
            return self._raw.readinto(buffer)
        left = attempt.deadline.remaining()
        self._sock.settimeout(left if self._silence is None else min(left, self._silence))
        try:
            count = self._raw.readinto(buffer) or 0
        except TimeoutError:
            attempt.deadline.remaining()
            raise
        attempt.received += count
        attempt.check_received()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Stream(io.BufferedReader):
    """Tells, when an answer has ended, whether more has come than the answer."""

    def __init__(self, wire: _Wire, connection: Any) -> None:
        super().__init__(wire)
        self._wire = wire
        self._connection = connection

    def close(self) -> None:
        if not self.closed:
            self._wire.ended = True
            pending = getattr(self._connection.sock, "pending", None)
            if self.peek(1) or (pending is not None and pending()):
                self._connection.out_of_step = True
        super().close()


class _Head:
    """The lines of a head, and of those before it, within the limit of the attempt that waits for it."""

    def __init__(self, stream: Any, limits: AnswerLimits) -> None:
        self._stream = stream
        self._left = self._most = limits.answer_head_bytes
        self._lines = 0
        self.close = stream.close

    @property
    def size(self) -> int:
        """Bytes that were read of it."""
        return self._most - self._left

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise too_large("head", self._most, "answer_head_bytes")
        self._lines = self._lines + 1 if line.strip() else 0
        if self._lines > _MOST_LINES:
            raise UpstreamError(f"The upstream's answer has a head of more than {_MOST_LINES} lines.")
        if b"\r" in line.removesuffix(b"\r\n"):
            raise OutOfStep("a head with a bare carriage return")
        return line.translate(_LINE_ENDS)


class _Answer(http.client.HTTPResponse):
    """An answer whose beginning and end are certain."""

    def __init__(self, sock: Any, *args: Any, connection: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = self.fp
        self.fp: Any = _Stream(_Wire(raw.detach(), sock), connection)
        self._attempt = _under_way.get()
        self._limits = self._attempt.limits if self._attempt is not None else USUAL_LIMITS

    def begin(self) -> None:
        stream, head = self.fp, _Head(self.fp, self._limits)
        while True:
            self.fp = head
            try:
                super().begin()
            finally:
                if self.fp is head:
                    self.fp = stream
            if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise OutOfStep("another protocol, which nobody asked for")
            if self.status >= 200:
                break
            # With headers, the next call would take this for the answer.
            self.headers = self.msg = None  # type: ignore[assignment]
        if self._attempt is not None:
            self._attempt.head = head.size
        self._check_framing()

    def _check_framing(self) -> None:
        try:
            assert_header_parsing(self.msg)
        except HeaderParsingError:
            raise OutOfStep("a head that cannot be read") from None
        codings = [text.strip().lower() for text in self.headers.get_all("Transfer-Encoding", [])]
        stated = self.headers.get_all("Content-Length", [])
        lengths = {text.strip() for each in stated for text in each.split(",")}
        if codings and codings != ["chunked"]:
            raise OutOfStep("a Transfer-Encoding other than chunked")
        if codings and lengths:
            raise OutOfStep("both a Transfer-Encoding and a Content-Length")
        if len(lengths) > 1:
            raise OutOfStep("two lengths")
        for length in lengths:
            if not _LENGTH.fullmatch(length):
                raise OutOfStep("a Content-Length that is no number")
            if int(length) > self._limits.answer_body_bytes and self._method != "HEAD":  # type: ignore[attr-defined]
                raise too_large("body", self._limits.answer_body_bytes, "answer_body_bytes", " as sent")
            if self.length is None:
                # The same length twice, which http.client does not read.
                self.length = int(length)
                self.will_close = self._check_close()  # type: ignore[attr-defined]

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_LONGEST_LINE + 1)
        if not line:
            raise http.client.IncompleteRead(b"")
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise OutOfStep("a chunk without a size")
        return int(found[1], 16)

    def _safe_read(self, amt: int) -> bytes:
        data: bytes = super()._safe_read(amt)  # type: ignore[misc]
        at_end_of_chunk = self.chunked and self.chunk_left == 0
        if at_end_of_chunk and data != b"\r\n":
            raise OutOfStep("a chunk that is longer than its size")
        return data


class _Connection:
    """Mixed into a connection of urllib3's.

    Attributes:
        answered: how many answers came since it was opened.
        keep_alive: seconds that it is trusted while idle; None for ever.
        kept_at: when it was last used.
        out_of_step: more came than was asked for.
    """

    sock: Any
    answered = 0
    keep_alive: float | None = None
    kept_at = 0.0
    out_of_step = False

    def connect(self) -> None:
        self.answered, self.out_of_step = 0, False
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> Any:
        attempt = _under_way.get()
        if attempt is not None:
            # One that was closed is opened while the request is sent.
            attempt.reused = self.sock is not None and self.answered > 0
            self.keep_alive = attempt.limits.keep_alive
        return super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
        self.answered += 1
        return response

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> _Answer:
        return _Answer(sock, *args, connection=self, **kwargs)

    def may_be_used(self, attempt: Attempt | None) -> bool:
        """Whether it is as good as a new one."""
        if self.out_of_step or (attempt is not None and attempt.fresh):
            return False
        return self.keep_alive is None or time.monotonic() - self.kept_at < self.keep_alive


class _Pool:
    """Mixed into a pool of urllib3's: gives and keeps no connection that is out of step, or was idle for long."""

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        connection = super()._get_conn(*args, **kwargs)  # type: ignore[misc]
        if connection.answered and not connection.may_be_used(_under_way.get()):
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.kept_at = time.monotonic()
            if not connection.may_be_used(None):
                connection.close()
        super()._put_conn(connection)  # type: ignore[misc]


@cache
def _in_step(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    if issubclass(pool, _Pool):
        return pool
    # While a cassette of vcrpy is in use, its own class stands there, and names the real one.
    real = getattr(pool.ConnectionCls, "_baseclass", pool.ConnectionCls)
    connection = type("ConnectionInStep", (_Connection, real), {})
    return type("PoolInStep", (_Pool, pool), {"ConnectionCls": connection})


def keep_in_step(manager: PoolManager) -> None:
    """Let every connection that a manager of pools opens from now on be kept in step, its proxies' as well."""
    classes = manager.pool_classes_by_scheme
    ours = {scheme: _in_step(pool) for scheme, pool in classes.items()}
    if ours != classes:
        manager.pool_classes_by_scheme = ours
        manager.clear()


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
