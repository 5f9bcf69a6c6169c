"""A gateway loaded before its server forked: each child has its own, and a nonce is spent once between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import preforked
import pytest
import requests
from asked_upstream import asked_upstream, names_of
from forked import needs_fork
from gateways import SECRET, TOKEN, written
from redis_server import RedisServer

from compat.legacy.signature import base_string, sign, signed

pytestmark = needs_fork

HEADERS = {"Authorization": f"Token token={TOKEN}"}
STATUSES = ("exam_finished", "exam_started", "in_setup", "registered")


@dataclass
class Children:
    """The children's bases, the answer of the call that their parent had made, and what it says at the end."""

    bases: list[str]
    first: int
    query: str
    ended: dict[str, Any]


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with asked_upstream() as running:
        yield running


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/calls.db"
        return
    with RedisServer(tmp_path) as running:
        yield running.url


@pytest.fixture
def children(upstream: str, store: str, tmp_path: Path) -> Iterator[Children]:
    settings = {
        "upstream": {
            "kind": "student_sessions",
            "base_url": upstream,
            "api_token": "t",
            "secret_key": "s",
            "scope": "exam",
        },
        "store": {"url": store},
    }
    config = written(tmp_path, settings)
    # The store is made after this, and takes no call that was signed before.
    parameters = {"timestamp": f"{time.time_ns() // 1_000_000 + 60_000}", "nonce": "684724281675658169"}
    query = urlencode({**parameters, "signature": sign(base_string({**parameters, "id": "17"}), SECRET)})
    with _running(config, query) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        begun = json.loads(process.stdout.readline())
        found = Children([f"http://127.0.0.1:{port}" for port in begun["ports"]], begun["first"], query, {})
        yield found
        process.stdin.close()
        found.ended.update(json.loads(process.stdout.read()))
    # A server that stopped as asked ends by the signal that asked.
    assert found.ended == {"parent": [200], "children": [-signal.SIGTERM] * preforked.CHILDREN}


@contextmanager
def _running(config: Path, query: str) -> Iterator[subprocess.Popen[str]]:
    log: IO[bytes]
    with (config.parent / "preforked.log").open("wb") as log:
        command = [sys.executable, preforked.__file__, TOKEN, SECRET, query]
        environment = {**os.environ, "EXAM_COMPAT_CONFIG": str(config)}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        ) as process:
            try:
                yield process
            finally:
                process.terminate()


def test_a_nonce_is_spent_once_between_all_of_them(children: Children) -> None:
    assert children.first == 200
    path = preforked.PATH
    for base in children.bases:
        assert requests.get(f"{base}{path}?{children.query}", headers=HEADERS, timeout=60).status_code == 403
    for _ in range(5):
        query = urlencode(signed({}, SECRET, {"id": "17"}))
        with ThreadPoolExecutor(len(children.bases)) as threads:
            answers = threads.map(
                lambda base: requests.get(f"{base}{path}?{query}", headers=HEADERS, timeout=60).status_code,  # noqa: B023
                children.bases,
            )
            assert sorted(answers) == [200, 403, 403, 403]


@pytest.mark.parametrize("calls", [100, pytest.param(2000, marks=pytest.mark.soak)])
def test_each_call_gets_its_own_answer(children: Children, calls: int) -> None:
    def ask(number: int) -> bool:
        exam = number * 10 if number % 3 == 0 else number * 10 + 1
        status = STATUSES[number % 4]
        base = children.bases[number % len(children.bases)]
        asked = signed({"status": status}, SECRET, {"id": str(exam)})
        url = f"{base}/api/v3/exams/{exam}/index_students"
        answer = requests.get(url, params=asked, headers=HEADERS, timeout=60).json()
        other = requests.get(f"{base}/api/v3/student_sessions/{number}", headers=HEADERS, timeout=60).json()
        names = [each["name"] for each in answer["students"]]
        return names == names_of(exam, status) and other["student"]["name"] == f"session {number}"

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(calls)))
