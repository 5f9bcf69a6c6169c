"""Pages that are kept are asked for by ETag or Last-Modified; a 304 stands for what was kept, and for nothing else."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from support import OLD, listed

import compat
from compat.config.file import read_config
from compat.mapping.fast.scanner import extension
from compat.testing.sandbox import Sandbox
from compat.upstream.base import LegacySettings
from compat.upstream.session_codec import SessionCodec

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

needs_extension = pytest.mark.skipif(
    extension() is None, reason="without the extension in C student pages are not kept"
)

APPLICATION = "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"
DATE = "Tue, 15 Nov 2022 08:12:31 GMT"
CHANGED = "Tue, 15 Nov 2022 08:12:30 GMT"

Answer = tuple[int, Mapping[str, str], bytes]


class Upstream:
    """A server that answers as a test says, over connections that stay open.

    Attributes:
        answer: gives status, headers and body for a path and the request's headers.
        conditions: what each request was conditional by, in the order in which they came.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str, Mapping[str, str]], Answer] = lambda path, headers: (500, {}, b"{}")
        self.conditions: list[dict[str, str]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = {name: self.headers[name] for name in ("If-None-Match", "If-Modified-Since")}
                upstream.conditions.append({name: value for name, value in asked.items() if value is not None})
                status, headers, body = upstream.answer(self.path, self.headers)
                # The length that a 304 states is that of the answer it stands for; it has no body.
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + (b"" if status == 304 else body))

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def mounted(self, kind: str = "student_sessions", **keys: Any) -> requests.Session:
        """A script's session, with the shim in front of this server."""
        own: dict[str, Any] = {"api_token": "t", "secret_key": "s", "scope": "exam"}
        content: dict[str, Any] = {}
        if kind == "paginated_sessions":
            own, content = {"path": "/sessions", "bearer_token": "b"}, {"exams": {"1": APPLICATION}}
        content["upstream"] = {"kind": kind, "base_url": self.base_url, **own, **keys}
        session = requests.Session()
        compat.mount(session, OLD, read_config(content))
        return session


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.server.shutdown()
    made.server.server_close()


def students(*names: str) -> bytes:
    """A page of student sessions of those names."""
    rows = [{"id": at, "exam_id": 1, "name": name} for at, name in enumerate(names, 1)]
    return json.dumps({"students": rows}).encode()


def sessions(*names: str) -> bytes:
    """A page of paginated sessions of those names."""
    times = {"startedAtTime": "2022-11-15T08:00:00.000Z", "endedAtTime": "2022-11-15T09:00:00.000Z"}
    listed_sessions = [
        {"id": str(at), "applicationId": APPLICATION, **times, "metadata": {"exam_student": {"name": name}}}
        for at, name in enumerate(names, 1)
    ]
    return json.dumps({"limit": 300, "offset": 0, "total": len(names), "sessions": listed_sessions}).encode()


def pagination(count: int) -> dict[str, str]:
    return {"X-Pagination-Item-Count": str(count), "X-Pagination-Limit": "300"}


def tagged(body: bytes, tag: str = '"one"', **headers: str) -> Callable[[str, Mapping[str, str]], Answer]:
    """Answers with a body, and with 304 where the request names its tag."""
    named = {**pagination(body.count(b'"id"')), "ETag": tag, **headers}
    return lambda path, asked: (304 if asked["If-None-Match"] == tag else 200, named, body)


def names(session: requests.Session, **parameters: str) -> list[str]:
    answer = listed(session, exam=1, **parameters)
    assert answer.status_code == 200, answer.text
    return [student["name"] for student in answer.json()["students"]]


BODIES = pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("student_sessions", students("Ann", "Bob"), marks=needs_extension),
        ("paginated_sessions", sessions("Ann", "Bob")),
    ],
)


@BODIES
@pytest.mark.parametrize("tag", ['"one"', 'W/"one"', '""'])
def test_a_304_uses_what_was_kept(upstream: Upstream, kind: str, body: bytes, tag: str) -> None:
    upstream.answer = tagged(body, tag)
    session = upstream.mounted(kind)
    for _ in range(3):
        assert names(session) == ["Ann", "Bob"]
    assert upstream.conditions == [{}, {"If-None-Match": tag}, {"If-None-Match": tag}]


