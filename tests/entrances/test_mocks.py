"""What a test's mocks answer or forbid never reaches an upstream; what they let through goes on to us, and on from us.

With ``mount`` as with ``install``, whichever of the two was begun first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import betamax
import pytest
import requests
import requests_mock
import responses
import vcr
from requests.adapters import HTTPAdapter
from support import FAST, RawServer, http, page_of
from wish_servers import RECORD

import compat

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning", "ignore:.*utcnow:DeprecationWarning")

OLD = "http://old.example"
PATH = "/api/v3/exams/17/index_students"
LIST = OLD + PATH
MOCKED = {"students": "mocked"}
Begin = Callable[[requests.Session, Path], AbstractContextManager[Any]]


class Side:
    """A script's session, the shim, and the server behind it."""

    def __init__(self, server: RawServer, entrance: str) -> None:
        self.server = server
        self.session = requests.Session()
        self._entrance = entrance
        self.upstream = compat.StudentSessions(server.base_url, api_token="t", secret_key="s3cret", retries=FAST)

    def begin(self) -> None:
        if self._entrance == "mount":
            compat.mount(self.session, OLD, self.upstream)
        else:
            compat.install(OLD, self.upstream)

    @contextmanager
    def beside(self, begin: Begin, ours_first: bool, folder: Path) -> Iterator[Any]:
        """The shim and a mock, both begun."""
        if ours_first:
            self.begin()
        with begin(self.session, folder) as mocking:
            if not ours_first:
                self.begin()
            yield mocking

    def ask(self, url: str = LIST, **how: Any) -> requests.Response:
        return self.session.get(url, timeout=9, **how)

    @property
    def asked(self) -> int:
        return len(self.server.received)


