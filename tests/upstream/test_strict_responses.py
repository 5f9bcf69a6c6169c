"""An answer belongs to its question: whatever an upstream sends, through every entrance (contract, section 4).

Each upstream sends one odd answer among plain ones. The odd one is read rightly or is an error; the others are right.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import brotli
import entrance_calls
import pytest
import requests
import trustme
from requests.adapters import BaseAdapter, HTTPAdapter
from wires import Sent, Wire

import compat
from compat.upstream import StudentSessions

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

Steps = list[Any]
Script = Callable[[bytes], Steps]
"""Of a body: what to send, seconds to wait, None to close, or "reset" to break off."""

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
COUNTS = b"X-Pagination-Item-Count: 1\r\nX-Pagination-Limit: 300\r\nContent-Type: application/json\r\n"


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return status + b"\r\n" + COUNTS + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def whole(body: bytes, *lines: bytes) -> bytes:
    return head(length(body), *lines) + body


def chunked(body: bytes, *lines: bytes, end: bytes = b"0\r\n\r\n", extension: bytes = b"") -> bytes:
    halves = (body[:7], body[7:])
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(half), extension, half) for half in halves)
    return head(b"Transfer-Encoding: chunked", *lines) + chunks + end


def encoded(name: bytes, encode: Callable[[bytes], bytes], *lines: bytes) -> Script:
    return lambda body: [whole(encode(body), b"Content-Encoding: " + name, *lines)]


def deflated(body: bytes, bits: int) -> bytes:
    compressor = zlib.compressobj(wbits=bits)
    return compressor.compress(body) + compressor.flush()


def twice(body: bytes) -> bytes:
    return gzip.compress(gzip.compress(body))


def members(body: bytes) -> bytes:
    return gzip.compress(body[:9]) + gzip.compress(b"") + gzip.compress(body[9:])


def each_byte(sent: bytes) -> Steps:
    return [sent[at : at + 1] for at in range(len(sent))]


RIGHT: dict[str, Script] = {
    "plain": lambda body: [whole(body)],
    "100 at once": lambda body: [CONTINUE + whole(body)],
    "102 at once": lambda body: [PROCESSING + whole(body)],
    "103 at once": lambda body: [HINTS + whole(body)],
    "103 late": lambda body: [HINTS, 0.1, whole(body)],
    "several": lambda body: [CONTINUE + PROCESSING + HINTS, 0.05, HINTS + HINTS + whole(body)],
    "several, byte by byte": lambda body: each_byte(PROCESSING + HINTS + CONTINUE + HINTS + whole(body)),
    "as many as may come": lambda body: [HINTS * 31 + CONTINUE + whole(body)],
    "103 with lines of LF": lambda body: [HINTS.replace(b"\r", b"") + whole(body)],
    "lines of LF": lambda body: [head(length(body)).replace(b"\r", b"") + body],
    "chunked": lambda body: [chunked(body)],
    "chunked, byte by byte": lambda body: each_byte(HINTS + chunked(body)),
    "chunked with trailers": lambda body: [chunked(body, end=b"0\r\nExpires: never\r\nX-Sum: 1\r\n\r\n")],
    "chunked with extensions": lambda body: [chunked(body, extension=b';a="b"')],
    "chunked with spaces after it": lambda body: [chunked(body).replace(b": chunked", b": chunked \t")],
    "the same with lines of LF": lambda body: [
        chunked(body).replace(b": chunked", b": chunked ").replace(b"\r\n", b"\n", 5)
    ],
    "the length twice": lambda body: [head(length(body), length(body)) + body],
    "the length twice in a line": lambda body: [head(b"Content-Length: %d, %d" % (len(body), len(body))) + body],
    "up to the end of the connection": lambda body: [head() + body, None],
    "HTTP/1.0": lambda body: [head(length(body), status=b"HTTP/1.0 200 OK") + body],
    "a name in UTF-8 before the length": lambda body: [head("X-Name: Å…\x0b".encode(), length(body)) + body],
    "no reason": lambda body: [head(length(body), status=b"HTTP/1.1 200") + body],
    "gzip": encoded(b"gzip", gzip.compress),
    "x-gzip": encoded(b"x-gzip", gzip.compress),
    "GZip": encoded(b" GZip ", gzip.compress),
    "gzip of several members": encoded(b"gzip", members),
    "gzip, chunked": lambda body: [chunked(gzip.compress(body), b"Content-Encoding: gzip")],
    "gzip, byte by byte": lambda body: each_byte(chunked(members(body), b"Content-Encoding: gzip")),
    "deflate of zlib": encoded(b"deflate", lambda body: deflated(body, zlib.MAX_WBITS)),
    "raw deflate": encoded(b"Deflate", lambda body: deflated(body, -zlib.MAX_WBITS)),
    "gzip, gzip": encoded(b"gzip, gzip", twice),
    "gzip twice in two lines": encoded(b"gzip", twice, b"Content-Encoding: X-GZIP"),
    "deflate, gzip": encoded(b"deflate,gzip", lambda body: gzip.compress(deflated(body, zlib.MAX_WBITS))),
    "br": encoded(b"br", brotli.compress),
    "br, chunked": lambda body: [chunked(brotli.compress(body), b"Content-Encoding: BR")],
    "zstd": encoded(b"zstd", zstd.compress),
    "zstd of several frames": encoded(b"zstd", lambda body: zstd.compress(body[:9]) + zstd.compress(body[9:])),
    "br, gzip": encoded(b"br, gzip", lambda body: gzip.compress(brotli.compress(body))),
    "identity": encoded(b"Identity", bytes),
    "identity, gzip": encoded(b"identity, gzip", gzip.compress),
    "an empty encoding": encoded(b"", bytes),
    "an empty member of the list": encoded(b"gzip,", gzip.compress),
    "bytes after the answer": lambda body: [whole(body) + b"left over"],
    "a blank line after the answer": lambda body: [whole(body) + b"\r\n"],
    "two answers": lambda body: [whole(body) + whole(body.replace(b"answer", b"foreign"))],
    "two chunked answers": lambda body: [chunked(body) + chunked(body.replace(b"answer", b"foreign"))],
    "a second answer a little later": lambda body: [whole(body), 0.05, whole(body.replace(b"answer", b"foreign"))],
    "spaces after values": lambda body: [
        head(b"Transfer-Encoding:  CHUNKED \t").replace(b"Limit: 300", b"Limit:300 ")
        + chunked(body).split(b"\r\n\r\n", 1)[1]
    ],
    "spaces after an encoding": lambda body: [chunked(gzip.compress(body), b"Content-Encoding:gzip \t")],
    "a value on two lines, and a line of spaces": lambda body: [whole(body, b"X: a \r\n \r\n b")],
    "names in odd cases": lambda body: [
        whole(body).replace(b"Content-", b"cONTENT-").replace(b"X-Pagination", b"x-PAGINATION")
    ],
    "HTTP/1.0 that stays open": lambda body: [
        head(length(body), b"Connection: Keep-Alive", status=b"HTTP/1.0 200 OK") + body
    ],
    "gzip and a zero": encoded(b"gzip", lambda body: gzip.compress(body) + bytes(1)),
    "gzip and zeros": encoded(b"gzip", lambda body: gzip.compress(body) + bytes(9)),
    "gzip and many zeros": encoded(b"gzip", lambda body: gzip.compress(body) + bytes(1 << 18)),
    "gzip and no gzip": encoded(b"gzip", lambda body: gzip.compress(body) + b"no gzip"),
    "gzip of two members and zeros": encoded(
        b"gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]) + bytes(9)
    ),
    "gzip, gzip and zeros": encoded(b"gzip, gzip", lambda body: twice(body) + bytes(9)),
    "gzip, and zeros of a chunk of their own": lambda body: [
        chunked(gzip.compress(body), b"Content-Encoding: gzip").removesuffix(b"0\r\n\r\n"),
        0.05,
        b"9\r\n" + bytes(9) + b"\r\n0\r\n\r\n",
    ],
    "hints with a length": lambda body: [HINTS.replace(b"rel", b"x\r\nContent-Length: 9\r\nY: rel") + whole(body)],
    "closed afterwards": lambda body: [whole(body), None],
    "a connection that dies without a byte": lambda body: [None],
    "one that is reset without a byte": lambda body: ["reset"],
}

WRONG: dict[str, Script] = {
    "101": lambda body: [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + whole(body)],
    "chunked and a length": lambda body: [chunked(body, length(body))],
    "two lengths": lambda body: [head(length(body), length(body[1:])) + body],
    "two lengths in a line": lambda body: [head(b"Content-Length: 3, 4") + body],
    "a length with a sign": lambda body: [head(b"Content-Length: +%d" % len(body)) + body],
    "a length with a line": lambda body: [head(b"Content-Length: 1_0") + body],
    "gzip as a transfer encoding": lambda body: [
        chunked(body).replace(b"Encoding: chunked", b"Encoding: gzip, chunked")
    ],
    "chunked twice": lambda body: [chunked(body, b"Transfer-Encoding: chunked")],
    "a line without a colon": lambda body: [head(b"nonsense", length(body)) + body],
    "a bare carriage return": lambda body: [head(b"X: a\rContent-Length: 3", length(body)) + body],
    "no status": lambda body: [b"HTTP/1.1 OK\r\n\r\n" + body],
    "no HTTP": lambda body: [b"SSH-2.0-OpenSSH_9.2\r\n", None],
    "a status of one digit": lambda body: [head(length(body), status=b"HTTP/1.1 2 OK") + body],
    "half a head": lambda body: [b"HTTP/1.1 200 OK\r\nContent-Le", None],
    "103 alone": lambda body: [HINTS, None],
    "half a body": lambda body: [head(length(body)) + body[:9], None],
    "a body that is too short": lambda body: [head(b"Content-Length: 999") + body, None],
    "half a chunk": lambda body: [chunked(body)[:-30], None],
    "no last chunk": lambda body: [chunked(body, end=b""), None],
    "a chunk without a size": lambda body: [head(b"Transfer-Encoding: chunked") + b"z\r\n" + body, None],
    "a chunk of less than nothing": lambda body: [head(b"Transfer-Encoding: chunked") + b"-5\r\n" + body, None],
    "a chunk that is too long": lambda body: [head(b"Transfer-Encoding: chunked") + b"2\r\n" + body + b"\r\n0\r\n\r\n"],
    "an encoding that nobody knows": encoded(b"rot13", bytes),
    "an unknown encoding in a list": encoded(b"gzip, compress", gzip.compress),
    "no gzip": encoded(b"gzip", bytes),
    "half a gzip": encoded(b"gzip", lambda body: gzip.compress(body)[:-20]),
    "half a zstd": encoded(b"zstd", lambda body: zstd.compress(body)[:-5]),
    "half a br": encoded(b"br", lambda body: brotli.compress(body)[:-5]),
    "no br": encoded(b"br", bytes),
    "once gzip where it says twice": encoded(b"gzip, gzip", gzip.compress),
    "gzip where it says nothing": encoded(b"identity", gzip.compress),
    "an endless head": lambda body: [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"],
    "silence": lambda body: [3.0],
    "silence after a head": lambda body: [head(length(body)), 3.0],
    "silence after 103": lambda body: [HINTS, 3.0],
    "silence in a chunk": lambda body: [chunked(body)[:-20], 3.0],
}

ENTRANCES = ("adapter", "session", "client", "gateway")


@dataclass
class Upstream:
    """Answers with the number of the request in the student's name; one answer of a script, the others plain."""

    script: Script
    odd: int = 1
    wire: Any = field(init=False)
    sessions: StudentSessions = field(init=False)

    @contextmanager
    def through(self, entrance: str, **settings: Any) -> Iterator[entrance_calls.Call]:
        with Wire(self.answer) as self.wire:
            if entrance == "session":
                settings["session"] = requests.Session()
            self.sessions = self.made(**settings)
            way = entrance_calls.adapter if entrance == "session" else getattr(entrance_calls, entrance)
            with way(self.sessions) as call:
                yield call
            self.sessions.close()

    def made(self, **settings: Any) -> StudentSessions:
        once = compat.RetryPolicy(attempts=1, budget=1)
        return StudentSessions(
            self.wire.base_url, api_token="a", secret_key="b", scope="exam", retries=once, **settings
        )

    @property
    def last(self) -> list[str]:
        return [f"answer {len(self.wire.sent)}"]

    def answer(self, sent: Sent, connection: socket.socket) -> None:
        number = len(self.wire.sent)
        body = json.dumps({"students": [{"id": number, "exam_id": 17, "name": f"answer {number}"}]}).encode()
        for step in self.script(body) if number == self.odd else [whole(body)]:
            if step is None:
                connection.shutdown(socket.SHUT_RDWR)
            elif step == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise ConnectionResetError
            elif isinstance(step, float):
                self.wire.ending.wait(step)
            else:
                connection.sendall(step)


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("name", RIGHT)
def test_every_call_gets_its_own_answer(name: str, entrance: str) -> None:
    upstream = Upstream(RIGHT[name], odd=2)
    with upstream.through(entrance) as call:
        for number in range(4):
            assert call() == upstream.last
            if number == 1 and "later" in name:
                upstream.wire.ending.wait(0.2)


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_an_error_of_one_call(name: str, entrance: str) -> None:
    upstream = Upstream(WRONG[name], odd=2)
    with upstream.through(entrance) as call:
        assert call() == ["answer 1"]
        assert call() == (504 if "silence" in name else 502)
        for _ in range(2):
            assert call() == upstream.last


