"""The pages for operators, and what makes a gateway ready."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
import requests
import trustme
from support import closed_port

from compat.errors import StoreUnavailable
from compat.gateway.admin import AdminApplication, Readiness, ReadinessCheck, serving_admin
from compat.gateway.metrics import UpstreamSeen
from compat.gateway.observers import JsonLines
from compat.gateway.workers import OK


@contextmanager
def _listening() -> Iterator[tuple[str, int]]:
    """An address that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[:2]


_NEVER = UpstreamSeen()


class _Store:
    def __init__(self, *, down: bool = False) -> None:
        self.down = down

    def ping(self) -> None:
        if self.down:
            raise StoreUnavailable("the store cannot be reached")


def _well(question: str, within: float) -> dict[str, str | None]:
    return {"worker 1": OK, "worker 2": OK}


def _check(
    upstream: str,
    seen: UpstreamSeen = _NEVER,
    *,
    down: bool = False,
    workers: Callable[[str, float], dict[str, str | None]] = _well,
) -> Readiness:
    return ReadinessCheck(workers, upstream, lambda: seen, _Store(down=down), threading.Event())()


@contextmanager
def _pages(readiness: Callable[[], Readiness], description: Callable[[], bytes] | None = None) -> Iterator[str]:
    application = AdminApplication(readiness, lambda: b"a_number 1.0\n", description)
    with serving_admin(application, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_gateway_is_ready_where_all_that_a_call_needs_is_there() -> None:
    with _listening() as (host, port):
        upstream = f"http://{host}:{port}"
        assert _check(upstream) == Readiness(
            True, {"configuration": "ok", "workers": "ok", "store": "ok", "upstream": "ok"}
        )
        assert not _check(closed_port()).ready


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "no worker has started"),
        ({"worker 1": OK, "worker 2": None}, "worker 2: no answer within 2 seconds"),
        ({"worker 1": "no file can be opened: Too many open files", "worker 2": OK}, "worker 1: no file can be opened"),
    ],
)
def test_every_worker_has_to_answer(answers: dict[str, str | None], said: str) -> None:
    with _listening() as (host, port):
        found = _check(f"http://{host}:{port}", workers=lambda question, within: answers)
    assert not found.ready
    assert said in found.checks["workers"]


def test_the_store_counts() -> None:
    with _listening() as (host, port):
        found = _check(f"http://{host}:{port}", down=True)
    assert not found.ready
    assert "store cannot be reached" in found.checks["store"]


@pytest.mark.parametrize(
    ("success", "failure", "listens", "ready"),
    [
        (5, None, False, True),
        (5, 1, False, True),
        (None, 5, True, False),
        (300, 5, True, False),
        (300, 300, True, True),
        (300, 300, False, False),
    ],
)
def test_the_upstream_counts_by_what_calls_heard_of_it_of_late(
    success: float | None, failure: float | None, listens: bool, ready: bool
) -> None:
    now = time.time()
    seen = UpstreamSeen(now - success if success else 0.0, now - failure if failure else 0.0)
    with _listening() as (host, port):
        upstream = f"http://{host}:{port}" if listens else closed_port()
        found = _check(upstream, seen)
    assert found.ready == ready
    assert (found.checks["upstream"] == "ok") == ready


def test_a_proxy_is_asked_where_calls_go_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with _listening() as (host, port):
        monkeypatch.setenv("http_proxy", f"{host}:{port}")
        assert _check("http://upstream.invalid").ready
        monkeypatch.setenv("no_proxy", "upstream.invalid")
        assert not _check("http://upstream.invalid").ready


def test_the_certificate_is_looked_at_once_workers_answer() -> None:
    ends = datetime.now(timezone.utc) + timedelta(days=3, hours=1)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1", not_before=ends - timedelta(days=9), not_after=ends).configure_cert(served)
    with socket.create_server(("127.0.0.1", 0)) as server:
        shown = server.getsockname()[:2]
        seen = UpstreamSeen(time.time())
        starting = ReadinessCheck(lambda *_: {}, "", lambda: seen, _Store(), threading.Event(), shown)
        assert not starting().warnings
        with ThreadPoolExecutor(1) as thread:
            shaken = thread.submit(lambda: served.wrap_socket(server.accept()[0], server_side=True).close())
            # One that hangs beside it does not hide it.
            one_hangs = replace(starting, asked=lambda *_: {"worker 1": None, "worker 2": "ok"})
            assert "in 3 days" in one_hangs().warnings["certificate"]
            shaken.result()


def test_a_gateway_that_stops_is_not_ready() -> None:
    with _listening() as (host, port):
        stopping = threading.Event()
        check = ReadinessCheck(_well, f"http://{host}:{port}", UpstreamSeen, _Store(), stopping)
        assert check().ready
        stopping.set()
        assert check() == Readiness(False, {"gateway": "it is stopping"})


def test_the_pages() -> None:
    with _pages(lambda: Readiness(False, {"store": "gone"}), lambda: b'{"openapi":"3.1.0"}') as base:
        alive = requests.get(f"{base}/healthz", timeout=10)
        assert (alive.status_code, alive.json()) == (200, {"alive": True})
        ready = requests.get(f"{base}/readyz", timeout=10)
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "checks": {"store": "gone"}})
        numbers = requests.get(f"{base}/metrics", timeout=10)
        assert (numbers.status_code, numbers.content) == (200, b"a_number 1.0\n")
        assert numbers.headers["Content-Type"].startswith("text/plain; version=")
        described = requests.get(f"{base}/openapi.json", timeout=10)
        assert (described.status_code, described.json()) == (200, {"openapi": "3.1.0"})
        head = requests.head(f"{base}/metrics", timeout=10)
        assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "13")
        lost = requests.get(f"{base}/api/v3/exams/17/index_students", timeout=10)
        assert lost.status_code == 404
        assert lost.json()["errors"] == {}
        assert "/readyz" in lost.json()["error"]
        written = requests.post(f"{base}/healthz", timeout=10)
        assert (written.status_code, written.headers["Allow"]) == (405, "GET, HEAD")


def test_a_page_that_fails_says_nothing_of_why(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> Readiness:
        raise ValueError("jan@example.org")

    with _pages(failing) as base:
        answer = requests.get(f"{base}/readyz", timeout=10)
        assert answer.status_code == 500
        assert "jan@example.org" not in answer.text
        assert requests.get(f"{base}/healthz", timeout=10).status_code == 200
    assert "jan@example.org" not in capfd.readouterr().err
    (record,) = caplog.records
    assert "jan@example.org" not in JsonLines().format(record)


def test_a_slow_client_keeps_nobody_else_waiting() -> None:
    with _pages(lambda: Readiness(True, {})) as base:
        port = int(base.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert requests.get(f"{base}/readyz", timeout=10).status_code == 200


def test_nothing_is_left_when_it_ends() -> None:
    with _pages(lambda: Readiness(True, {})) as base:
        assert requests.get(f"{base}/healthz", timeout=10).status_code == 200
    assert not [each for each in threading.enumerate() if each.name == "admin"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{base}/healthz", timeout=10)
