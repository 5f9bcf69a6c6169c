"""The sandbox as its users see it, and its HTTP server with the faults that happen on the wire."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from compat.testing.sandbox.application import (
    Application,
    Fault,
    FaultSource,
    Intercept,
    Outcome,
    as_toml,
    write_roster,
)
from compat.testing.sandbox.context import SCOPE, Context, SignatureCheck, Tokens, sign
from compat.testing.sandbox.dataset import generate
from compat.testing.sandbox.messages import Call, Incoming, SandboxAnswer
from compat.testing.sandbox.text import find_zone

PUSHDOWNS = ("status", "filter", "sort")


class Sandbox:
    """A server on this machine that speaks the deprecated interface and both of its successors.

    Use it as a context manager, or call ``start`` and ``stop``. All interfaces serve the same generated
    data, which ``dataset`` shows. ``faults`` hit the newer interfaces and the token endpoint.
    """

    def __init__(
        self,
        *,
        students: int = 120,
        exams: int = 3,
        seed: int = 2018,
        port: int = 0,
        host: str = "127.0.0.1",
        latency: float = 0.0,
        clamp: int = 300,
        faults: Iterable[Fault] = (),
        pushdown: Iterable[str] = ("status",),
        time_zone: str = "UTC",
        token_lifetime: float = 3600.0,
        most_faults_in_a_row: int | None = None,
    ) -> None:
        """A sandbox that is not started yet; port 0 takes any free one."""
        if clamp < 1:
            raise ValueError(f"clamp: {clamp} is no page size; it must be at least 1.")
        self.dataset = generate(students, exams, seed)
        self.api_token = secrets.token_hex(16)
        self.secret_key = secrets.token_hex(32)
        self.client_id = secrets.token_hex(8)
        self.client_secret = secrets.token_hex(32)
        self._address = (host, port)
        self._time_zone = time_zone
        self._pushdown = _known_pushdown(pushdown)
        self._tokens = Tokens(self.client_id, self.client_secret, token_lifetime)
        signatures = SignatureCheck(self.api_token, self.secret_key)
        zone, honoured = find_zone(time_zone), frozenset(self._pushdown)
        context = Context(self.dataset, zone, clamp, honoured, signatures, self._tokens)
        self._application = Application(context, FaultSource(tuple(faults), seed, most_faults_in_a_row), latency)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Sandbox:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def __repr__(self) -> str:
        """Where it serves; never its secrets."""
        return f"<Sandbox {self.base_url if self._server else 'not started'}>"

    def start(self) -> None:
        """Begin to serve, in a thread of its own."""
        if self._server is not None:
            raise RuntimeError("The sandbox is started already.")
        self._application.stopping.clear()
        self._server = Server(self._address, self._application)
        self._directory = tempfile.TemporaryDirectory(prefix="exam-compat-sandbox-")
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox"
        )
        self._thread.start()

    def stop(self) -> None:
        """End every connection and thread and remove the roster file; stopping twice does no harm."""
        server, thread, directory = self._server, self._thread, self._directory
        self._server = self._thread = self._directory = None
        if server is not None:
            server.stop()
        if thread is not None:
            thread.join()
        if directory is not None:
            directory.cleanup()

    def serve_forever(self) -> None:
        """Serve until the process is interrupted, starting if need be."""
        if self._server is None:
            self.start()
        try:
            # Short waits, since an interrupt does not end a long one on every system.
            while not self._application.stopping.wait(0.5):
                pass
        except KeyboardInterrupt:
            # The way to end it.
            return
        finally:
            self.stop()

    @property
    def base_url(self) -> str:
        """The address of all interfaces, without a slash at its end."""
        if self._server is None:
            raise RuntimeError("The sandbox is not started.")
        return f"http://{self._address[0]}:{self._server.server_port}"

    @property
    def calls(self) -> list[Call]:
        """The requests so far, oldest first; the list is a snapshot."""
        return self._application.calls

    def clear_calls(self) -> None:
        """Forget the requests so far."""
        self._application.clear_calls()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a signed call; they hold the API token."""
        return {
            "Authorization": f"Token token={self.api_token}",
            "Accept": "application/vnd.procwise.v3",
        }

    def signed(self, parameters: Mapping[str, str], in_path: Mapping[str, str] | None = None) -> dict[str, str]:
        """The parameters with a time, a nonce and a signature; ``in_path`` is signed but not returned."""
        complete = {
            "timestamp": str(time.time_ns() // 1_000_000),
            "nonce": str(secrets.randbits(63)),
            **parameters,
        }
        return {**complete, "signature": sign({**complete, **(in_path or {})}, self.secret_key)}

    @property
    def intercept(self) -> Intercept | None:
        """A function that may replace the answers of both newer interfaces."""
        return self._application.intercept

    @intercept.setter
    def intercept(self, function: Intercept | None) -> None:
        self._application.intercept = function

    def revoke_tokens(self) -> None:
        """Let every access token end now, earlier than was promised."""
        self._tokens.revoke_all()

    def settings(self, kind: str, fan_out: bool = False) -> dict[str, dict[str, Any]]:
        """The configuration of a shim over this sandbox; ``fan_out`` reads sessions user by user.

        It holds the sandbox's secrets.
        """
        if kind not in ("student_sessions", "paginated_sessions"):
            raise ValueError(f"{kind!r} is not an upstream: use student_sessions or paginated_sessions.")
        upstream = self._student_sessions() if kind == "student_sessions" else self._paginated(fan_out)
        return {
            "upstream": {"kind": kind, "base_url": self.base_url, **upstream},
            "exams": {str(exam.id): exam.application_id for exam in self.dataset.exams},
            "legacy": {"base_url": self.base_url, "time_zone": self._time_zone},
        }

    def toml(self, kind: str, fan_out: bool = False) -> str:
        """The same as the text of a configuration file, and the sandbox's account as one that may call the gateway."""
        caller = {"name": "sandbox", "api_token": self.api_token, "secret_key": self.secret_key}
        # The brackets of a list of tables are twice those of a table.
        return as_toml({**self.settings(kind, fan_out), "[callers]": caller})

    def _student_sessions(self) -> dict[str, Any]:
        return {
            "api_token": self.api_token,
            "secret_key": self.secret_key,
            "scope": "all",
            "pushdown": list(self._pushdown),
        }

    def _paginated(self, fan_out: bool) -> dict[str, Any]:
        path = "/insights/1.0/users/{user_id}/sessions" if fan_out else "/insights/1.0/sessions"
        roster = {"roster": str(self._write_roster())} if fan_out else {}
        return {
            "path": path,
            "token_url": f"{self.base_url}/auth/1.0/token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "oauth_scope": SCOPE,
            **roster,
        }

    def _write_roster(self) -> Path:
        if self._directory is None:
            raise RuntimeError("The sandbox is not started.")
        path = Path(self._directory.name) / "roster.csv"
        write_roster(self.dataset.roster, path)
        return path


def _known_pushdown(names: Iterable[str]) -> tuple[str, ...]:
    given = tuple(names)
    for name in given:
        if name not in PUSHDOWNS:
            raise ValueError(f"pushdown: {name!r} is not one of {', '.join(PUSHDOWNS)}.")
    return given


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