@pytest.mark.parametrize("seconds", [0, 0.2, 15])
def test_an_idle_connection_is_trusted_for_a_while(seconds: float) -> None:
    upstream = Upstream(RIGHT["plain"])
    with upstream.through("adapter", keep_alive=seconds) as call:
        call()
        call()
        upstream.wire.ending.wait(0.4)
        call()
        expected = {0: 3, 0.2: 2, 15: 1}[seconds]
        assert len({sent.port for sent in upstream.wire.sent}) == expected


@pytest.mark.parametrize("seconds", [-1, "15", True, float("nan"), float("inf")])
def test_an_age_that_is_none_is_refused_by_its_name(seconds: Any) -> None:
    with pytest.raises(compat.ConfigurationError, match="keep_alive = "):
        StudentSessions("https://x.example", api_token="a", secret_key="b", keep_alive=seconds)


def test_a_write_goes_to_a_connection_that_nobody_used_before() -> None:
    made = json.dumps({"student": {"id": 5, "exam_id": 17}}).encode()
    upstream = Upstream(lambda body: [whole(made)], odd=2)
    with upstream.through("adapter") as call:
        call()
        client = compat.StudentSessionsClient(upstream.sessions)
        client.create(17, name="Ada", email="ada@example.org")
        call()
        ports = [sent.port for sent in upstream.wire.sent]
        assert [sent.line.partition(" ")[0] for sent in upstream.wire.sent] == ["GET", "POST", "GET"]
        assert ports[0] != ports[1]


