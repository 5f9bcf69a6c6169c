"""Answers whose beginning and end are certain, within the limits of whoever waits for them (contract, section 4).

``http.client``, which urllib3 reads heads with, reads past 100 alone: after any other informational answer each answer
of the connection is the one before (https://github.com/urllib3/urllib3/issues/3336). It also drops what came after an
answer, takes the first of two lengths, and starts its time limit anew with each byte. What is added here is that and
no more.
"""

from __future__ import annotations

import http.client
import io
import re
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from compat.errors import UpstreamError
from compat.upstream.limits import USUAL_LIMITS, AnswerLimits, too_large
from compat.upstream.retries import Deadline

__all__ = ["UNDER_WAY", "Attempt", "FramingError", "StrictResponse"]

_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LONGEST_LINE = 1 << 16
_MOST_LINES = 100
"""Of one head; ``http.client`` reads no more either."""

_INFORMATIONAL_BYTES = 1 << 11
"""Of the limit of a head, for each informational answer before it: reading one costs as much as reading so many."""

_FRAMING = frozenset(("connection", "content-length", "transfer-encoding"))
_USUAL_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) ([ -~]*)\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n){1,99})\r\n"
)
_INFORMATIONAL = re.compile(
    rb"HTTP/1\.1 1(?!01)[0-9]{2} [ -~]*\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n){0,99}\r\n"
)
_LINE = re.compile(r"([^:\r]+):[\t ]*([^\r]*)\r\n")
_BUFFER = 1 << 15
_TRAILING = re.compile(rb"(?<=[^ \t])[ \t]+(?=\r?\n\Z)")
_FOLDED = re.compile(r"[ \t]*\r?\n[ \t]+")
_LINE_ENDS = bytes.maketrans(b"\x0b\x0c\x1c\x1d\x1e\x85", b"      ")
"""What the parser of heads takes for the end of a line, and HTTP for a part of a value."""


class FramingError(http.client.HTTPException):
    """An answer after which nobody can tell where the next one begins; the text says why."""


