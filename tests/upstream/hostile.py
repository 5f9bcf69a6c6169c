"""Upstreams that send without an end, or little that expands to much."""

from __future__ import annotations

import gzip
import socket
import sys
import zlib
from collections.abc import Callable
from functools import cache

import brotli
from wires import Sent, Wire

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["HOSTILE", "hostile", "prepare"]

Attack = Callable[[Wire, socket.socket], None]
_COUNTS = b"X-Pagination-Item-Count: 1\r\nX-Pagination-Limit: 300\r\nContent-Type: application/json\r\n"
_OK = b"HTTP/1.1 200 OK\r\n" + _COUNTS
_MIB = 1 << 20
_BEGUN = b'{"students":[{"id":1,"exam_id":17,"name":"'


def hostile(name: str) -> Wire:
    """A server each of whose answers is one of the attacks."""
    attack = HOSTILE[name]
    prepare()

    def answer(sent: Sent, connection: socket.socket) -> None:
        attack(wire, connection)
        connection.shutdown(socket.SHUT_RDWR)

    wire = Wire(answer)
    return wire


def prepare() -> None:
    """Make what takes long to make, so that no answer waits for it."""
    for times in (1, 2):
        _bomb(times)
    _brotli_bomb()
    _zstd_bomb()


def _endless(wire: Wire, connection: socket.socket, head: bytes, part: bytes, pause: float = 0.0) -> None:
    connection.sendall(head)
    while not wire.ending.wait(pause) if pause else not wire.ending.is_set():
        connection.sendall(part)


@cache
def _bomb(times: int) -> bytes:
    """A body of 100 MiB as gzip, so many times over."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    body = packer.compress(_BEGUN) + b"".join(packer.compress(b"a" * _MIB) for _ in range(100))
    body += packer.compress(b'"}]}') + packer.flush()
    for _ in range(times - 1):
        body = gzip.compress(body)
    return body


def _packed(times: int) -> Attack:
    def send(wire: Wire, connection: socket.socket) -> None:
        body = _bomb(times)
        encoding = b", ".join([b"gzip"] * times)
        head = _OK + b"Content-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)

    return send


@cache
def _brotli_bomb() -> bytes:
    return brotli.compress(_BEGUN + b"a" * (100 * _MIB) + b'"}]}', quality=1)


@cache
def _zstd_bomb() -> bytes:
    return zstd.compress(_BEGUN + b"a" * (100 * _MIB) + b'"}]}')


def _encoded(name: bytes, bomb: Callable[[], bytes]) -> Attack:
    return lambda wire, to: to.sendall(
        _OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (name, len(bomb())) + bomb()
    )


def _large_text(wire: Wire, connection: socket.socket) -> None:
    connection.sendall(_OK + b"Content-Length: %d\r\n\r\n" % (200 * _MIB) + _BEGUN)
    for _ in range(200):
        connection.sendall(b"a" * _MIB)


def _many(body: bytes) -> Attack:
    def send(wire: Wire, connection: socket.socket) -> None:
        connection.sendall(_OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return send


HOSTILE: dict[str, Attack] = {
    "gzip bomb": _packed(1),
    "gzip bomb within gzip": _packed(2),
    "brotli bomb": _encoded(b"br", _brotli_bomb),
    "zstd bomb": _encoded(b"zstd", _zstd_bomb),
    "endless chunks": lambda wire, to: _endless(
        wire, to, _OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
    "endless size of a chunk": lambda wire, to: _endless(
        wire, to, _OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536
    ),
    "endless trailers": lambda wire, to: _endless(
        wire, to, _OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000
    ),
    "endless body": lambda wire, to: _endless(wire, to, _OK + b"\r\n" + _BEGUN, b"a" * 65536),
    "dripping head": lambda wire, to: _endless(wire, to, b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.1),
    "dripping body": lambda wire, to: _endless(wire, to, _OK + b"Content-Length: 99999\r\n\r\n", b" ", 0.1),
    "dripping 103": lambda wire, to: _endless(wire, to, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.1),
    "endless head": lambda wire, to: _endless(wire, to, b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 9999 + b"\r\n"),
    "endless line of a head": lambda wire, to: _endless(wire, to, b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
    "many lines of a head": lambda wire, to: _endless(wire, to, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "endless 103": lambda wire, to: _endless(wire, to, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "endless 100": lambda wire, to: _endless(wire, to, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "text of 200 MiB": _large_text,
    "a million records": _many(b'{"students":[' + b'{"id":1,"exam_id":17},' * 600_000 + b"null]}"),
    "six thousand records": _many(b'{"students":[' + b'{"id":1,"exam_id":17},' * 5_999 + b'{"id":1,"exam_id":17}]}'),
    "empty objects": _many(b'{"students":[' + b"{}," * 5_000_000 + b"{}]}"),
    "empty lists": _many(b'{"students":[' + b"[]," * 5_000_000 + b"[]]}"),
    "nested": _many(b'{"students":' + b"[" * 1_000_000),
    "deep": _many(b'{"students":' + b"[" * 15_000_000),
}
