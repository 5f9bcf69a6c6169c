"""Real servers for what a session wishes: one with or without TLS, and a proxy that notes what it was asked."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from support import RawServer, Received, page_of, program

RECORD = {"id": 1, "exam_id": 17, "name": "Ann", "status": "exam_finished"}


@dataclass
class TlsServer(RawServer):
    """A server of raw bytes behind TLS."""

    context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def __enter__(self) -> TlsServer:
        super().__enter__()
        self.base_url = self.base_url.replace("http:", "https:")
        return self

    def _serve_one(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            with self.context.wrap_socket(connection, server_side=True) as secured:
                super()._serve_one(secured)
        except OSError:
            # The client does not trust us.
            return


@dataclass
class Proxy:
    """An HTTP proxy: ``asked`` has the target of each request and tunnel, and the credentials that came with it."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, number: int, received: Received, connection: socket.socket) -> bytes | None:
        method, target, *_ = received.head.split(" ")
        self.asked.append((target, _header(received.head, "Proxy-Authorization")))
        host, _, port = target.removeprefix("http://").partition("/")[0].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as onward:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(onward, connection))
                back.start()
                _copy(connection, onward)
                back.join()
            else:
                onward.sendall(received.head.replace(f"http://{host}:{port}", "", 1).encode("latin-1") + b"\r\n\r\n")
                _copy(onward, connection)
        return None


@dataclass
class World:
    """The servers, and where the files lie that a session names.

    Attributes:
        server: answers every call with a page of one record, and is what both sides ask in the end.
        proxy: a proxy that passes on.
        proxy_url: its URL.
        folder: a folder with ``ca.pem``, its hashed form in ``ca``, ``client.pem`` and ``key.pem``.
        seen: what the server saw of each call: the client's certificate, and its address.
    """

    server: RawServer
    proxy: Proxy
    proxy_url: str
    folder: Path
    seen: list[Any]

    def path(self, name: str) -> str:
        return str(self.folder / name)


@contextmanager
def world(scheme: str, folder: Path) -> Iterator[World]:
    """The servers, running."""
    seen: list[Any] = []

    def answer(number: int, received: Received, connection: socket.socket) -> bytes:
        certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        seen.append((certificate or {}).get("serialNumber"))
        return page_of([RECORD])

    proxy = Proxy()
    with ExitStack() as running:
        server = TlsServer(answer, context=_context(folder)) if scheme == "https" else RawServer(answer)
        running.enter_context(server)
        in_front = running.enter_context(RawServer(proxy.answer))
        yield World(server, proxy, in_front.base_url, folder, seen)


def write_certificates(folder: Path) -> None:
    """A certificate authority, what it vouches for, and one that nobody knows."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "server.pem")
    )
    client = authority.issue_cert("client@example.org")
    client.private_key_pem.write_to_path(str(folder / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    for name in ("ca", "other"):
        (folder / name).mkdir()
        (folder / name / "ca.pem").write_bytes((folder / f"{name}.pem").read_bytes())
        subprocess.run([program("openssl"), "rehash", str(folder / name)], check=True)


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _header(head: str, name: str) -> str:
    lines = (line.partition(": ") for line in head.split("\r\n")[1:])
    return next((value for key, _, value in lines if key == name), "")


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One of them went away.
        return
