"""What goes over the wire between callers and the gateway's own server: letters of names, framing, odd requests."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from gateways import CALLERS, SECRET, TOKEN, Served, running_gateway, settings_for, written
from wires import Sent, Wire

from compat.legacy.signature import signed
from compat.testing.sandbox import Sandbox

_LIST = "/api/v3/exams/17/index_students"
_DATES = "deprecated = 2024-01-15\nsunset = 2027-06-30\n"


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Sandbox(students=12, exams=2) as sandbox:
        limits = {"max_calls_per_caller": 1}
        config = written(tmp_path_factory.mktemp("dated"), settings_for(sandbox, gateway=limits), dates=_DATES)
        with running_gateway(config) as base:
            yield Served(base, sandbox, config)


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway before an upstream that answers in letters of its own and by no length."""
    with Wire(_odd_letters) as wire:
        table = {"kind": "student_sessions", "base_url": wire.base_url, "api_token": "t", "secret_key": "k"}
        settings = {"upstream": table, "store": {"url": "memory://"}}
        with running_gateway(written(tmp_path_factory.mktemp("passing"), settings, CALLERS)) as base:
            yield base


def _odd_letters(sent: Sent, connection: socket.socket) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nx-small: 1\r\nX-PAGINATION-Item-count: 2\r\nETag: e\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection.sendall(head + b"5\r\nfirst\r\n")
    if "cut" in sent.line:
        connection.shutdown(socket.SHUT_RDWR)
    else:
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")


def _exchanged(base: str, request: bytes) -> bytes:
    """Everything that comes back on a connection until the gateway closes it."""
    parts = urlsplit(base)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
        return found


def _names(answer: bytes) -> list[str]:
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    return [line.partition(":")[0] for line in head.split("\r\n")[1:]]


def _query(**parameters: str) -> str:
    return urlencode(signed(parameters, SECRET, {"id": "17"}))


