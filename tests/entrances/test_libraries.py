"""Every HTTP library that is covered, before the same old endpoint: one table, whichever way the shim comes in."""

from __future__ import annotations

import gzip
import json
import linecache
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from library_dialects import CALL_MARK, Dialect, Got, Shimmed
from support import FAST, OLD, QUERIES, RawServer, closed_port, http, upstream_of

import compat
from compat.core.call import Shim
from compat.deprecation import forget_shown
from compat.entrances.run import ForgivingAdapter
from compat.migration.modes.router import ModeRouter
from compat.migration.modes.rules import Mode, Rules, Scope
from compat.regression.comparing.pairs import Pair
from compat.testing.sandbox import Sandbox
from exam_compat_libraries import said

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

PATH = "/api/v3/exams/17/index_students"
WAIT = 60.0


def named(got: Got, *names: str) -> dict[str, str | None]:
    return {name: got.headers.get(name) for name in names}


def signed(sandbox: Sandbox, **parameters: str) -> str:
    return f"{PATH}?{urlencode(sandbox.signed({**parameters, 'id': '17'}))}"


@pytest.mark.parametrize("parameters", QUERIES)
def test_the_answer_is_the_old_one(shared: Sandbox, shimmed: Shimmed, parameters: dict[str, str]) -> None:
    path = signed(shared, **parameters)
    old = shimmed.dialect.ask(shared.base_url + path, headers=shared.headers)
    shimmed.begin(upstream_of(shared, "student_sessions"))
    new = shimmed.ask(OLD + path, headers=shared.headers)
    assert (new.status, json.loads(new.body)) == (old.status, json.loads(old.body))
    # What Python 3.13 calls "Unprocessable Content" keeps the name that old servers give it.
    assert new.reason == {200: "OK", 422: "Unprocessable Entity"}[old.status]
    names = [name for name in old.headers if name.lower().startswith("x-pagination-")] + ["Content-Type"]
    assert named(new, *names) == named(old, *names)
    assert (new.headers["X-Compat-Answered-By"], int(new.headers["Content-Length"])) == ("new", len(new.body))


def test_students_are_added_shown_and_deleted(sandbox: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(sandbox, "student_sessions"))
    base, form = f"{OLD}/api/v3/exams/17", {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"name": "Zoë", "email": "zoe@example.com"}).encode()
    added = shimmed.ask(f"{base}/add_student", method="POST", headers=form, body=body)
    student = json.loads(added.body)["student"]
    assert (added.status, added.reason, student["name"], len(student)) == (201, "Created", "Zoë", 57)
    shown = f"{base}/show_student?student_session_id={student['id']}"
    assert json.loads(shimmed.ask(shown).body) == {"student": student}
    as_json = json.dumps({"student_session_id": student["id"]}).encode()
    gone = shimmed.ask(
        f"{base}/delete_student", method="DELETE", headers={"Content-Type": "application/json"}, body=as_json
    )
    assert (gone.status, gone.body) == (200, b"{}")
    missing = shimmed.ask(shown)
    assert (missing.status, missing.reason) == (404, "Not Found")
    assert json.loads(missing.body)["error"] == f"Couldn't find Student Session with 'id'='{student['id']}'"


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        (401, (403, "Forbidden", "You are not authorized to access this page.")),
        (403, (403, "Forbidden", "You are not authorized to access this page.")),
        (418, (502, "Bad Gateway", "The upstream answered with status 418.")),
    ],
)
def test_what_the_upstream_refuses(shimmed: Shimmed, answered: int, expected: tuple[int, str, str]) -> None:
    with RawServer(lambda number, received, connection: http(answered)) as server:
        shimmed.begin(compat.StudentSessions(server.base_url, api_token="t", secret_key="s", retries=FAST))
        got = shimmed.ask(OLD + PATH)
    assert (got.status, got.reason, json.loads(got.body)["error"]) == expected


def test_a_refusal_before_anything_is_asked(shared: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(shared, "student_sessions"))
    got = shimmed.ask(f"{OLD}{PATH}?page=0")
    assert (got.status, got.reason) == (422, "Unprocessable Entity")
    assert json.loads(got.body)["errors"] == {"page": ["Must be at least 1."]}


def test_head_has_no_body(shared: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(shared, "student_sessions"))
    head, whole = shimmed.ask(f"{OLD}{PATH}?limit=7", method="HEAD"), shimmed.ask(f"{OLD}{PATH}?limit=7")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))


