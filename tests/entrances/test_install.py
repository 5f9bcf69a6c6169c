"""install(): every call of the process by a library that is covered, and nothing left behind by uninstall()."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import vcr
from requests.adapters import HTTPAdapter
from support import OLD, RawServer, http, upstream_of

import compat
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

LIST = f"{OLD}/api/v3/exams/17/index_students"
ORIGINAL = requests.Session.get_adapter
PLACES: tuple[tuple[Any, str], ...] = (
    (requests.Session, "get_adapter"),
    (httpx.HTTPTransport, "handle_request"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (urllib.request.AbstractHTTPHandler, "do_open"),
)
ORIGINALS = [getattr(owner, name) for owner, name in PLACES]


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    finders = list(sys.meta_path)
    yield
    compat.uninstall()
    left = [getattr(owner, name) for owner, name in PLACES]
    for (owner, name), original in zip(PLACES, ORIGINALS, strict=True):
        setattr(owner, name, original)
    assert left == ORIGINALS
    assert sys.meta_path == finders


class Recording(HTTPAdapter):
    """A real adapter that also says what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def send(self, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        self.urls.append(request.url or "")
        return super().send(request, *arguments, **more)


@pytest.fixture
def upstream(sandbox: Sandbox) -> Any:
    return upstream_of(sandbox, "student_sessions")


def test_a_bare_get_and_sessions_made_before(upstream: Any) -> None:
    before = requests.Session()
    compat.install(OLD, upstream)
    assert len(requests.get(LIST, timeout=9).json()["students"]) == 20
    assert len(before.get(LIST, timeout=9).json()["students"]) == 20
    assert len(requests.Session().request("get", LIST).json()["students"]) == 20


def test_other_hosts_and_routes_keep_their_adapters(upstream: Any) -> None:
    with RawServer(lambda number, received, connection: http(200, b'"raw"')) as server:
        compat.install(server.base_url, upstream)
        session, own = requests.Session(), Recording()
        session.mount(server.base_url, own)
        assert len(session.get(f"{server.base_url}/api/v3/exams/17/index_students").json()["students"]) == 20
        assert own.urls == []
        assert session.get(f"{server.base_url}/api/v3/exams/17/show_lti_student").json() == "raw"
        assert own.urls == [f"{server.base_url}/api/v3/exams/17/show_lti_student"]
        # At another host a script finds the very adapter that it mounted.
        session.mount("http://other.example", own)
        assert session.get_adapter("http://other.example/x") is own


def test_installing_twice_replaces(sandbox: Sandbox, upstream: Any) -> None:
    compat.install("https://first.example", upstream)
    patched = requests.Session.get_adapter
    compat.install(OLD, upstream)
    assert requests.Session.get_adapter is patched
    assert requests.get(LIST, timeout=9).status_code == 200
    plain = requests.Session().get_adapter("https://first.example/api/v3/exams/17/index_students")
    assert type(plain) is HTTPAdapter


def test_a_session_with_its_own_mount_is_asked_once(sandbox: Sandbox, upstream: Any) -> None:
    session = requests.Session()
    compat.mount(session, OLD, upstream)
    compat.install(OLD, upstream)
    assert session.get(LIST).status_code == 200
    assert len([call for call in sandbox.calls if call.interface == "student_sessions"]) == 3


def wrap(seen: list[str]) -> Any:
    """What another tool does to ``requests``; returns what undoes it."""
    before = requests.Session.get_adapter

    def get_adapter(self: requests.Session, url: str) -> Any:
        seen.append(url)
        return before(self, url)

    requests.Session.get_adapter = get_adapter  # type: ignore[method-assign]

    def undo() -> None:
        requests.Session.get_adapter = before  # type: ignore[method-assign]

    return undo


def test_a_tool_that_wrapped_after_us(upstream: Any) -> None:
    seen: list[str] = []
    compat.install(OLD, upstream)
    undo = wrap(seen)
    assert requests.get(LIST, timeout=9).status_code == 200
    assert seen[0] == LIST
    compat.uninstall()
    assert type(requests.Session().get_adapter(LIST)) is HTTPAdapter
    compat.install(OLD, upstream)
    assert requests.get(LIST, timeout=9).status_code == 200
    compat.uninstall()
    undo()
    assert type(requests.Session().get_adapter(LIST)) is HTTPAdapter
    requests.Session.get_adapter = ORIGINAL  # type: ignore[method-assign]


def test_a_tool_that_wrapped_before_us_and_went_away(upstream: Any) -> None:
    undo = wrap([])
    compat.install(OLD, upstream)
    undo()
    # It took us along; installing again has to take effect again.
    compat.install(OLD, upstream)
    assert requests.get(LIST, timeout=9).status_code == 200


def test_uninstall_restores(upstream: Any) -> None:
    compat.uninstall()
    compat.install(OLD, upstream)
    assert requests.Session.get_adapter is not ORIGINAL
    compat.uninstall()
    compat.uninstall()
    assert requests.Session.get_adapter is ORIGINAL


def test_from_the_configuration_file(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(compat.ConfigurationError, match="no configuration"):
        compat.install()
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
    adapter = compat.install()
    assert adapter.legacy_base_url == sandbox.base_url
    assert requests.get(f"{sandbox.base_url}/api/v3/exams/17/index_students", timeout=9).status_code == 200


def test_without_an_old_endpoint(upstream: Any) -> None:
    with pytest.raises(compat.ConfigurationError, match=r"^\[legacy\] base_url: needed"):
        compat.install(upstream=upstream)
    assert requests.Session.get_adapter is ORIGINAL


def test_a_response_names_the_adapter_that_sent_it(upstream: Any) -> None:
    compat.install(OLD, upstream)
    found: Any = requests.Session().get_adapter(LIST)
    # What scripts set and read of an HTTPAdapter is still there.
    assert found.max_retries.total == 0
    with pytest.raises(AttributeError):
        _ = found.no_such_attribute


def test_httpx_clients_made_before_and_subclasses(upstream: Any) -> None:
    class Client(httpx.Client):
        def get(self, *arguments: Any, **options: Any) -> httpx.Response:
            return super().get(*arguments, **{**options, "headers": {"X-Own": "1"}})

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            answer.headers["X-Own"] = request.headers["X-Own"]
            return answer

    async def names(client: httpx.AsyncClient) -> int:
        return len((await client.get(LIST)).json()["students"])

    before, before_async = Client(transport=Transport()), httpx.AsyncClient()
    compat.install(OLD, upstream)
    found = before.get(LIST)
    assert (len(found.json()["students"]), found.headers["X-Own"]) == (20, "1")
    assert asyncio.run(names(before_async)) == 20
    assert httpx.Client(base_url=OLD).get("/api/v3/exams/17/index_students?limit=3").status_code == 200
    # What stands in for the network in a test is not the network.
    mocked = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(299)))
    assert mocked.get(LIST).status_code == 299