def test_a_write_whose_connection_dies_without_a_byte_is_not_sent_again() -> None:
    upstream = Upstream(lambda body: [None], odd=2)
    with upstream.through("adapter") as call:
        call()
        with pytest.raises(compat.UpstreamUnreachable):
            compat.StudentSessionsClient(upstream.sessions).create(17, name="Ada", email="ada@example.org")
        assert len(upstream.wire.sent) == 2


def test_a_read_that_is_sent_again_is_signed_anew() -> None:
    upstream = Upstream(lambda body: [None], odd=2)
    with upstream.through("adapter") as call:
        call()
        call()
    nonces = [dict(parse_qsl(urlsplit(sent.line.split()[1]).query))["nonce"] for sent in upstream.wire.sent]
    assert len(set(nonces)) == len(nonces) == 3


def test_a_session_whose_adapter_opens_its_own_connections_is_not_left_out_of_step() -> None:
    class Own(BaseAdapter):
        """As an adapter that was written without requests' pools would."""

        def __init__(self) -> None:
            super().__init__()
            self._inner = HTTPAdapter()

        def send(self, request: Any, **settings: Any) -> requests.Response:  # type: ignore[override]
            return self._inner.send(request, **settings)

        def close(self) -> None:
            self._inner.close()

    upstream = Upstream(RIGHT["103 late"], odd=2)
    with Wire(upstream.answer) as upstream.wire, requests.Session() as session:
        session.mount("http://", Own())
        with entrance_calls.adapter(upstream.made(session=session)) as call:
            assert call() == ["answer 1"]
            assert call() == 502
            assert [call(), call()] == [["answer 3"], ["answer 4"]]


