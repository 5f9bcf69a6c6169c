"""Other paths before student sessions go on untouched: what arrives upstream, and what comes back, byte for byte."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gateways import CALLERS, running_gateway, written
from wires import Sent, Wire, whole

_ODD_PATH = '/a%2Fb//../%e2%82%ac/./%41;v=1?q=%2f+%20&r&filter={"a":1}'.replace('"', "%22")
_ZIPPED = gzip.compress(b"a body that is none of ours to unpack")


_ODD_FRAMING = {
    "/framed/gzip": b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/framed/two": b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/framed/closed": b"Transfer-Encoding: deflate\r\n\r\nabc",
    "/framed/both": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/framed/lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
}
_INFORMATION = {
    "/informed/100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "/informed/103": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n",
    "/informed/often": b"HTTP/1.1 102 Processing\r\n\r\n" * 5 + b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n",
}


def _answer(sent: Sent, connection: socket.socket) -> None:
    path = sent.line.split(" ")[1].partition("?")[0]
    if path in _ODD_FRAMING:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + _ODD_FRAMING[path])
        connection.shutdown(socket.SHUT_RDWR)
        return
    if path in _INFORMATION:
        connection.sendall(_INFORMATION[path])
        connection.sendall(whole("200 OK", path.encode()))
        return
    if path == "/cut/length":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this")
        connection.shutdown(socket.SHUT_RDWR)
    elif path == "/cut/chunked":
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n")
        connection.shutdown(socket.SHUT_RDWR)
    elif path == "/reset":
        connection.shutdown(socket.SHUT_RDWR)
    elif path == "/slowly":
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        _TAKEN.wait(20)
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
    elif path == "/endless":
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.sendall(b"5\r\nagain\r\n")
                time.sleep(0.02)
        except OSError:
            _LEFT.set()
    elif path == "/moved":
        connection.sendall(whole("302 Found", b"there", "Location: /elsewhere"))
    elif path == "/zipped":
        connection.sendall(whole("200 OK", _ZIPPED, "Content-Encoding: gzip"))
    elif path == "/nothing":
        connection.sendall(b"HTTP/1.1 204 No Content\r\nX-Kept: yes\r\n\r\n")
    elif sent.line.startswith("HEAD "):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    else:
        lines = ("Set-Cookie: a=1", "Set-Cookie: b=2", "X-Raw: \xe9", "Connection: X-Hop", "X-Hop: 1", "Server: theirs")
        connection.sendall(whole("299 Odd", sent.body, *lines))


_TAKEN = threading.Event()
_LEFT = threading.Event()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """The upstream."""
    with Wire(_answer) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway before it; its base URL has a path."""
    with running_gateway(_config(tmp_path_factory.mktemp("passing"), wire.base_url)) as base:
        yield base


def _config(folder: Path, base_url: str) -> Path:
    upstream = {"kind": "student_sessions", "base_url": base_url, "api_token": "t", "secret_key": "k"}
    return written(folder, {"upstream": upstream, "store": {"url": "memory://"}})


def _raw(base: str, request: bytes) -> bytes:
    """Everything that comes back until the connection ends."""
    parts = urlsplit(base)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
        return found


Call = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def call() -> Iterator[Call]:
    """Calls a server by a connection of its own, which lasts as long as the test."""
    connections = []

    def send(
        base: str, method: str, target: str, body: bytes | None = None, **headers: str
    ) -> http.client.HTTPResponse:
        connections.append(http.client.HTTPConnection(urlsplit(base).netloc, timeout=20))
        connections[-1].request(method, target, body, headers)
        return connections[-1].getresponse()

    yield send
    for connection in connections:
        connection.close()


def test_method_path_query_headers_and_body_arrive_as_sent(gateway: str, wire: Wire) -> None:
    body = bytes(range(256))
    found = _raw(
        gateway,
        f"PROPFIND {_ODD_PATH} HTTP/1.1\r\nHost: caller.example\r\nX-Twice: 1\r\nX-Twice: 2\r\nX_Under: 3\r\n".encode()
        + b"Authorization: Token token=theirs\r\nX-Utf8: \xc3\xa9\r\nCookie: a=1; b=2\r\nTE: trailers\r\n"
        + b"Connection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nContent-Length: 256\r\n\r\n"
        + body,
    )
    sent = wire.sent[-1]
    assert sent.line == f"PROPFIND {_ODD_PATH} HTTP/1.1"
    assert sent.body == body
    assert sorted((name.lower(), value) for name, value in sent.headers) == [
        ("authorization", "Token token=theirs"),
        ("content-length", "256"),
        ("cookie", "a=1; b=2"),
        ("host", urlsplit(wire.base_url).netloc),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("x-utf8", "\xc3\xa9"),
        ("x_under", "3"),
    ]
    head, _, returned = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 299 ")
    assert returned == body
    lines = [line.lower() for line in head.split(b"\r\n")]
    for line in (b"set-cookie: a=1", b"set-cookie: b=2", b"x-raw: \xe9", b"server: theirs"):
        assert line in lines
    assert not any(line.startswith(b"x-hop") for line in lines)
    assert b"x-compat-answered-by: new" in lines


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "DELETE", "PATCH"])
def test_a_request_without_a_body_gets_none(call: Call, gateway: str, wire: Wire, method: str) -> None:
    answer = call(gateway, method, "/plain")
    assert (answer.status, answer.read()) == (299, b"")
    assert wire.sent[-1].line.startswith(f"{method} ")
    names = {name.lower() for name, _ in wire.sent[-1].headers}
    assert not names & {"transfer-encoding", "content-type", "user-agent", "accept"}
    assert wire.sent[-1].values("content-length") in ([], ["0"])


