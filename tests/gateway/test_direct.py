"""Requests sent by connections of the gateway's own, against servers that do what they should not."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from support import FAST, closed_port
from wires import Sent, Wire, whole

import compat
from compat.gateway.direct import DirectSender
from compat.legacy.query import Query
from compat.legacy.routes import ADD_STUDENT, INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import signed
from compat.shim import Shim

_BODY = json.dumps({"students": []}).encode()
_PACKED = gzip.compress(_BODY, mtime=0)
_COUNTS = ("X-Pagination-Item-Count: 0", "X-Pagination-Limit: 300")


Shims = Callable[..., Shim]


@pytest.fixture
def make_shim() -> Iterator[Shims]:
    """Makes shims that send directly, and closes their connections."""
    senders = []

    def make(base_url: str, **changes: Any) -> Shim:
        senders.append(DirectSender(base_url))
        return _made(senders[-1], base_url, **changes)

    yield make
    for sender in senders:
        sender.close()


def _made(sender: DirectSender, base_url: str, **changes: Any) -> Shim:
    retries = compat.RetryPolicy(first_wait=0.001, longest_wait=0.01, **changes)
    upstream = compat.StudentSessions(base_url, api_token="a", secret_key="b", scope="exam", retries=retries)
    upstream.send_by(sender)
    return Shim(upstream)


def _listed(shim: Shim) -> bytes:
    return shim.answer(LegacyCall(INDEX_STUDENTS, "17")).body


def test_connections_are_kept_and_replaced(make_shim: Shims) -> None:
    ports = []

    def answer(sent: Sent, connection: socket.socket) -> None:
        ports.append(connection.getpeername()[1])
        connection.sendall(whole("200 OK", _BODY, *_COUNTS))
        if len(ports) == 2:
            connection.shutdown(socket.SHUT_RDWR)

    with Wire(answer) as wire:
        shim = make_shim(wire.base_url)
        for _ in range(2):
            assert _listed(shim) == b'{"students":[]}'
        time.sleep(0.1)
        assert _listed(shim) == b'{"students":[]}'
    assert ports[0] == ports[1] != ports[2]
    # The server's goodbye was seen before a request went that way.
    assert len(wire.sent) == 3
    assert wire.sent[0].values("authorization") == ["Token token=a"]


@pytest.mark.parametrize("packed", [_PACKED, _PACKED[:-9]], ids=["whole", "cut"])
def test_compressed_pages(make_shim: Shims, packed: bytes) -> None:
    with Wire(lambda sent, to: to.sendall(whole("200 OK", packed, "Content-Encoding: gzip", *_COUNTS))) as wire:
        if packed == _PACKED:
            assert _listed(make_shim(wire.base_url)) == b'{"students":[]}'
            return
        with pytest.raises(compat.UpstreamUnreachable):
            _listed(make_shim(wire.base_url, attempts=2))
        assert len(wire.sent) == 2


@pytest.mark.parametrize("framing", [b"Content-Length: 50", b"Transfer-Encoding: chunked"])
def test_a_page_that_is_cut_off_is_asked_for_again(make_shim: Shims, framing: bytes) -> None:
    def answer(sent: Sent, connection: socket.socket) -> None:
        if len(wire.sent) > 1:
            connection.sendall(whole("200 OK", _BODY, *_COUNTS))
            return
        part = b"5\r\n" if b"chunked" in framing else b""
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + part + b'{"stu')
        connection.shutdown(socket.SHUT_RDWR)

    with Wire(answer) as wire:
        assert _listed(make_shim(wire.base_url)) == b'{"students":[]}'
        assert len(wire.sent) == 2


def test_a_write_is_sent_once_even_where_the_answer_breaks_off(make_shim: Shims) -> None:
    with Wire(lambda sent, to: to.shutdown(socket.SHUT_RDWR)) as wire:
        values = {"name": "Ada", "email": "ada@example.org"}
        body = json.dumps(signed(values, "s", {"id": "17"})).encode()
        call = LegacyCall(ADD_STUDENT, "17", "", "application/json", body, None, "POST")
        with pytest.raises(compat.UpstreamUnreachable):
            make_shim(wire.base_url).answer(call)
        assert len(wire.sent) == 1


def test_nobody_there(make_shim: Shims) -> None:
    with pytest.raises(compat.UpstreamUnreachable):
        _listed(make_shim(closed_port(), attempts=2))


@pytest.mark.parametrize(
    "sends",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_an_upstream_that_says_no_more(make_shim: Shims, sends: bytes) -> None:
    def answer(sent: Sent, connection: socket.socket) -> None:
        connection.sendall(sends)
        connection.recv(1)

    with Wire(answer) as wire, pytest.raises(compat.UpstreamTimeout):
        _listed(make_shim(wire.base_url, budget=0.5))


def test_a_write_that_nobody_answers_ends_in_time(make_shim: Shims) -> None:
    values = {"name": "Ada", "email": "ada@example.org"}
    body = json.dumps(signed(values, "s", {"id": "17"})).encode()
    read = LegacyCall(INDEX_STUDENTS, "17")
    write = LegacyCall(ADD_STUDENT, "17", "", "application/json", body, None, "POST")

    def answer(sent: Sent, connection: socket.socket) -> None:
        if len(wire.sent) in (1, 3):
            connection.sendall(whole("200 OK", _BODY, *_COUNTS))
        else:
            connection.recv(1)

    with Wire(answer) as wire:
        shim = make_shim(wire.base_url, budget=0.5)
        # On one connection, each of the two in its own way of waiting.
        for call in (read, write, read, read):
            if len(wire.sent) in (1, 3):
                with pytest.raises(compat.UpstreamTimeout):
                    shim.answer(call)
            else:
                shim.answer(call)


def test_a_session_of_the_users_goes_before_it() -> None:
    with Wire(lambda sent, to: to.sendall(whole("200 OK", _BODY, *_COUNTS))) as wire, requests.Session() as session:
        session.headers["X-Own"] = "yes"
        upstream = compat.StudentSessions(
            wire.base_url, api_token="a", secret_key="b", scope="exam", session=session, retries=FAST
        )
        upstream.send_by(DirectSender(wire.base_url))
        assert _listed(Shim(upstream)) == b'{"students":[]}'
        assert wire.sent[0].values("x-own") == ["yes"]
        assert upstream.capabilities >= {"exam"}
        upstream.check_query(Query(17))