def test_a_body_that_is_read_in_pieces(shared: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(shared, "student_sessions"))
    pieces, whole = shimmed.stream(OLD + PATH), shimmed.ask(OLD + PATH).body
    assert len(pieces) > 10
    assert b"".join(pieces) == whole


def test_what_is_not_ours_goes_by_the_librarys_own_means(shimmed: Shimmed) -> None:
    def echo(number: int, received: Any, connection: Any) -> bytes:
        return http(299, received.head.split("\r\n")[0].encode() + b" " + received.body, {"X-Odd": "kept"})

    with RawServer(echo) as server:
        shimmed.begin(compat.StudentSessions("http://nowhere.invalid", api_token="t", secret_key="s"), server.base_url)
        for path in ("/api/v3/exams/17/show_lti_student?a=%20b", "/api/v3/exams"):
            got = shimmed.ask(server.base_url + path)
            assert (got.status, got.headers["X-Odd"]) == (299, "kept")
            assert got.body == f"GET {path} HTTP/1.1 ".encode()
        posted = shimmed.ask(f"{server.base_url}/x", method="POST", body=b"\x00body")
        assert posted.body == b"POST /x HTTP/1.1 \x00body"


def test_a_warning_names_the_line_that_calls(shared: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(shared, "student_sessions"))
    forget_shown()
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default", compat.LegacyApiWarning)
        for _ in range(2):
            shimmed.ask(OLD + PATH)
    (warning,) = (each for each in shown if issubclass(each.category, compat.LegacyApiWarning))
    assert Path(warning.filename).name == "library_dialects.py"
    assert CALL_MARK in linecache.getline(warning.filename, warning.lineno)
    assert str(warning.message).startswith("GET exams/:id/index_students is deprecated")


def test_a_warning_that_is_an_error(shared: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(shared, "student_sessions"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", compat.LegacyApiWarning)
        with pytest.raises(compat.LegacyApiWarning):
            shimmed.ask(OLD + PATH)


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], tuple[ModeRouter, list[Pair]]]]:
    """Makes every adapter that is made from now on have one router, which keeps what is compared."""
    routers: list[ModeRouter] = []

    def make(mode: str) -> tuple[ModeRouter, list[Pair]]:
        pairs: list[Pair] = []
        router = ModeRouter(Rules({Scope(): Mode.parse(mode, "mode")}), legacy=True, sinks=[pairs.append])
        routers.append(router)
        made = compat.ExamStudentsAdapter.__init__

        def init(self: compat.ExamStudentsAdapter, *arguments: Any, **options: Any) -> None:
            made(self, *arguments, **options)
            self.router = router

        monkeypatch.setattr(compat.ExamStudentsAdapter, "__init__", init)
        return router, pairs

    yield make
    for router in routers:
        router.close(WAIT)


MODES = [
    ("legacy", "legacy", {"legacy"}, 0),
    ("shadow", "legacy", {"legacy", "student_sessions"}, 1),
    ("canary:100", "new", {"legacy", "student_sessions"}, 1),
    ("new", "new", {"student_sessions"}, 0),
]


@pytest.mark.parametrize(("mode", "by", "asked", "compared"), MODES, ids=[row[0] for row in MODES])
def test_modes(
    sandbox: Sandbox, shimmed: Shimmed, routed: Any, mode: str, by: str, asked: set[str], compared: int
) -> None:
    router, pairs = routed(mode)
    plain = json.loads(shimmed.dialect.ask(sandbox.base_url + signed(sandbox), headers=sandbox.headers).body)
    sandbox.clear_calls()
    shimmed.begin(upstream_of(sandbox, "student_sessions"), sandbox.base_url)
    got = shimmed.ask(sandbox.base_url + signed(sandbox), headers=sandbox.headers)
    assert (got.status, got.headers["X-Compat-Answered-By"], json.loads(got.body)) == (200, by, plain)
    assert router.background.settle(WAIT)
    assert {call.interface for call in sandbox.calls} == asked
    assert len([call for call in sandbox.calls if call.interface == "legacy"]) == ("legacy" in asked)
    assert len(pairs) == compared
    for pair in pairs:
        assert (pair.old.status, pair.new.status, pair.served) == (200, 200, by)
        assert json.loads(pair.old.body) == json.loads(pair.new.body) == plain


