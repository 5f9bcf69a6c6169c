"""The shim among a session's other adapters: before, beside and after it, and what scripts set of them."""

from __future__ import annotations

import copy
import pickle
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from support import FAST, OLD, RawServer, http, mounted, page_of
from urllib3 import Retry
from wish_servers import RECORD, TlsServer, write_certificates

import compat

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

PATH = "/api/v3/exams/17/index_students"
LIST = OLD + PATH
OTHER = f"{OLD}/api/v3/exams"


class Told(HTTPAdapter):
    """An adapter of a vendor's: answers 299, and says what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str | None] = []

    def send(self, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        self.urls.append(request.url)
        answer = requests.Response()
        answer.status_code, answer._content = 299, b""
        return answer


def from_upstream(server: RawServer, **more: Any) -> compat.StudentSessions:
    return compat.StudentSessions(server.base_url, api_token="t", secret_key="s", **{"retries": FAST, **more})


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(lambda number, received, connection: page_of([RECORD])) as running:
        yield running


@pytest.mark.parametrize("user", ["user:pass@", "user@", ":@", "a%40b:p%3Ass@"])
@pytest.mark.parametrize("entrance", ["mount", "install"])
def test_a_user_in_the_url(server: RawServer, user: str, entrance: str) -> None:
    url, session = LIST.replace("//", f"//{user}"), requests.Session()
    if entrance == "mount":
        compat.mount(session, OLD, from_upstream(server))
    else:
        compat.install(OLD, from_upstream(server))
    try:
        answer = session.get(url)
    finally:
        compat.uninstall()
    plain = requests.Request("GET", url).prepare()
    assert answer.json()["students"][0]["name"] == "Ann"
    assert (answer.url, answer.request.headers.get("Authorization")) == (plain.url, plain.headers.get("Authorization"))
    (received,) = server.received
    assert "Token token=t" in received.head
    assert "user" not in received.head


SPELLINGS = [
    ("http://old.example", "http://user:p@OLD.example.:80"),
    ("http://old.example:8080", "http://old.example.:8080"),
    ("http://old.example:8080", "http://old.example:08080"),
    ("http://old.example.", "http://old.example"),
    ("http://old.example:80", "http://old.example"),
    ("HTTP://Old.Example", "http://old.example:80"),
    ("http://[::1]", "http://[0:0:0:0:0:0:0:1]"),
    ("http://[0::1]:8080", "http://[::1]:8080"),
    ("http://[FE80::1]", "http://[fe80::1]:80"),
    ("https://prüfung.example", "https://prüfung.example"),
    ("https://prüfung.example", "https://xn--prfung-4ya.example"),
    ("https://xn--prfung-4ya.example", "https://PRÜFUNG.example"),
    ("https://prüfung.example/mandant ä", "https://prüfung.example:443/mandant ä"),
]


@pytest.mark.parametrize(("base", "called"), SPELLINGS)
@pytest.mark.parametrize("entrance", ["mount", "install"])
def test_spellings_of_the_host(server: RawServer, base: str, called: str, entrance: str) -> None:
    session = requests.Session()
    if entrance == "mount":
        compat.mount(session, base, from_upstream(server))
    else:
        compat.install(base, from_upstream(server))
    try:
        assert session.get(called + PATH).headers["X-Compat-Answered-By"] == "new"
    finally:
        compat.uninstall()


@pytest.mark.parametrize(
    "url", ["http://[::2]/", "http://[::1", "http://old.example:99999/", "http://old.example@evil.example/", "http://x"]
)
def test_other_hosts_are_left_alone(server: RawServer, url: str) -> None:
    for base in ("http://[::1]", "http://old.example"):
        session = mounted(from_upstream(server), base)
        found = session.get_adapter(url)
        assert type(found) is HTTPAdapter or not found.covers(url)  # type: ignore[attr-defined]
    with pytest.raises(requests.exceptions.InvalidSchema):
        session.get_adapter("gopher://old.example/")


@pytest.mark.parametrize("prefix", [OLD, OLD + "/", OTHER, LIST])
def test_one_mounted_later_for_as_much_or_more_wins(server: RawServer, prefix: str) -> None:
    session, theirs = mounted(from_upstream(server)), Told()
    session.mount(prefix, theirs)
    assert session.get(LIST).status_code == 299
    assert server.received == []


def test_one_mounted_later_for_less_gets_what_is_not_ours(server: RawServer) -> None:
    session, theirs = mounted(from_upstream(server)), Told()
    session.mount("https://", theirs)
    assert (session.get(LIST).status_code, theirs.urls) == (200, [])
    assert session.get(f"{OTHER}/17/show_lti_student").status_code == 299
    assert session.post(LIST).status_code == 299
    assert session.get("https://other.example/").status_code == 299
    assert len(theirs.urls) == 3


def test_one_that_was_taken_away_gets_nothing_more(server: RawServer) -> None:
    session, first, second = requests.Session(), Told(), Told()
    session.mount(f"{OLD}/api", first)
    compat.mount(session, OLD, from_upstream(server))
    session.mount(f"{OLD}/", second)
    del session.adapters[f"{OLD}/"]
    session.mount("https://", second)
    assert session.get(f"{OLD}/other").status_code == 299
    assert (first.urls, second.urls) == ([], [f"{OLD}/other"])
    assert session.get(f"{OLD}/api/other").status_code == 299
    assert first.urls == [f"{OLD}/api/other"]


def test_the_sessions_own_order_counts(server: RawServer) -> None:
    session, theirs = mounted(from_upstream(server)), Told()
    session.mount("https://", theirs)
    session.adapters.move_to_end("https://", last=False)
    # As with plain requests: whoever comes first and fits.
    assert session.get(LIST).status_code == 299
    session.adapters.move_to_end("https://")
    assert session.get(LIST).status_code == 200


def test_two_old_endpoints_and_mounting_again(server: RawServer) -> None:
    session, theirs = requests.Session(), Told()
    session.mount("https://", theirs)
    for base in (OLD, "https://other.example", OLD, OLD):
        compat.mount(session, base, from_upstream(server))
    for base in (OLD, "https://other.example"):
        assert session.get(base + PATH).status_code == 200
        assert session.get(f"{base}/else").status_code == 299


def test_an_adapter_of_ones_own_that_passes_on(server: RawServer) -> None:
    theirs, session = Told(), requests.Session()
    session.mount(OLD, compat.ExamStudentsAdapter(OLD, from_upstream(server), previous={"https://": theirs}))
    assert session.get(LIST).status_code == 200
    assert session.get(f"{OLD}/else").status_code == 299


def test_copies_find_us_too(server: RawServer) -> None:
    session = mounted(upstream_of_pickled(server))
    for each in (copy.copy(session), copy.deepcopy(session), pickle.loads(pickle.dumps(session))):  # noqa: S301
        each.trust_env = False
        assert each.get(LIST).status_code == 200


def upstream_of_pickled(server: RawServer) -> compat.StudentSessions:
    return pickle.loads(pickle.dumps(from_upstream(server)))  # type: ignore[no-any-return]  # noqa: S301


@pytest.mark.parametrize("entrance", ["mount", "install"])
def test_what_scripts_read_and_set_of_an_adapter(server: RawServer, entrance: str) -> None:
    session, own = requests.Session(), HTTPAdapter(max_retries=4)
    session.mount("https://", own)
    if entrance == "mount":
        compat.mount(session, OLD, from_upstream(server))
    else:
        compat.install(OLD, from_upstream(server))
    try:
        found: Any = session.get_adapter(LIST)
        assert (found.max_retries, found.config, found.poolmanager) == (own.max_retries, own.config, own.poolmanager)
        found.max_retries = Retry(2)
        assert (own.max_retries.total, session.get_adapter(LIST).max_retries.total) == (2, 2)
        with pytest.raises(AttributeError):
            _ = found.no_such_thing
        for adapter in session.adapters.values():
            adapter.max_retries = Retry(1)
        assert session.get(LIST).status_code == 200
    finally:
        compat.uninstall()


@pytest.mark.parametrize(
    ("retries", "fails", "status", "came"),
    [
        (0, 5, 503, 200),
        (0, 6, 503, 503),
        (8, 8, 503, 200),
        (Retry(2), 2, 503, 200),
        (Retry(2), 3, 503, 503),
        (Retry(0), 1, 503, 503),
        (Retry(False), 1, 503, 503),
        (Retry(None), 5, 503, 200),
        (Retry(3, status_forcelist=[500]), 3, 500, 200),
        (Retry(3, status_forcelist=[500]), 4, 500, 502),
        (Retry(3, status_forcelist=[500], allowed_methods=["PUT"]), 1, 500, 502),
        (Retry(3, status_forcelist=[418]), 1, 500, 502),
        (0, 1, 500, 502),
    ],
)
@pytest.mark.parametrize("prefix", ["https://", OLD])
@pytest.mark.parametrize("entrance", ["mount", "install"])
def test_retries_of_the_adapter_before(
    retries: Any, fails: int, status: int, came: int, prefix: str, entrance: str
) -> None:
    def answer(number: int, received: Any, connection: socket.socket) -> bytes:
        return page_of([RECORD]) if number > fails else http(status)

    with RawServer(answer) as server:
        session = requests.Session()
        session.mount(prefix, HTTPAdapter(max_retries=retries))
        if entrance == "mount":
            compat.mount(session, OLD, from_upstream(server))
        else:
            compat.install(OLD, from_upstream(server))
        try:
            assert session.get(LIST).status_code == came
        finally:
            compat.uninstall()
        # No attempt repeats another's nonce.
        nonces = [received.head.partition("nonce=")[2].partition("&")[0] for received in server.received]
        assert len(set(nonces)) == len(nonces) > 0


class Secured(HTTPAdapter):
    """With a context of its own, as companies write one for their certificates."""

    def __init__(self, authority: Path, **more: Any) -> None:
        self._authority = authority
        super().__init__(**more)

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        context = ssl.create_default_context(cafile=str(self._authority))
        super().init_poolmanager(*arguments, **more, ssl_context=context)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context does it."""