@pytest.fixture(params=["mount", "install"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    before = (requests.Session.get_adapter, requests.Session.send, HTTPAdapter.send)
    with RawServer(lambda number, received, connection: page_of([RECORD])) as server:
        yield Side(server, request.param)
    compat.uninstall()
    assert before == (requests.Session.get_adapter, requests.Session.send, HTTPAdapter.send)


def of_responses(session: requests.Session, folder: Path) -> Any:
    mocking = responses.RequestsMock(assert_all_requests_are_fired=False)
    mocking.get(LIST, json=MOCKED)
    return mocking


def of_requests_mock(session: requests.Session, folder: Path) -> Any:
    mocking = requests_mock.Mocker()
    mocking.get(LIST, json=MOCKED)
    return mocking


def of_requests_mock_session(session: requests.Session, folder: Path) -> Any:
    mocking = requests_mock.Mocker(session=session)
    mocking.get(LIST, json=MOCKED)
    return mocking


@contextmanager
def of_requests_mock_adapter(session: requests.Session, folder: Path) -> Iterator[None]:
    adapter = requests_mock.Adapter()
    adapter.register_uri("GET", LIST, json=MOCKED)
    session.mount("http://", adapter)
    yield


def of_vcr(session: requests.Session, folder: Path) -> Any:
    (folder / "old.yaml").write_text(
        f"version: 1\ninteractions:\n- request: {{method: GET, uri: '{LIST}', body: null, headers: {{}}}}\n"
        f"  response:\n    status: {{code: 200, message: OK}}\n    headers: {{Content-Type: [application/json]}}\n"
        f"    body: {{string: '{json.dumps(MOCKED)}'}}\n"
    )
    return vcr.use_cassette(str(folder / "old.yaml"), record_mode="once")


def of_betamax(session: requests.Session, folder: Path) -> Any:
    body = {"encoding": "utf-8", "string": json.dumps(MOCKED)}
    answer = {"body": body, "headers": {}, "status": {"code": 200, "message": "OK"}, "url": LIST}
    asked = {"method": "GET", "uri": LIST, "body": {"encoding": "utf-8", "string": ""}, "headers": {}}
    recorded = {"request": asked, "response": answer, "recorded_at": "2018-11-17T17:09:39"}
    (folder / "old.json").write_text(json.dumps({"http_interactions": [recorded], "recorded_with": "betamax"}))
    return betamax.Betamax(session, cassette_library_dir=str(folder)).use_cassette("old", record="none")


@contextmanager
def of_patch(session: requests.Session, folder: Path) -> Iterator[None]:
    def answer(request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        if request.url != LIST:
            raise AssertionError("not expected")
        found = requests.Response()
        found.status_code, found._content = 200, json.dumps(MOCKED).encode()
        return found

    with mock.patch.object(HTTPAdapter, "send", side_effect=answer):
        yield


ALL = [
    of_responses,
    of_requests_mock,
    of_requests_mock_session,
    of_requests_mock_adapter,
    of_vcr,
    of_betamax,
    of_patch,
]


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("begin", ALL)
def test_what_is_mocked_or_forbidden_reaches_nobody(side: Side, begin: Begin, ours_first: bool, tmp_path: Path) -> None:
    with side.beside(begin, ours_first, tmp_path):
        assert side.ask().json() == MOCKED
        # What a mock was not told of, it forbids.
        for url in (f"{OLD}/api/v3/exams/18/index_students", f"{OLD}/api/v3/exams/17/add_student"):
            with pytest.raises(Exception) as refused:  # noqa: PT011 - each library has an error of its own
                side.session.request("POST" if url.endswith("add_student") else "GET", url, timeout=9)
            assert "api/v3/student_sessions" not in str(refused.value)
    assert side.asked == 0
    if begin is of_requests_mock_adapter:
        return
    if begin is of_requests_mock_session and side._entrance == "install" and not ours_first:
        # It leaves the get_adapter that it found in the session itself.
        del side.session.get_adapter
    assert side.ask().headers["X-Compat-Answered-By"] == "new"
    assert side.asked == 1


def passing_responses(session: requests.Session, folder: Path) -> Any:
    mocking = responses.RequestsMock(assert_all_requests_are_fired=False)
    mocking.add_passthru(OLD)
    return mocking


def passing_response(session: requests.Session, folder: Path) -> Any:
    mocking = responses.RequestsMock(assert_all_requests_are_fired=False)
    mocking.add(responses.PassthroughResponse(responses.GET, LIST))
    return mocking


def passing_requests_mock(session: requests.Session, folder: Path) -> Any:
    return requests_mock.Mocker(real_http=True)


def passing_requests_mock_url(session: requests.Session, folder: Path) -> Any:
    mocking = requests_mock.Mocker()
    mocking.get(LIST, real_http=True)
    return mocking


def recording_vcr(session: requests.Session, folder: Path) -> Any:
    return vcr.use_cassette(str(folder / "new.yaml"), record_mode="new_episodes")


def recording_vcr_once(session: requests.Session, folder: Path) -> Any:
    return vcr.use_cassette(str(folder / "new.yaml"), record_mode="once")


def recording_vcr_all(session: requests.Session, folder: Path) -> Any:
    return vcr.use_cassette(str(folder / "new.yaml"), record_mode="all")


def ignoring_vcr(session: requests.Session, folder: Path) -> Any:
    return vcr.use_cassette(str(folder / "new.yaml"), record_mode="none", ignore_hosts=["old.example"])


def recording_betamax(session: requests.Session, folder: Path) -> Any:
    return betamax.Betamax(session, cassette_library_dir=str(folder)).use_cassette("new", record="once")


def recording_betamax_more(session: requests.Session, folder: Path) -> Any:
    return betamax.Betamax(session, cassette_library_dir=str(folder)).use_cassette("new", record="new_episodes")


def passing_all(session: requests.Session, folder: Path) -> Any:
    """Nested: responses lets through to vcrpy, which records."""
    stack = ExitStack()
    stack.enter_context(passing_responses(session, folder))
    stack.enter_context(recording_vcr(session, folder))
    return stack


PASSING = [
    passing_responses,
    passing_response,
    passing_requests_mock,
    passing_requests_mock_url,
    recording_vcr,
    recording_vcr_once,
    recording_vcr_all,
    ignoring_vcr,
    recording_betamax,
    recording_betamax_more,
    passing_all,
]


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begin", PASSING)
def test_what_is_let_through_comes_to_us(
    side: Side, begin: Begin, ours_first: bool, stream: bool, tmp_path: Path
) -> None:
    with side.beside(begin, ours_first, tmp_path) as mocking:
        answer = side.ask(stream=stream)
        assert answer.headers["X-Compat-Answered-By"] == "new"
        body = b"".join(answer.iter_content(1000)) if stream else answer.content
        assert json.loads(body)["students"][0]["name"] == "Ann"
        assert side.asked == 1
        if begin is passing_response:
            # It sees the script's call, and not the one that is made for it.
            assert [call.request.url for call in mocking.calls] == [LIST]
    # A cassette has the script's call alone, with nothing of ours in it that is secret.
    for cassette in tmp_path.iterdir():
        text = cassette.read_text()
        assert "old.example" in text
        assert "signature" not in text
        assert side.server.base_url not in text
    assert side.ask().status_code == 200


@pytest.mark.parametrize("record", [recording_vcr, recording_betamax])
def test_a_recorded_answer_is_played(side: Side, record: Begin, tmp_path: Path) -> None:
    side.begin()
    with record(side.session, tmp_path):
        recorded = side.ask()
    assert side.asked == 1
    with record(side.session, tmp_path):
        played = side.ask()
    assert side.asked == 1
    assert (played.json(), played.status_code) == (recorded.json(), 200)
    assert played.headers["X-Pagination-Item-Count"] == "1"
    assert list(tmp_path.iterdir())


def test_decorators_and_nested_ones(side: Side) -> None:
    side.begin()

    @responses.activate
    def inner() -> Any:
        responses.get(LIST, json=MOCKED)
        return side.ask().json()

    @requests_mock.Mocker(kw="mocking")
    def outer(mocking: Any = None) -> Any:
        mocking.get(LIST, json={"students": "outer"})
        return side.ask().json(), inner()

    assert inner() == MOCKED
    assert outer() == ({"students": "outer"}, {"students": "outer"})
    assert side.asked == 0
    assert side.ask().headers["X-Compat-Answered-By"] == "new"


def test_errors_of_ours_pass_through_them(side: Side, tmp_path: Path) -> None:
    side.server.answer = lambda number, received, connection: http(500)
    side.begin()
    for begin in PASSING:
        with begin(side.session, tmp_path):
            assert side.ask().status_code == 502
        for cassette in tmp_path.iterdir():
            cassette.unlink()


def test_a_timeout_of_ours_is_one_behind_them_too(side: Side, tmp_path: Path) -> None:
    side.server.answer = lambda number, received, connection: connection.recv(1) and None
    side.begin()
    for begin in (passing_responses, passing_requests_mock, recording_vcr, recording_betamax):
        with begin(side.session, tmp_path), pytest.raises(requests.ReadTimeout):
            side.session.get(LIST, timeout=0.2)


def test_the_clients_requests_are_for_mocks_to_answer(side: Side, tmp_path: Path) -> None:
    once = compat.RetryPolicy(attempts=1)
    upstream = compat.StudentSessions(side.server.base_url, api_token="t", secret_key="s3cret", retries=once)
    old, new = compat.ExamStudentsClient(upstream), compat.StudentSessionsClient(upstream)
    asks: list[Callable[[], Any]] = [
        lambda: old.index_students(17).students[0]["name"],
        lambda: next(iter(new.sessions(17)))["name"],
    ]
    everywhere = re.compile(re.escape(side.server.base_url))
    headers = {"X-Pagination-Item-Count": "1", "X-Pagination-Limit": "300"}
    page = json.dumps({"students": [{**RECORD, "name": "mocked"}]})
    for ask in asks:
        for begin in (of_responses, of_requests_mock, of_vcr):
            with begin(side.session, tmp_path), pytest.raises(Exception):  # noqa: B017, PT011 - each has its own
                ask()
        with responses.RequestsMock() as mocking:
            mocking.get(everywhere, body=page, headers=headers)
            assert ask() == "mocked"
        with requests_mock.Mocker() as mocker:
            mocker.get(everywhere, text=page, headers=headers)
            assert ask() == "mocked"
    assert side.asked == 0
    assert [ask() for ask in asks] == ["Ann", "Ann"]


@pytest.mark.parametrize("own", [False, True], ids=["no session", "a session"])
def test_a_client_that_has_called_before_keeps_to_a_cassette(side: Side, own: bool, tmp_path: Path) -> None:
    """Its connections are older than the cassette, and those that the cassette opens do not outlive it."""
    given = {"session": requests.Session()} if own else {}
    once = compat.RetryPolicy(attempts=1)
    upstream = compat.StudentSessions(side.server.base_url, api_token="t", secret_key="s", retries=once, **given)
    client = compat.ExamStudentsClient(upstream)

    def ask() -> Any:
        return client.index_students(17).students[0]["name"]

    ignoring = {"match_on": ["method", "path"]}
    assert ask() == "Ann"
    with vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"), pytest.raises(Exception):  # noqa: B017, PT011
        ask()
    assert side.asked == 1
    with vcr.use_cassette(str(tmp_path / "once.yaml"), record_mode="once", **ignoring):
        assert ask() == "Ann"
    assert side.asked == 2
    with vcr.use_cassette(str(tmp_path / "once.yaml"), record_mode="none", **ignoring):
        assert ask() == "Ann"
    assert side.asked == 2
    assert [ask(), ask()] == ["Ann", "Ann"]
    assert side.asked == 4
