"""A page that the upstream says again is not translated again; nobody else's, and not for longer than a minute."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
import requests
from forked import in_child, needs_fork
from support import OLD, edited, listed, rows_of

import compat
from compat.config.file import read_config
from compat.core.call import Shim
from compat.core.walks import KeptPages
from compat.mapping.fast.scanner import extension
from compat.testing.sandbox import Sandbox
from compat.upstream.student_codec import StudentCodec

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


class Reader:
    """Reads bodies, and counts how often."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, body: bytes) -> Sequence[Any]:
        self.read.append(body)
        return [body.upper()]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def kept(most: int = 1 << 20, **options: Any) -> KeptPages:
    return KeptPages(most, lambda rows, body: sum(map(len, rows)), **options)


def test_the_same_bytes_are_read_once_a_key() -> None:
    reader, pages = Reader(), kept()
    for _ in range(3):
        assert pages.decoder("a", reader)(b"one") == [b"ONE"]
    assert reader.read == [b"one"]
    assert pages.decoder("b", reader)(b"one") == [b"ONE"]
    assert pages.decoder("a", reader)(b"two") == [b"TWO"]
    assert pages.decoder("a", reader)(b"one") == [b"ONE"]
    assert reader.read == [b"one", b"one", b"two", b"one"]


def test_none_is_kept_where_that_is_switched_off_or_may_not_be() -> None:
    reader = Reader()
    off, unfit = kept(0), KeptPages(1 << 20, lambda rows, body: None)
    for pages in (off, unfit):
        for _ in range(2):
            pages.decoder("a", reader)(b"one")
        assert pages.size == 0
    assert len(reader.read) == 4


def test_bytes_are_bounded_and_the_oldest_goes_first() -> None:
    reader, pages = Reader(), kept(300_000)
    for key in "abcd":
        pages.decoder(key, reader)(b"x" * 10_000)
        assert pages.size <= 300_000
    pages.decoder("d", reader)(b"x" * 10_000)
    assert len(reader.read) == 4
    pages.decoder("a", reader)(b"x" * 10_000)
    assert len(reader.read) == 5
    pages.decoder("e", reader)(b"x" * 300_000)
    assert pages.size <= 300_000


def test_a_page_goes_a_minute_after_it_was_last_said() -> None:
    clock, reader = Clock(), Reader()
    pages = kept(clock=clock)
    for now in (0, 50, 100, 159):
        clock.now = 1000 + now
        pages.decoder("a", reader)(b"one")
    assert len(reader.read) == 1
    clock.now += 60
    pages.decoder("b", reader)(b"two")
    pages.decoder("a", reader)(b"one")
    assert len(reader.read) == 3


def test_pages_go_even_if_nobody_calls_again() -> None:
    pages = kept(kept_for=0.05)
    pages.decoder("a", Reader())(b"one")
    assert pages.size > 0
    ends = time.monotonic() + 30
    while pages.size and time.monotonic() < ends:
        time.sleep(0.01)
    assert pages.size == 0


@needs_fork
def test_nothing_crosses_a_fork() -> None:
    pages = kept()
    pages.decoder("a", Reader())(b"one")
    held = pages._lock
    reader = Reader()

    def read_anew() -> bool:
        pages.decoder("a", reader)(b"one")
        return reader.read == [b"one"]

    with held:
        assert in_child(read_anew)
    assert pages.size > 0


def test_threads_meet() -> None:
    reader, pages = Reader(), kept(400_000)
    found: list[bool] = []

    def read(name: str) -> None:
        for number in range(300):
            body = name.encode() + b"%d" % (number % 3)
            found.append(pages.decoder(number % 4, reader)(body) == [body.upper()])

    threads = [threading.Thread(target=read, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found)
    assert pages.size == sum(page.size for page in pages._pages.values()) <= 400_000


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were translated."""
    bodies: list[bytes] = []
    translate = StudentCodec.page

    def page(self: StudentCodec, body: bytes) -> Any:
        bodies.append(body)
        return translate(self, body)

    monkeypatch.setattr(StudentCodec, "page", page)
    return bodies


def mounted_with(sandbox: Sandbox, **upstream: Any) -> requests.Session:
    content = sandbox.settings("student_sessions")
    content["upstream"] |= {"scope": "exam", **upstream}
    session = requests.Session()
    compat.mount(session, OLD, read_config(content))
    return session


def test_an_upstream_is_asked_and_its_page_is_used_again(sandbox: Sandbox, counted: list[bytes]) -> None:
    if extension() is None:
        pytest.skip("the extension in C is not built: nothing is kept")
    session = mounted_with(sandbox)
    whole = listed(session, limit="20")
    for _ in range(3):
        again = listed(session, limit="20")
        assert (again.content, again.headers["X-Pagination-Item-Count"]) == (
            whole.content,
            whole.headers["X-Pagination-Item-Count"],
        )
    assert (len(sandbox.calls), len(counted)) == (4, 1)
    listed(session, limit="20", page="2")
    listed(session, limit="20", status="exam_finished")
    assert len(counted) == 3


def test_another_caller_is_not_answered_from_it(sandbox: Sandbox, counted: list[bytes]) -> None:
    session = mounted_with(sandbox)
    for token in ("one", "two"):
        session.headers["Authorization"] = f"Token token={token}"
        listed(session, limit="20")
    assert len(counted) == 2


def test_reuse_is_off_with_one_key(sandbox: Sandbox, counted: list[bytes]) -> None:
    session = mounted_with(sandbox, reuse_bytes=0)
    for _ in range(2):
        listed(session, limit="20")
    assert len(counted) == 2


def test_a_change_is_seen_at_once(sandbox: Sandbox) -> None:
    session = mounted_with(sandbox)
    for name in ("Ann", "Ann", "Bob"):

        def change(content: dict[str, Any], name: str = name) -> None:
            rows_of(content)[0]["name"] = name

        sandbox.intercept = lambda request, answer, change=change: edited(answer, change)
        assert listed(session, limit="20").json()["students"][0]["name"] == name


def test_a_copy_and_a_pickle_begin_with_none() -> None:
    upstream = compat.StudentSessions("http://127.0.0.1:9", api_token="t", secret_key="s", scope="exam")
    shim = Shim(upstream)
    shim._pages.decoder("a", shim._codec.page)(b'{"students":[]}')
    assert (shim._pages.size > 0) == (extension() is not None)
    for other in (copy.copy(shim), pickle.loads(pickle.dumps(shim))):  # noqa: S301 - made here
        assert other._pages.size == 0


def test_what_reads_a_page_shows_nothing_of_its_query() -> None:
    kept = KeptPages(1 << 20, lambda page, body: 0)
    decode = kept.decoder(("nightly", "Ada Lovelace"), bytes)
    assert decode(b"page of Ada") == b"page of Ada"
    assert kept.size > 0
    assert "Ada" not in f"{decode!r} {kept.held(('nightly', 'Ada Lovelace'))!r}"
    kept.renew()
