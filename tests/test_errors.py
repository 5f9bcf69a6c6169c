"""Every other row of contract 2, by its exact text, through the adapter and through the client."""

from __future__ import annotations

import inspect
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import requests
from support import FAST, KINDS, OLD, RawServer, answered, closed_port, http, listed, mounted, upstream_of

import compat
import compat.errors
from compat.testing.sandbox import Fault, Sandbox, SandboxAnswer
from compat.upstream.transport import Unreadable

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

NOT_AUTHORISED = "You are not authorized to access this page."


def student_sessions(base_url: str, **changes: Any) -> compat.StudentSessions:
    return compat.StudentSessions(
        base_url, **{"api_token": "t0ken", "secret_key": "s3cret", "retries": FAST, **changes}
    )


def check(answer: requests.Response, status: int, message: str) -> None:
    assert (answer.status_code, answer.text) == (
        status,
        json.dumps({"error": message, "errors": {}}, separators=(",", ":")),
    )
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Compat-Answered-By"] == "new"


def check_both(upstream: Any, status: int, message: str, kind: type[compat.LegacyError]) -> compat.LegacyError:
    check(listed(mounted(upstream)), status, message)
    with pytest.raises(kind) as raised:
        compat.ExamStudentsClient(upstream).index_students(17)
    assert type(raised.value) is kind
    assert (raised.value.status, str(raised.value), raised.value.errors) == (status, message, {})
    return raised.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [403, 401])
def test_not_authorised_upstream(sandbox: Sandbox, kind: str, status: int) -> None:
    sandbox.intercept = lambda request, answer: answered({"error": "no"}, status=status)
    check_both(upstream_of(sandbox, kind), 403, NOT_AUTHORISED, compat.NotAuthorized)


def test_wrong_credentials(sandbox: Sandbox) -> None:
    for changes in ({"api_token": "wrong"}, {"secret_key": "wrong"}):
        check_both(upstream_of(sandbox, "student_sessions", **changes), 403, NOT_AUTHORISED, compat.NotAuthorized)
    for changes in ({"client_secret": "wrong"}, {"client_id": "wrong"}):
        check_both(upstream_of(sandbox, "paginated_sessions", **changes), 403, NOT_AUTHORISED, compat.NotAuthorized)


def test_not_authorised_here(sandbox: Sandbox) -> None:
    verifier = compat.Verifier([compat.Caller("nightly", "other", "key")])
    session = mounted(upstream_of(sandbox, "student_sessions"), verifier=verifier)
    check(listed(session, page=0), 403, NOT_AUTHORISED)
    assert sandbox.calls == []


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("student_sessions", "show_student"),
        ("student_sessions", "delete_student"),
        ("paginated_sessions", "show_student"),
    ],
)
def test_no_such_session(sandbox: Sandbox, kind: str, action: str) -> None:
    upstream = upstream_of(sandbox, kind)
    session, client = mounted(upstream), compat.ExamStudentsClient(upstream)
    elsewhere = next(each["id"] for each in sandbox.dataset.students if each["exam_id"] == 18)
    for missing in (5, elsewhere):
        message = f"Couldn't find Student Session with 'id'='{missing}'"
        method = "GET" if action == "show_student" else "DELETE"
        url = f"{OLD}/api/v3/exams/17/{action}"
        check(session.request(method, url, params={"student_session_id": missing}, timeout=9), 404, message)
        with pytest.raises(compat.StudentSessionNotFound) as raised:
            getattr(client, action)(17, missing)
        assert str(raised.value) == message
        assert raised.value.student_session_id == missing
    assert sandbox.dataset.find(elsewhere) is not None