def test_a_chunked_body_goes_on_as_it_comes(gateway: str, wire: Wire) -> None:
    parts = urlsplit(gateway)
    before = len(wire.sent)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        connection.sendall(b"PUT /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        # The upstream sees the head, and maybe the first chunk, while the second was not sent yet.
        while len(wire.sent) == before:
            time.sleep(0.01)
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 299 ")
    assert wire.sent[-1].body == b"firstsecond"


def test_an_answer_comes_back_as_it_comes(call: Call, gateway: str) -> None:
    answer = call(gateway, "GET", "/slowly")
    assert answer.read(5) == b"first"
    _TAKEN.set()
    assert answer.read() == b"second"


def test_a_large_body_both_ways(call: Call, gateway: str) -> None:
    body = bytes(range(256)) * 4 * 1024 * 5
    answer = call(gateway, "POST", "/echo", body)
    assert answer.read() == body
    assert answer.getheader("Content-Length") == str(len(body))


def test_head_redirects_and_compressed_bodies_are_the_callers(call: Call, gateway: str) -> None:
    head = call(gateway, "HEAD", "/any")
    assert (head.status, head.getheader("Content-Length"), head.read()) == (200, "1234", b"")
    moved = call(gateway, "GET", "/moved")
    assert (moved.status, moved.getheader("Location"), moved.read()) == (302, "/elsewhere", b"there")
    zipped = call(gateway, "GET", "/zipped")
    assert (zipped.getheader("Content-Encoding"), zipped.read()) == ("gzip", _ZIPPED)
    nothing = call(gateway, "GET", "/nothing")
    assert (nothing.status, nothing.getheader("X-Kept"), nothing.read()) == (204, "yes", b"")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_is_cut_off_is_not_passed_off_as_whole(call: Call, gateway: str, framing: str) -> None:
    answer = call(gateway, "GET", f"/cut/{framing}")
    with pytest.raises(http.client.IncompleteRead):
        answer.read()


@pytest.mark.parametrize("path", list(_ODD_FRAMING))
def test_an_answer_whose_body_would_come_out_as_another_is_a_502(call: Call, gateway: str, path: str) -> None:
    answer = call(gateway, "GET", path)
    assert answer.status == 502
    message = json.loads(answer.read())["error"]
    assert path in ("/framed/both", "/framed/lengths") or "Transfer-Encoding: " in message


@pytest.mark.parametrize("path", list(_INFORMATION))
def test_informational_answers_are_read_past(call: Call, gateway: str, path: str) -> None:
    for _ in range(3):
        answer = call(gateway, "GET", path)
        assert (answer.status, answer.read()) == (200, path.encode())
        assert call(gateway, "GET", "/plain").status == 299


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked", "gzip", "identity"])
def test_a_body_in_a_coding_of_its_own_does_not_go_on_as_another(gateway: str, wire: Wire, coding: str) -> None:
    before = len(wire.sent)
    head = f"PUT /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\nConnection: close\r\n\r\n".encode()
    found = _raw(gateway, head + b"3\r\nabc\r\n0\r\n\r\n")
    assert found.startswith((b"HTTP/1.1 501 ", b"HTTP/1.1 400 "))
    assert b"Transfer-Encoding" in found.partition(b"\r\n\r\n")[2]
    assert len(wire.sent) == before


@pytest.mark.parametrize("length_first", [True, False])
def test_a_body_of_two_lengths_does_not_go_on(gateway: str, wire: Wire, length_first: bool) -> None:
    before = len(wire.sent)
    lines = ["Content-Length: 3", "Transfer-Encoding: chunked"]
    head = "\r\n".join(["PUT /up HTTP/1.1", "Host: h", *(lines if length_first else lines[::-1])]) + "\r\n\r\n"
    found = _raw(gateway, head.encode() + b"3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"\r\n\r\n") == 1
    assert len(wire.sent) == before


def test_nothing_passes_through_where_the_owner_says_so(call: Call, wire: Wire, tmp_path: Path) -> None:
    upstream = {"kind": "student_sessions", "base_url": wire.base_url, "api_token": "t", "secret_key": "k"}
    settings = {"upstream": upstream, "store": {"url": "memory://"}, "gateway": {"pass_through": False}}
    before = len(wire.sent)
    with running_gateway(written(tmp_path, settings, CALLERS)) as base:
        for target in ("/api/v3/student_sessions", "/admin", "/", "/api/v3/exams/17/show_lti_student"):
            answer = call(base, "GET", target)
            assert answer.status == 404
            assert "passes nothing else through" in json.loads(answer.read())["error"]
        method = call(base, "OPTIONS", "/api/v3/exams/17/index_students")
        assert (method.status, method.getheader("Allow")) == (405, "GET, HEAD")
        assert call(base, "GET", "/api/v3/exams/17/index_students").status == 403
    assert len(wire.sent) == before


def test_an_upstream_that_hangs_up_is_a_502_in_the_documented_form(call: Call, gateway: str) -> None:
    answer = call(gateway, "POST", "/reset", b"{}")
    assert answer.status == 502
    told = json.loads(answer.read())
    assert re.fullmatch(
        r"The upstream at 127\.0\.0\.1:\d+ gave no whole answer: the connection was closed before an answer came\. "
        r"Try again later; if it stays so, the log of whoever runs it says why\.",
        told["error"],
    )
    assert told["errors"] == {}
    assert answer.getheader("X-Compat-Answered-By") == "new"


def test_a_caller_that_leaves_ends_the_request_upstream(gateway: str) -> None:
    parts = urlsplit(gateway)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert _LEFT.wait(20)


def test_a_deprecated_path_by_another_method_goes_on(call: Call, gateway: str, wire: Wire) -> None:
    assert call(gateway, "OPTIONS", "/api/v3/exams/17/index_students").status == 299
    assert wire.sent[-1].line == "OPTIONS /api/v3/exams/17/index_students HTTP/1.1"


@pytest.mark.parametrize("path", ["/a/../../b", "/%2e%2E/b", "/..%2fb/.."])
def test_nothing_climbs_out_of_the_base_url(call: Call, wire: Wire, tmp_path: Path, path: str) -> None:
    with running_gateway(_config(tmp_path, f"{wire.base_url}/tenant")) as base:
        before = len(wire.sent)
        assert call(base, "GET", path).status == 400
        assert len(wire.sent) == before
        assert call(base, "GET", "/b%2Fc?d").status == 299
        assert wire.sent[-1].line == "GET /tenant/b%2Fc?d HTTP/1.1"


def test_another_host_in_the_request_line_changes_nothing(gateway: str, wire: Wire) -> None:
    found = _raw(gateway, b"GET http://evil.example/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 299 ")
    assert wire.sent[-1].line == "GET /x HTTP/1.1"
    assert wire.sent[-1].values("host") == [urlsplit(wire.base_url).netloc]


def test_the_old_endpoint_gets_a_call_untouched(call: Call, wire: Wire, tmp_path: Path) -> None:
    from compat.legacy.signature import signed

    upstream = {"kind": "student_sessions", "base_url": "http://127.0.0.1:9", "api_token": "t", "secret_key": "k"}
    settings = {"upstream": upstream, "store": {"url": "memory://"}, "legacy": {"base_url": wire.base_url}}
    callers = [{"name": "n", "api_token": "a", "secret_key": "s", "mode": "legacy"}]
    with running_gateway(written(tmp_path, settings, callers)) as base:
        # Signed now: a store refuses what is older than itself.
        query = "&".join(f"{name}={value}" for name, value in signed({}, "s", {"id": "17"}).items())
        target = f"/api/v3/exams/17/index_students/?{query}"
        answers = [call(base, "GET", target, Authorization="Token token=a") for _ in range(2)]
        assert [answer.status for answer in answers] == [299, 403]
        assert answers[0].getheader("X-Compat-Answered-By") == "legacy"
        assert answers[0].getheader("Link")
        assert wire.sent[-1].line == f"GET {target} HTTP/1.1"
    (tmp_path / "all").mkdir()
    config = written(tmp_path / "all", settings, CALLERS)
    with running_gateway(config, EXAM_COMPAT_MODE="legacy") as base:
        sent = signed({}, str(CALLERS[0]["secret_key"]), {"id": "17"})
        query = "&".join(f"{name}={value}" for name, value in sent.items())
        token = f"Token token={CALLERS[0]['api_token']}"
        answer = call(base, "GET", f"/api/v3/exams/17/index_students?{query}", Authorization=token)
        assert (answer.status, answer.getheader("X-Compat-Answered-By")) == (299, "legacy")
