"""The HTTP server: connections that stay open, one write per answer, and the faults that an answer meets."""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

from compat.testing.sandbox.messages import Incoming, SandboxAnswer, json_answer, text_answer

_KINDS = ("cut", "cut-chunked", "truncated", "html", "reset", "slow")
HALVED = ("cut", "cut-chunked", "truncated")
SLOW_SECONDS = 0.2
_HTML_PAGE = b"<!doctype html><title>Maintenance</title><h1>We will be back soon.</h1>\n"


@dataclass(frozen=True)
class Fault:
    """A kind of fault and how often it happens, as a share of the requests from 0 to 1.

    Kinds: a status from 400 to 599; ``cut`` (the announced length is never reached), ``cut-chunked`` (the
    last chunk never comes), ``truncated`` (complete as HTTP, half as JSON), ``html``, ``reset``, ``slow``.
    """

    kind: str
    probability: float

    def __post_init__(self) -> None:
        if self.kind not in _KINDS and not re.fullmatch("[45][0-9]{2}", self.kind):
            raise ValueError(f"{self.kind!r} is not a fault: use a status from 400 to 599 or {', '.join(_KINDS)}.")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"{self.probability!r} is not a probability from 0 to 1.")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``KIND:PROBABILITY``, such as ``503:0.05``."""
        kind, colon, probability = text.partition(":")
        try:
            share = float(probability)
        except ValueError:
            share = -1.0
        if not colon or not 0 <= share <= 1:
            raise ValueError(f"{text!r} is not a fault: write KIND:PROBABILITY, such as 503:0.05.")
        return cls(kind, share)


class FaultSource:
    """Draws faults; a limit on how many the same request meets in a row lets a test end for certain."""

    def __init__(self, faults: Sequence[Fault], seed: int, most_in_a_row: int | None) -> None:
        if sum(fault.probability for fault in faults) > 1:
            raise ValueError("The probabilities of all faults add up to more than 1.")
        self._kinds = [fault.kind for fault in faults]
        self._until = list(accumulate(fault.probability for fault in faults))
        self._random = Random(seed)
        self._most_in_a_row = most_in_a_row
        self._in_a_row: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def draw(self, key: tuple[str, ...]) -> str | None:
        """The kind of fault that the next request of that key meets, or None."""
        with self._lock:
            drawn = self._random.random()
            kind = next((kind for kind, until in zip(self._kinds, self._until, strict=True) if drawn < until), None)
            met = self._in_a_row.get(key, 0)
            if kind is None or (self._most_in_a_row is not None and met >= self._most_in_a_row):
                self._in_a_row.pop(key, None)
                return None
            self._in_a_row[key] = met + 1
            return kind


def damaged(kind: str, answer: SandboxAnswer) -> SandboxAnswer:
    """What a fault of that kind makes of an answer; what happens on the wire is left to the server."""
    if kind == "html":
        return text_answer(200, _HTML_PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if kind == "reset":
        return SandboxAnswer(0, {}, b"")
    if kind == "truncated":
        return SandboxAnswer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
    if kind.isdigit():
        headers = {"Retry-After": "0"} if kind in ("429", "503") else {}
        return json_answer(int(kind), {"error": f"The sandbox was told to fail with {kind}.", "errors": {}}, headers)
    return answer


class Outcome(NamedTuple):
    """An answer, and the fault that the server still has to act out on the wire."""

    answer: SandboxAnswer
    fault: str | None


_LARGEST_BODY = 10_000_000


class Server(ThreadingHTTPServer):
    """Serves what answers a request; stopping it ends every connection and waits for every thread."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handle: Callable[[Incoming], Outcome]) -> None:
        self.handle = handle
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop accepting, end every connection, wait for every thread."""
        self.shutdown()
        with self._lock:
            for connection in self._open:
                # Its client may be faster.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Reads one request after the other from a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *arguments: object) -> None:
        """Write no log: request lines hold signatures."""

    def do_GET(self) -> None:
        """Answer any request: the body of a GET counts too."""
        body = self._read_body()
        if body is None:
            return
        # The base class reads the request line as Latin-1; clients that do not encode send UTF-8.
        target = self.path.encode("latin-1").decode("utf-8", "surrogateescape")
        path, _, query = target.partition("?")
        content_type, authorization = (self.headers.get(name, "") for name in ("Content-Type", "Authorization"))
        self._write(self.server.handle(Incoming(self.command, path, query, content_type, authorization, body)))

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        readable = length.isascii() and length.isdigit() and int(length[:9]) <= _LARGEST_BODY
        if "Transfer-Encoding" in self.headers or not readable:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            self.close_connection = True
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _write(self, outcome: Outcome) -> None:
        answer, fault = outcome
        if fault == "reset":
            self._reset()
            return
        half = answer.body[: len(answer.body) // 2]
        if fault == "cut-chunked":
            chunk = b"%x\r\n%b\r\n" % (max(len(half), 1), half or b" ")
            self._send(_head(answer, "Transfer-Encoding: chunked") + chunk)
        elif fault == "cut":
            self._send(_head(answer, f"Content-Length: {len(answer.body)}") + half)
        else:
            given = any(name.lower() == "content-length" for name in answer.headers)
            length = "" if given else f"Content-Length: {len(answer.body)}"
            self._send(_head(answer, length) + answer.body)
        if fault in ("cut", "cut-chunked"):
            self.close_connection = True

    def _send(self, message: bytes) -> None:
        try:
            self.wfile.write(message)
        except OSError:
            self.close_connection = True

    def _reset(self) -> None:
        # With a linger time of zero the close that follows is a reset and not an orderly end. The server
        # would announce an orderly end first, so the socket is closed here.
        at_once = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.close_connection = True
        self.rfile.close()
        self.connection.close()


_REASONS = {422: "Unprocessable Entity"}
"""As a Rails of its time says it; Python has RFC 9110's words for it from 3.13 on."""


def _head(answer: SandboxAnswer, framing: str) -> bytes:
    try:
        phrase = _REASONS.get(answer.status) or HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [framing] if framing else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
