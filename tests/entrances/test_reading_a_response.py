"""A response is read in every way that ``requests`` and urllib3 allow: the same bytes, ends and errors."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from support import OLD, RawServer, http, mounted, upstream_of

from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

PATH = "/api/v3/exams/17/index_students?limit=3"


def twice(response: requests.Response, read: Callable[[requests.Response], Any]) -> Any:
    return read(response), read(response)


def into(response: requests.Response) -> Any:
    place = bytearray(50)
    return response.raw.readinto(place), bytes(place)


def by_hand(response: requests.Response) -> Any:
    parts = []
    while part := response.raw.read(100):
        parts.append(part)
    return parts, response.raw.closed, response.raw.tell()


def within(response: requests.Response) -> Any:
    with response:
        response.raw.read(10)
    return response.raw.closed, response.raw.read()


def closed_early(response: requests.Response) -> Any:
    next(response.iter_content(10))
    response.close()
    return response.raw.closed, response.raw.isclosed() if hasattr(response.raw, "isclosed") else None


def begun(response: requests.Response) -> Any:
    return next(response.iter_content(10)), list(response.iter_content(1000))


def text_wrapper(response: requests.Response) -> Any:
    return io.TextIOWrapper(io.BufferedReader(response.raw), encoding="utf-8").read()


READINGS: list[Callable[[requests.Response], Any]] = [
    lambda r: list(r.iter_content(None)),
    lambda r: list(r.iter_content(1))[:9],
    lambda r: list(r.iter_content(100)),
    lambda r: list(r.iter_content()),
    lambda r: list(r.iter_content(None, decode_unicode=True)),
    lambda r: list(r.iter_content(64, decode_unicode=True)),
    lambda r: list(r.iter_content("9")),  # type: ignore[arg-type]
    lambda r: list(r.iter_lines()),
    lambda r: list(r.iter_lines(chunk_size=7)),
    lambda r: list(r.iter_lines(chunk_size=None)),  # type: ignore[arg-type]
    lambda r: list(r.iter_lines(delimiter=b",")),
    lambda r: list(r.iter_lines(decode_unicode=True, delimiter=",")),
    list,
    lambda r: (r.json(), r.text, r.content),
    lambda r: (r.content, r.raw.read(), r.raw.closed, r.raw.tell(), r.raw.read(5), list(r.raw.stream())),
    lambda r: (r.raw.read(), r.content),
    lambda r: (r.raw.read(10), r.content),
    lambda r: (r.raw.data, r.raw.closed),
    lambda r: (r.raw.read(decode_content=True), r.raw.read(cache_content=True)),
    lambda r: (r.raw.read1(), r.raw.read1(10)),
    lambda r: (r.raw.read1(0), r.raw.read(0), r.raw.tell()),
    lambda r: list(r.raw.stream(100)),
    lambda r: list(r.raw.stream(None)),
    lambda r: list(r.raw.read_chunked()),
    lambda r: list(r.raw)[:3],
    lambda r: (r.raw.readline(), r.raw.readlines()),
    lambda r: (r.raw.readable(), r.raw.seekable(), r.raw.writable(), r.raw.isatty()),
    lambda r: (r.raw.status, r.raw.reason, r.raw.version, r.raw.version_string, r.raw.geturl().partition("?")[0]),
    lambda r: (r.raw.headers["content-type"], r.raw.getheader("CONTENT-TYPE"), r.raw.getheaders()[-1:]),
    lambda r: (r.raw.info()["Content-Type"], r.raw.supports_chunked_reads(), r.raw.chunked, r.raw.length_remaining),
    lambda r: (r.raw.drain_conn(), r.raw.read(), r.raw.closed),
    lambda r: (r.raw.release_conn(), r.raw.read()),
    lambda r: r.raw.retries.total,
    lambda r: (r.raw._original_response.msg["content-type"], r.raw._fp.isclosed()),
    lambda r: twice(r, lambda each: list(each.iter_content(100))),
    lambda r: twice(r, lambda each: list(each.iter_lines())),
    lambda r: twice(r, lambda each: each.json()),
    lambda r: twice(r, lambda each: each.raw.read()),
    lambda r: (r.close(), r.raw.closed, r.content),
    lambda r: (r.content, r.close(), r.raw.closed, r.text),
    lambda r: pickle.loads(pickle.dumps(r)).content,  # noqa: S301 - our own bytes
    lambda r: (r.history, r.next, r.links, dict(r.cookies), r.is_redirect, r.is_permanent_redirect, r.ok, bool(r)),
    lambda r: (r.encoding, r.apparent_encoding, r.status_code, r.reason, r.elapsed.total_seconds() > 0),
    lambda r: (hasattr(r.connection, "send"), hasattr(r.connection, "close"), repr(r)),
    lambda r: setattr(r, "encoding", "latin-1") or r.text,  # type: ignore[func-returns-value]
    into,
    by_hand,
    within,
    closed_early,
    begun,
    text_wrapper,
]


@pytest.fixture(scope="module")
def sides(shared: Sandbox) -> Iterator[tuple[requests.Session, str]]:
    """A server that sends what the shim answers, as it answers it."""
    answer = mounted(upstream_of(shared, "student_sessions")).get(OLD + PATH)
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
    with RawServer(
        lambda number, received, connection: http(200, answer.content, headers).replace(b" X", b" OK", 1)
    ) as server:
        yield mounted(upstream_of(shared, "student_sessions")), server.base_url


def came(session: requests.Session, url: str, read: Callable[[requests.Response], Any], **how: Any) -> Any:
    try:
        return read(session.get(url, timeout=9, **how))
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return type(error)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("number", range(len(READINGS)))
def test_a_reading(sides: tuple[requests.Session, str], number: int, stream: bool) -> None:
    session, server = sides
    read = READINGS[number]
    ours, plain = (
        came(each, base + PATH, read, stream=stream) for each, base in ((session, OLD), (requests.Session(), server))
    )
    assert ours == plain


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("read", [lambda r: r.raw.read(), lambda r: r.content, lambda r: r.raw.tell()])
@pytest.mark.parametrize("of_call", [True, False])
def test_a_hook_reads_first(sides: tuple[requests.Session, str], read: Any, stream: bool, of_call: bool) -> None:
    def with_hook(session: requests.Session, url: str) -> Any:
        found: list[Any] = []

        def hook(response: requests.Response, **options: Any) -> None:
            found.append((read(response), sorted(options), options["stream"]))

        session.hooks["response"] = [] if of_call else [hook]
        answer = session.get(url, stream=stream, timeout=9, hooks={"response": hook} if of_call else None)
        session.hooks["response"] = []
        return found, answer.content

    session, server = sides
    assert with_hook(session, OLD + PATH) == with_hook(requests.Session(), server + PATH)


def test_a_hook_may_replace_the_response_and_send_again(sides: tuple[requests.Session, str]) -> None:
    session, _ = sides

    def again(response: requests.Response, **options: Any) -> requests.Response:
        request = response.request.copy()
        request.deregister_hook("response", again)
        second = response.connection.send(request, **options)
        second.history.append(response)
        return second

    answer = session.get(OLD + PATH, hooks={"response": again}, timeout=9)
    assert (len(answer.json()["students"]), len(answer.history)) == (3, 1)
    assert answer.history[0].json() == answer.json()


def test_a_head_has_no_body_to_read(sides: tuple[requests.Session, str]) -> None:
    answer = sides[0].head(OLD + PATH, stream=True)
    assert int(answer.headers["Content-Length"]) > 0
    assert (answer.raw.read(), answer.raw.closed, answer.content) == (b"", True, b"")