def test_a_packed_answer_of_the_old_endpoint(shimmed: Shimmed, shared: Sandbox, routed: Any) -> None:
    """It is compared unpacked, and the script gets it as its library hands it over."""
    router, pairs = routed("shadow")
    packed = gzip.compress(b'{"students":[]}')

    with RawServer(lambda *_: http(200, packed, {"Content-Encoding": "gzip"})) as server:
        as_ever = shimmed.dialect.ask(server.base_url + PATH).body
        shimmed.begin(upstream_of(shared, "student_sessions"), server.base_url)
        got = shimmed.ask(server.base_url + PATH)
        assert router.background.settle(WAIT)
    assert (got.body, got.headers["X-Compat-Answered-By"]) == (as_ever, "legacy")
    assert [pair.old.body for pair in pairs] == [b'{"students":[]}']


def test_the_old_endpoint_answers_where_the_new_one_fails(sandbox: Sandbox, shimmed: Shimmed, routed: Any) -> None:
    routed("new+fallback")
    nobody = compat.StudentSessions(closed_port(), api_token="t", secret_key="s", retries=FAST)
    shimmed.begin(nobody, sandbox.base_url)
    got = shimmed.ask(sandbox.base_url + signed(sandbox, limit="3"), headers=sandbox.headers)
    assert (got.status, got.headers["X-Compat-Answered-By"]) == (200, "legacy")
    assert len(json.loads(got.body)["students"]) == 3
    assert [call.interface for call in sandbox.calls] == ["legacy"]


def test_an_old_endpoint_that_is_gone(shimmed: Shimmed, shared: Sandbox, routed: Any) -> None:
    """What the library raises by itself is what the script gets."""
    routed("shadow")
    base = closed_port()
    shimmed.begin(upstream_of(shared, "student_sessions"), base)
    with pytest.raises(shimmed.dialect.unreachable) as raised:
        shimmed.ask(base + PATH)
    assert "upstream" not in str(raised.value)


def test_mounted_and_installed_too_a_call_is_ours_once(
    sandbox: Sandbox, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    upstream = upstream_of(sandbox, "student_sessions")
    compat.install(sandbox.base_url, upstream)
    forget_shown()
    try:
        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always", compat.LegacyApiWarning)
            got = dialect.ask(
                sandbox.base_url + signed(sandbox), headers=sandbox.headers, by=(sandbox.base_url, upstream)
            )
    finally:
        compat.uninstall()
    assert (got.status, got.headers.get("X-Compat-Answered-By")) == (200, "legacy")
    assert len([each for each in shown if each.category is compat.LegacyApiWarning]) == 1
    assert len(sandbox.calls) == 1


def test_a_failure_of_ours_lets_the_call_go_out_as_it_was(
    sandbox: Sandbox, dialect: Dialect, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said.clear()
    monkeypatch.setattr("compat.entrances.install.ExamStudentsAdapter", ForgivingAdapter)
    monkeypatch.setattr(Shim, "answer", lambda *_, **__: {}["a student's name"])
    compat.install(sandbox.base_url, upstream_of(sandbox, "student_sessions"))
    try:
        got = dialect.ask(sandbox.base_url + signed(sandbox, limit="3"), headers=sandbox.headers)
    finally:
        compat.uninstall()
    assert (got.status, len(json.loads(got.body)["students"])) == (200, 3)
    assert [call.interface for call in sandbox.calls] == ["legacy"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("exam-compat: KeyError")
    assert line.endswith("; the call goes out as it was")


def test_a_write_that_may_have_been_carried_out_is_not_sent_again(
    sandbox: Sandbox, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Shim.answer

    def fail(self: Shim, *arguments: Any, **options: Any) -> Any:
        answer(self, *arguments, **options)
        raise KeyError("a student's name")

    monkeypatch.setattr("compat.entrances.install.ExamStudentsAdapter", ForgivingAdapter)
    monkeypatch.setattr(Shim, "answer", fail)
    compat.install(OLD, upstream_of(sandbox, "student_sessions"))
    try:
        with pytest.raises(Exception, match=r"KeyError.*it may have been carried out") as raised:
            dialect.ask(
                f"{OLD}/api/v3/exams/17/add_student",
                method="POST",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=b"name=A&email=a%40b.example",
            )
    finally:
        compat.uninstall()
    # Nobody who tries again where nothing was sent does so here.
    assert not isinstance(raised.value, httpx.ConnectError)
    assert [(call.method, call.interface) for call in sandbox.calls] == [("POST", "student_sessions")]
