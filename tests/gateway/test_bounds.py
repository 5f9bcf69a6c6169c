"""What callers that send slowly, send too much, or do not read can make a gateway hold; on real processes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from gateways import CALLERS, SECRET, TOKEN, settings_for, written
from serving import Gateway, serving, until
from wires import Sent, Wire, whole

from compat.legacy.signature import signed
from compat.testing.sandbox import Sandbox

_LIST = "/api/v3/exams/17/index_students"
_ADD = "/api/v3/exams/17/add_student"
_PLACES = 20
_LOW = {
    "head_timeout": 2,
    "body_silence": 2,
    "body_timeout": 5,
    "idle_timeout": 2,
    "max_connections": _PLACES,
    "max_bodies": 2_000_000,
}
_MEGABYTE = 1 << 20

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory as Linux tells it")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Sandbox(students=12, exams=2) as sandbox:
        config = written(tmp_path_factory.mktemp("narrow"), settings_for(sandbox, gateway=_LOW))
        with serving(config) as gateway:
            yield gateway


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("usual")
    with Sandbox(students=12, exams=2) as sandbox, serving(written(folder, settings_for(sandbox))) as gateway:
        yield gateway


def _connected(gateway: Gateway, sent: bytes = b"") -> socket.socket:
    parts = urlsplit(gateway.base)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), 30)
    connection.sendall(sent)
    return connection


def _all_of(connection: socket.socket) -> bytes:
    """What comes until the gateway closes the connection."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def _call() -> bytes:
    query = urlencode(signed({}, SECRET, {"id": "17"}))
    head = f"GET {_LIST}?{query} HTTP/1.1\r\nHost: h\r\nAuthorization: Token token={TOKEN}\r\nConnection: close\r\n\r\n"
    return head.encode()


def _unfinished(size: int, path: str = _ADD, sent: int = -1) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"x" * (size - 1 if sent < 0 else sent)


def _memory(gateway: Gateway) -> int:
    """Bytes that the worker has in memory, once it is up and has loaded what it needs."""
    until(lambda: gateway.ready()["ready"], gateway)
    (worker,) = gateway.workers()
    return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * 4096


def _documented(answer: bytes, status: int) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"\r\nConnection: close" in head
    content = json.loads(body)
    assert set(content) == {"error", "errors"}
    return str(content["error"])


def test_a_head_that_does_not_end(narrow: Gateway) -> None:
    with _connected(narrow, b"GET / HTTP/1.1\r\nHost: ") as connection:
        assert "within 2 seconds" in _documented(_all_of(connection), 408)


def test_a_head_that_drips(narrow: Gateway) -> None:
    with _connected(narrow, b"GET / HTTP/1.1\r\n") as connection:
        connection.settimeout(0.2)
        found = b""
        for _ in range(60):
            try:
                connection.sendall(b"X: y\r\n")
                if part := connection.recv(65536):
                    found += part
                    break
            except TimeoutError:
                continue
        assert found.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_on_which_nothing_comes(narrow: Gateway, sent: bytes) -> None:
    with _connected(narrow, sent) as connection:
        assert _all_of(connection)[:13] in (b"", b"HTTP/1.1 408 ")


def test_a_connection_that_is_not_used_again(narrow: Gateway) -> None:
    with _connected(narrow, _call().replace(b"Connection: close\r\n", b"")) as connection:
        assert _all_of(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [_ADD, "/passed/through"])
def test_a_body_that_does_not_end(narrow: Gateway, path: str) -> None:
    with _connected(narrow, _unfinished(1000, path)) as connection:
        assert "for 2 seconds" in _documented(_all_of(connection), 408)


def test_a_chunked_body_that_does_not_end(narrow: Gateway) -> None:
    head = f"POST {_ADD} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with _connected(narrow, head + b"5\r\nfirst\r\n") as connection:
        assert "for 2 seconds" in _documented(_all_of(connection), 408)


def test_a_body_that_drips(narrow: Gateway) -> None:
    with _connected(narrow, _unfinished(1000, sent=1)) as connection:
        connection.settimeout(0.5)
        found = b""
        for _ in range(60):
            try:
                connection.sendall(b"x")
                if found := connection.recv(65536):
                    break
            except TimeoutError:
                continue
        connection.settimeout(30)
        found += _all_of(connection)
        assert "within 5 seconds" in _documented(found, 408)


def test_heads_that_do_not_end_leave_places_to_those_who_call(narrow: Gateway) -> None:
    with ExitStack() as held:
        for _ in range(3 * _PLACES):
            held.enter_context(_connected(narrow, b"GET / HTTP/1.1\r\n"))
        for _ in range(5):
            with _connected(narrow, _call()) as connection:
                assert _all_of(connection).startswith(b"HTTP/1.1 200 ")


def test_bodies_that_do_not_end_hold_places_for_their_time_alone(narrow: Gateway) -> None:
    with ExitStack() as held:
        taken = [held.enter_context(_connected(narrow, _unfinished(1000))) for _ in range(_PLACES)]
        with _connected(narrow, _call()) as connection:
            assert "Too many connections" in _documented(_all_of(connection), 503)
        assert {_all_of(each)[:13] for each in taken} == {b"HTTP/1.1 408 "}
    with _connected(narrow, _call()) as connection:
        assert _all_of(connection).startswith(b"HTTP/1.1 200 ")