def test_the_upstreams_own_422(sandbox: Sandbox) -> None:
    taken = next(each["email"] for each in sandbox.dataset.students if each["exam_id"] == 17)
    upstream = upstream_of(sandbox, "student_sessions")
    url = f"{OLD}/api/v3/exams/17/add_student"
    answer = mounted(upstream).post(url, json={"name": "A", "email": taken}, timeout=9)
    body = {"error": "has already been taken", "errors": {"email": ["has already been taken"]}}
    assert (answer.status_code, answer.json()) == (422, body)
    with pytest.raises(compat.InvalidParameter) as raised:
        compat.ExamStudentsClient(upstream).add_student(17, "A", taken)
    assert raised.value.errors == {"email": ["has already been taken"]}


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        (b'{"email": ["has already been taken"]}', {"email": ["has already been taken"]}),
        (b'{"errors": {"status": "is odd"}}', {"status": ["is odd"]}),
        (b"not JSON", {"request": ["The upstream refused the parameters."]}),
        (b"{}", {"request": ["The upstream refused the parameters."]}),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_forms_of_the_upstreams_422(sandbox: Sandbox, kind: str, sent: bytes, errors: dict[str, list[str]]) -> None:
    sandbox.intercept = lambda request, answer: answered(sent, status=422)
    answer = listed(mounted(upstream_of(sandbox, kind)))
    assert (answer.status_code, answer.json()["errors"]) == (422, errors)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [204, 302, 400, 404, 418, 500, 502, 504])
def test_any_other_status(sandbox: Sandbox, kind: str, status: int) -> None:
    sandbox.intercept = lambda request, answer: SandboxAnswer(status, {"Location": "/elsewhere"}, b"")
    check_both(upstream_of(sandbox, kind), 502, f"The upstream answered with status {status}.", compat.UpstreamError)


UNREADABLE: list[tuple[Callable[[SandboxAnswer], SandboxAnswer], str]] = [
    (lambda answer: answered(b"<html>Back soon</html>"), "The upstream's answer is not JSON, or is cut off."),
    (lambda answer: answered(answer.body[:-40], **answer.headers), "The upstream's answer is not JSON, or is cut off."),
    (lambda answer: answered(b""), "The upstream's answer is not JSON, or is cut off."),
    (lambda answer: answered([1]), "The upstream's answer is not a JSON object."),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("change", "message"), UNREADABLE)
def test_an_unreadable_answer(sandbox: Sandbox, kind: str, change: Any, message: str) -> None:
    sandbox.intercept = lambda request, answer: change(answer)
    error = check_both(upstream_of(sandbox, kind), 502, message, Unreadable)
    assert isinstance(error, compat.UpstreamError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [429, 503])
def test_throttled_to_the_end(sandbox: Sandbox, kind: str, status: int) -> None:
    sandbox.intercept = lambda request, answer: SandboxAnswer(status, {"Retry-After": "0"}, b"{}")
    message = f"The upstream asked to come back later (status {status})."
    error = check_both(upstream_of(sandbox, kind), 503, message, compat.UpstreamThrottled)
    assert isinstance(error, compat.UpstreamThrottled)
    assert error.retry_after == "0"
    assert listed(mounted(upstream_of(sandbox, kind))).headers["Retry-After"] == "0"


def test_throttled_without_and_with_an_odd_retry_after(sandbox: Sandbox) -> None:
    sandbox.intercept = lambda request, answer: SandboxAnswer(429, {}, b"{}")
    assert "Retry-After" not in listed(mounted(upstream_of(sandbox, "student_sessions"))).headers
    sandbox.intercept = lambda request, answer: SandboxAnswer(429, {"Retry-After": "soon"}, b"{}")
    assert listed(mounted(upstream_of(sandbox, "student_sessions"))).headers["Retry-After"] == "soon"


def test_throttled_for_longer_than_the_budget(sandbox: Sandbox) -> None:
    sandbox.intercept = lambda request, answer: SandboxAnswer(503, {"Retry-After": "86400"}, b"{}")
    answer = listed(mounted(upstream_of(sandbox, "student_sessions")))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "86400")
    assert len(sandbox.calls) == 1


def test_unreachable() -> None:
    upstream = student_sessions(closed_port())
    where = upstream.base_url.removeprefix("http://")
    message = (
        f"The student sessions upstream at {where} could not be reached: connection refused. "
        "Look whether it runs there, and whether the port is right."
    )
    with pytest.raises(requests.ConnectionError) as raised:
        listed(mounted(upstream))
    assert str(raised.value) == message
    assert raised.value.request is not None
    assert raised.value.response is None
    with pytest.raises(compat.UpstreamUnreachable) as ours:
        compat.ExamStudentsClient(upstream).index_students(17)
    assert (str(ours.value), ours.value.status) == (message, 502)


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_always_breaks(kind: str) -> None:
    with Sandbox(students=3, faults=[Fault("reset", 1.0)]) as sandbox:
        with pytest.raises(requests.ConnectionError, match=r"^The \w+ sessions upstream at \S+:\d+ gave no whole"):
            listed(mounted(upstream_of(sandbox, kind)))
        assert len(sandbox.calls) == 6


