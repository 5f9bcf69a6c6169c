"""The adapter: an answer that nobody can tell from the old endpoint's."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support import OLD, QUERIES, mounted, signed_url, upstream_of

import compat
from compat.config.file import read_config
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

LIST = f"{OLD}/api/v3/exams/17/index_students"


class Recording(BaseAdapter):
    """An adapter of the script's own: says what it was given, and answers 299."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str | None, dict[str, Any]]] = []
        self.closed = 0

    def send(self, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        names = ("stream", "timeout", "verify", "cert", "proxies")
        self.sent.append((request.url, {**dict(zip(names, arguments, strict=False)), **more}))
        answer = requests.Response()
        answer.status_code, answer._content = 299, b""
        return answer

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("parameters", QUERIES)
def test_the_response_is_the_old_one(shared: Sandbox, session: requests.Session, parameters: dict[str, str]) -> None:
    old = requests.get(
        signed_url(shared, shared.base_url, "index_students", **parameters), headers=shared.headers, timeout=9
    )
    new = session.get(signed_url(shared, OLD, "index_students", **parameters), headers=shared.headers, timeout=9)
    assert new.json() == old.json()
    assert json.dumps(new.json()) == json.dumps(old.json())
    assert (new.status_code, new.ok, new.encoding, new.history) == (old.status_code, old.ok, old.encoding, old.history)
    assert new.apparent_encoding == old.apparent_encoding
    names = [name for name in old.headers if name.startswith("X-Pagination-") or name == "Content-Type"]
    assert {name: new.headers[name] for name in names} == {name: old.headers[name] for name in names}
    assert new.headers["x-compat-answered-by"] == "new"
    assert int(new.headers["Content-Length"]) == len(new.content)
    assert new.elapsed.total_seconds() > 0
    assert new.url == new.request.url
    assert new.url.startswith(LIST)
    assert new.request.method == "GET"
    assert (new.is_redirect, new.links, list(new.cookies)) == (False, {}, [])


def test_raise_for_status(session: requests.Session) -> None:
    answer = session.get(LIST + "?page=0")
    assert answer.reason == "Unprocessable Entity"
    with pytest.raises(requests.HTTPError) as raised:
        answer.raise_for_status()
    assert str(raised.value) == f"422 Client Error: Unprocessable Entity for url: {LIST}?page=0"
    assert raised.value.response is answer
    fine = session.get(LIST)
    fine.raise_for_status()
    assert fine.reason == "OK"


def test_streaming(session: requests.Session) -> None:
    whole = session.get(LIST).content
    with session.get(LIST, stream=True) as answer:
        assert not answer._content_consumed
        assert b"".join(answer.iter_content(100)) == whole
    assert b"\n".join(session.get(LIST, stream=True).iter_lines()) == whole
    assert session.get(LIST, stream=True).raw.read() == whole


def test_a_response_is_pickled(session: requests.Session) -> None:
    answer = session.get(LIST)
    again = pickle.loads(pickle.dumps(answer))  # noqa: S301 - our own bytes
    assert (again.json(), again.headers, again.url) == (answer.json(), answer.headers, answer.url)


def test_head(session: requests.Session) -> None:
    head, get = session.head(LIST, params={"limit": "7"}), session.get(LIST, params={"limit": "7"})
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize(
    "sent",
    [
        {"params": {"limit": "7", "status": "exam_finished", "id": "17"}},
        {"params": {"limit": "7", "status": "exam_finished"}},
        {"json": {"limit": 7, "status": "exam_finished", "id": 17}},
        {"json": {"limit": "7", "status": "exam_finished"}},
        {"data": {"limit": "7", "status": "exam_finished"}},
        {"data": b'{"limit": 7, "status": "exam_finished"}'},
        {"data": b"limit=7&status=exam_finished"},
        {"data": {"limit": "7"}, "params": {"status": "exam_finished", "limit": "7"}},
        # The path wins over any other id.
        {"params": {"limit": "7", "status": "exam_finished", "id": "18"}},
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_ways_to_send_parameters(shared: Sandbox, session: requests.Session, sent: Any, slash: str) -> None:
    answer = session.get(LIST + slash, **sent)
    expected = [each for each in shared.dataset.students if (each["exam_id"], each["status"]) == (17, "exam_finished")]
    assert answer.json()["students"] == expected[:7]
    assert (len(expected), answer.headers["X-Pagination-Limit"]) == (
        int(answer.headers["X-Pagination-Item-Count"]),
        "7",
    )
    assert expected


PASSED_ON = [
    ("GET", f"{OLD}/api/v3/exams/17/show_lti_student?student_lms_id=5"),
    ("GET", f"{OLD}/api/v3/exams/17/student_sessions"),
    ("GET", f"{OLD}/api/v3/student_sessions"),
    ("GET", f"{OLD}/api/v3/exams"),
    ("GET", f"{OLD}/api/v3/exams/17/index_students/5"),
    ("GET", f"{OLD}/other/api/v3/exams/17/index_students"),
    ("GET", f"{OLD}/api/v2/exams/17/index_students"),
    ("POST", LIST),
    ("PUT", LIST),
    ("OPTIONS", LIST),
    ("GET", f"{OLD}/api/v3/exams/17/add_student"),
    ("GET", "https://acme.proctorexam.com.evil.example/api/v3/exams/17/index_students"),
    ("GET", "https://acme.proctorexam.com@evil.example/api/v3/exams/17/index_students"),
    ("GET", "https://acme.proctorexam.com:443@evil.example/api/v3/exams/17/index_students"),
    ("GET", "https://acme.proctorexam.com:8443/api/v3/exams/17/index_students"),
    ("GET", "https://acme.proctorexam.community/api/v3/exams/17/index_students"),
    ("GET", "http://acme.proctorexam.com/api/v3/exams/17/index_students"),
    ("GET", "https://other.proctorexam.com/api/v3/exams/17/index_students"),
]


@pytest.mark.parametrize(("method", "url"), PASSED_ON)
def test_anything_else_goes_on_untouched(shared: Sandbox, method: str, url: str) -> None:
    session, before = requests.Session(), Recording()
    session.mount("https://", before)
    session.mount("http://", before)
    compat.mount(session, OLD, upstream_of(shared, "student_sessions"))
    answer = session.request(
        method, url, timeout=3, verify=False, cert="c.pem", proxies={"https": "http://p"}, stream=True
    )
    assert answer.status_code == 299
    ((sent, options),) = before.sent
    assert sent == url
    assert (options["timeout"], options["verify"], options["cert"], options["stream"]) == (3, False, "c.pem", True)
    assert options["proxies"]["https"] == "http://p"


@pytest.mark.parametrize("base", [OLD, OLD + "/", OLD + ":443", "https://ACME.proctorexam.com"])
@pytest.mark.parametrize(
    "url",
    [LIST, LIST.replace(".com", ".com:443"), LIST.replace("acme", "ACME"), LIST + "/", LIST.replace(".com", ".com.")],
)
def test_spellings_of_the_old_endpoint(shared: Sandbox, base: str, url: str) -> None:
    session = mounted(upstream_of(shared, "student_sessions"), base)
    assert session.get(url).headers["X-Compat-Answered-By"] == "new"


def test_a_longer_prefix_that_was_mounted_before(shared: Sandbox) -> None:
    session, short, long = requests.Session(), Recording(), Recording()
    session.mount(OLD, short)
    session.mount(f"{OLD}/api/v3/exams", long)
    compat.mount(session, OLD, upstream_of(shared, "student_sessions"))
    assert session.get(LIST).status_code == 200
    assert session.get(f"{OLD}/api/v3/exams/17/show_lti_student").status_code == 299
    assert session.get(f"{OLD}/api/v3/users").status_code == 299
    assert ([url for url, _ in long.sent], [url for url, _ in short.sent]) == (
        [f"{OLD}/api/v3/exams/17/show_lti_student"],
        [f"{OLD}/api/v3/users"],
    )
    session.close()
    assert short.closed > 0
    assert long.closed > 0


def test_a_base_url_with_a_path(shared: Sandbox) -> None:
    session = mounted(upstream_of(shared, "student_sessions"), f"{OLD}/tenant")
    assert session.get(f"{OLD}/tenant/api/v3/exams/17/index_students").status_code == 200
    adapter: Any = session.get_adapter(LIST)
    assert adapter.legacy_call(requests.Request("GET", LIST).prepare()) is None


def test_mounting_twice(shared: Sandbox, sandbox: Sandbox) -> None:
    session = mounted(upstream_of(shared, "student_sessions"))
    compat.mount(session, OLD, upstream_of(sandbox, "student_sessions"))
    shared.clear_calls()
    assert session.get(LIST).status_code == 200
    assert (len(shared.calls), len(sandbox.calls)) == (0, 3)
    session.close()


@pytest.mark.parametrize("base", ["http://old.example.org/api/v3", "http://old.example.org/api/v3/"])
def test_an_address_as_scripts_write_it_is_the_same(sandbox: Sandbox, base: str) -> None:
    adapter = compat.ExamStudentsAdapter(base, upstream_of(sandbox, "student_sessions"))
    assert adapter.legacy_base_url == "http://old.example.org"
    assert compat.StudentSessions(base, api_token="a", secret_key="b").base_url == "http://old.example.org"
    content = {"upstream": {"kind": "student_sessions", "base_url": base, "api_token": "a", "secret_key": "b"}}
    assert read_config({**content, "legacy": {"base_url": base}}).legacy_base_url == "http://old.example.org"


def test_what_is_no_upstream_is_named_at_once() -> None:
    told = "upstream: must be an upstream or a configuration, not a str; compat.load_config"
    for make in (
        lambda: compat.mount(requests.Session(), "https://old.example.org", "exam-compat.toml"),  # type: ignore[arg-type]
        lambda: compat.install("https://old.example.org", "exam-compat.toml"),  # type: ignore[arg-type]
        lambda: compat.StudentSessionsClient("exam-compat.toml"),  # type: ignore[arg-type]
        lambda: compat.ExamStudentsClient("exam-compat.toml"),  # type: ignore[arg-type]
    ):
        with pytest.raises(compat.ConfigurationError, match=re.escape(told)):
            make()
    with pytest.raises(compat.ConfigurationError, match=re.escape("retries = 3: must be a RetryPolicy")):
        compat.StudentSessions("https://a.example", api_token="a", secret_key="b", retries=3)  # type: ignore[arg-type]
