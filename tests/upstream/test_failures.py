"""What is said of a connection that failed: on real certificates, ports, names, proxies and clocks, word by word."""

from __future__ import annotations

import datetime
import errno
import json
import re
import socket
import ssl
import time
from email.utils import format_datetime
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from support import FAST, RawServer, Received, closed_port, http, listed, mounted
from urllib3.exceptions import ProxyError
from wish_servers import Proxy, TlsServer

import compat
from compat.upstream import failures
from compat.upstream.failures import clock_words, connection_failure, place_of

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

DAY = datetime.timedelta(days=1)
LATER = "Try again later; if it stays so, the log of whoever runs it says why."
RENEW = "Have the certificate renewed by whoever runs it; if it is good elsewhere, set the clock of this machine right."
TRUST = "Put the authority's certificate into a PEM file, and name that file in REQUESTS_CA_BUNDLE."
PROXIES = "Look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and at the proxies of the session where it has some."


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_shown", {})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def _trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


def serving(certificate: trustme.LeafCert) -> TlsServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return TlsServer(lambda number, received, connection: http(200), context=context)


def upstream_at(base_url: str, **more: Any) -> compat.StudentSessions:
    return compat.StudentSessions(base_url, api_token="t0ken", secret_key="s3cret", retries=FAST, **more)


def told(upstream: compat.StudentSessions, kind: type[requests.ConnectionError] = requests.ConnectionError) -> str:
    """What the client says; the adapter says the same, as an error of ``requests``."""
    with pytest.raises(compat.UpstreamUnreachable) as raised:
        compat.ExamStudentsClient(upstream).index_students(17)
    with pytest.raises(requests.ConnectionError) as through:
        listed(mounted(upstream))
    assert (type(through.value), str(through.value)) == (kind, str(raised.value))
    for secret in ("t0ken", "s3cret", "signature", "api/v3"):
        assert secret not in str(raised.value)
    return str(raised.value)


