"""One more request on a connection that is open already: the same as the library's, only cheaper."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st
from wires import Sent, Wire, whole

from compat.upstream.connections import StrictConnection, WholeAnswer
from compat.upstream.senders import CallOptions, Outgoing, OwnPool
from compat.upstream.strict_responses import FramingError

NAMES = st.sampled_from(
    ["Content-Length", "content-length", "Transfer-Encoding", "Connection", "X-Pagination-Limit", "Link", "x!#$%&'*+"]
) | st.text("abcXYZ-_", min_size=1)
VALUES = st.sampled_from(
    ["4", "0", "04", " 4 ", "4, 4", "+4", "", "chunked", "Chunked ", "gzip, chunked", "close", "Keep-Alive"]
) | st.text(st.characters(codec="latin-1", exclude_characters="\r\n"))
STATUSES = st.sampled_from(["200 OK", "200 ", "404 Not  Found ", "204 No Content", "304 Not Modified", "299 \xe9"])


class _Connection(StrictConnection):
    """No more than an answer asks of one."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock


def _read(sent: bytes, in_step: bool) -> tuple[Any, ...]:
    """All that is told of an answer."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        answer = (
            _Connection(ours).response_class(ours, method="GET")
            if in_step
            else http.client.HTTPResponse(ours, method="GET")
        )
        with answer:
            answer.begin()
            told = [(name, value.strip(" \t")) for name, value in answer.headers.items()]
            framing = answer.version, answer.status, answer.reason, answer.length, answer.chunked, answer.will_close
            return *framing, told, answer.read()


def _sent(status: str, lines: list[tuple[str, str]]) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in lines)))
    return head.encode("latin-1") + b"\r\n4\r\nbody\r\n0\r\n\r\n"


@given(STATUSES, st.lists(st.tuples(NAMES, VALUES), max_size=6))
@example("200 OK", [("Content-Length", "4"), ("Connection", "close")])
@example("200 OK", [("Transfer-Encoding", "chunked "), ("X", "")])
@example("200 OK", [("Content-Length", "4"), ("content-length", "4")])
@example("200 OK", [("X: y", "z"), ("Content-Length", "4")])
def test_a_head_is_read_as_the_library_reads_it(status: str, lines: list[tuple[str, str]]) -> None:
    sent = _sent(status, lines)
    try:
        found = _read(sent, in_step=True)
    except (FramingError, http.client.HTTPException):
        return
    # Two spaces: not as usual.
    assert found == _read(sent.replace(b"HTTP/1.1 ", b"HTTP/1.1  ", 1), in_step=True)
    if not any("," in value or not value.isascii() or not value.isprintable() for _, value in lines):
        # http.client takes the spaces after a value for a part of it, and then knows no chunks.
        assert found == _read(_sent(status, [(name, value.strip()) for name, value in lines]), in_step=False)


@contextmanager
def kept(answer: bytes = whole("200 OK", b"body", "X-Limit: 1")) -> Iterator[tuple[OwnPool, Wire]]:
    pool = OwnPool()
    with Wire(lambda sent, to: to.sendall(answer)) as wire:
        yield pool, wire
        pool.close()


def ask(pool: OwnPool, wire: Wire, number: int, method: str = "GET", **headers: str) -> bytes:
    request = Outgoing(method, f"{wire.base_url}/a%20b/{number}", headers, {"signature": f"s%/{number}"})
    answer = pool.send(request, CallOptions(), (5, 5))
    if isinstance(answer, WholeAnswer):
        body = answer.body
    else:
        body = b"".join(iter(partial(answer.read1, 65536, decode_content=True), b""))
        answer.drain_conn()
    return body


def _of(pool: OwnPool) -> urllib3.HTTPConnectionPool:
    ((found, _),) = pool._pools.values()
    return found


def test_it_is_what_the_library_would_send() -> None:
    with kept() as (pool, wire):
        for number in range(3):
            assert ask(pool, wire, number, Authorization="Token token=a") == b"body"
        assert _of(pool).num_requests == 1
        first, *others = wire.sent
        assert {sent.port for sent in others} == {first.port}
        assert all(sent.headers == first.headers for sent in others)
        assert [sent.line for sent in wire.sent] == [
            f"GET /a%20b/{number}?signature=s%25%2F{number} HTTP/1.1" for number in range(3)
        ]
        assert first.values("host") == [wire.base_url.removeprefix("http://")]


def test_another_header_is_sent() -> None:
    with kept() as (pool, wire):
        for number, token in enumerate(["a", "a", "b", "b", "a"]):
            ask(pool, wire, number, Authorization=token)
        assert [sent.values("authorization") for sent in wire.sent] == [["a"], ["a"], ["b"], ["b"], ["a"]]
        assert len({sent.port for sent in wire.sent}) == 1


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (urllib3.HTTPConnectionPool, "urlopen"),
        (urllib3.connection.HTTPConnection, "request"),
        (http.client.HTTPConnection, "putrequest"),
        (http.client.HTTPConnection, "getresponse"),
    ],
)
def test_who_traces_the_library_sees_every_request(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, real = [], getattr(owner, name)

    def traced(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return real(*args, **kwargs)

    with kept() as (pool, wire):
        ask(pool, wire, 0)
        monkeypatch.setattr(owner, name, traced)
        for number in range(3):
            ask(pool, wire, number)
        assert len(seen) == 3


def test_a_debug_log_has_every_request_without_its_signature(caplog: pytest.LogCaptureFixture) -> None:
    with kept() as (pool, wire):
        ask(pool, wire, 0)
        with caplog.at_level(logging.DEBUG, "urllib3.connectionpool"):
            ask(pool, wire, 1)
            ask(pool, wire, 2)
    assert [each.getMessage().count("signature=…") for each in caplog.records] == [1, 1]


@pytest.mark.parametrize("lines", [("Connection: close",), ("Connection: Close, x",)])
def test_a_connection_that_is_to_be_closed_is_not_kept(lines: tuple[str, ...]) -> None:
    with kept(whole("200 OK", b"body", *lines)) as (pool, wire):
        for number in range(3):
            ask(pool, wire, number)
        assert len({sent.port for sent in wire.sent}) == 3


def test_a_body_that_breaks_off_is_an_error_and_its_connection_goes() -> None:
    broken = threading.Event()

    def answer(sent: Sent, to: socket.socket) -> None:
        to.sendall(whole("200 OK", b"body"))
        if len(wire.sent) == 2:
            to.sendall(b"no answer")
            to.shutdown(socket.SHUT_RDWR)
            broken.set()

    pool = OwnPool()
    with Wire(answer) as wire:
        for number in range(4):
            # Asked sooner, the third call would take what comes for its own answer, and fail.
            assert number != 2 or broken.wait(30)
            assert ask(pool, wire, number) == b"body"
        assert wire.sent[0].port != wire.sent[3].port
        pool.close()
