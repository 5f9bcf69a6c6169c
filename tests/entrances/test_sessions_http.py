"""Student sessions in the manner of ``requests``, ``httpx`` and ``urllib``: the answers that scripts go on reading."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any, ClassVar

import httpx
import pytest
import requests

import compat
from compat import StudentSessionsHTTP
from compat.entrances.library_calls import passing_on
from compat.entrances.sessions_http import AsyncHttpxCalls, HttpxCalls
from compat.testing.sandbox import Sandbox, SandboxAnswer, SandboxRequest

ROUTE = "/api/v3/exams/17/student_sessions"


def headers(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Token token={sandbox.api_token}"}


def http(sandbox: Sandbox) -> StudentSessionsHTTP:
    return StudentSessionsHTTP(sandbox.secret_key)


def mine(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [each for each in sandbox.dataset.students if each["exam_id"] == 17]


def test_a_list_is_a_response_of_requests(sandbox: Sandbox) -> None:
    response = http(sandbox).get(sandbox.base_url + ROUTE, {"limit": 7, "page": 2}, headers=headers(sandbox), timeout=9)
    assert isinstance(response, requests.Response)
    assert response.json()["students"] == mine(sandbox)[7:14]
    assert (response.status_code, response.ok, response.reason) == (200, True, "OK")
    assert response.headers["x-pagination-item-count"] == str(len(mine(sandbox)))
    assert response.url == f"{sandbox.base_url}{ROUTE}?limit=7&page=2"
    assert response.elapsed.total_seconds() > 0
    assert json.loads(response.text) == json.loads(response.content)
    assert {call.interface for call in sandbox.calls} == {"student_sessions"}


@pytest.mark.parametrize("action", ["student_sessions", "index_students"])
def test_what_a_script_signs_by_itself_does_no_harm(sandbox: Sandbox, action: str) -> None:
    signed = {"id": 17, "timestamp": 1, "nonce": 2, "signature": "0"}
    url = f"{sandbox.base_url}/api/v3/exams/17/{action}"
    assert http(sandbox).get(url, params=signed, headers=headers(sandbox)).json()["students"] == mine(sandbox)


def test_a_request_without_a_body_stays_without_one(sandbox: Sandbox) -> None:
    answer = http(sandbox).get(sandbox.base_url + ROUTE, headers=headers(sandbox))
    assert answer.status_code == 200, answer.text
    assert answer.request.body is None


def test_one_is_shown_added_and_deleted(sandbox: Sandbox) -> None:
    calls, url, given = http(sandbox), sandbox.base_url + ROUTE, headers(sandbox)
    form = {"name": "Ann", "email": "ann@example.org"}
    added = calls.post(url, data=form, headers=given)
    assert (added.status_code, added.json()["student"]["name"]) == (201, "Ann")
    one = {"student_session_id": added.json()["student"]["id"]}
    assert calls.get(url, params=one, headers=given).json()["student"]["email"] == "ann@example.org"
    assert calls.request("DELETE", url, json=one, headers=given).json() == {}
    gone = calls.get(url, params=one, headers=given)
    assert (gone.status_code, gone.reason) == (404, "Not Found")
    with pytest.raises(requests.HTTPError, match="404 Client Error"):
        gone.raise_for_status()


def test_refusals_are_answers(sandbox: Sandbox) -> None:
    url = sandbox.base_url + ROUTE
    wrong = StudentSessionsHTTP("another").get(url, headers=headers(sandbox))
    assert (wrong.status_code, wrong.json()["error"]) == (403, "You are not authorized to access this page.")
    # As at the old endpoint: an account that is not known is not told about its parameters.
    assert StudentSessionsHTTP("another").get(url, params={"page": "x"}, headers=headers(sandbox)).status_code == 403
    bad = http(sandbox).get(url, params={"page": "x"}, headers=headers(sandbox))
    assert (bad.status_code, bad.json()["errors"]) == (422, {"page": ["Must be a number."]})
    assert http(sandbox).get(url).status_code == 403


def test_the_endpoints_own_refusal_is_passed_on() -> None:
    def refuse(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
        return SandboxAnswer(409, {"Content-Type": "application/json"}, b'{"error":"Busy."}')

    with Sandbox(students=5) as sandbox:
        sandbox.intercept = refuse
        response = http(sandbox).get(sandbox.base_url + ROUTE, headers=headers(sandbox))
        assert (response.status_code, response.json()) == (409, {"error": "Busy."})


def test_no_connection_is_raised_as_requests_raises_it() -> None:
    with pytest.raises(requests.ConnectionError):
        StudentSessionsHTTP("s").get(
            f"http://127.0.0.1:9{ROUTE}", headers={"Authorization": "Token token=t"}, timeout=1
        )


class OwnSession(requests.Session):
    def __init__(self, calls: StudentSessionsHTTP) -> None:
        super().__init__()
        self.calls, self.asked = calls, 0

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        self.asked += 1
        return self.calls.request(method, url, *args, session=self, **options)


def test_a_sessions_own_ways_stay(sandbox: Sandbox) -> None:
    session = OwnSession(http(sandbox))
    session.headers.update(headers(sandbox))
    seen: list[int] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    assert session.get(sandbox.base_url + ROUTE).json()["students"] == mine(sandbox)
    prepared = session.prepare_request(requests.Request("GET", sandbox.base_url + ROUTE, params={"limit": 1}))
    assert len(http(sandbox).send(prepared, session=session).json()["students"]) == 1
    assert (session.asked, seen) == (1, [200, 200])
    assert not any("student_sessions" in prefix for prefix in session.adapters)


class NotingSession(requests.Session):
    """A session as scripts have them: it counts, remembers, and signs in a method of its own."""

    prepared = 0
    kinds: ClassVar[list[str]] = []

    def __init_subclass__(cls, *, kind: str) -> None:
        cls.kinds.append(kind)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        self.prepared += 1
        self.last = request.url
        return super().prepare_request(request)


def test_what_a_session_notes_during_a_call_it_has_afterwards(sandbox: Sandbox) -> None:
    session, url = NotingSession(), sandbox.base_url + ROUTE
    session.headers.update(headers(sandbox))
    for count in (1, 2):
        assert http(sandbox).get(url, session=session).status_code == 200
        assert (session.prepared, session.last) == (count, url)
    assert "get_adapter" not in vars(session)
    assert session.kinds == []
    assert http(sandbox).get(url, session=requests.Session()).status_code == 403


class NotingClient(httpx.Client):
    def build_request(self, *arguments: Any, **options: Any) -> httpx.Request:
        self.built = getattr(self, "built", 0) + 1
        return super().build_request(*arguments, **options)


def test_what_a_client_of_httpx_notes_it_has_afterwards(sandbox: Sandbox) -> None:
    with NotingClient(headers=headers(sandbox)) as client:
        for count in (1, 2):
            assert http(sandbox).httpx.get(sandbox.base_url + ROUTE, client=client).status_code == 200
            assert client.built == count
        assert client.__class__ is NotingClient
        assert not client.is_closed


def test_other_routes_go_out_as_they_are(sandbox: Sandbox) -> None:
    response = http(sandbox).get(
        f"{sandbox.base_url}/api/v3/nothing", params={"signature": "0"}, headers=headers(sandbox)
    )
    assert response.status_code == 404
    assert response.url.endswith("/api/v3/nothing?signature=0")


def test_a_call_within_a_passed_on_one_is_answered_too(sandbox: Sandbox) -> None:
    with passing_on():
        found = http(sandbox).httpx.get(sandbox.base_url + ROUTE, headers=headers(sandbox)).json()["students"]
    assert found == mine(sandbox)
    assert {call.interface for call in sandbox.calls} == {"student_sessions"}


class OwnRequest:
    """Counts what its ``request`` is asked, as a script's own class with a retry or a log does."""

    asked: ClassVar[list[str]] = []

    def request(self, method: str, url: Any, **options: Any) -> Any:
        self.asked.append(method)
        return super().request(method, url, **options)  # type: ignore[misc]