UNDER_WAY: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""By which the connections that a thread uses know of its request."""


@dataclass
class Attempt:
    """One request, as its connection has to know it.

    Attributes:
        deadline: when its answer has to be there, body included.
        fresh: use no connection that was used before.
        reused: the connection had been used before.
        head: bytes of them that are no body.
    """

    deadline: Deadline
    limits: AnswerLimits
    fresh: bool = False
    reused: bool = False
    received: int = 0
    head: int | None = None

    @classmethod
    def begun(cls, limits: AnswerLimits, deadline: Deadline, *, fresh: bool) -> Attempt:
        """One that begins now, within the deadline of all attempts."""
        name = f"the limit of {limits.answer_seconds:g} seconds an answer (answer_seconds)"
        return cls(Deadline.after(limits.answer_seconds, name, deadline), limits, fresh)

    current = staticmethod(UNDER_WAY.get)
    """The one that this thread makes."""


class _Wire(io.RawIOBase):
    """What comes from a socket, within the limits of the attempt that waits for it.

    Args:
        sock: the socket; its timeout is how long is waited for each byte.
    """

    def __init__(self, sock: Any, connection: Any) -> None:
        self._raw: io.RawIOBase = sock.makefile("rb", buffering=0)
        self._sock = sock
        self.connection = connection
        self._silence: float | None = sock.gettimeout()
        self._attempt = Attempt.current()
        self.ended = False

    def makefile(self, mode: str) -> _Stream:
        """Stand for the socket where ``http.client`` opens a file."""
        return _Stream(self, _BUFFER)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return 0
        attempt = self._attempt
        if attempt is None:
            return self._raw.readinto(buffer)
        left = attempt.deadline.remaining()
        self._sock.settimeout(left if self._silence is None else min(left, self._silence))
        try:
            count = self._raw.readinto(buffer) or 0
        except TimeoutError:
            attempt.deadline.remaining()
            raise
        attempt.received += count
        # No body is sent without an end, its chunks' sizes and trailers included.
        limits = attempt.limits
        head = limits.answer_head_bytes if attempt.head is None else attempt.head
        if attempt.received > head + limits.answer_body_bytes:
            raise too_large("body", limits.answer_body_bytes, "answer_body_bytes", " as sent")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Stream(io.BufferedReader):
    """What a wire gives; tells, when an answer has ended, whether more has come than the answer."""

    def close(self) -> None:
        if not self.closed:
            wire: Any = self.raw
            wire.ended = True
            pending = getattr(wire.connection.sock, "pending", None)
            if self.peek(1) or (pending is not None and pending()):
                wire.connection.has_surplus = True
        super().close()


class _Head:
    """The lines of a head, and of those before it, within the limit of the attempt that waits for it."""

    def __init__(self, stream: Any, limits: AnswerLimits) -> None:
        self._stream = stream
        self._left = self._most = limits.answer_head_bytes
        self._lines = 0
        self._informational = 0
        self.close = stream.close

    @property
    def size(self) -> int:
        """Bytes that were read of it."""
        return self._most - self._left

    def read_past_usual(self) -> bool:
        """Read past informational answers that are written as nearly all are; gives whether there were any."""
        before = self._informational
        while found := _INFORMATIONAL.match(self._stream.peek(1)):
            self._count(self._stream.read(found.end()))
            self.count_informational()
        return self._informational > before

    def count_informational(self) -> None:
        """One more answer that is none yet has ended."""
        self._informational += 1
        most = max(1, self._most // _INFORMATIONAL_BYTES)
        if self._informational > most:
            raise UpstreamError(
                f"The upstream sent more than {most} informational answers (1xx) before its answer: "
                f"one for each {_INFORMATIONAL_BYTES:,} bytes of answer_head_bytes."
            )

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(min(limit, self._left + 1))
        self._count(line)
        self._lines = self._lines + 1 if line.strip() else 0
        if self._lines > _MOST_LINES:
            raise UpstreamError(f"The upstream's answer has a head of more than {_MOST_LINES} lines.")
        if b"\r" in line.removesuffix(b"\r\n"):
            raise FramingError("a head with a bare carriage return")
        return _TRAILING.sub(b"", line.translate(_LINE_ENDS))

    def _count(self, part: bytes) -> None:
        self._left -= len(part)
        if self._left < 0:
            raise too_large("head", self._most, "answer_head_bytes")


def _read_past(lines: Any) -> None:
    """Read lines to the empty one that ends them, or to the end of all."""
    while lines.readline(_LONGEST_LINE) not in (b"\r\n", b"\n", b""):
        pass


class StrictResponse(http.client.HTTPResponse):
    """An answer whose beginning and end are certain.

    Attributes:
        pairs: name and value of each line of its head.
    """

    fp: Any
    _head: _Head
    pairs: list[tuple[str, str]]

    def __init__(self, sock: Any, *args: Any, connection: Any, **kwargs: Any) -> None:
        super().__init__(_Wire(sock, connection), *args, **kwargs)  # type: ignore[arg-type]
        self._attempt = Attempt.current()
        self._limits = self._attempt.limits if self._attempt is not None else USUAL_LIMITS

    def begin(self) -> None:
        if not self._begin_usual(0):
            self._head = head = _Head(self.fp, self._limits)
            if not (head.read_past_usual() and self._begin_usual(head.size)):
                self._begin(head)

    def _begin_usual(self, before: int) -> bool:
        """Read a head that is written as nearly all are: ``http.client`` takes a parser of mail for it.

        Args:
            before: bytes of informational answers that were read past.

        Returns:
            False for any other, of which nothing is read then: whatever is wrong with it is told by the other way.
        """
        found = _USUAL_HEAD.match(self.fp.peek(1))
        if found is None or before + found.end() > self._limits.answer_head_bytes:
            return False
        message = http.client.HTTPMessage()
        framing: dict[str, str] = {}
        pairs = _LINE.findall(found[3].decode("ascii"))
        for name, value in pairs:
            message.set_raw(name, value)
            lower = name.lower()
            if lower in _FRAMING:
                if lower in framing:
                    return False
                framing[lower] = value.strip(" \t").lower()
        length, coding = framing.get("content-length"), framing.get("transfer-encoding")
        if coding is not None and (coding != "chunked" or length is not None):
            return False
        if length is not None and not (_LENGTH.fullmatch(length) and int(length) <= self._limits.answer_body_bytes):
            return False
        self.fp.read(found.end())
        if self._attempt is not None:
            self._attempt.head = before + found.end()
        self.version, self.reason, self.headers = 11, found[2].decode("ascii").strip(), message
        self.code = self.status = int(found[1])
        self.msg, self.pairs = message, pairs
        self.chunked, self.chunk_left = coding is not None, None
        self.length = None if length is None else int(length)
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED) or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        ends = coding is not None or self.length is not None
        self.will_close = not ends or "close" in framing.get("connection", "")
        return True

    def _read_status(self) -> tuple[str, int, str]:
        # http.client reads past 100 as well, and in newer versions past so many of them alone: the limits here hold.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status != HTTPStatus.CONTINUE:
                return version, status, reason
            _read_past(self.fp)
            self._head.count_informational()

    def _begin(self, head: _Head) -> None:
        stream = self.fp
        while True:
            self.fp = head
            try:
                super().begin()
            finally:
                if self.fp is head:
                    self.fp = stream
            if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise FramingError("another protocol, which nobody asked for")
            if self.status >= 200:
                break
            head.count_informational()
            # With headers, the next call would take this for the answer.
            self.headers = self.msg = None  # type: ignore[assignment]
        if self._attempt is not None:
            self._attempt.head = head.size
        self._check_framing()
        self.pairs = [(name, _FOLDED.sub(" ", value)) for name, value in self.headers.items()]

    def _check_framing(self) -> None:
        try:
            assert_header_parsing(self.msg)
        except HeaderParsingError:
            raise FramingError("a head that cannot be read") from None
        codings = [text.strip().lower() for text in self.headers.get_all("Transfer-Encoding", [])]
        stated = self.headers.get_all("Content-Length", [])
        lengths = {text.strip() for each in stated for text in each.split(",")}
        if codings and codings != ["chunked"]:
            raise FramingError("a Transfer-Encoding other than chunked")
        if codings and lengths:
            raise FramingError("both a Transfer-Encoding and a Content-Length")
        if len(lengths) > 1:
            raise FramingError("two lengths")
        for length in lengths:
            if not _LENGTH.fullmatch(length):
                raise FramingError("a Content-Length that is no number")
            if int(length) > self._limits.answer_body_bytes and self._method != "HEAD":  # type: ignore[attr-defined]
                raise too_large("body", self._limits.answer_body_bytes, "answer_body_bytes", " as sent")
            if self.length is None:
                # The same length twice, which http.client does not read.
                self.length = int(length)
                self.will_close = self._check_close()  # type: ignore[attr-defined]

    def _read_and_discard_trailer(self) -> None:
        # As many lines and bytes as a head: millions of short lines would keep the interpreter from others.
        _read_past(_Head(self.fp, self._limits))

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_LONGEST_LINE + 1)
        if not line:
            raise http.client.IncompleteRead(b"")
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise FramingError("a chunk without a size")
        return int(found[1], 16)

    def _safe_read(self, amt: int) -> bytes:
        data: bytes = super()._safe_read(amt)  # type: ignore[misc]
        at_end_of_chunk = self.chunked and self.chunk_left == 0
        if at_end_of_chunk and data != b"\r\n":
            raise FramingError("a chunk that is longer than its size")
        return data