def test_slow() -> None:
    with Sandbox(students=3, latency=1.0) as sandbox:
        slow = f"The student sessions upstream at {sandbox.base_url.removeprefix('http://')} was too slow: "
        message = slow + "the caller's timeout of 0.2 seconds was reached. Raise that limit, or try again later."
        upstream = upstream_of(sandbox, "student_sessions")
        with pytest.raises(requests.ReadTimeout) as raised:
            mounted(upstream).get(f"{OLD}/api/v3/exams/17/index_students", timeout=0.2)
        assert str(raised.value) == message
        assert raised.value.request is not None
        hasty = upstream_of(sandbox, "student_sessions", retries=compat.RetryPolicy(budget=0.2))
        with pytest.raises(compat.UpstreamTimeout) as ours:
            compat.ExamStudentsClient(hasty).index_students(17)
    limit = slow + "the limit of 0.2 seconds a request was reached. Raise that limit, or try again later."
    assert (str(ours.value), ours.value.status) == (limit, 504)


def test_nothing_secret_is_ever_shown(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    seen: list[str] = []
    signatures: list[str] = []

    def refuse(number: int, received: Any, connection: Any) -> bytes:
        signatures.append(received.head.partition("signature=")[2][:64])
        return [http(500), http(429), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", b"garbage\r\n\r\n"][
            number % 4
        ]

    def gather(error: BaseException) -> None:
        seen.append(str(error))
        seen.append(repr(error))
        seen.extend(traceback.format_exception(error))

    caller = compat.Caller("nightly", "t0ken", "s3cret")
    with RawServer(refuse) as server:
        upstreams = [student_sessions(server.base_url), student_sessions(closed_port())]
        for upstream in upstreams:
            for verifier in (None, compat.Verifier([caller])):
                session = mounted(upstream, verifier=verifier)
                seen += [repr(upstream), repr(session.get_adapter(OLD + "/")), repr(verifier), repr(caller)]
                try:
                    seen.append(listed(session).text)
                except requests.RequestException as error:
                    gather(error)
            client = compat.ExamStudentsClient(upstream)
            with pytest.raises(compat.UpstreamError) as raised:
                client.index_students(17)
            gather(raised.value)
            seen.append(repr(client))
    paginated = upstream_of(sandbox, "paginated_sessions", client_secret="s3cret")
    with pytest.raises(compat.NotAuthorized) as refused:
        compat.ExamStudentsClient(paginated).index_students(17)
    gather(refused.value)
    shown = "\n".join([*seen, caplog.text, *(str(record.__dict__) for record in caplog.records)])
    assert len([each for each in signatures if len(each) == 64]) == len(signatures) > 0
    # A line of a traceback may quote our code, which names keys, but no value.
    for secret in ("t0ken", "s3cret", "signature=", *signatures):
        assert secret not in shown.replace(inspect.getsource(test_nothing_secret_is_ever_shown), "")


def test_every_error_is_public_and_survives_pickling() -> None:
    errors = [
        compat.ConfigurationError("x"),
        compat.MappingError("field", "rule"),
        compat.InvalidParameter({"page": ["Must be at least 1."]}, {"page": "0"}),
        compat.NotAuthorized(),
        compat.StudentSessionNotFound(5),
        compat.StoreUnavailable("x", 7),
        compat.UpstreamError("x"),
        compat.UpstreamUnreachable("x"),
        compat.UpstreamTimeout("x"),
        compat.UpstreamThrottled("x", "7"),
    ]
    assert {type(each).__name__ for each in errors} | {"CompatError", "LegacyError"} == set(compat.errors.__all__)
    for each in errors:
        again = pickle.loads(pickle.dumps(each))  # noqa: S301 - our own bytes
        assert (type(again), str(again), again.__dict__) == (type(each), str(each), each.__dict__)
        assert isinstance(each, compat.CompatError)
