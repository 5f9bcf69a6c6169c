"""The adapter at work: siblings, copies, threads, proxies, sessions of one's own."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from support import KINDS, OLD, QUERIES, closed_port, edited, listed, mounted, upstream_of

import compat
from compat.config.file import read_config
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

LIST = f"{OLD}/api/v3/exams/17/index_students"


@pytest.mark.parametrize(
    "sent",
    [
        {"params": {"name": "A", "email": "a@b", "skip_requirements": "True"}},
        {"json": {"name": "A", "email": "a@b", "skip_requirements": True}},
        {"data": {"name": "A", "email": "a@b", "skip_requirements": "TRUE"}},
    ],
)
def test_siblings(sandbox: Sandbox, sent: Any) -> None:
    session, base = mounted(upstream_of(sandbox, "student_sessions")), f"{OLD}/api/v3/exams/17"
    added = session.post(f"{base}/add_student", **sent)
    student = added.json()["student"]
    assert (added.status_code, added.reason, len(student)) == (201, "Created", 57)
    assert (student["email"], student["skip_requirements"], student["exam_id"]) == ("a@b", True, 17)
    where = {"student_session_id": student["id"]}
    assert session.get(f"{base}/show_student", params=where).json() == {"student": student}
    for elsewhere in (session.delete(f"{OLD}/api/v3/exams/18/delete_student", json=where),):
        assert elsewhere.status_code == 404
    deleted = session.delete(f"{base}/delete_student", json=where)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert session.get(f"{base}/show_student", params=where).status_code == 404


@pytest.mark.parametrize("kind", ["student", "student_session"])
def test_both_envelopes(sandbox: Sandbox, kind: str) -> None:
    record = next(each for each in sandbox.dataset.students if each["exam_id"] == 17)
    sandbox.intercept = lambda request, answer: edited(
        answer, lambda content: content.update({kind: content.pop("student")})
    )
    session = mounted(upstream_of(sandbox, "student_sessions"))
    shown = session.get(f"{OLD}/api/v3/exams/17/show_student", params={"student_session_id": record["id"]})
    assert shown.json() == {"student": record}


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles_still_answer(shared: Sandbox, kind: str) -> None:
    upstream = upstream_of(shared, kind)
    session = mounted(upstream)
    expected = session.get(LIST).json()
    for each in (copy.copy(session), copy.deepcopy(session), pickle.loads(pickle.dumps(session))):  # noqa: S301
        assert each is not session
        assert each.get(LIST).json() == expected
    adapter = pickle.loads(pickle.dumps(session.get_adapter(LIST)))  # noqa: S301
    other = requests.Session()
    other.mount(OLD, adapter)
    assert other.get(LIST).json() == expected
    assert mounted(pickle.loads(pickle.dumps(upstream))).get(LIST).json() == expected  # noqa: S301
    session.close()
    assert session.get(LIST).json() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_32_threads(shared: Sandbox, kind: str) -> None:
    session = mounted(upstream_of(shared, kind))
    asked = [(exam, query) for exam in (17, 18, 19) for query in QUERIES] * 6
    alone = [listed(mounted(upstream_of(shared, kind)), exam, **query) for exam, query in asked[:18]] * 6
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda each: listed(session, each[0], **each[1]), asked))
    assert [(each.status_code, each.text) for each in answers] == [(each.status_code, each.text) for each in alone]


def test_a_netrc_entry_does_not_replace_the_token(
    shared: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login stranger password unknown\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert requests.get(shared.base_url, timeout=9).request.headers["Authorization"].startswith("Basic ")
    for kind in KINDS:
        assert mounted(upstream_of(shared, kind)).get(LIST).status_code == 200


def test_proxies_of_the_call_and_of_the_session_are_followed(session: requests.Session) -> None:
    nowhere = {"http": closed_port()}
    with pytest.raises(requests.ConnectionError):
        session.get(LIST, proxies=nowhere)
    session.proxies = nowhere
    with pytest.raises(requests.ConnectionError):
        session.get(LIST)


def test_no_proxy_goes_by_the_upstreams_host(session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    with pytest.raises(requests.ConnectionError):
        session.get(LIST)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert session.get(LIST).status_code == 200


def test_a_session_of_ones_own_goes_before_the_calls(shared: Sandbox) -> None:
    own, adapter = requests.Session(), HTTPAdapter()
    own.mount("http://", adapter)
    own.headers["User-Agent"] = "own"
    session = mounted(upstream_of(shared, "student_sessions", session=own))
    assert session.get(LIST, proxies={"http": closed_port()}).status_code == 200


def test_an_upstream_or_configuration_is_taken(shared: Sandbox) -> None:
    assert mounted(read_config(shared.settings("student_sessions"))).get(LIST).status_code == 200
    with pytest.raises(compat.ConfigurationError):
        mounted(upstream_of(shared, "student_sessions"), "acme.proctorexam.com")
