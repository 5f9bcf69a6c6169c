"""How often and how long an upstream is tried, and that a write is sent once."""

from __future__ import annotations

import gc
import random
import re
import socket
import threading
import time
import weakref
from typing import Any

import pytest
import requests
from support import FAST, KINDS, OLD, RawServer, Received, closed_port, http, listed, mounted, page_of, upstream_of

import compat
from compat.testing.sandbox import Fault, Sandbox, SandboxAnswer
from compat.upstream.retries import Deadline, TryAgain
from compat.upstream.transport import Unreadable

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


def upstream_at(base_url: str, **changes: Any) -> compat.StudentSessions:
    return compat.StudentSessions(
        base_url, **{"api_token": "t0ken", "secret_key": "s3cret", "retries": FAST, **changes}
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["429", "502", "503", "504", "cut", "cut-chunked", "truncated", "html", "reset"])
def test_six_attempts_at_most(kind: str, fault: str) -> None:
    with Sandbox(students=3, faults=[Fault(fault, 1.0)]) as sandbox:
        try:
            assert listed(mounted(upstream_of(sandbox, kind))).status_code in (502, 503)
        except requests.ConnectionError:
            assert fault in ("cut", "cut-chunked", "reset")
        assert [call.fault for call in sandbox.calls] == [fault] * 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["429", "502", "503", "504", "cut", "cut-chunked", "truncated", "html", "reset"])
def test_the_sixth_attempt_counts(kind: str, fault: str) -> None:
    with Sandbox(students=3, exams=1, faults=[Fault(fault, 1.0)], most_faults_in_a_row=5) as sandbox:
        answer = listed(mounted(upstream_of(sandbox, kind)))
        students = sandbox.dataset.students if kind == "student_sessions" else sandbox.dataset.sessions
        assert (answer.status_code, len(answer.json()["students"])) == (200, len(students))
        calls = [call for call in sandbox.calls if call.interface == kind]
        assert [call.fault for call in calls] == [fault] * 5 + [None]


def test_every_attempt_is_signed_anew() -> None:
    with Sandbox(students=3, faults=[Fault("503", 1.0)], most_faults_in_a_row=5) as sandbox:
        assert listed(mounted(upstream_of(sandbox, "student_sessions"))).status_code == 200
        nonces = [call.parameters["nonce"] for call in sandbox.calls]
        assert len(set(nonces)) == len(nonces) == 6
        assert all(re.fullmatch("[0-9]{1,18}", nonce) for nonce in nonces)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 422, 500])
@pytest.mark.parametrize("kind", KINDS)
def test_what_would_not_change_is_not_tried_again(kind: str, status: int) -> None:
    with Sandbox(students=3) as sandbox:
        sandbox.intercept = lambda request, answer: SandboxAnswer(status, {}, b"{}")
        assert listed(mounted(upstream_of(sandbox, kind))).status_code in (403, 422, 502)
        calls = [call for call in sandbox.calls if call.interface == kind]
        # A refused token is renewed once.
        assert len(calls) == (2 if (kind, status) == ("paginated_sessions", 401) else 1)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(status: int) -> None:
    def answer(number: int, received: Received, connection: socket.socket) -> bytes:
        return http(status, headers={"Retry-After": "1"}) if number == 1 else page_of([])

    with RawServer(answer) as server:
        assert listed(mounted(upstream_at(server.base_url))).json() == {"students": []}
        first, second = server.received
        assert second.at - first.at >= 1.0


def broken_write(number: int, received: Received, connection: socket.socket) -> None:
    """The request has arrived whole; its answer never does."""


