"""Both clients: the deprecated face and the one to migrate to."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from support import KINDS, answered, edited, rows_of, upstream_of

import compat
from compat.config.file import read_config
from compat.testing.sandbox import Sandbox, SandboxAnswer, SandboxRequest

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


def listings(sandbox: Sandbox) -> int:
    return len([call for call in sandbox.calls if call.interface in KINDS])


def test_a_page_of_students(sandbox: Sandbox) -> None:
    client = compat.ExamStudentsClient(upstream_of(sandbox, "student_sessions"))
    mine = [each for each in sandbox.dataset.students if each["exam_id"] == 17]
    page = client.index_students(17, page=2, limit=6, sort=[{"id": "asc"}])
    assert page.students == sorted(mine, key=lambda each: each["id"])[6:12]
    assert (page.item_count, page.page_count, page.page, page.limit, page.unsettled) == (20, 4, 2, 6, False)
    assert "students" not in repr(page)
    found = client.index_students(17, filter={"id": {"in": [mine[3]["id"], str(mine[5]["id"])]}})
    assert found.students == [mine[3], mine[5]]
    assert client.index_students(17, status=mine[0]["status"]).students[0] == mine[0]


def test_the_old_siblings(sandbox: Sandbox) -> None:
    client = compat.ExamStudentsClient(upstream_of(sandbox, "student_sessions"))
    added = client.add_student(
        17, "Zoë", "zoë@example.com", individual_info="a=b&c", skip_requirements=True, open_time=1542107580
    )
    assert (added["name"], added["individual_info"], added["skip_requirements"]) == ("Zoë", "a=b&c", True)
    assert client.show_student(17, added["id"]) == added
    assert client.delete_student(17, added["id"]) == {}
    with pytest.raises(compat.StudentSessionNotFound):
        client.show_student(17, added["id"])


def test_a_list_that_failed_is_not_gone_on_with(sandbox: Sandbox) -> None:
    failing = sandbox.dataset.roster[2].user_id
    refused = answered({"error": "broken"}, status=500)
    sandbox.intercept = lambda request, answer: refused if failing in request.path else answer
    found = compat.StudentSessionsClient(upstream_of(sandbox, "paginated_sessions", fan_out=True)).sessions()
    with pytest.raises(compat.UpstreamError):
        list(found)
    # What comes after it would be a list with a hole.
    assert list(found) == []


@pytest.mark.parametrize("kind", KINDS)
def test_sessions_come_lazily(sandbox: Sandbox, kind: str) -> None:
    records = sandbox.dataset.student_sessions if kind == "student_sessions" else sandbox.dataset.sessions
    found = compat.StudentSessionsClient(upstream_of(sandbox, kind)).sessions()
    assert listings(sandbox) == 0
    read = [next(found) for _ in range(25)]
    assert listings(sandbox) == 1
    read.append(next(found))
    assert listings(sandbox) == 2
    read += found
    assert read == records
    assert listings(sandbox) == -(-len(records) // 25)


@pytest.mark.parametrize("kind", KINDS)
def test_sessions_of_an_exam(sandbox: Sandbox, kind: str) -> None:
    application = sandbox.dataset.exams[1].application_id
    found = list(compat.StudentSessionsClient(upstream_of(sandbox, kind)).sessions(18))
    if kind == "student_sessions":
        assert found == [each for each in sandbox.dataset.student_sessions if each["exam_id"] == 18]
    else:
        assert found == [each for each in sandbox.dataset.sessions if each["applicationId"] == application]
    assert found


def test_sessions_of_every_user(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "paginated_sessions", fan_out=True))
    key = lambda each: each["id"]  # noqa: E731
    assert sorted(client.sessions(), key=key) == sorted(sandbox.dataset.sessions, key=key)


def test_sessions_by_status(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "student_sessions"))
    expected = [each for each in sandbox.dataset.student_sessions if each["status"] == "exam_finished"]
    assert list(client.sessions(status="exam_finished")) == expected != []


def test_the_new_methods(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "student_sessions"))
    made = client.create(17, name="A", email="a@b", skip_requirements=True, individual_info=None)
    assert (made["email"], made["skip_requirements"], "pin_code" in made) == ("a@b", True, True)
    assert client.get(made["id"])["name"] == "A"
    assert client.update(made["id"], name="B", skip_requirements=False)["name"] == "B"
    assert client.get(made["id"])["skip_requirements"] is False
    client.delete(made["id"])
    for call in (client.get, client.update, client.delete):
        with pytest.raises(compat.StudentSessionNotFound, match=f"'id'='{made['id']}'"):
            call(made["id"])


def test_paginated_sessions_are_only_read(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "paginated_sessions"))
    calls: list[Any] = [
        lambda: client.create(17, name="A", email="a@b"),
        lambda: client.update(5, name="B"),
        lambda: client.delete(5),
        lambda: next(client.sessions(status="registered")),
        lambda: next(client.sessions(99)),
    ]
    for call in calls:
        with pytest.raises(compat.InvalidParameter):
            call()
    assert sandbox.calls == []


def test_one_paginated_session_is_found_by_its_legacy_id(sandbox: Sandbox) -> None:
    upstream = upstream_of(sandbox, "paginated_sessions")
    shown = compat.ExamStudentsClient(upstream).index_students(19).students[0]
    assert shown["id"] >= 2**52
    session = compat.StudentSessionsClient(upstream).get(shown["id"])
    assert session["id"] == shown["session_id"]
    assert compat.ExamStudentsClient(upstream).show_student(19, shown["id"]) == shown


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_that_changes_while_it_is_iterated(sandbox: Sandbox, kind: str) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, kind))
    found = client.sessions()
    first = next(found)
    removed = next(each["id"] for each in sandbox.dataset.students if str(each["id"]) != str(first["id"]))
    identifiers = [int(each["id"]) for each in sandbox.dataset.sessions if str(each["id"]).isdigit()]
    sandbox.dataset.remove(removed if kind == "student_sessions" else identifiers[1])
    with pytest.raises(compat.UpstreamError, match=r"its list changed\.$"):
        list(found)

    def repeat(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        return edited(answer, lambda content: rows_of(content).append(rows_of(content)[0]))

    sandbox.intercept = repeat
    with pytest.raises(compat.UpstreamError, match=r"changed while it was read: .* came twice"):
        list(client.sessions())


CREDENTIALS = ("base_url", "api_token", "secret_key")


@pytest.mark.parametrize("face", [compat.ExamStudentsClient, compat.StudentSessionsClient])
def test_credentials(sandbox: Sandbox, face: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(client: Any) -> bool:
        if isinstance(client, compat.ExamStudentsClient):
            return client.index_students(17).item_count == 20
        return len(list(client.sessions(17))) == 20

    monkeypatch.chdir(tmp_path)
    given = {name: getattr(sandbox, name) for name in CREDENTIALS}
    assert answers(face(**given))
    configuration = read_config(sandbox.settings("student_sessions"))
    assert answers(face(configuration))
    assert answers(face(configuration.upstream))
    with pytest.raises(compat.ConfigurationError, match=r"^no upstream: pass one, or base_url, api_token, secret_key"):
        face()
    with pytest.raises(compat.ConfigurationError, match="given beside an upstream"):
        face(configuration, api_token="x")
    with pytest.raises(compat.ConfigurationError) as raised:
        face(base_url=sandbox.base_url)
    text = (
        "credentials are incomplete: api_token (EXAM_COMPAT_API_TOKEN), secret_key (EXAM_COMPAT_SECRET_KEY) not given"
    )
    assert str(raised.value) == text
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
    assert answers(face())
    (tmp_path / "exam-compat.toml").rename(tmp_path / "other.toml")
    monkeypatch.setenv("EXAM_COMPAT_CONFIG", str(tmp_path / "other.toml"))
    assert answers(face())
    monkeypatch.delenv("EXAM_COMPAT_CONFIG")
    monkeypatch.setenv("EXAM_COMPAT_SECRET_KEY", sandbox.secret_key)
    with pytest.raises(compat.ConfigurationError, match=r"^credentials are incomplete: base_url"):
        face()
    monkeypatch.setenv("EXAM_COMPAT_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("EXAM_COMPAT_API_TOKEN", "wrong")
    with pytest.raises(compat.NotAuthorized):
        answers(face())
    # An argument goes before the environment.
    assert answers(face(api_token=sandbox.api_token))


SELECTIONS: list[dict[str, Any]] = [
    {},
    {"page": 2, "limit": 7},
    {"status": "exam_finished", "limit": "4"},
    {"filter": {"attempt": {"gte": 1}}, "sort": [{"start_time": "desc"}, {"id": "asc"}]},
    {"filter": '{"archived": {"eq": null}}', "page": 9},
]


@pytest.mark.parametrize("given", SELECTIONS, ids=str)
def test_pages_of_the_new_face_are_those_of_the_old_one(shared: Sandbox, given: dict[str, Any]) -> None:
    upstream = upstream_of(shared, "student_sessions")
    old = compat.ExamStudentsClient(upstream).index_students(17, **given)
    new = compat.StudentSessionsClient(upstream).page(17, **given)
    assert new.sessions == old.students
    assert [list(each) for each in new.sessions] == [list(each) for each in old.students]
    told = ("item_count", "page_count", "page", "limit", "unsettled")
    assert [getattr(new, name) for name in told] == [getattr(old, name) for name in told]
    assert "sessions" not in repr(new)


def test_later_pages_come_from_the_reading_of_the_first(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "student_sessions"))
    client.page(17, limit=5)
    read = listings(sandbox)
    client.page(17, limit=5, page=2)
    assert listings(sandbox) == read


def test_sessions_selected_and_sorted(shared: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(shared, "student_sessions"))
    mine = [each for each in shared.dataset.students if each["exam_id"] == 17 and each["attempt"] >= 1]
    found = client.sessions(17, filter={"attempt": {"gte": 1}}, sort=[{"id": "desc"}])
    assert list(found) == sorted(mine, key=lambda each: -each["id"]) != []
    with pytest.raises(compat.InvalidParameter, match="exam_id"):
        client.sessions(sort=[{"id": "desc"}])


def test_whole_records_are_the_old_ones(sandbox: Sandbox) -> None:
    upstream = upstream_of(sandbox, "student_sessions")
    client, old = compat.StudentSessionsClient(upstream, records="whole"), compat.ExamStudentsClient(upstream)
    whole = list(client.sessions(17))
    assert [list(each.items()) for each in whole] == [list(each.items()) for each in old.index_students(17).students]
    assert whole != list(compat.StudentSessionsClient(upstream).sessions(17))
    assert client.get(whole[0]["id"]) == whole[0]
    assert [*client.create(17, name="A", email="a@b")] == [*whole[0]]


def test_the_exam_counts_where_it_is_given(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(sandbox, "student_sessions"))
    mine = next(client.sessions(17))["id"]
    for call in (client.get, client.delete):
        with pytest.raises(compat.StudentSessionNotFound):
            call(mine, exam_id=18)
    assert client.get(mine, exam_id=17)["exam_id"] == 17
    client.delete(mine, exam_id=17)
    with pytest.raises(compat.StudentSessionNotFound):
        client.get(mine)


def test_what_paginated_sessions_cannot_give(shared: Sandbox) -> None:
    upstream = upstream_of(shared, "paginated_sessions")
    with pytest.raises(compat.InvalidParameter, match="exam_id"):
        compat.StudentSessionsClient(upstream).page(17)
    with pytest.raises(compat.ConfigurationError, match=r"^records"):
        compat.StudentSessionsClient(upstream, records="whole")
    with pytest.raises(compat.ConfigurationError, match=r"^records"):
        compat.StudentSessionsClient(upstream, records="all")  # type: ignore[arg-type]


def test_a_client_is_pickled_after_its_first_page(shared: Sandbox) -> None:
    client = compat.StudentSessionsClient(upstream_of(shared, "student_sessions"), records="whole")
    first = client.page(17, limit=3)
    copied = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own
    assert copied.page(17, limit=3) == first
    assert copied.get(first.sessions[0]["id"]) == first.sessions[0]