class OwnCalls(OwnRequest, StudentSessionsHTTP):
    pass


class OwnHttpxCalls(OwnRequest, HttpxCalls):
    pass


class OwnAsyncHttpxCalls(OwnRequest, AsyncHttpxCalls):
    pass


def test_a_subclass_that_has_its_own_request_is_asked_by_every_method(sandbox: Sandbox) -> None:
    url, given = sandbox.base_url + ROUTE, headers(sandbox)
    calls = OwnCalls(sandbox.secret_key)
    OwnRequest.asked.clear()
    for method in (calls.get, calls.post, calls.put, calls.patch, calls.delete):
        method(url, headers=given)
    assert OwnRequest.asked == ["GET", "POST", "PUT", "PATCH", "DELETE"]
    OwnRequest.asked.clear()
    httpx_calls = OwnHttpxCalls(http(sandbox).httpx._answering)
    for ask in (httpx_calls.get, httpx_calls.post, httpx_calls.delete):
        ask(url, headers=given)
    assert OwnRequest.asked == ["GET", "POST", "DELETE"]
    OwnRequest.asked.clear()
    async_calls = OwnAsyncHttpxCalls(http(sandbox).httpx_async._answering)

    async def each() -> None:
        async with httpx.AsyncClient() as client:
            for ask in (async_calls.get, async_calls.post, async_calls.delete):
                await ask(url, client=client, headers=given)

    asyncio.run(each())
    assert OwnRequest.asked == ["GET", "POST", "DELETE"]