@pytest.mark.parametrize("action", ["add", "create", "update", "delete"])
def test_a_write_whose_answer_is_lost_is_not_repeated(action: str) -> None:
    with RawServer(broken_write) as server:
        upstream = upstream_at(server.base_url)
        client, old = compat.StudentSessionsClient(upstream), compat.ExamStudentsClient(upstream)
        calls: dict[str, Any] = {
            "add": lambda: old.add_student(17, "A", "a@b"),
            "create": lambda: client.create(17, name="A", email="a@b"),
            "update": lambda: client.update(5, name="B"),
            "delete": lambda: client.delete(5),
        }
        with pytest.raises(compat.UpstreamUnreachable):
            calls[action]()
        assert len(server.received) == 1


def test_a_script_that_seeds_random_draws_the_same_numbers_whether_calls_were_tried_again() -> None:
    def answer(number: int, received: Received, connection: socket.socket) -> bytes:
        return http(502) if number < 4 else page_of([])

    with RawServer(answer) as server:
        session = mounted(upstream_at(server.base_url))
        before = random.getstate()
        assert listed(session).status_code == 200
        assert random.getstate() == before
        assert len(server.received) == 4


@pytest.mark.parametrize("answer", [http(502), http(503, headers={"Retry-After": "0"}), http(429), http(201, b"{")])
def test_a_write_that_was_answered_is_not_repeated(answer: bytes) -> None:
    with RawServer(lambda number, received, connection: answer) as server:
        session = mounted(upstream_at(server.base_url))
        found = session.post(f"{OLD}/api/v3/exams/17/add_student", data={"name": "A", "email": "a@b"}, timeout=9)
        assert found.status_code in (502, 503)
        assert len(server.received) == 1


def test_a_refused_connection_is_tried_again_even_for_a_write() -> None:
    base_url = closed_port()
    port = int(base_url.rpartition(":")[2])
    started = threading.Event()
    sandbox = Sandbox(students=3, port=port)

    def start_later() -> None:
        started.wait(5)
        time.sleep(0.15)
        sandbox.start()

    thread = threading.Thread(target=start_later)
    thread.start()
    try:
        patient = compat.RetryPolicy(attempts=200, first_wait=0.02, longest_wait=0.05)
        upstream = compat.StudentSessions(
            base_url, api_token=sandbox.api_token, secret_key=sandbox.secret_key, retries=patient
        )
        started.set()
        # Whatever is made of the answer, it was sent once and arrived.
        session = mounted(upstream)
        session.post(f"{OLD}/api/v3/exams/17/add_student", data={"name": "A", "email": "a@b"}, timeout=9)
        thread.join()
        assert [each["email"] for each in sandbox.dataset.students].count("a@b") == 1
        assert [(call.method, call.status) for call in sandbox.calls] == [("POST", 201)]
    finally:
        thread.join()
        sandbox.stop()


def test_the_budget_spans_all_attempts() -> None:
    waiting = compat.RetryPolicy(attempts=1000, budget=0.3, first_wait=0.05, longest_wait=0.05)
    with RawServer(lambda number, received, connection: http(502)) as server:
        session = mounted(upstream_at(server.base_url, retries=waiting))
        try:
            answer = listed(session)
            said = f"{answer.status_code} {answer.json()['error']}"
        except requests.ReadTimeout as error:
            # The last attempt began within the budget and was cut off by its end.
            said = str(error)
        where = server.base_url.removeprefix("http://")
        assert said in (
            "502 The upstream answered with status 502.",
            f"The student sessions upstream at {where} was too slow: the limit of 0.3 seconds a request was reached. "
            "Raise that limit, or try again later.",
        )
        assert 2 <= len(server.received) <= 7


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_drips_ends_with_the_budget(chunked: bool) -> None:
    ended = threading.Event()

    def drip(number: int, received: Received, connection: socket.socket) -> None:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 100000"
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        try:
            for _ in range(400):
                connection.sendall(b"1\r\n \r\n" if chunked else b" ")
                if ended.wait(0.02):
                    return
        except OSError:
            return

    with RawServer(drip) as server:
        upstream = upstream_at(server.base_url, retries=compat.RetryPolicy(budget=0.4))
        began = time.monotonic()
        with pytest.raises(requests.ReadTimeout) as raised:
            listed(mounted(upstream))
        waited = time.monotonic() - began
        ended.set()
    where = server.base_url.removeprefix("http://")
    assert str(raised.value) == (
        f"The student sessions upstream at {where} was too slow: the limit of 0.4 seconds a request was reached. "
        "Raise that limit, or try again later."
    )
    # Not a benchmark: the server would drip for eight seconds.
    assert waited < 5