@BODIES
def test_a_change_is_seen_at_once(upstream: Upstream, kind: str, body: bytes) -> None:
    upstream.answer = tagged(body)
    session = upstream.mounted(kind)
    names(session)
    upstream.answer = tagged(body.replace(b"Bob", b"Eve"), '"two"')
    assert names(session) == ["Ann", "Eve"]
    assert names(session) == ["Ann", "Eve"]
    assert upstream.conditions[1:] == [{"If-None-Match": '"one"'}, {"If-None-Match": '"two"'}]


@BODIES
def test_another_body_under_the_same_tag_counts(upstream: Upstream, kind: str, body: bytes) -> None:
    session = upstream.mounted(kind)
    for name in (b"Bob", b"Eve"):
        changed = body.replace(b"Bob", name)
        upstream.answer = lambda path, asked, changed=changed: (200, {**pagination(2), "ETag": '"one"'}, changed)
        assert names(session) == ["Ann", name.decode()]


@BODIES
def test_one_tag_for_everything_crosses_neither_callers_nor_queries(upstream: Upstream, kind: str, body: bytes) -> None:
    session = upstream.mounted(kind)
    upstream.answer = tagged(body)
    session.headers["Authorization"] = "Token token=one"
    names(session)
    upstream.answer = tagged(body.replace(b"Bob", b"Eve"))
    session.headers["Authorization"] = "Token token=two"
    assert names(session) == ["Ann", "Eve"]
    upstream.answer = tagged(body.replace(b"Bob", b"Ida"))
    assert names(session, limit="300", filter='{"name": {"ne": "x"}}') == ["Ann", "Ida"]
    assert not any(upstream.conditions)
    # The upstream's word counts: the first caller is told what that caller was told before.
    session.headers["Authorization"] = "Token token=one"
    assert names(session) == ["Ann", "Bob"]


@needs_extension
def test_each_page_has_a_tag_of_its_own(upstream: Upstream) -> None:
    def answer(path: str, asked: Mapping[str, str]) -> Answer:
        number = 2 if "page=2" in path else 1
        row = {"id": number, "exam_id": 1, "name": f"of page {number}"}
        headers = {"X-Pagination-Item-Count": "2", "X-Pagination-Limit": "1", "ETag": '"same"'}
        return (304 if asked["If-None-Match"] else 200), headers, json.dumps({"students": [row]}).encode()

    upstream.answer = answer
    session = upstream.mounted()
    for _ in range(2):
        # Two pages of the upstream for one of the old endpoint, and each by itself.
        assert names(session) == ["of page 1", "of page 2"]
        assert names(session, limit="1", page="2") == ["of page 2"]
    assert any(upstream.conditions)


@BODIES
def test_a_304_without_anything_kept_is_an_error(upstream: Upstream, kind: str, body: bytes) -> None:
    upstream.answer = lambda path, asked: (304, {**pagination(2), "ETag": '"one"'}, b"")
    answer = listed(upstream.mounted(kind), exam=1)
    assert (answer.status_code, answer.json()["error"]) == (502, "The upstream answered with status 304.")


@BODIES
def test_a_304_to_a_request_without_condition_is_an_error_though_something_is_kept(
    upstream: Upstream, kind: str, body: bytes
) -> None:
    session = upstream.mounted(kind)
    upstream.answer = lambda path, asked: (200, pagination(2), body)
    names(session)
    upstream.answer = lambda path, asked: (304, pagination(2), b"")
    assert listed(session, exam=1).status_code == 502
    assert not any(upstream.conditions)


@needs_extension
def test_counts_of_a_304_go_before_those_kept(upstream: Upstream) -> None:
    body, session = students("Ann", "Bob"), upstream.mounted()

    def count() -> str:
        return listed(session, exam=1, limit="2").headers["X-Pagination-Item-Count"]

    for stated in ("2", "3", "4"):
        upstream.answer = tagged(body, **{"X-Pagination-Item-Count": stated, "X-Pagination-Limit": "2"})
        assert count() == stated
    # One that states none leaves what was said last.
    upstream.answer = lambda path, asked: (304, {"ETag": '"one"'}, b"")
    assert count() == "4"
    assert upstream.conditions[1:] == [{"If-None-Match": '"one"'}] * 3