def test_the_clients_own_account_takes_paths(sandbox: Sandbox) -> None:
    client = compat.StudentSessionsClient(
        base_url=sandbox.base_url, api_token=sandbox.api_token, secret_key=sandbox.secret_key
    )
    assert client.http.get(ROUTE).json()["students"] == mine(sandbox)
    for secret in (sandbox.api_token, sandbox.secret_key):
        assert secret not in repr(client.http)


def test_only_student_sessions_answer_so() -> None:
    upstream = compat.PaginatedSessions("https://a.example", path="/s", bearer_token="t", exams={})
    client = compat.StudentSessionsClient(upstream)
    with pytest.raises(compat.ConfigurationError, match="only student sessions"):
        client.http  # noqa: B018 - what is looked at is what fails


def test_urllib(sandbox: Sandbox) -> None:
    request = urllib.request.Request(f"{sandbox.base_url}{ROUTE}?limit=3", headers=headers(sandbox))
    with http(sandbox).urlopen(request, timeout=9) as response:
        assert response.peek(3)[:3] == b'{"s'
        assert (response.status, response.getcode(), response.geturl()) == (200, 200, request.full_url)
        assert response.headers["X-Pagination-Limit"] == "3"
        assert json.load(response)["students"] == mine(sandbox)[:3]
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        StudentSessionsHTTP("another").urlopen(request)
    assert json.load(caught.value)["error"].startswith("You are not authorized")
    caught.value.close()
    with pytest.raises(urllib.error.HTTPError, match="404") as other:
        http(sandbox).urlopen(f"{sandbox.base_url}/api/v3/nothing")
    other.value.close()
    gone = urllib.request.Request(f"http://127.0.0.1:9{ROUTE}", headers=headers(sandbox))
    with pytest.raises(urllib.error.URLError):
        http(sandbox).urlopen(gone, timeout=1)


def test_httpx(sandbox: Sandbox) -> None:
    httpx = pytest.importorskip("httpx")
    response = http(sandbox).httpx.get(
        sandbox.base_url + ROUTE, params={"limit": 2}, headers=headers(sandbox), timeout=9
    )
    assert response.json()["students"] == mine(sandbox)[:2]
    assert (response.status_code, response.is_success, response.reason_phrase) == (200, True, "OK")
    with httpx.Client(base_url=sandbox.base_url, headers=headers(sandbox)) as client:
        assert http(sandbox).httpx.get(ROUTE, client=client).json()["students"] == mine(sandbox)
        assert http(sandbox).httpx.get("/api/v3/nothing", client=client).status_code == 404
        refused = StudentSessionsHTTP("another").httpx.get(ROUTE, client=client)
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            refused.raise_for_status()
    with pytest.raises(httpx.ConnectError):
        http(sandbox).httpx.get(f"http://127.0.0.1:9{ROUTE}", headers=headers(sandbox), timeout=1)


def test_a_key_that_is_no_text_is_named() -> None:
    with pytest.raises(compat.ConfigurationError, match=r"^secret_key: must be text, or its bytes in UTF-8$"):
        StudentSessionsHTTP(b"\xff\xfe")
    assert StudentSessionsHTTP("é".encode())
