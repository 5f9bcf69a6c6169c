"""What a script's session and call say of the network: the new endpoint is asked as plain ``requests`` would ask it.

Each row is sent twice: by plain ``requests`` to a server, and to the old endpoint through the shim in front of the same
server. Both have to come out the same: status or error, proxies asked, certificates shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from support import closed_port
from urllib3 import Timeout
from wish_servers import World, world, write_certificates

import compat

pytestmark = pytest.mark.filterwarnings(
    "ignore::compat.LegacyApiWarning", "ignore::urllib3.exceptions.InsecureRequestWarning"
)

PATH = "/api/v3/exams/17/index_students"
ONCE = compat.RetryPolicy(attempts=1)


class Wish(NamedTuple):
    """One row.

    Attributes:
        says: what it is, for the test's name.
        environment: variable to value.
        session: attribute of the session to value.
        call: keyword of the call to value.
        scheme: of both endpoints.
    """

    says: str
    environment: Mapping[str, str] = {}
    session: Mapping[str, Any] = {}
    call: Mapping[str, Any] = {}
    scheme: str = "http"


# A text in braces is a place of the world's: PROXY, NOWHERE (a closed port), PORT, or a file of its folder.
ENV = {"HTTP_PROXY": "{PROXY}"}
ENV_TLS = {"HTTPS_PROXY": "{PROXY}", "REQUESTS_CA_BUNDLE": "{ca.pem}"}
BAD = {"HTTP_PROXY": "{NOWHERE}"}
WISHES = [
    Wish("nothing"),
    Wish("a proxy of the environment", ENV),
    Wish("a proxy of the environment in lower case", {"http_proxy": "{PROXY}"}),
    Wish("a proxy of the environment that is not there", BAD),
    Wish("a proxy for all of the environment", {"ALL_PROXY": "{PROXY}"}),
    Wish("a proxy with credentials", {"HTTP_PROXY": "{PROXY_WITH_USER}"}),
    Wish("another scheme's proxy", {"HTTPS_PROXY": "{NOWHERE}"}),
    Wish("no trust in the environment", BAD, {"trust_env": False}),
    Wish("no trust, and a proxy of the session", BAD, {"trust_env": False, "proxies": {"http": "{PROXY}"}}),
    Wish(
        "no trust, and the environment's own proxy",
        {**ENV, "NO_PROXY": "*"},
        {"trust_env": False},
        {"proxies": {"http": "{PROXY}"}},
    ),
    Wish("a proxy of the session", {}, {"proxies": {"http": "{PROXY}"}}),
    Wish("a proxy of the session against one of the environment", BAD, {"proxies": {"http": "{PROXY}"}}),
    Wish("a proxy of the call", {}, {}, {"proxies": {"http": "{PROXY}"}}),
    Wish(
        "a proxy of the call against all others",
        BAD,
        {"proxies": {"http": "{NOWHERE}"}},
        {"proxies": {"http": "{PROXY}"}},
    ),
    Wish("a proxy of the call for all", {}, {}, {"proxies": {"all": "{PROXY}"}}),
    Wish("a proxy of the call for all against one of the environment", BAD, {}, {"proxies": {"all": "{PROXY}"}}),
    Wish("a proxy for another host", {}, {}, {"proxies": {"http://elsewhere.example": "{NOWHERE}"}}),
    Wish("a proxy for the host", {}, {}, {"proxies": {"http://127.0.0.1": "{PROXY}", "http": "{NOWHERE}"}}),
    Wish("no proxy", BAD, {}, {"proxies": {"http": None}}),
    Wish("no proxy, where the old host has none", {**BAD, "NO_PROXY": "old.example"}, {}, {"proxies": {"http": None}}),
    Wish("no proxy of the session", BAD, {"proxies": {"http": None}}),
    Wish("an empty proxy", BAD, {}, {"proxies": {"http": ""}}),
    Wish("no proxy for a host", {**BAD, "NO_PROXY": "127.0.0.1"}),
    Wish("no proxy for a host in lower case", {**BAD, "no_proxy": "127.0.0.1"}),
    Wish("no proxy for a network", {**BAD, "NO_PROXY": "127.0.0.0/8"}),
    Wish("no proxy for a host and port", {**BAD, "NO_PROXY": "127.0.0.1:{PORT}"}),
    Wish("no proxy for any host", {**BAD, "NO_PROXY": "*"}),
    Wish("no proxy for the old host alone", {**ENV, "NO_PROXY": "old.example"}),
    Wish(
        "no proxy for the old host, and one of the session",
        {**ENV, "NO_PROXY": "old.example"},
        {"proxies": {"http": "{NOWHERE}"}},
    ),
    Wish("no proxy for the old host, and no trust", {**BAD, "NO_PROXY": "old.example"}, {"trust_env": False}),
    Wish(
        "no proxy for the host, and one of the session",
        {**BAD, "NO_PROXY": "127.0.0.1"},
        {"proxies": {"http": "{PROXY}"}},
    ),
    Wish("no_proxy in the call", BAD, {}, {"proxies": {"no_proxy": "127.0.0.1"}}),
    Wish("a proxy that is none", {}, {}, {"proxies": {"http": "http://"}}),
    Wish("certificates that nobody knows", scheme="https"),
    Wish("certificates of the environment", {"REQUESTS_CA_BUNDLE": "{ca.pem}"}, scheme="https"),
    Wish("certificates of the environment for curl", {"CURL_CA_BUNDLE": "{ca.pem}"}, scheme="https"),
    Wish("a folder of certificates of the environment", {"REQUESTS_CA_BUNDLE": "{ca}"}, scheme="https"),
    Wish(
        "certificates of the environment without trust",
        {"REQUESTS_CA_BUNDLE": "{ca.pem}"},
        {"trust_env": False},
        scheme="https",
    ),
    Wish(
        "wrong ones of the environment without trust",
        {"REQUESTS_CA_BUNDLE": "{other.pem}"},
        {"trust_env": False, "verify": "{ca.pem}"},
        scheme="https",
    ),
    Wish("certificates of the session", {}, {"verify": "{ca.pem}"}, scheme="https"),
    Wish(
        "certificates of the session against the environment",
        {"REQUESTS_CA_BUNDLE": "{other.pem}"},
        {"verify": "{ca.pem}"},
        scheme="https",
    ),
    Wish("certificates of the call", {"REQUESTS_CA_BUNDLE": "{other.pem}"}, {}, {"verify": "{ca.pem}"}, "https"),
    Wish("a folder of certificates", {}, {}, {"verify": "{ca}"}, "https"),
    Wish("a folder of others", {}, {}, {"verify": "{other}"}, "https"),
    Wish("certificates that are missing", {}, {}, {"verify": "{missing.pem}"}, "https"),
    Wish("no check by the call", {}, {}, {"verify": False}, "https"),
    Wish(
        "no check by the call against the environment",
        {"REQUESTS_CA_BUNDLE": "{other.pem}"},
        {},
        {"verify": False},
        "https",
    ),
    Wish("no check by the session", {}, {"verify": False}, scheme="https"),
    Wish(
        "no check by the session against the environment",
        {"REQUESTS_CA_BUNDLE": "{other.pem}"},
        {"verify": False},
        scheme="https",
    ),
    Wish("the usual check against the session", {}, {"verify": False}, {"verify": True}, "https"),
    Wish("a certificate of the client", {}, {"verify": "{ca.pem}"}, {"cert": "{both.pem}"}, "https"),
    Wish("a certificate and a key", {}, {"verify": "{ca.pem}", "cert": ("{client.pem}", "{key.pem}")}, scheme="https"),
    Wish("a certificate that is missing", {}, {"verify": "{ca.pem}"}, {"cert": "{missing.pem}"}, "https"),
    Wish("a tunnel", ENV_TLS, scheme="https"),
    Wish(
        "a tunnel of the call with credentials",
        {"REQUESTS_CA_BUNDLE": "{ca.pem}"},
        {},
        {"proxies": {"https": "{PROXY_WITH_USER}"}},
        "https",
    ),
    Wish("no tunnel", {**ENV_TLS, "HTTPS_PROXY": "{NOWHERE}"}, {}, {"proxies": {"https": None}}, "https"),
    *(
        Wish(f"a timeout of {value!r}", call={"timeout": value})
        for value in (
            9,
            9.5,
            None,
            (9, None),
            (None, 9),
            (None, None),
            Timeout(9),
            Timeout(connect=None, read=None),
            Timeout(total=9, connect=8, read=None),
            Timeout(),
            Timeout(total=Timeout.DEFAULT_TIMEOUT),
        )
    ),
    *(
        Wish(f"a timeout that is none, {value!r}", call={"timeout": value})
        for value in (0, -1, "9", True, (1, 2, 3), (1,), (0, 9), [9, 9], object)
    ),
]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    folder = tmp_path_factory.mktemp("certificates")
    write_certificates(folder)
    with world("http", folder) as plain, world("https", folder) as secured:
        yield {"http": plain, "https": secured}


def filled(value: Any, place: World) -> Any:
    """A value with its places filled in."""
    if isinstance(value, Mapping):
        return {name: filled(each, place) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(filled(each, place) for each in value)
    if not isinstance(value, str):
        return value
    before, _, rest = value.partition("{")
    name, _, after = rest.partition("}")
    if not name:
        return value
    places = {
        "PROXY": place.proxy_url,
        "PROXY_WITH_USER": place.proxy_url.replace("//", "//ann:secret@"),
        "NOWHERE": closed_port(),
        "PORT": place.server.base_url.rpartition(":")[2],
    }
    return before + places.get(name, place.path(name)) + after


def outcome(place: World, act: Callable[[], requests.Response]) -> Any:
    """What came of a call, and what the servers saw of it."""
    place.proxy.asked.clear()
    place.seen.clear()
    try:
        came: Any = act().status_code
    except (OSError, ValueError) as error:
        came = type(error), isinstance(error, requests.RequestException) or str(error)
    proxied = [(target.partition("?")[0].removesuffix(PATH), user) for target, user in place.proxy.asked]
    return came, [(target.removesuffix("/api/v3/student_sessions"), user) for target, user in proxied], place.seen[:]


def entrances() -> list[Any]:
    return ["mount", "install", "adapter", "copy"]


@pytest.mark.parametrize("entrance", entrances())
@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: f"{wish.scheme}: {wish.says}")
def test_a_wish(worlds: dict[str, World], wish: Wish, entrance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = worlds[wish.scheme]
    for name, value in wish.environment.items():
        monkeypatch.setenv(name, filled(value, place))

    def wished(session: requests.Session, base: str) -> requests.Response:
        for name, value in wish.session.items():
            setattr(session, name, filled(value, place))
        return session.get(base + PATH, **filled(wish.call, place))

    expected = outcome(place, lambda: wished(requests.Session(), place.server.base_url))
    old = f"{wish.scheme}://old.example"
    upstream = compat.StudentSessions(place.server.base_url, api_token="t", secret_key="s", retries=ONCE)
    session = requests.Session()
    if entrance == "install":
        compat.install(old, upstream)
    elif entrance == "adapter":
        session.mount(old, compat.ExamStudentsAdapter(old, upstream))
    else:
        compat.mount(session, old, upstream)
    if entrance == "copy":
        other = requests.Session()
        other.adapters, other.trust_env = session.adapters, session.trust_env
        session.proxies, session.verify, session.trust_env = {"http": "http://nowhere.example"}, False, False
        session = other
    try:
        assert outcome(place, lambda: wished(session, old)) == expected
    finally:
        compat.uninstall()


def test_the_rows_differ(worlds: dict[str, World]) -> None:
    """A table whose rows come out alike would prove nothing."""
    assert len({wish.says for wish in WISHES}) == len(WISHES)
    assert not {"HTTP_PROXY", "REQUESTS_CA_BUNDLE"} & set(os.environ)
    assert Path(worlds["https"].path("ca.pem")).is_file()