def test_all_unfinished_bodies_together_have_a_limit(narrow: Gateway) -> None:
    with ExitStack() as held:
        taken = [held.enter_context(_connected(narrow, _unfinished(900_000))) for _ in range(6)]
        answers = [_all_of(each) for each in taken]
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 503 ", b"HTTP/1.1 408 "}
    refused = next(answer for answer in answers if b" 503 " in answer[:13])
    assert b"\r\nRetry-After: 1\r\n" in refused
    assert "unfinished bodies" in _documented(refused, 503)
    with _connected(narrow, _call()) as connection:
        assert _all_of(connection).startswith(b"HTTP/1.1 200 ")


def test_four_hundred_bodies_of_a_megabyte_that_do_not_end(usual: Gateway) -> None:
    before = _memory(usual)
    with ExitStack() as held:
        for _ in range(400):
            connection = held.enter_context(_connected(usual))
            connection.settimeout(2)
            try:
                connection.sendall(_unfinished(_MEGABYTE))
            except OSError:
                # It was refused while it sent.
                continue
        with _connected(usual, _call()) as connection:
            assert _all_of(connection).startswith(b"HTTP/1.1 200 ")
        assert _memory(usual) - before < 120 * _MEGABYTE


@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"x" * 65536, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\n", b"X: y\r\n" * 10000, 431),
        (b"GET /", b"x" * 65536, 414),
        (b"", b"\r\n" * 32768, 431),
        (
            b"POST %b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " % _ADD.encode(),
            b"x" * 65536,
            431,
        ),
        (b"POST %b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=" % _ADD.encode(), b"x" * 65536, 431),
    ],
)
def test_what_is_neither_head_nor_body_has_an_end(usual: Gateway, begin: bytes, more: bytes, status: int) -> None:
    before = _memory(usual)
    with _connected(usual, begin) as connection:
        sent = 0
        try:
            while sent < 200 * _MEGABYTE:
                connection.sendall(more)
                sent += len(more)
        except OSError:
            pass
        assert sent < 100 * _MEGABYTE
        answer = _all_of(connection)
    assert not answer or answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.1 400 "))
    assert _memory(usual) - before < 40 * _MEGABYTE


def _much(sent: Sent, connection: socket.socket) -> None:
    if sent.line.startswith("GET /much"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n")
        for _ in range(300):
            connection.sendall(bytes(1_000_000))
    else:
        connection.sendall(whole())


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Wire(_much) as wire:
        table = {"kind": "student_sessions", "base_url": wire.base_url, "api_token": "t", "secret_key": "k"}
        folder = tmp_path_factory.mktemp("passing")
        settings = {"upstream": table, "store": {"url": "memory://"}}
        with serving(written(folder, settings, CALLERS)) as gateway:
            yield gateway


def test_an_answer_that_is_not_read_is_not_held(passing: Gateway) -> None:
    before = _memory(passing)
    with _connected(passing, b"GET /much HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") as connection:
        connection.recv(100)
        for _ in range(20):
            assert _memory(passing) - before < 30 * _MEGABYTE
            time.sleep(0.1)
        size = 100
        while part := connection.recv(1 << 20):
            size += len(part)
        assert size > 300_000_000


@pytest.mark.soak
def test_a_caller_that_never_reads_is_cut_off(passing: Gateway) -> None:
    with _connected(passing, b"GET /much HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") as connection:
        # Until the gateway has closed it, as its own side of the connection says.
        port = connection.getsockname()[1]
        until(lambda: f":{port:04X} " not in _taken(passing), passing, within=120)
        assert len(_all_of(connection)) < 300_000_000
    assert passing.ready()["ready"]


def _taken(gateway: Gateway) -> str:
    """The connections that the gateway has open, as the system lists them: its own address, then the other side's."""
    port = f":{int(gateway.base.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return "".join(f"{row[2]} " for row in rows if row[1].endswith(port) and row[3] == "01")


def test_a_body_that_the_upstream_does_not_read_is_not_held(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as upstream:
        host, port = upstream.getsockname()[:2]
        table = {"kind": "student_sessions", "base_url": f"http://{host}:{port}", "api_token": "t", "secret_key": "k"}
        with serving(written(tmp_path, {"upstream": table, "store": {"url": "memory://"}}, CALLERS)) as gateway:
            before = _memory(gateway)
            with _connected(
                gateway, b"PUT /much HTTP/1.1\r\nHost: h\r\nContent-Length: 300000000\r\n\r\n"
            ) as connection:
                connection.settimeout(2)
                sent = 0
                try:
                    while sent < 300_000_000:
                        sent += connection.send(bytes(1_000_000))
                except TimeoutError:
                    pass
            assert sent < 100_000_000
            assert _memory(gateway) - before < 30 * _MEGABYTE
            until(lambda: gateway.ready()["ready"], gateway)
