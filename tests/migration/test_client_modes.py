"""The client class in every mode: the same answers and the same errors, whichever endpoint gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from support import FAST, KINDS, closed_port, upstream_of

import compat
from compat.config.file import read_config
from compat.entrances import client as client_module
from compat.migration.modes.sides import LegacyEndpoint
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

MODES = ("legacy", "shadow", "canary:0", "canary:100", "new", "new+fallback")
OLD = ("legacy", "shadow", "canary:0")
WAIT = 30.0

Make = Callable[..., compat.ExamStudentsClient]


@pytest.fixture
def make(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[compat.ExamStudentsClient] = []
    monkeypatch.setattr(
        client_module, "LegacyEndpoint", lambda base_url, account: LegacyEndpoint(base_url, account, FAST)
    )

    def client(mode: str, kind: str = "student_sessions", base: str | None = None, **more: Any) -> Any:
        content = {**sandbox.settings(kind), "migration": {"mode": mode}, "store": {"url": "memory://client"}}
        content["legacy"] = {**content["legacy"], "api_token": sandbox.api_token, "secret_key": sandbox.secret_key}
        if base is not None:
            content["legacy"]["base_url"] = base
        configuration = replace(read_config(content), upstream=upstream_of(sandbox, kind, **more))
        made.append(compat.ExamStudentsClient(configuration))
        return made[-1]

    yield client
    for each in made:
        each._router.close(WAIT)


def _asked(sandbox: Sandbox) -> set[str]:
    return {call.interface for call in sandbox.calls}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_the_same_lists_and_the_same_errors(make: Make, sandbox: Sandbox, mode: str, kind: str) -> None:
    client = make(mode, kind)
    page = client.index_students(17, page=2, limit=6, sort=[{"id": "asc"}])
    assert (len(page.students), page.item_count, page.page_count, page.page, page.limit) == (6, 20, 4, 2, 6)
    one = page.students[0]["id"]
    assert client.show_student(17, one)["id"] == one
    with pytest.raises(compat.StudentSessionNotFound):
        client.show_student(17, 10**9)
    with pytest.raises(compat.InvalidParameter) as refused:
        client.index_students(17, page=0)
    assert refused.value.errors == {"page": ["Must be at least 1."]}
    router = client._router
    assert router.background.settle(WAIT)
    assert router.background.done == (4 if mode in ("shadow", "canary:0", "canary:100") else 0)
    served = {"legacy"} if mode == "legacy" else set()
    assert _asked(sandbox) >= ({"legacy"} if mode in OLD else {kind})
    assert mode != "legacy" or _asked(sandbox) == served
    assert mode not in ("new", "new+fallback") or "legacy" not in _asked(sandbox)


@pytest.mark.parametrize("mode", MODES)
def test_a_write_goes_to_one_endpoint_and_once(make: Make, sandbox: Sandbox, mode: str) -> None:
    client = make(mode)
    added = client.add_student(17, "Zoë", "zoë@example.com", individual_info="a=b&c", skip_requirements=True)
    assert (added["name"], added["individual_info"], added["skip_requirements"]) == ("Zoë", "a=b&c", True)
    assert client.delete_student(17, added["id"]) == {}
    written = [(call.interface, call.method) for call in sandbox.calls if call.method in ("POST", "DELETE")]
    side = "legacy" if mode in OLD else "student_sessions"
    assert written == [(side, "POST"), (side, "DELETE")]


def test_fallback(make: Make, sandbox: Sandbox) -> None:
    client = make("new+fallback", base_url=closed_port())
    assert client.index_students(17).item_count == 20
    with pytest.raises(compat.UpstreamUnreachable):
        client.add_student(17, "Zoë", "zoë@example.com")
    assert {(call.interface, call.method) for call in sandbox.calls} == {("legacy", "GET")}


def test_an_old_endpoint_that_is_gone(make: Make) -> None:
    with pytest.raises(
        compat.UpstreamUnreachable, match=r"old upstream at \S+ could not be reached: connection refused"
    ):
        make("legacy", base=closed_port()).index_students(17)


def test_what_is_installed_does_not_take_the_old_endpoints_calls(make: Make, sandbox: Sandbox) -> None:
    compat.install(sandbox.base_url, upstream_of(sandbox, "student_sessions"))
    try:
        assert make("legacy").index_students(17).item_count == 20
    finally:
        compat.uninstall()
    assert _asked(sandbox) == {"legacy"}


def test_what_is_lacking_is_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {**sandbox.settings("paginated_sessions"), "migration": {"mode": "shadow"}}
    with pytest.raises(
        compat.ConfigurationError, match=r"mode = 'shadow' needs api_token and secret_key in \[legacy\]"
    ):
        compat.ExamStudentsClient(read_config(content))
    alone = compat.ExamStudentsClient(upstream_of(sandbox, "student_sessions"))
    assert alone.index_students(17).item_count == 20
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    with pytest.raises(compat.ConfigurationError, match=r"EXAM_COMPAT_MODE=legacy: needs base_url in \[legacy\]"):
        alone.index_students(17)


def test_half_an_account_is_refused(sandbox: Sandbox) -> None:
    content = sandbox.settings("student_sessions")
    content["legacy"]["api_token"] = "only"
    with pytest.raises(compat.ConfigurationError, match=r"^\[legacy\]: api_token and secret_key go together"):
        read_config(content)
    read = read_config({**content, "legacy": {"api_token": "t0ken", "secret_key": "s3cret"}})
    assert read.legacy_account == compat.Caller("legacy", "t0ken", "s3cret")
    assert "s3cret" not in repr(read)