def test_openers_made_before_and_handlers_of_ones_own(upstream: Any) -> None:
    class Own(urllib.request.HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            request.add_header("X-Own", "1")
            return super().https_open(request)

    before = urllib.request.build_opener(Own())
    compat.install(OLD, upstream)
    for opened in (before.open, urllib.request.build_opener().open, urllib.request.urlopen):
        with opened(LIST, timeout=20) as answer:
            assert len(json.load(answer)["students"]) == 20


@pytest.mark.parametrize("owner", [httpx.HTTPTransport, urllib.request.AbstractHTTPHandler])
def test_a_tool_that_wraps_another_library(upstream: Any, owner: Any) -> None:
    name = "handle_request" if owner is httpx.HTTPTransport else "do_open"

    def ask() -> int:
        if owner is httpx.HTTPTransport:
            return httpx.get(LIST, timeout=20).status_code
        with urllib.request.urlopen(LIST, timeout=20) as answer:
            return int(answer.status)

    def wrap(seen: list[int]) -> Callable[[], None]:
        before = getattr(owner, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            seen.append(1)
            return before(*arguments, **options)

        setattr(owner, name, wrapped)
        return lambda: setattr(owner, name, before)

    outer: list[int] = []
    original = getattr(owner, name)
    compat.install(OLD, upstream)
    undo = wrap(outer)
    assert (ask(), len(outer)) == (200, 1)
    # Installing again has it stand before the tool too, and answers once.
    compat.install(OLD, upstream)
    assert (ask(), len(outer)) == (200, 1)
    compat.uninstall()
    undo()
    # It took us along; what it puts back passes calls on.
    compat.install(OLD, upstream)
    assert ask() == 200
    compat.uninstall()
    setattr(owner, name, original)


LATER = """
import sys, compat
before = list(sys.meta_path)
base = sys.argv[1]
url = base + "/api/v3/exams/17/index_students"
compat.install(base, compat.load_config())
assert "httpx" not in sys.modules
import httpx, urllib.request
print(httpx.get(url).headers["X-Compat-Answered-By"], urllib.request.urlopen(url).headers["X-Compat-Answered-By"])
compat.uninstall()
assert sys.meta_path == before
print(httpx.HTTPTransport.handle_request.__code__.co_filename == httpx._transports.default.__file__)
"""
AT_ONCE = """
import sys, threading, urllib.request
url = sys.argv[1] + "/api/v3/exams/17/index_students"
assert "compat" not in sys.modules
barrier, found = threading.Barrier(6), []
def call():
    barrier.wait()
    with urllib.request.urlopen(url) as answer:
        found.append(answer.headers["X-Compat-Answered-By"])
threads = [threading.Thread(target=call) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*found)
"""


@pytest.mark.parametrize(
    ("script", "variables", "printed"),
    [(LATER, {}, "new new\nTrue\n"), (AT_ONCE, {"EXAM_COMPAT": "1"}, "new new new new new new\n")],
    ids=["imported later", "first calls at once"],
)
def test_in_a_process_of_its_own(
    sandbox: Sandbox, tmp_path: Path, script: str, variables: dict[str, str], printed: str
) -> None:
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
    done = subprocess.run(
        [sys.executable, "-c", script, sandbox.base_url],
        cwd=tmp_path,
        env={"EXAM_COMPAT_WARNINGS": "ignore", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == (printed, "")


def test_a_cassette_answers_for_the_network(upstream: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """As with ``requests``: what a test plays counts, and no upstream is asked."""
    request = {"method": "GET", "uri": LIST, "body": None, "headers": {}}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "played"}}
    played = [{"request": request, "response": response}] * 2
    cassette = tmp_path / "played.json"
    cassette.write_text(json.dumps({"version": 1, "interactions": played}))
    compat.install(OLD, upstream)
    with vcr.use_cassette(str(cassette), serializer="json", record_mode="none"):
        assert httpx.get(LIST).text == "played"
        with urllib.request.urlopen(LIST) as answer:
            assert answer.read() == b"played"
    assert not sandbox.calls
    assert httpx.get(LIST).headers["X-Compat-Answered-By"] == "new"