def _request(target: str, *lines: str, method: str = "GET", version: str = "1.1", host: str = "Host: h") -> bytes:
    head = [
        f"{method} {target} HTTP/{version}",
        *([host] if host else []),
        f"Authorization: Token token={TOKEN}",
        *lines,
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


def test_names_are_written_as_documented(dated: Served) -> None:
    answer = _exchanged(dated.base, _request(f"{_LIST}?{_query()}", "Connection: close"))
    assert sorted(_names(answer)) == [
        "Connection",
        "Content-Length",
        "Content-Type",
        "Date",
        "Deprecation",
        "Link",
        "Sunset",
        "X-Compat-Answered-By",
        "X-Pagination-Item-Count",
        "X-Pagination-Limit",
        "X-Pagination-Page",
        "X-Pagination-Page-Count",
        "X-Request-Id",
    ]
    refused = _exchanged(dated.base, _request(_LIST, "Connection: close"))
    assert refused.startswith(b"HTTP/1.1 403 ")
    assert {"Content-Type", "X-Compat-Answered-By", "X-Request-Id"} <= set(_names(refused))


def test_curl_and_grep_find_the_number_of_matches(dated: Served) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    command = [curl, "-s", "-D-", "-o", "/dev/null", "-H", f"Authorization: Token token={TOKEN}"]
    shown = subprocess.run([*command, f"{dated.base}{_LIST}?{_query()}"], capture_output=True, check=True, timeout=60)
    assert re.search(rb"^X-Pagination-Item-Count: \d+\r$", shown.stdout, re.MULTILINE)


def test_names_of_the_upstream_are_written_as_it_wrote_them(passing: str) -> None:
    answer = _exchanged(passing, _request("/other", "Connection: close"))
    names = _names(answer)
    assert {"x-small", "X-PAGINATION-Item-count", "ETag", "X-Compat-Answered-By"} <= set(names)
    assert "Transfer-Encoding" in names
    assert answer.endswith((b"\r\nb\r\nfirstsecond\r\n0\r\n\r\n", b"\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"))


def test_an_answer_to_http_1_0_is_not_in_chunks(passing: str) -> None:
    answer = _exchanged(passing, _request("/other", version="1.0", host=""))
    assert answer.endswith(b"\r\n\r\nfirstsecond")
    assert "Transfer-Encoding" not in _names(answer)


def test_an_answer_to_http_1_0_that_broke_off_is_not_taken_for_whole(passing: str) -> None:
    with pytest.raises(ConnectionResetError):
        _exchanged(passing, _request("/cut", version="1.0", host=""))


def test_http_1_0_gets_a_list(dated: Served) -> None:
    answer = _exchanged(dated.base, _request(f"{_LIST}?{_query()}", version="1.0", host=""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["students"]


@pytest.mark.parametrize(
    "host", ["", "Host: a\r\nHost: b", "Host: a\r\nhost: a", "Host: a, b", "Host: a/b", "Host: a b"]
)
def test_http_1_1_names_one_host(dated: Served, passing: str, host: str) -> None:
    for base, target in ((dated.base, f"{_LIST}?{_query()}"), (passing, "/other")):
        answer = _exchanged(base, _request(target, "Connection: close", host=host))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Host" in answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("host", ["Host:", "Host: [::1]:80", "Host: x_y.example:8080", "host: h"])
def test_any_single_host_will_do(dated: Served, host: str) -> None:
    answer = _exchanged(dated.base, _request(f"{_LIST}?{_query()}", "Connection: close", host=host))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("step", [10_000, 7, 1])
def test_raw_bytes_in_a_query_are_read(dated: Served, step: int) -> None:
    given = signed({"name": "José"}, SECRET, {"id": "17"})
    query = "&".join(f"{name}={value}" for name, value in given.items()).encode()
    request = _request(f"{_LIST}?QUERY", "Connection: close").replace(b"QUERY", query)
    parts = urlsplit(dated.base)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), step):
            connection.sendall(request[at : at + step])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_on_one_connection_are_answered_in_their_order(dated: Served) -> None:
    calls = b"".join(_request(f"{_LIST}?{_query(limit=str(n))}") for n in (1, 2, 3))
    answer = _exchanged(dated.base, calls + _request("/other", "Connection: close"))
    assert re.findall(rb"X-Pagination-Limit: (\d)", answer) == [b"1", b"2", b"3"]


def test_a_wish_for_another_protocol_is_not_heard(dated: Served) -> None:
    # As Java's HttpClient asks with its first request.
    wish = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    calls = _request(f"{_LIST}?{_query(limit='1')}", *wish) + _request(
        f"{_LIST}?{_query(limit='2')}", "Connection: close"
    )
    answer = _exchanged(dated.base, calls)
    assert re.findall(rb"X-Pagination-Limit: (\d)", answer) == [b"1", b"2"]


def test_a_body_is_waited_for_after_saying_so(dated: Served) -> None:
    parts = urlsplit(dated.base)
    body = json.dumps(signed({}, SECRET, {"id": "17"})).encode()
    lines = ("Expect: 100-continue", "Content-Type: application/json", f"Content-Length: {len(body)}")
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as connection:
        connection.sendall(_request(_LIST, *lines))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_an_answer_arrives_although_its_request_goes_on(dated: Served) -> None:
    parts = urlsplit(dated.base)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    size = 1 << 25
    connection.request(
        "POST", "/api/v3/exams/17/add_student", iter([bytes(1 << 16)] * 4), {"Content-Length": str(size)}
    )
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Connection")) == (413, "close")
    assert answer.read()
    connection.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", b"505"),
        (b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", b"505"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n", b"400"),
        (b"CONNECT evil:80 HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_is_refused_in_the_documented_form(
    dated: Served, request_bytes: bytes, status: bytes
) -> None:
    head, _, body = _exchanged(dated.base, request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close" in head
    assert set(json.loads(body)) == {"error", "errors"}


@pytest.mark.parametrize("host", ["", "http://h"])
@pytest.mark.parametrize("length", [16_500, 65_000, 66_000, 200_000])
@pytest.mark.parametrize("target", ["/api/v3/exams/17/index_students?a=", "/api/v3/exams/17/", "/other?a="])
def test_a_url_of_any_length_beyond_the_limit_is_a_414(passing: str, host: str, target: str, length: int) -> None:
    answer = _exchanged(passing, _request(f"{host}{target}{'x' * length}", "Connection: close"))
    assert answer.split(b" ", 2)[1] == b"414"
    assert b"16384 bytes" in answer


@pytest.mark.parametrize("target", ["http://h", "http://h?a=b", "http://", "h:80"])
def test_a_url_without_a_path_is_refused_by_name(passing: str, target: str) -> None:
    answer = _exchanged(passing, _request(target, "Connection: close"))
    assert answer.split(b" ", 2)[1] == b"400"
    assert b"URL" in answer or b"url" in answer


def test_a_trailer_is_no_header(dated: Served) -> None:
    body = json.dumps(signed({}, SECRET, {"id": "17"})).encode()
    request = (
        f"GET {_LIST} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        f"Connection: close\r\n\r\n{len(body):x}\r\n"
    ).encode() + body
    found = _exchanged(dated.base, request + f"\r\n0\r\nAuthorization: Token token={TOKEN}\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 403 ")
