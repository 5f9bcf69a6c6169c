"""Requests of the core that leave by ``http.client`` itself.

urllib3's pool costs about twice the processor time (``benchmarks/gateway_choice.py``). Proxies are left to it. A plain
read costs half of what is left again where neither its head nor that of the usual answer goes through ``http.client``.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from requests.utils import default_headers
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, ReadTimeoutError

from compat.gateway.connections import TIMED_OUT, Connection
from compat.gateway.environment import proxy_to, trusted_by
from compat.gateway.heads import Head, Replayed, read_head, written_head
from compat.upstream.senders import CallOptions, Incoming, Outgoing, OwnPool, whole_url_of

__all__ = ["DirectSender"]

_ENCODINGS = "gzip, deflate"
_PART = 1 << 16
_EITHER = zlib.MAX_WBITS | 32
"""Tells zlib to look whether it is gzip or deflate."""


class DirectSender:
    """Sends by connections of our own to one host, which are kept open.

    Args:
        base_url: the host, and whatever all paths begin with.
    """

    def __init__(self, base_url: str) -> None:
        self._parts = urlsplit(base_url)
        self._origin = f"{self._parts.scheme}://{self._parts.netloc}"
        self._headers = {**default_headers(), "Accept-Encoding": _ENCODINGS}
        self._host = self._parts.netloc.rpartition("@")[2]
        self._idle: deque[Connection] = deque()
        self._context: ssl.SSLContext | None = None
        if self._parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=trusted_by(base_url))
        self._by_proxy = OwnPool() if proxy_to(base_url) is not None else None

    def send(self, request: Outgoing, options: CallOptions, timeout: tuple[float, float]) -> Incoming:
        """Send a request that is signed and complete.

        Raises:
            urllib3.exceptions.HTTPError: as urllib3 says for what failed.
        """
        if self._by_proxy is not None:
            return self._by_proxy.send(request, options, timeout)
        target = whole_url_of(request)[len(self._origin) :]
        connection = self._connected(timeout[0])
        try:
            return self._asked(request, target, connection, timeout[1])
        except TIMED_OUT:
            connection.close()
            raise ReadTimeoutError(None, None, "no answer came") from None  # type: ignore[arg-type]
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ProtocolError(f"the connection broke: {type(error).__name__}", error) from None
        except BaseException:
            connection.close()
            raise

    def _asked(self, request: Outgoing, target: str, connection: Connection, seconds: float) -> Incoming:
        headers = {**self._headers, **request.headers}
        plain = request.method == "GET" and request.data is None
        head = written_head("GET", target, headers, self._host) if plain else None
        if head is None:
            connection.wait_as_a_file(seconds)
            connection.http.request(request.method, target, request.data, headers)
            return _Answer(connection.http.getresponse(), connection)
        connection.wait_at_most(seconds)
        connection.sock.sendall(head)
        read, found = read_head(connection.sock)
        if found is not None:
            return _PlainAnswer(found, read, connection)
        response = http.client.HTTPResponse(Replayed(read, connection.sock), method="GET")  # type: ignore[arg-type]
        response.begin()
        return _Answer(response, connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _connected(self, seconds: float) -> Connection:
        while True:
            try:
                idle = self._idle.pop()
            except IndexError:
                return Connection(self._new(seconds), self._idle)
            if not idle.has_spoken():
                return idle
            idle.close()

    def _new(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        connection = (
            http.client.HTTPConnection(host, port, timeout=seconds)
            if self._context is None
            else http.client.HTTPSConnection(host, port, timeout=seconds, context=self._context)
        )
        try:
            connection.connect()
        except TimeoutError:
            connection.close()
            raise ConnectTimeoutError("no connection came about in time") from None
        except OSError as error:
            connection.close()
            raise NewConnectionError(connection, type(error).__name__) from None  # type: ignore[arg-type]
        return connection


class _PlainAnswer:
    """An answer of a stated length, whose body is still to be read."""

    def __init__(self, head: Head, read: bytes, connection: Connection) -> None:
        self.status = head.status
        self.headers = head.fields
        # What comes after the end of an answer is none of it, and nobody asked for it.
        self._keep = not head.closes and len(read) <= head.end + head.length
        self._begun = read[head.end : head.end + head.length]
        self._left = head.length - len(self._begun)
        self._connection = connection

    def read1(self, amt: int | None = None, decode_content: bool | None = True) -> bytes:
        if self._begun:
            part, self._begun = self._begun, b""
            return part
        if not self._left:
            return b""
        try:
            part = self._connection.sock.recv(min(self._left, _PART if amt is None else amt))
        except TIMED_OUT:
            raise ReadTimeoutError(None, None, "the answer stopped") from None  # type: ignore[arg-type]
        except OSError as error:
            raise ProtocolError(f"the answer broke off: {type(error).__name__}", error) from None
        if not part:
            raise ProtocolError("the answer broke off")
        self._left -= len(part)
        return part

    def drain_conn(self) -> None:
        if self._keep and not self._left:
            self._connection.keep()
        else:
            self._connection.close()

    def close(self) -> None:
        self._connection.close()


class _Answer:
    """An answer whose body is still to be read by ``http.client``."""

    def __init__(self, response: http.client.HTTPResponse, connection: Connection) -> None:
        self.status = response.status
        self._response = response
        self._connection = connection
        packed = response.headers.get("Content-Encoding", "identity").lower() in ("gzip", "x-gzip", "deflate")
        self._unpack = zlib.decompressobj(_EITHER) if packed else None

    @property
    def headers(self) -> Any:
        return self._response.headers

    def read1(self, amt: int | None = None, decode_content: bool | None = True) -> bytes:
        try:
            while part := self._response.read1(-1 if amt is None else amt):
                if self._unpack is None or not decode_content:
                    return part
                if unpacked := self._unpack.decompress(part):
                    return unpacked
        except TIMED_OUT:
            raise ReadTimeoutError(None, None, "the answer stopped") from None  # type: ignore[arg-type]
        except (OSError, http.client.HTTPException, zlib.error) as error:
            raise ProtocolError(f"the answer broke off: {type(error).__name__}", error) from None
        cut = self._response.length or (self._unpack is not None and not self._unpack.eof)
        # HEAD and 204 have a length or an encoding, and no body.
        if cut and self._response.status not in (204, 304):
            raise ProtocolError("the answer broke off")
        return b""

    def drain_conn(self) -> None:
        reusable = not self._response.will_close and not self._response.length
        self._response.close()
        if reusable:
            self._connection.keep()
        else:
            self._connection.close()

    def close(self) -> None:
        self._response.close()
        self._connection.close()
