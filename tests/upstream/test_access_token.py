"""Bearer tokens: kept, renewed in time, renewed once after a refusal."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support import FAST, RawServer, answered, http, listed, mounted, upstream_of

import compat
import compat.upstream.access_token
from compat.testing.sandbox import Fault, Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


def tokens(sandbox: Sandbox) -> int:
    return len([call for call in sandbox.calls if call.interface == "token"])


def test_one_token_serves_many_calls_and_threads(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "paginated_sessions"))
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(lambda exam: listed(session, exam), [17, 18, 19] * 5)} == {
            200
        }
    assert tokens(sandbox) == 1


def test_it_is_renewed_before_it_ends(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + offset[0]

    monkeypatch.setattr(compat.upstream.access_token, "time", Clock)
    session = mounted(upstream_of(sandbox, "paginated_sessions"))
    for later, expected in ((0, 1), (3500, 1), (3575, 2), (3576, 2)):
        offset[0] = later
        assert listed(session).status_code == 200
        assert tokens(sandbox) == expected
    assert 401 not in {call.status for call in sandbox.calls}


def test_it_is_renewed_once_after_a_refusal(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "paginated_sessions"))
    assert listed(session).status_code == 200
    sandbox.revoke_tokens()
    sandbox.clear_calls()
    assert listed(session).status_code == 200
    assert tokens(sandbox) == 1
    assert [call.status for call in sandbox.calls].count(401) == 1


def test_threads_that_are_refused_at_once_renew_once() -> None:
    with Sandbox(students=30, exams=1, latency=0.05) as sandbox:
        session = mounted(upstream_of(sandbox, "paginated_sessions"))
        assert listed(session).status_code == 200
        sandbox.revoke_tokens()
        sandbox.clear_calls()
        ready = threading.Barrier(6)

        def ask(limit: int) -> int:
            ready.wait(5)
            return listed(session, limit=limit).status_code

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(ask, range(5, 11))) == [200] * 6
        assert tokens(sandbox) == 1


def test_a_token_that_is_always_refused(sandbox: Sandbox) -> None:
    sandbox.intercept = lambda request, answer: answered({}, status=401)
    assert listed(mounted(upstream_of(sandbox, "paginated_sessions"))).status_code == 403
    assert tokens(sandbox) == 2


def given_token(sandbox: Sandbox, token: str) -> compat.PaginatedSessions:
    return compat.PaginatedSessions(
        sandbox.base_url,
        path="/insights/1.0/sessions",
        exams={exam.id: exam.application_id for exam in sandbox.dataset.exams},
        bearer_token=token,
        retries=FAST,
    )


def test_a_given_token(sandbox: Sandbox) -> None:
    answer = listed(mounted(given_token(sandbox, "stale")))
    assert (answer.status_code, answer.json()["error"]) == (403, "You are not authorized to access this page.")
    assert [call.status for call in sandbox.calls] == [401]
    upstream: Any = upstream_of(sandbox, "paginated_sessions")
    assert listed(mounted(upstream)).status_code == 200
    assert listed(mounted(given_token(sandbox, upstream._tokens._token))).status_code == 200


@pytest.mark.parametrize("fault", ["503", "cut", "html", "reset"])
def test_asking_for_a_token_is_tried_again(fault: str) -> None:
    with Sandbox(students=3, faults=[Fault(fault, 1.0)], most_faults_in_a_row=3) as sandbox:
        assert listed(mounted(upstream_of(sandbox, "paginated_sessions"))).status_code == 200
        assert tokens(sandbox) == 4


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (http(200, b'{"token_type":"Bearer"}'), 502, "The upstream's token endpoint gave no token that can be read."),
        (http(200, b"[]"), 502, "The upstream's token endpoint gave no token that can be read."),
        (http(200, b"<html>"), 502, "The upstream's token endpoint gave no token that can be read."),
        (
            http(200, b'{"access_token":"x","token_type":"mac","expires_in":5}'),
            502,
            "The upstream's token endpoint gave another kind of token than Bearer.",
        ),
        (http(404), 502, "The upstream answered with status 404."),
        (http(400, b'{"error":"invalid_client"}'), 403, "You are not authorized to access this page."),
        (http(401, b'{"error":"invalid_client"}'), 403, "You are not authorized to access this page."),
        (http(200, b'{"error":"invalid_scope"}'), 502, "The upstream's token endpoint gave no token that can be read."),
    ],
)
def test_token_endpoints_that_give_none(sandbox: Sandbox, answer: bytes, status: int, message: str) -> None:
    with RawServer(lambda number, received, connection: answer) as server:
        upstream = upstream_of(sandbox, "paginated_sessions", token_url=f"{server.base_url}/token")
        found = listed(mounted(upstream))
        assert (found.status_code, found.json()) == (status, {"error": message, "errors": {}})
        head, body = server.received[0].head, server.received[0].body
    assert head.startswith("POST /token HTTP/1.1\r\n")
    assert "\r\nAuthorization: Basic " in head
    assert b"grant_type=client_credentials" in body
    assert b"client_secret" not in body


@pytest.mark.parametrize("lifetime", [b"", b',"expires_in":null', b',"expires_in":"3600"', b',"expires_in":0'])
def test_odd_lifetimes_still_give_a_token(sandbox: Sandbox, lifetime: bytes) -> None:
    good: Any = upstream_of(sandbox, "paginated_sessions")
    assert listed(mounted(good)).status_code == 200
    token = good._tokens._token.encode()
    body = b'{"access_token":"' + token + b'","token_type":"bearer"' + lifetime + b"}"
    with RawServer(lambda number, received, connection: http(200, body)) as server:
        upstream = upstream_of(sandbox, "paginated_sessions", token_url=f"{server.base_url}/token")
        assert listed(mounted(upstream)).status_code == 200