class FromAddress(HTTPAdapter):
    """Sends from an address of its own."""

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more, source_address=("127.0.0.9", 0))


@pytest.mark.parametrize("retries", [0, 3])
def test_an_adapter_with_a_context_of_its_own(tmp_path: Path, retries: int) -> None:
    write_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    seen: list[int] = []

    def answer(number: int, received: Any, connection: socket.socket) -> bytes:
        seen.append(number)
        return http(503) if retries and number == 1 else page_of([RECORD])

    with TlsServer(answer, context=context) as server:
        session = requests.Session()
        session.mount("https://", Secured(tmp_path / "ca.pem", max_retries=Retry(retries, status_forcelist=[503])))
        compat.mount(session, OLD, from_upstream(server))
        assert session.get(LIST).status_code == 200
        # One that is for the old endpoint alone says nothing of another host.
        session = requests.Session()
        session.mount(OLD, Secured(tmp_path / "ca.pem"))
        compat.mount(session, OLD, from_upstream(server, retries=compat.RetryPolicy(attempts=1)))
        with pytest.raises(requests.exceptions.SSLError):
            session.get(LIST)
        nonces = {received.head.partition("nonce=")[2].partition("&")[0] for received in server.received}
        assert len(nonces) == len(server.received) == (2 if retries else 1)


def test_an_adapter_with_an_address_of_its_own() -> None:
    peers: list[str] = []

    def answer(number: int, received: Any, connection: socket.socket) -> bytes:
        peers.append(connection.getpeername()[0])
        return page_of([RECORD])

    with RawServer(answer) as server:
        session = requests.Session()
        session.mount("http://", FromAddress())
        compat.mount(session, OLD, from_upstream(server))
        compat.mount(session, OLD, from_upstream(server))
        assert session.get(LIST).json()["students"][0]["name"] == "Ann"
        assert session.get(server.base_url + PATH).status_code == 200
    assert peers == ["127.0.0.9"] * 2