@needs_extension
def test_a_304_that_makes_no_page_is_asked_again_without_condition(upstream: Upstream) -> None:
    session = upstream.mounted()
    upstream.answer = tagged(students("Ann", "Bob"))
    names(session)
    upstream.answer = tagged(students("Ann", "Eve"), **{"X-Pagination-Item-Count": "many"})

    def healed(path: str, asked: Mapping[str, str]) -> Answer:
        if asked["If-None-Match"]:
            return 304, {"X-Pagination-Item-Count": "many"}, b""
        return 200, pagination(2), students("Ann", "Eve")

    upstream.answer = healed
    assert names(session) == ["Ann", "Eve"]
    assert upstream.conditions[1:] == [{"If-None-Match": '"one"'}, {}]


@BODIES
def test_a_condition_outlives_an_attempt_that_fails(upstream: Upstream, kind: str, body: bytes) -> None:
    session = upstream.mounted(kind)
    whole = tagged(body)
    upstream.answer = whole
    names(session)
    left = [503, 502]

    def busy(path: str, asked: Mapping[str, str]) -> Answer:
        return (left.pop(), {"Retry-After": "0"}, b"{}") if left else whole(path, asked)

    upstream.answer = busy
    assert names(session) == ["Ann", "Bob"]
    assert upstream.conditions[1:] == [{"If-None-Match": '"one"'}] * 3


@BODIES
@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"Last-Modified": CHANGED, "Date": DATE}, {"If-Modified-Since": CHANGED}),
        ({"Last-Modified": CHANGED, "Date": DATE, "ETag": '"one"'}, {"If-None-Match": '"one"'}),
        # It may change again within the second.
        ({"Last-Modified": DATE, "Date": DATE}, {}),
        ({"Last-Modified": CHANGED}, {}),
        ({"Last-Modified": "yesterday", "Date": DATE}, {}),
        ({"Last-Modified": CHANGED, "Date": "Tue, 15 Nov 2022 08:12:31 -0000"}, {}),
        ({"ETag": "one"}, {}),
        ({"ETag": '"one", "two"'}, {}),
        ({"ETag": '"' + "x" * 5000 + '"'}, {}),
        ({"ETag": '"one"', "Cache-Control": "private, No-Store"}, {}),
        ({}, {}),
    ],
)
def test_what_a_request_is_conditional_by(
    upstream: Upstream, kind: str, body: bytes, headers: dict[str, str], condition: dict[str, str]
) -> None:
    upstream.answer = lambda path, asked: (200, {**pagination(2), **headers}, body)
    session = upstream.mounted(kind)
    for _ in range(2):
        assert names(session) == ["Ann", "Bob"]
    assert upstream.conditions == [{}, condition]


@BODIES
def test_no_condition_where_reuse_is_off(upstream: Upstream, kind: str, body: bytes) -> None:
    upstream.answer = tagged(body)
    session = upstream.mounted(kind, reuse_bytes=0)
    for _ in range(2):
        names(session)
    assert upstream.conditions == [{}, {}]


def test_sessions_that_stay_are_decoded_once(sandbox: Sandbox, monkeypatch: Any) -> None:
    read: list[bytes] = []
    page = SessionCodec.page
    monkeypatch.setattr(SessionCodec, "page", lambda self, body: read.append(body) or page(self, body))
    session = requests.Session()
    compat.mount(session, OLD, read_config(sandbox.settings("paginated_sessions")))
    whole = listed(session, limit="20")
    asked = len(sandbox.calls)
    for _ in range(2):
        assert listed(session, limit="20").content == whole.content
    assert len(sandbox.calls) > asked
    assert len({*read}) == len(read) > 0


@pytest.mark.parametrize(
    "metadata",
    [{}, {"exam_student": {}}, {"exam_student": {"name": "a" * 3000 + "\U0001f600", "email": "é" * 3000}}],
    ids=["none", "empty", "wide"],
)
def test_what_is_kept_of_sessions_takes_no_more_than_is_counted(metadata: dict[str, Any]) -> None:
    content = json.loads(sessions("Ann"))
    content["sessions"] = [{**content["sessions"][0], "id": str(at), "metadata": metadata} for at in range(1, 301)]
    body = json.dumps(content, ensure_ascii=False).encode()
    codec = SessionCodec({1: APPLICATION}, LegacySettings())
    codec.page(body)
    tracemalloc.start()
    try:
        page = codec.page(body)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= (codec.page_size(page, body) or 0)
