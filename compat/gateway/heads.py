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
    rb"HTTP/1\.1 (?P<status>[2-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?"
    rb"(?P<fields>\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_LENGTH = b"\r\ncontent-length:"
_TRANSFER = b"\r\ntransfer-encoding:"
_PACKED = b"\r\ncontent-encoding:"
_CONNECTION = b"\r\nconnection:"
_DIGITS = 16
_BODILESS = (204, 304)
_SENDABLE = re.compile(r"[A-Z]+ /[\x21-\x7e]* HTTP/1\.1\r\n(?:[A-Za-z0-9-]+: [\t\x20-\x7e]*\r\n)+\r\n")


class Fields(Mapping[str, str]):
    """Headers, looked for only when they are asked for, by their names in any case.

    Args:
        lines: the headers, each between ends of lines.
        lowered: the same in small letters.
    """

    def __init__(self, lines: bytes, lowered: bytes) -> None:
        self._lines = lines
        self._lowered = lowered

    def __getitem__(self, name: str) -> str:
        mark = b"\r\n%b:" % name.lower().encode("latin-1")
        found = self._lowered.find(mark)
        if found < 0:
            raise KeyError(name)
        begin = found + len(mark)
        return self._lines[begin : self._lines.find(b"\r\n", begin)].strip(b"\t ").decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        lines = self._lowered.split(b"\r\n")[1:-1]
        return iter(dict.fromkeys([line.partition(b":")[0].decode("latin-1") for line in lines]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


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
    status, lines = int(found["status"]), found["fields"]
    lowered = lines.lower()
    if status in _BODILESS or _TRANSFER in lowered or _PACKED in lowered or lowered.count(_LENGTH) != 1:
        return None
    begin = lowered.find(_LENGTH) + len(_LENGTH)
    length = lines[begin : lines.find(b"\r\n", begin)].strip(b"\t ")
    if not (length.isdigit() and len(length) < _DIGITS):
        return None
    fields = Fields(lines, lowered)
    closes = _CONNECTION in lowered and "close" in fields["connection"].lower()
    return Head(status, fields, int(length), closes, found.end())


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
