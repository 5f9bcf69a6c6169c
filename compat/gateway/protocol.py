"""HTTP/1.1 as the gateway's own server speaks it: uvicorn's protocol, with names of headers written as they are given.

Old clients look for a header by its letters: PHP's ``$http_response_header``, ``grep`` over what curl printed. uvicorn
writes every name in small letters, frames an answer to HTTP/1.0 in chunks, and takes the trailers of a request for its
headers; these are what is done otherwise here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
import struct
import time
from collections.abc import Iterable, MutableMapping
from email.utils import formatdate
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from compat.errors import LegacyError
from compat.gateway.limits import GatewaySettings
from compat.gateway.observers import source_line
from compat.gateway.request import (
    BAD_REQUEST,
    GATEWAY_FAILED,
    HEAD_TOO_SLOW,
    HEADERS_TOO_LARGE,
    TOO_MANY_CONNECTIONS,
    URL_TOO_LONG,
    VERSION_NOT_SUPPORTED,
    Receive,
    Scope,
    encoded,
    send_answer,
)
from compat.legacy.routes import failure

if not hasattr(HttpToolsProtocol, "_start_asgi_task"):
    # Without it, limits and names of headers would be another server's, and nobody would be told.
    raise ImportError("compat.gateway.protocol does not fit this version of uvicorn; install one from 0.54")

_VERSIONS = ("1.0", "1.1")
_BODILESS = frozenset((204, 304))
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_LINGERING = 2.0  # seconds for which a caller may go on sending what nobody reads, so that it gets the answer
_MOST_UNREAD = 1 << 20  # bytes that a caller may go on sending so, of what is no request
_UNREAD = 60.0  # seconds for which a caller may read nothing of its answer
_RESET = struct.pack("ii", 1, 0)
_log = logging.getLogger("compat.gateway")


class Connection(HttpToolsProtocol):
    """One connection of a caller, which may bring many requests."""

    settings = GatewaySettings()
    takes_last = False  # whether a request that begins is its last, since the worker stops
    since = 0.0  # when it began to wait for the request that it waits for, by the event loop's time
    _in_request_line = True
    _head_complete = False
    _lingering = False
    _unread_room: float = math.inf
    _progressed = False
    _without_progress = 0
    _head_begun = False
    _unwritten = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self._written_at = self.loop.time()
        if len(self.connections) > self.settings.max_connections:
            self._replace_waiting_connection()

    def end_overdue(self, now: float) -> None:
        """End what has lasted too long; called now and then with the event loop's time."""
        unwritten = self.transport.get_write_buffer_size()
        if unwritten != self._unwritten:
            self._unwritten, self._written_at = unwritten, now
        elif unwritten and now - self._written_at > _UNREAD:
            self.transport.abort()
        seconds = self.settings.head_timeout
        if self.awaits_a_head and self.timeout_keep_alive_task is None and now - self.since > seconds:
            if self._head_begun:
                self.refuse(HEAD_TOO_SLOW(seconds))
            else:
                self.transport.close()

    @property
    def awaits_a_head(self) -> bool:
        """Whether no request of it is being answered."""
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def _replace_waiting_connection(self) -> None:
        """Take the place of the connection that has waited longest; where all are being answered, be refused.

        So a caller whose heads do not end loses its connections to callers that ask.
        """
        everybody = cast("set[Connection]", self.connections)
        waiting = [each for each in everybody if each is not self and each.awaits_a_head]
        if waiting:
            min(waiting, key=attrgetter("since")).transport.abort()
        else:
            self.refuse(TOO_MANY_CONNECTIONS(self.settings.max_connections), at_once=True)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._unread_room -= len(data)
            if self._unread_room < 0:
                self.transport.abort()
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
            self.since = self.loop.time()
        if self._in_request_line:
            data = self._in_ascii(data)
        size, self._progressed = len(data), False
        while data and self.parser is not None and not self._lingering:
            data = self._left_of(data)
        self._head_begun = not self._head_complete
        self._without_progress = 0 if self._progressed else self._without_progress + size
        if self._without_progress > self.settings.max_url + self.settings.max_headers:
            # Of a head, a trailer or what frames a chunk, the parser keeps as much as comes.
            too_long = not self._head_complete and self._too_long_url()
            self.refuse(too_long or HEADERS_TOO_LARGE(self.settings.max_headers))

    def _too_long_url(self) -> LegacyError | None:
        return URL_TOO_LONG(self.settings.max_url) if len(self.url) > self.settings.max_url else None

    def _left_of(self, data: bytes) -> bytes:
        """What the parser leaves of what it is given."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            # Nothing is upgraded to: the request is answered as it is, and what follows is the next one.
            return data[asked.args[0] :]
        except httptools.HttpParserError as error:
            self.refuse(BAD_REQUEST(f"This is no HTTP/1.1 request that could be read: {error}."))
        return b""

    def refuse(self, error: LegacyError, *, at_once: bool = False) -> None:
        """Answer what is not even a request, and take nothing more from the connection.

        At once, the connection is closed without waiting for the caller to read the answer.
        """
        if self.transport.is_closing() or self._lingering:
            return
        if not self.awaits_a_head:
            if self.cycle.response_started:
                # In the midst of an answer this would pass for a part of it.
                self.transport.abort()
                return
            self.cycle.disconnected = True
        answer = failure(error)
        headers = [*encoded(answer.headers), (b"Content-Length", b"%d" % len(answer.body)), (b"Connection", b"close")]
        self.transport.write(_head(answer.status, headers) + answer.body)
        if at_once:
            self.transport.close()
        else:
            self._linger(_MOST_UNREAD)

    def on_message_begin(self) -> None:
        self._progressed = True
        self._head_complete = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none (RFC 9110, section 6.5.1)."""
        if not self._head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._lingering:
            return
        self._progressed = True
        self._head_complete = True
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            self.refuse(VERSION_NOT_SUPPORTED(version))
            return
        if not self.url.startswith(b"/") and not _has_path(self.url):
            self.refuse(BAD_REQUEST("The URL has no path that could be read."))
            return
        try:
            super().on_headers_complete()
        except httptools.HttpParserInvalidURLError:
            # The parser of URLs has a limit of its own.
            self.refuse(self._too_long_url() or BAD_REQUEST("The URL cannot be read."))

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        if self.cycle is not None and not self._lingering:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._progressed = True
        self._in_request_line = True
        if self.cycle is not None and not self._lingering:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        super().on_response_complete()

    def _in_ascii(self, data: bytes) -> bytes:
        """What has come, with the bytes beyond ASCII of its request line escaped.

        Old clients join values into the URL as they are; the parser refuses such bytes, and takes their escapes.
        """
        line, end, rest = data.partition(b"\n")
        # A line's end alone may stand before a request.
        self._in_request_line = not end or not line.strip()
        if line.isascii():
            return data
        return _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line) + end + rest

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.takes_last:
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, partial(self._serve, cycle, app))

    async def _serve(self, cycle: RequestResponseCycle, app: Any, scope: Scope, receive: Receive, _: Any) -> None:
        answer = _Answer(cycle)
        try:
            await app(scope, receive, answer.send)
        except (ConnectionError, asyncio.CancelledError):
            # The caller went away, the answer broke off, or the gateway stops: none is to be taken for an answer.
            answer.break_off()
        except Exception as error:  # noqa: BLE001 - its text may hold anything, and so it is not shown
            _log.error("a request failed by %s at %s", type(error).__name__, source_line(error))
            if cycle.response_started:
                answer.break_off()
            else:
                await send_answer(answer.send, failure(GATEWAY_FAILED()), [])
        if answer.before_request_end:
            self._linger()

    def _linger(self, room: float = math.inf) -> None:
        """Take no more, but wait until the caller has read the answer, while what it still sends has room.

        If the connection were closed while the caller still sends, the caller would lose the answer.
        """
        self._lingering, self._unread_room = True, min(room, self._unread_room)
        self.flow.resume_reading()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGERING, self.transport.close)