class PlainServer(RawServer):
    """Answers in plain HTTP whatever came."""

    def _serve_one(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(http(400))


class HangsUp(RawServer):
    """Reads what came, and closes."""

    def _serve_one(self, connection: socket.socket) -> None:
        connection.recv(65536)


SSL = requests.exceptions.SSLError


@pytest.mark.usefixtures("_trusted")
def test_a_certificate_that_has_expired(authority: trustme.CA) -> None:
    ended = datetime.datetime(2026, 1, 3, 12, tzinfo=datetime.timezone.utc)
    with serving(authority.issue_cert("127.0.0.1", not_before=ended - DAY, not_after=ended)) as server:
        assert told(upstream_at(server.base_url), SSL) == (
            f"The student sessions upstream at {place_of(server.base_url)} could not be reached: "
            f"its certificate has expired on 2026-01-03. {RENEW}"
        )


@pytest.mark.usefixtures("_trusted")
def test_a_certificate_that_is_not_good_yet(authority: trustme.CA) -> None:
    begins = datetime.datetime.now(datetime.timezone.utc) + 30 * DAY
    with serving(authority.issue_cert("127.0.0.1", not_before=begins, not_after=begins + DAY)) as server:
        assert told(upstream_at(server.base_url), SSL) == (
            f"The student sessions upstream at {place_of(server.base_url)} could not be reached: its certificate is "
            f"not good before {begins:%Y-%m-%d}. Set the clock of this machine right; if it is right, have the "
            "certificate replaced by whoever runs it."
        )


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["other.example.org"], "other.example.org"),
        (["a.example.org", "*.b.example.org", "192.0.2.1"], "a.example.org and *.b.example.org and 192.0.2.1"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_for_another_name(authority: trustme.CA, host: str, names: list[str], said: str) -> None:
    with serving(authority.issue_cert(*names)) as server:
        base_url = server.base_url.replace("127.0.0.1", host)
        assert told(upstream_at(base_url), SSL) == (
            f"The student sessions upstream at {place_of(base_url)} could not be reached: its certificate is for "
            f"{said}, and not for {host}. Ask for it by a name that the certificate has, or have one made for this "
            "name."
        )


def test_an_authority_that_is_not_known() -> None:
    with serving(trustme.CA().issue_cert("127.0.0.1")) as server:
        assert told(upstream_at(server.base_url), SSL) == (
            f"The student sessions upstream at {place_of(server.base_url)} could not be reached: its certificate is "
            f"signed by an authority that is not known here. {TRUST}"
        )


def test_http_where_tls_is_meant() -> None:
    with PlainServer(lambda number, received, connection: None) as server:
        base_url = server.base_url.replace("http:", "https:")
        assert told(upstream_at(base_url), SSL) == (
            f"The student sessions upstream at {place_of(base_url)} could not be reached: what answers there does not "
            "speak TLS. Look whether the port is right, and whether http is meant."
        )


def test_a_server_that_hangs_up_before_tls() -> None:
    with HangsUp(lambda number, received, connection: None) as server:
        base_url = server.base_url.replace("http:", "https:")
        assert told(upstream_at(base_url), SSL) == (
            f"The student sessions upstream at {place_of(base_url)} could not be reached: the connection was closed "
            f"while TLS was agreed on. {LATER}"
        )


def test_a_closed_port() -> None:
    base_url = closed_port()
    assert told(upstream_at(base_url)) == (
        f"The student sessions upstream at {place_of(base_url)} could not be reached: connection refused. "
        "Look whether it runs there, and whether the port is right."
    )


def test_a_host_that_there_is_not() -> None:
    with pytest.raises(socket.gaierror) as raised:
        socket.getaddrinfo("exam-compat.invalid", 443)
    # Without a name server at all, the system says so.
    reason = {
        socket.EAI_NONAME: "no such host. Look whether the name is written right, and whether this machine looks "
        "names up.",
        socket.EAI_AGAIN: "its name could not be looked up at the moment. Look whether this machine reaches its name "
        "server.",
    }
    start = "The student sessions upstream at exam-compat.invalid:443 could not be reached: "
    assert told(upstream_at("https://exam-compat.invalid")) == start + reason[raised.value.args[0]]
    for code, words in reason.items():
        error = requests.ConnectionError(socket.gaierror(code, "words of the system's"))
        assert connection_failure(error, "https://exam-compat.invalid/x?signature=y").told(
            "student sessions upstream"
        ) == (start + words)


def test_a_server_that_hangs_up() -> None:
    def reset(number: int, received: Received, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    for answer in (lambda number, received, connection: None, reset):
        with RawServer(answer) as server:
            assert told(upstream_at(server.base_url)) == (
                f"The student sessions upstream at {place_of(server.base_url)} gave no whole answer: "
                f"the connection was closed before an answer came. {LATER}"
            )


def test_a_server_that_stops_in_the_middle() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"
    with RawServer(lambda number, received, connection: cut) as server:
        assert told(upstream_at(server.base_url)) == (
            f"The student sessions upstream at {place_of(server.base_url)} gave no whole answer: "
            f"the connection was closed in the middle of the answer. {LATER}"
        )


def test_what_answers_is_no_endpoint() -> None:
    with RawServer(lambda number, received, connection: b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as server:
        said = told(upstream_at(server.base_url))
    assert "not HTTP/1.1 that can be read" in said or "what came is no HTTP answer" in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_has_stopped(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    stopped = closed_port()
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", stopped.replace("://", "://me:pa55word@"))
    said = told(upstream_at(f"{scheme}://sessions.example.org"), requests.exceptions.ProxyError)
    port = {"http": 80, "https": 443}[scheme]
    assert said == (
        f"The student sessions upstream at sessions.example.org:{port} could not be reached: the proxy "
        f"{place_of(stopped)} could not be reached: connection refused. {PROXIES}"
    )


def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(lambda number, received, connection: http(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        said = told(upstream_at("https://sessions.example.org"), requests.exceptions.ProxyError)
        assert said == (
            "The student sessions upstream at sessions.example.org:443 could not be reached: the proxy "
            f"{place_of(proxy.base_url)} answered with status 407. Have whoever runs the proxy let this through, or "
            "name the host in NO_PROXY."
        )


@pytest.mark.usefixtures("_trusted")
def test_a_certificate_behind_a_proxy(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another way than ours nobody looks at the certificate: what is wrong is said, and the day is not."""
    ended = datetime.datetime(2026, 1, 3, 12, tzinfo=datetime.timezone.utc)
    leaf = authority.issue_cert("127.0.0.1", not_before=ended - DAY, not_after=ended)
    with serving(leaf) as server, RawServer(Proxy().answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        assert told(upstream_at(server.base_url), SSL) == (
            f"The student sessions upstream at {place_of(server.base_url)} could not be reached: "
            f"its certificate has expired. {RENEW}"
        )


def test_a_session_of_ones_own_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = closed_port()
    session = requests.Session()
    session.proxies = {"http": stopped}
    with pytest.raises(compat.UpstreamUnreachable) as raised:
        compat.ExamStudentsClient(upstream_at("http://sessions.example.org", session=session)).index_students(17)
    assert f"the proxy {place_of(stopped)} could not be reached: connection refused. {PROXIES}" in str(raised.value)


def test_an_error_that_is_not_known_is_named() -> None:
    class OddError(Exception):
        pass

    failure = connection_failure(OddError("a secret"), "https://[::1]:9/path")
    assert failure.told("old endpoint") == (
        f"The old endpoint at [::1]:9 could not be reached: an error of the kind OddError. {LATER}"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (420.4, "7 minutes ahead"),
        (-420.4, "7 minutes behind"),
        (-61, "1 minute behind"),
        (59, "59 seconds ahead"),
        (7200, "2 hours ahead"),
        (-200_000, "2 days behind"),
    ],
)
def test_how_far_a_clock_is_off(seconds: float, said: str) -> None:
    assert clock_words(seconds) == said


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("minutes", "said"), [(7, "7 minutes behind"), (-7, "7 minutes ahead")])
def test_a_call_that_is_refused_while_the_clocks_differ(status: int, minutes: int, said: str) -> None:
    def refuse(number: int, received: Received, connection: socket.socket) -> bytes:
        theirs = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        return http(status, b'{"error":"no"}', {"Date": format_datetime(theirs, usegmt=True)})

    with RawServer(refuse) as server:
        upstream = upstream_at(server.base_url)
        with pytest.raises(compat.NotAuthorized) as raised:
            compat.ExamStudentsClient(upstream).index_students(17)
        hint = (
            f"The clock of this machine is {said} by that of {place_of(server.base_url)}, and calls are signed with "
            "the time: set it right."
        )
        assert (raised.value.message, raised.value.hint) == ("You are not authorized to access this page.", hint)
        assert str(raised.value) == f"You are not authorized to access this page. {hint}"
        with pytest.raises(compat.NotAuthorized) as written:
            compat.ExamStudentsClient(upstream).add_student(17, "A", "a@example.org")
        assert written.value.hint == hint
        # A caller is told what the old endpoint told it, and nothing of this machine.
        answer = listed(mounted(upstream))
        assert json.loads(answer.text) == {"error": "You are not authorized to access this page.", "errors": {}}


@pytest.mark.parametrize("date", ["", "yesterday", None])
def test_a_call_that_is_refused_while_the_clocks_agree(date: str | None) -> None:
    now = format_datetime(datetime.datetime.now(datetime.timezone.utc), usegmt=True)
    headers = {"Date": now if date is None else date}
    with RawServer(lambda number, received, connection: http(403, headers=headers)) as server:
        with pytest.raises(compat.NotAuthorized) as raised:
            compat.ExamStudentsClient(upstream_at(server.base_url)).index_students(17)
        assert str(raised.value) == "You are not authorized to access this page."


def invalid(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_code = code
    return error


def misspoken(reason: str) -> ssl.SSLError:
    error = ssl.SSLError()
    error.reason = reason
    return error


SAID: tuple[tuple[BaseException, str | None], ...] = (
    (socket.gaierror(socket.EAI_NONAME, ""), None),
    (socket.gaierror(socket.EAI_AGAIN, ""), None),
    (ConnectionRefusedError(), None),
    (TimeoutError(), None),
    (OSError(errno.EHOSTUNREACH, ""), None),
    (invalid(10), None),
    (invalid(9), None),
    (invalid(62), None),
    (invalid(20), None),
    (misspoken("WRONG_VERSION_NUMBER"), None),
    (ssl.SSLEOFError(), None),
    (ConnectionResetError(), None),
    (IncompleteRead(b""), None),
    (ProxyError("", ConnectionRefusedError()), "http://proxy:3128"),
    (ProxyError("", OSError("Tunnel connection failed: 407 Authentication")), "http://proxy:3128"),
)


def test_the_documented_words_are_those_that_are_said() -> None:
    page = (Path(compat.__file__).parents[1] / "docs" / "connections.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!why|---)(.+?) \| (.+?) \|$", page.partition("## A clock")[0], flags=re.MULTILINE)
    now = time.time()
    said = []
    for error, proxy in SAID:
        shown = failures.Certificate(("other",), begins=now + 9e6, ends=now - 9e6)
        failures._shown["host", 443] = (time.monotonic(), shown)
        failure = connection_failure(error, "https://host", proxy, 10)
        changing = (
            r"\d{4}-\d\d-\d\d|(?<=within )10|(?<=for )(other|host)\b|(?<=proxy )proxy:3128|connection refused$|407"
        )
        reason = re.sub(changing, "…", failure.reason) if failure.reason != "connection refused" else failure.reason
        said.append((reason, failure.remedy))
    assert rows == said
