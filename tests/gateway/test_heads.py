"""Heads of HTTP/1.1 read here and by ``http.client`` say the same, and what is unusual is left to it."""

from __future__ import annotations

import http.client
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import Sent, Wire, whole

from compat.gateway.direct import DirectSender
from compat.gateway.heads import Head, Replayed, read_head, written_head
from compat.upstream.senders import CallOptions, Outgoing

_NAMES = st.sampled_from(
    ["Content-Length", "content-length", "Connection", "X-Pagination-Limit", "Retry-After", "Date", "x", "Keep-Alive"]
)
_VALUES = st.one_of(
    st.integers(0, 40).map(str),
    st.sampled_from(["close", "Close, te", "keep-alive", "", " ", "\t7\t", "Wed, 21 Oct 2015 07:28:00 GMT", "é:ü"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=8),
)
_LINES = st.lists(st.tuples(_NAMES, st.sampled_from([":", ": ", ":\t "]), _VALUES).map("".join), max_size=6)


def _read(sent: bytes) -> tuple[bytes, Head | None]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        return read_head(ours)


@given(status=st.integers(200, 599), lines=_LINES, body=st.binary(max_size=40))
def test_both_readers_agree(status: int, lines: list[str], body: bytes) -> None:
    head_lines = [f"HTTP/1.1 {status} Said", *lines, f"Content-Length: {len(body)}", "", ""]
    sent = "\r\n".join(head_lines).encode("latin-1") + body
    read, head = _read(sent)
    if head is None:
        return
    with socket.socket() as closed:
        other = http.client.HTTPResponse(Replayed(sent, closed), method="GET")  # type: ignore[arg-type]
        other.begin()
        assert (head.status, head.length, head.closes) == (other.status, other.length, other.will_close)
        for name, value in other.headers.items():
            first = other.headers.get(name)
            # What http.client decodes further where it is no ASCII is not looked at.
            assert not value.isascii() or head.fields.get(name.upper()) == str(first).strip("\t ")
        assert len(head.fields) == len({name.lower() for name in other.headers})
        assert read[head.end :] == body
        other.close()


@pytest.mark.parametrize(
    "line",
    [
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 5\r\n folded",
        "Content-Length : 5",
        "Content-Length: 5\r\nno colon",
        "X: y",
    ],
)
def test_what_is_unusual_is_not_understood(line: str) -> None:
    assert _read(f"HTTP/1.1 200 OK\r\n{line}\r\n\r\n12345".encode())[1] is None


@pytest.mark.parametrize("status", ["HTTP/1.0 200 OK", "HTTP/1.1 100 Continue", "HTTP/1.1 204 No", "ICY 200 OK", ""])
def test_other_statuses_are_not_understood(status: str) -> None:
    assert _read(f"{status}\r\nContent-Length: 0\r\n\r\n".encode())[1] is None


def test_a_value_cannot_bring_a_line_of_its_own() -> None:
    assert written_head("GET", "/a?b=c", {"Accept": "x"}, "host:80") == (
        b"GET /a?b=c HTTP/1.1\r\nHost: host:80\r\nAccept: x\r\n\r\n"
    )
    for target, value in (
        ("/a b", "x"),
        ("/a\r\nB: c", "x"),
        ("/a", "x\r\nB: c"),
        ("/a", "x\n"),
        ("/é", "x"),
        ("", "x"),
    ):
        assert written_head("GET", target, {"Accept": value}, "host") is None


def _fetched(sender: DirectSender, base_url: str) -> tuple[int, str, bytes]:
    request = Outgoing("GET", f"{base_url}/a", headers={"Accept": "x"})
    incoming = sender.send(request, CallOptions(), (5, 5))
    body = b""
    while part := incoming.read1(1 << 16):
        body += part
    incoming.drain_conn()
    return incoming.status, incoming.headers.get("x-say", ""), body


def test_heads_in_pieces_and_of_every_framing() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Say: hi\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    answers = [
        whole("200 OK", b"abc", "X-Say: hi"),
        chunked,
        b"HTTP/1.1 100 Continue\r\n\r\n" + whole("200 OK", b"abc", "X-Say: hi"),
        whole("200 OK", b"abc", "X-Say: hi", "X-Long: " + "x" * 20_000),
        b"HTTP/1.1 200 OK\r\nX-Say: hi\r\n\r\nabc",
    ]

    def answer(sent: Sent, connection: socket.socket) -> None:
        given = answers[len(wire.sent) - 1]
        for begin in (0, 9, 40):
            connection.sendall(given[begin : {0: 9, 9: 40}.get(begin)])
            time.sleep(0.01)
        if b"Length" not in given and b"chunked" not in given:
            connection.shutdown(socket.SHUT_RDWR)

    with Wire(answer) as wire:
        sender = DirectSender(wire.base_url)
        for _ in answers:
            assert _fetched(sender, wire.base_url) == (200, "hi", b"abc")
        sender.close()
    for sent in wire.sent:
        assert sent.values("host") == [wire.base_url.removeprefix("http://")]
        assert sent.values("accept") == ["x"]
        assert sent.values("connection") == ["keep-alive"]


def test_what_comes_after_an_answer_is_not_taken_for_the_next() -> None:
    ports = []

    def answer(sent: Sent, connection: socket.socket) -> None:
        ports.append(connection.getpeername()[1])
        connection.sendall(whole("200 OK", b"abc") + whole("200 OK", b"smuggled"))

    with Wire(answer) as wire:
        sender = DirectSender(wire.base_url)
        for _ in range(2):
            assert _fetched(sender, wire.base_url)[2] == b"abc"
        sender.close()
    assert len(set(ports)) == 2