@pytest.mark.parametrize("session", [None, requests.Session()])
@pytest.mark.parametrize(
    ("name", "says"),
    {
        "two lengths": "it has two lengths",
        "101": "it has another protocol",
        "an encoding that nobody knows": "encoded as 'rot13'",
        "no gzip": "not encoded as its Content-Encoding says",
        "a chunk that is too long": "a chunk that is longer than its size",
    }.items(),
)
def test_an_error_says_what_was_wrong(name: str, says: str, session: requests.Session | None) -> None:
    upstream = Upstream(WRONG[name])
    with Wire(upstream.answer) as upstream.wire, pytest.raises(compat.UpstreamError, match=says):
        list(compat.StudentSessionsClient(upstream.made(session=session)).sessions(17))


@pytest.mark.parametrize(
    "name", ["103 late", "two answers", "several, byte by byte", "gzip, chunked", "closed afterwards"]
)
def test_the_same_over_tls(name: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    upstream = Upstream(RIGHT[name], odd=2)
    with Wire(upstream.answer, context) as upstream.wire, requests.Session() as session:
        session.verify = str(tmp_path / "ca.pem")
        base = upstream.wire.base_url.replace("http://127.0.0.1", "https://localhost")
        once = compat.RetryPolicy(attempts=1)
        sessions = StudentSessions(base, api_token="a", secret_key="b", scope="exam", retries=once, session=session)
        with entrance_calls.client(sessions) as call:
            for _ in range(4):
                assert call() == upstream.last