class _Answer:
    """Writes the answer to a request, framed as its caller can read it (RFC 9112, sections 6 and 9.3)."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._until_closed = False
        self.before_request_end = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if message["type"] == "http.response.start":
            cycle.response_started = True
            cycle.waiting_for_100_continue = False
            cycle.transport.write(_head(message["status"], self._framed(message["status"], message["headers"])))
        elif self._until_closed:
            self._write_until_closed(message)
        else:
            await cycle.send(message)  # type: ignore[arg-type]

    def break_off(self) -> None:
        """End the connection so that nothing of the answer passes for the whole."""
        transport = self._cycle.transport
        self._cycle.disconnected = True
        connected = transport.get_extra_info("socket")
        if self._until_closed and connected is not None:
            # Here a connection that ends orderly says that the answer is whole.
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        else:
            transport.close()

    def _framed(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        cycle, framed = self._cycle, []
        cycle.chunked_encoding, cycle.expected_content_length = False, 0
        length: bytes | None = None
        for name, value in headers:
            lower = name.lower()
            if lower in (b"connection", b"transfer-encoding"):
                # They are this connection's own matter.
                if b"close" in value.lower() and not cycle.more_body:
                    cycle.keep_alive = False
                continue
            if lower == b"content-length":
                length = value
            framed.append((name, value))
        bodiless = cycle.scope["method"] == "HEAD" or status in _BODILESS
        if length is not None:
            cycle.expected_content_length = 0 if bodiless else int(length)
        elif not bodiless and cycle.scope["http_version"] == "1.0":
            self._until_closed, cycle.keep_alive = True, False
        elif not bodiless:
            cycle.chunked_encoding = True
            framed.append((b"Transfer-Encoding", b"chunked"))
        self.before_request_end = cycle.more_body
        if not cycle.keep_alive or cycle.more_body:
            framed.append((b"Connection", b"close"))
        return framed

    def _write_until_closed(self, message: MutableMapping[str, Any]) -> None:
        cycle = self._cycle
        cycle.transport.write(message.get("body", b""))
        if not message.get("more_body"):
            cycle.response_complete = True
            cycle.message_event.set()
            cycle.transport.close()
            cycle.on_response()


def _has_path(url: bytes) -> bool:
    """Whether a URL with a host (RFC 9112, section 3.2.2) has a path; also True where it cannot be taken apart."""
    try:
        return httptools.parse_url(url).path is not None
    except httptools.HttpParserInvalidURLError:
        return True


def _head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = [STATUS_LINE.get(status) or b"HTTP/1.1 %d \r\n" % status]
    dated = False
    for name, value in headers:
        if _UNSENDABLE.search(value):
            raise ValueError(f"the header {name.decode('latin-1')} cannot be sent")
        dated = dated or name.lower() == b"date"
        lines.append(b"%b: %b\r\n" % (name, value))
    if not dated:
        lines.append(_date(int(time.time())))
    lines.append(b"\r\n")
    return b"".join(lines)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
