"""What people and upstreams get wrong: each ends in a clear error, and in none that shows a secret."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from support import FAST, KINDS, OLD, RawServer, edited, http, listed, mounted, page_of, upstream_of

import compat
from compat.config.file import read_config
from compat.testing.sandbox import Sandbox, SandboxAnswer, SandboxRequest
from compat.upstream.base import LegacySettings
from compat.upstream.paginated_sessions import read_roster

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
SECRET = "S3CR3T-token"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        '{"id":{"eq":1e999999999999999999999}}',
        '{"start_time":{"gt":1e-9999999999999999999}}',
        '{"attempt":{"in":[0e99999999999999999999]}}',
    ],
)
def test_a_number_beyond_numbers_is_a_422(sandbox: Sandbox, kind: str, text: str) -> None:
    answer = listed(mounted(upstream_of(sandbox, kind)), filter=text)
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert list(answer.json()["errors"]) == ["filter"]


@pytest.mark.parametrize("name", ["api_token", "secret_key"])
@pytest.mark.parametrize("value", [f"{SECRET}\n", f" {SECRET}"])
def test_a_credential_with_a_line_end_is_refused_and_not_shown(name: str, value: str) -> None:
    given = {"api_token": "t", "secret_key": "s", name: value}
    with pytest.raises(compat.ConfigurationError, match=f"^{name}: ") as refused:
        compat.StudentSessions("http://127.0.0.1:1", **given)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("value", [f"{SECRET}\n", "t ken", "t\u20acken"])
def test_a_bearer_token_that_no_header_holds_is_refused(value: str) -> None:
    with pytest.raises(compat.ConfigurationError, match=r"^bearer_token: ") as refused:
        compat.PaginatedSessions("http://127.0.0.1:1", path="/s", exams={17: "a"}, bearer_token=value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", [f"http://user:{SECRET}@h", f"htp://user:{SECRET}@h"])
def test_a_base_url_with_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(compat.ConfigurationError) as refused:
        compat.StudentSessions(url, api_token="t", secret_key="s")
    assert SECRET not in str(refused.value)


def test_no_signature_reaches_the_debug_log(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert listed(mounted(upstream_of(sandbox, "student_sessions"))).status_code == 200
    assert "signature=…" in caplog.text
    assert not any(len(part) > 20 for part in caplog.text.split("signature=")[1:] if part[0] != "…")


def test_a_doubled_signature_is_not_shown(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    answer = session.get(f"{OLD}/api/v3/exams/17/index_students?signature={SECRET}&signature={SECRET}x")
    assert answer.status_code == 422
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("token", "works"),
    [
        ('{"access_token":"a","token_type":"Bearer","scope":"more than asked"}', True),
        ('{"access_token":"a","token_type":"Bearer","expires_in":1e400}', False),
        ('{"access_token":"a","token_type":"Bearer","expires_in":"60"}', True),
        ('{"access_token":"","token_type":"Bearer"}', False),
        ('{"access_token":"a\\nb","token_type":"Bearer"}', False),
        ('{"access_token":"a","token_type":"mac"}', False),
    ],
)
def test_odd_tokens(token: str, works: bool) -> None:
    page = http(200, b'{"limit":300,"offset":0,"total":0,"sessions":[]}')
    with RawServer(lambda n, received, c: http(200, token.encode()) if "/token" in received.head else page) as server:
        upstream = compat.PaginatedSessions(
            server.base_url,
            path="/sessions",
            exams={17: "a"},
            token_url=f"{server.base_url}/token",
            client_id="c",
            client_secret="s",
            retries=FAST,
        )
        assert listed(mounted(upstream)).status_code == (200 if works else 502)


def test_ids_in_quotes_are_ids_and_others_are_refused(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "student_sessions"))
    whole = list(client.sessions(17))
    assert whole
    assert list(client.sessions("17")) == whole  # type: ignore[arg-type]
    for wrong in ("5/../x?y=1", "", "-1", True, 1.5):
        with pytest.raises(compat.InvalidParameter, match="Must be a number"):
            client.get(wrong)  # type: ignore[arg-type]
        with pytest.raises(compat.InvalidParameter, match="Must be a number"):
            client.delete(wrong)  # type: ignore[arg-type]
    assert not [call for call in sandbox.calls if "x" in call.target.rsplit("/", 1)[-1]]


@pytest.mark.parametrize("kind", KINDS)
def test_clients_are_pickled_and_copied(sandbox: Sandbox, kind: str) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, kind))
    whole = list(client.sessions(17))
    for other in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client)):  # noqa: S301
        assert list(other.sessions(17)) == whole


def test_another_record_than_asked_for_is_no_answer() -> None:
    other = b'{"student":{"id":6,"exam_id":17}}'
    with RawServer(lambda number, received, connection: http(200, other)) as server:
        session = mounted(compat.StudentSessions(server.base_url, api_token="a", secret_key="b", retries=FAST))
        for method, action in (("GET", "show_student"), ("DELETE", "delete_student")):
            answer = session.request(method, f"{OLD}/api/v3/exams/17/{action}", params={"student_session_id": 5})
            assert (answer.status_code, answer.json()["error"]) == (
                502,
                "The upstream answered with another student session than 5.",
            )
        assert not any(received.head.startswith("DELETE") for received in server.received)
        made = session.post(f"{OLD}/api/v3/exams/18/add_student", json={"name": "A", "email": "a@example.com"})
        assert (made.status_code, made.json()["error"]) == (
            502,
            "The upstream answered with a student session of another exam than 18.",
        )


def test_an_unsettled_search_says_so() -> None:
    with Sandbox(students=60, exams=3, clamp=25) as sandbox:

        def falling(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
            more = 0 if request.parameters.get("offset") != "0" else 1
            return edited(answer, lambda content: content.update(total=content["total"] + more))

        sandbox.intercept = falling
        session = mounted(upstream_of(sandbox, "paginated_sessions"))
        known = next(each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17)
        url = f"{OLD}/api/v3/exams/17/show_student"
        found = session.get(url, params={"student_session_id": known})
        assert (found.status_code, found.headers["X-Compat-Reading"]) == (200, "unsettled")
        assert session.get(url, params={"student_session_id": 1}).status_code == 502


@pytest.mark.parametrize("scope", ["all", "exam"])
def test_a_page_past_any_end_is_empty(sandbox: Sandbox, scope: str) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions", scope=scope))
    first, past = listed(session, limit=5), listed(session, limit=5, page="9" * 300)
    assert past.json() == {"students": []}
    assert past.headers["X-Pagination-Item-Count"] == first.headers["X-Pagination-Item-Count"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names nobody"),
        ("u1,a\n", "line 2: must have 5 cells"),
        ("u1,a,b,5,c,extra\n", "line 2: must have 5 cells"),
        ("..,a,b,5,c\n", "line 2: user_id is empty, or no id"),
        ("u1,a,b,--5,c\n", "line 2: student_id must be an integer or empty"),
        (f"u1,a,b,{'9' * 5000},c\n", "line 2: student_id must be an integer or empty"),
    ],
)
def test_a_roster_that_is_not_whole_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("user_id,email,name,student_id,external_id\n" + text, encoding="utf-8")
    with pytest.raises(compat.ConfigurationError, match=said):
        read_roster(path)


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("user_id,user_id,email,name,student_id,external_id\na,b,c,d,5,f\n", encoding="utf-8")
    with pytest.raises(compat.ConfigurationError, match="names a column twice"):
        read_roster(path)


@pytest.mark.parametrize("names", [["foo-bar"], [""], ["a b"], ["__init__"], ["pin_code", "pin_code"]])
@pytest.mark.parametrize("kind", KINDS)
def test_extra_fields_may_have_any_name(sandbox: Sandbox, kind: str, names: list[str]) -> None:
    content = sandbox.settings(kind)
    content["legacy"]["extra_fields"] = names
    configuration = read_config(content)
    assert listed(mounted(configuration)).status_code == 200


def test_an_extra_field_with_a_dash_is_let_through() -> None:
    record = {"id": 1, "exam_id": 17, "foo-bar": 1.50, "other": 2}
    with RawServer(lambda number, received, connection: page_of([record])) as server:
        upstream = compat.StudentSessions(server.base_url, api_token="a", secret_key="b", retries=FAST)
        settings = LegacySettings(extra_fields=("foo-bar",))
        [shown] = listed(mounted(compat.Configuration(upstream, settings=settings))).json()["students"]
    assert shown["foo-bar"] == 1.5
    assert "other" not in shown


def test_all_in_a_list_points_at_all(sandbox: Sandbox) -> None:
    content = sandbox.settings("student_sessions")
    content["legacy"]["extra_fields"] = ["all"]
    with pytest.raises(compat.ConfigurationError, match='must be "all" or a list of field names'):
        read_config(content)


@pytest.mark.parametrize(
    ("name", "value"), [("walk_deadline", "900"), ("walk_deadline", 0), ("pushdown", None), ("unsettled", "maybe")]
)
def test_arguments_of_another_type(name: str, value: Any) -> None:
    with pytest.raises(compat.ConfigurationError, match=name):
        compat.StudentSessions("http://h", api_token="t", secret_key="s", **{name: value})


@pytest.mark.parametrize("exams", [None, {17: 5}, {"x": "a"}, {"17": "a", 17: "b"}])
def test_exams_that_are_none(exams: Any) -> None:
    with pytest.raises(compat.ConfigurationError, match="exams"):
        compat.PaginatedSessions("http://h", path="/s", exams=exams, bearer_token="t")


def test_dates_in_a_filter_and_values_that_json_cannot_hold(sandbox: Sandbox) -> None:
    client = compat.ExamStudentsClient(upstream_of(sandbox, "student_sessions"))
    as_text = client.index_students(17, filter={"start_time": {"gte": "2018-10-28"}})
    assert client.index_students(17, filter={"start_time": {"gte": date(2018, 10, 28)}}) == as_text
    with pytest.raises(compat.InvalidParameter, match="filter"):
        client.index_students(17, filter={"id": {"in": {1, 2}}})
    with pytest.raises(compat.InvalidParameter, match="UTF-8"):
        client.add_student(17, "\ud800", "a@example.com")


def test_a_leader_in_a_hurry_is_nobody_elses_failure() -> None:
    with Sandbox(students=60, exams=3, clamp=25, latency=0.4) as sandbox:
        session = mounted(upstream_of(sandbox, "student_sessions"))
        url = f'{OLD}/api/v3/exams/17/index_students?sort=[{{"id":"asc"}}]'
        failures: list[Exception] = []

        def hurried() -> None:
            try:
                session.get(url, timeout=0.1)
            except requests.ReadTimeout as error:
                failures.append(error)

        leader = threading.Thread(target=hurried)
        leader.start()
        while not sandbox.calls and leader.is_alive():
            pass
        answer = session.get(url, timeout=60)
        leader.join()
        assert answer.status_code == 200
        assert len(failures) == 1


def test_the_switch_over_every_mode(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"), base=sandbox.base_url)
    url = f"{sandbox.base_url}/api/v3/exams/17/index_students"

    def call() -> requests.Response:
        return session.get(url, params=sandbox.signed({}, in_path={"id": "17"}), headers=sandbox.headers)

    new = call()
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    old = call()
    assert (new.headers["X-Compat-Answered-By"], old.headers["X-Compat-Answered-By"]) == ("new", "legacy")
    assert new.json() == old.json()
    assert [call.interface for call in sandbox.calls][-1] == "legacy"
    monkeypatch.setenv("EXAM_COMPAT_MODE", "shadows")
    with pytest.raises(compat.ConfigurationError, match="EXAM_COMPAT_MODE=shadows: must be legacy, shadow, canary:25"):
        call()
