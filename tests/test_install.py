"""install(): every requests call of the process, and nothing left behind by uninstall()."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from support import OLD, RawServer, http, upstream_of

import compat
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

LIST = f"{OLD}/api/v3/exams/17/index_students"
ORIGINAL = requests.Session.get_adapter


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    compat.uninstall()
    left, requests.Session.get_adapter = requests.Session.get_adapter, ORIGINAL  # type: ignore[method-assign]
    assert left is ORIGINAL


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
