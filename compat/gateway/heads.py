"""Heads of HTTP/1.1 as a plain read has them: written at once, and read by one expression.

What is not exactly as most servers send it is left to ``http.client``, which knows what else is allowed.
"""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["Fields", "Head", "Replayed", "read_head", "written_head"]

_END = b"\r\n\r\n"
_LONGEST = 1 << 16
"""Bytes within which a head has to end to be read here, and that are asked for at once."""

_USUAL = re.compile(
    rb"HTTP/1\.1 (?P<status>[2-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\r\n"
    rb"(?P<fields>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_ODD = frozenset(("transfer-encoding", "content-encoding"))
_DIGITS = 16
_BODILESS = (204, 304)
_SENDABLE = re.compile(r"[A-Z]+ /[\x21-\x7e]* HTTP/1\.1\r\n(?:[A-Za-z0-9-]+: [\t\x20-\x7e]*\r\n)+\r\n")


class Fields(Mapping[str, str]):
    """Headers, found by their names in any case.

    Args:
        lowered: by their names in small letters.
    """

    def __init__(self, lowered: Mapping[str, str]) -> None:
        self._lowered = lowered

    def __getitem__(self, name: str) -> str:
        return self._lowered[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lowered)

    def __len__(self) -> int:
        return len(self._lowered)


class Head(NamedTuple):
    """The head of an answer whose body has a stated length.

    Attributes:
        status: the HTTP status.
        fields: the headers; of one that came twice, the first.
        length: bytes of the body.
        closes: the server closes the connection after it.
        end: where in what was read the body begins.
    """

    status: int
    fields: Fields
    length: int
    closes: bool
    end: int


def written_head(method: str, target: str, headers: Mapping[str, str], host: str) -> bytes | None:
    """The head of a request without a body; None where it needs a closer look.

    Args:
        method: the HTTP method.
        target: path and query.
        headers: the headers, without the host.
        host: the host.
    """
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"
    # Each line is counted, so that no value can bring one of its own.
    if _SENDABLE.fullmatch(head) is None or head.count("\n") != len(headers) + 3:
        return None
    return head.encode("ascii")


def read_head(connection: socket.socket) -> tuple[bytes, Head | None]:
    """Read up to the end of an answer's head.

    Returns:
        all that was read, some of the body perhaps included, and what it says; None where that is unusual.

    Raises:
        OSError: the connection broke, or nothing came in time.
    """
    read = connection.recv(_LONGEST)
    if not read:
        return read, None
    while (end := read.find(_END)) < 0 and len(read) < _LONGEST:
        more = connection.recv(_LONGEST)
        if not more:
            return read, None
        read += more
    found = _USUAL.match(read, 0, end + len(_END))
    return read, None if found is None else _understood(found)


def _understood(found: re.Match[bytes]) -> Head | None:
    fields: dict[str, str] = {}
    for line in found["fields"].decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name not in fields:
            fields[name] = value.strip("\t ")
        elif name == "content-length":
            return None
    status, length = int(found["status"]), fields.get("content-length", "")
    if (
        status in _BODILESS
        or not _ODD.isdisjoint(fields)
        or not (length.isascii() and length.isdigit() and len(length) < _DIGITS)
    ):
        return None
    return Head(status, Fields(fields), int(length), "close" in fields.get("connection", "").lower(), found.end())


class Replayed:
    """A connection from which something was read already, for ``http.client`` to read again.

    Args:
        read: what was read.
        connection: where the rest comes from.
    """

    def __init__(self, read: bytes, connection: socket.socket) -> None:
        self._read = read
        self._connection = connection

    def makefile(self, mode: str) -> io.BufferedReader:
        """Both as a file, as :meth:`socket.socket.makefile` gives it."""
        return io.BufferedReader(_Rest(self._read, self._connection))


class _Rest(io.RawIOBase):
    def __init__(self, read: bytes, connection: socket.socket) -> None:
        self._read = memoryview(read)
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the usual kind of buffer
        if not self._read:
            return self._connection.recv_into(buffer)
        part = self._read[: len(buffer)]
        buffer[: len(part)] = part
        self._read = self._read[len(part) :]
        return len(part)
