"""Both clients: the deprecated face and the one to migrate to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import KINDS, edited, rows_of, upstream_of

import compat
from compat.config_file import read_config
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