def test_a_walk_has_a_deadline_of_its_own() -> None:
    with Sandbox(students=40, clamp=5, latency=0.1) as sandbox:
        upstream = upstream_of(sandbox, "student_sessions", walk_deadline=0.25)
        with pytest.raises(requests.ReadTimeout, match=r"walk_deadline of 0\.25 seconds was reached"):
            listed(mounted(upstream))
        assert len(sandbox.calls) < 10


@pytest.mark.parametrize("limit", [0.1, (5, 0.1), (None, 0.1)])
def test_the_callers_timeout_is_followed_and_named(limit: Any) -> None:
    with Sandbox(students=3, latency=0.3) as sandbox:
        session = mounted(upstream_of(sandbox, "student_sessions"))
        with pytest.raises(
            requests.ReadTimeout,
            match=r"the caller's timeout of 0\.1 seconds was reached\. Raise that limit, or try again later\.$",
        ):
            session.get(f"{OLD}/api/v3/exams/17/index_students", timeout=limit)
        assert session.get(f"{OLD}/api/v3/exams/17/index_students", timeout=(5, None)).status_code == 200
        assert session.get(f"{OLD}/api/v3/exams/17/index_students", timeout=9).status_code == 200


def test_a_redirect_is_not_followed() -> None:
    elsewhere: list[int] = []

    def redirect(number: int, received: Received, connection: socket.socket) -> bytes:
        return http(302, headers={"Location": other.base_url + "/api/v3/student_sessions"})

    def count(number: int, received: Received, connection: socket.socket) -> bytes:
        elsewhere.append(number)
        return page_of([])

    with RawServer(count) as other, RawServer(redirect) as server:
        answer = listed(mounted(upstream_at(server.base_url)))
        assert (answer.status_code, answer.json()["error"]) == (502, "The upstream answered with status 302.")
    assert elsewhere == []


def test_a_signed_request_has_the_documented_form() -> None:
    with RawServer(lambda number, received, connection: page_of([])) as server:
        assert listed(mounted(upstream_at(server.base_url, scope="exam"))).json() == {"students": []}
        head = server.received[0].head
    assert head.startswith("GET /api/v3/exams/17/student_sessions?")
    assert "exam_id=" not in head
    assert "\r\nAuthorization: Token token=t0ken" in head
    assert "\r\nAccept: application/vnd.procwise.v3\r\n" in head
    assert re.findall(r"[?&](\w+)=", head.split("\r\n")[0]) == [
        "page",
        "limit",
        "timestamp",
        "nonce",
        "signature",
    ]


def test_nothing_of_a_failed_attempt_is_held_while_the_next_one_is_waited_for() -> None:
    """A page of students would stay for as long as the upstream fails, in each call that waits."""

    class Answer:
        """Stands for a body; bytes themselves cannot be watched."""

    watched: list[weakref.ref[Answer]] = []
    held: list[int] = []

    def read(answer: Answer) -> None:
        try:
            raise ValueError(answer)
        except ValueError:
            raise Unreadable("cut off") from None

    def attempt() -> None:
        answer = Answer()
        watched.append(weakref.ref(answer))
        try:
            read(answer)
        except Unreadable as error:
            raise TryAgain(error) from None

    def enough() -> bool:
        gc.collect()
        held.append(sum(each() is not None for each in watched))
        return False

    with pytest.raises(Unreadable, match="cut off"):
        FAST.run(attempt, Deadline.after(30, "the test's limit"), enough)
    assert len(watched) == FAST.attempts
    assert held
    assert not any(held)
