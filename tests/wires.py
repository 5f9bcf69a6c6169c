"""A server of raw bytes that keeps what it was sent, for what a library would tidy up on the way."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(frozen=True)
class Sent:
    """A request as it came off the wire; a chunked body with its framing taken off, chunk by chunk."""

    line: str
    headers: list[tuple[str, str]]
    chunks: list[bytes]
    port: int

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name]


Answer = Callable[[Sent, socket.socket], None]


def whole(status: str = "200 OK", body: bytes = b"", *lines: str) -> bytes:
    """An answer with its length."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


@dataclass
class Wire:
    """Answers each request by a function that writes to the socket; one thread a connection."""

    answer: Answer
    tls: ssl.SSLContext | None = None
    sent: list[Sent] = field(default_factory=list)

    def __enter__(self) -> Wire:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.ending = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        socket.create_connection(self._listener.getsockname()).close()
        for connection in self._open:
            # One that is kept open would be waited on; one that ended already minds nothing.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.ending.is_set():
                connection.close()
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as stream:
            try:
                while (line := stream.readline()) and not self.ending.is_set():
                    headers = []
                    while (field := stream.readline()) not in (b"\r\n", b""):
                        name, _, value = field.decode("latin-1").partition(":")
                        headers.append((name, value.strip()))
                    request = Sent(line.decode("latin-1").rstrip(), headers, [], connection.getpeername()[1])
                    self.sent.append(request)
                    _read_body(request, stream)
                    self.answer(request, connection)
            except OSError:
                # The other side went away, or the test closed the connection.
                return


def _read_body(request: Sent, stream: object) -> None:
    read, readline = stream.read, stream.readline  # type: ignore[attr-defined]
    if "chunked" in request.values("transfer-encoding"):
        while size := int(readline(), 16):
            request.chunks.append(read(size))
            readline()
        readline()
    elif length := request.values("content-length"):
        request.chunks.append(read(int(length[0])))
