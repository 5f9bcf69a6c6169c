"""The HTTP server: connections that stay open, one write per answer, and faults on the wire."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from compat.testing.sandbox.application import Application, Outcome
from compat.testing.sandbox.messages import Incoming, SandboxAnswer

_LARGEST_BODY = 10_000_000


class Server(ThreadingHTTPServer):
    """Serves an application; stopping it ends every connection and waits for every thread."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        """Bind to that address."""
        self.application = application
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
        """Remember the connection, then serve it in a thread of its own."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop accepting, end every connection, wait for every thread."""
        self.application.stopping.set()
        self.shutdown()
        with self._lock:
            for connection in self._open:
                _end(connection)
        self.server_close()


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The client was faster.
        return


class Handler(BaseHTTPRequestHandler):
    """Reads one request after the other from a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer a GET, whose body counts too."""
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Write no log: request lines hold signatures."""

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            return
        # The base class reads the request line as Latin-1; clients that do not encode send UTF-8.
        target = self.path.encode("latin-1").decode("utf-8", "surrogateescape")
        path, _, query = target.partition("?")
        content_type = self.headers.get("Content-Type", "")
        authorization = self.headers.get("Authorization", "")
        incoming = Incoming(self.command, path, query, content_type, authorization, body)
        self._write(self.server.application.handle(incoming))

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
        answer, fault = outcome.answer, outcome.fault
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


def _head(answer: SandboxAnswer, framing: str) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [framing] if framing else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
