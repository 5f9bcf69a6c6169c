"""Bounds on what one answer of an upstream can make us hold or wait for, through every entrance."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import entrance_calls
import pytest
from attacked import MIB, attacked_gateway, resident
from gateways import written
from hostile import HOSTILE, hostile
from hostile_server import COUNTS, HONEST, exam_of
from serving import Gateway
from support import FAST
from wires import Sent, Wire, whole

import compat
from compat.upstream import limits as large_answers

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

SECONDS = 2
KEYS = {
    "size": "a chunk without a size",
    "trailers": "100 lines",
    "bomb": "answer_decoded_bytes",
    "dripping": "answer_seconds",
    "lines of a head": "100 lines",
    "head": "answer_head_bytes",
    "103": "more than 32 informational answers .* answer_head_bytes",
    "100": "more than 32 informational answers .* answer_head_bytes",
    "records": "page_records",
    "empty": "page_records",
    "deep": "page_records",
    "nested": "JSON",
    "": "answer_body_bytes",
}
"""Part of an attack's name to what the error has to name; the first that fits."""


def upstream_at(base_url: str, **settings: Any) -> compat.StudentSessions:
    return compat.StudentSessions(
        base_url,
        api_token="a",
        secret_key="b",
        scope="exam",
        **{"retries": FAST, "answer_seconds": SECONDS, **settings},
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_an_error_names_the_limit(name: str) -> None:
    says = next(key for part, key in KEYS.items() if part in name)
    seconds = SECONDS if "dripping" in name else 30
    with hostile(name) as wire, pytest.raises(compat.UpstreamError, match=says) as raised:
        list(compat.StudentSessionsClient(upstream_at(wire.base_url, answer_seconds=seconds)).sessions(17))
    assert raised.value.status == (504 if "dripping" in name else 502)


def test_an_informational_answer_counts_before_a_line_that_has_no_end() -> None:
    """Past its limit, the line would be read as far as a body may be long."""

    def answer(sent: Sent, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 ")
        for _ in range(pieces):
            connection.sendall(b"y" * 65536)
            taken.append(65536)

    pieces, taken = 1024, list[int]()
    with Wire(answer) as wire:
        upstream = upstream_at(wire.base_url, answer_head_bytes=30, answer_body_bytes=1 << 30)
        with pytest.raises(compat.UpstreamError, match=r"head .*answer_head_bytes"):
            list(compat.StudentSessionsClient(upstream).sessions(17))
    assert len(taken) < pieces


@pytest.mark.parametrize("entrance", ["adapter", "gateway"])
@pytest.mark.parametrize("name", ["gzip bomb", "endless chunks", "dripping head", "endless 103", "a million records"])
def test_every_entrance_ends_it(name: str, entrance: str) -> None:
    with (
        hostile(name) as wire,
        getattr(entrance_calls, entrance)(
            upstream_at(wire.base_url, answer_seconds=SECONDS if "dripping" in name else 30)
        ) as call,
    ):
        assert call() == (504 if "dripping" in name else 502)


@pytest.mark.parametrize(
    "key", ["answer_seconds", "answer_head_bytes", "answer_body_bytes", "answer_decoded_bytes", "page_records"]
)
def test_each_limit_is_a_key(key: str, tmp_path: Path) -> None:
    settings = {"upstream": {"kind": "student_sessions", "base_url": "https://x.example", "api_token": "a"}}
    settings["upstream"]["secret_key"] = "b"
    upstream: dict[str, Any] = {**settings["upstream"], key: 77}
    config = written(tmp_path, {"upstream": upstream}, callers=())
    assert getattr(compat.load_config(config).upstream._transport._limits, key) == 77  # type: ignore[attr-defined]
    written(tmp_path, {"upstream": {**upstream, key: 0}}, callers=())
    with pytest.raises(compat.ConfigurationError, match=key):
        compat.load_config(config)
    with pytest.raises(compat.ConfigurationError, match=f"{key} = 0: must be"):
        upstream_at("https://x.example", **{key: 0})


def test_the_token_endpoint_is_bounded_too() -> None:
    with hostile("endless chunks") as wire:
        upstream = compat.PaginatedSessions(
            wire.base_url,
            path="/sessions",
            exams={17: "app"},
            token_url=f"{wire.base_url}/token",
            client_id="a",
            client_secret="b",
            retries=FAST,
        )
        with pytest.raises(compat.UpstreamError, match="answer_body_bytes"):
            list(compat.StudentSessionsClient(upstream).sessions())


def test_what_decodes_without_a_bound_is_refused_by_name_and_not_asked_for(tmp_path: Path) -> None:
    # Brotli before 1.2, as urllib3 sees it.
    (tmp_path / "brotli.py").write_text(
        "class error(Exception): pass\nclass Decompressor:\n    def process(self, data): return b''\n", encoding="utf-8"
    )
    program = (
        "import compat, sys\nfrom compat.upstream.senders import OwnPool\n"
        "print(OwnPool()._headers['Accept-Encoding'])\n"
        "upstream = compat.StudentSessions(sys.argv[1], api_token='a', secret_key='b', scope='exam')\n"
        "list(compat.StudentSessionsClient(upstream).sessions(17))"
    )
    with hostile("brotli bomb") as wire:
        done = subprocess.run(
            [sys.executable, "-c", program, wire.base_url],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "br" not in done.stdout.strip().split(", ")
    assert "gzip" in done.stdout
    assert "encoded as 'br', which cannot be decoded here" in done.stderr


def test_a_page_within_the_limits_is_read(tmp_path: Path) -> None:
    records = [
        {"id": number, "exam_id": 17, "individual_info": ".a {b: c, d}\n" * 200 + "x" * 9000} for number in range(300)
    ]
    body = json.dumps({"students": records}).encode()
    with Wire(lambda sent, to: to.sendall(whole("200 OK", body, "X-Pagination-Item-Count: 300", COUNTS[1]))) as wire:
        assert len(list(compat.StudentSessionsClient(upstream_at(wire.base_url)).sessions(17))) == 300


def test_large_answers_wait_for_a_place_and_small_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_answers, "_free", threading.BoundedSemaphore(1))
    reading, going_on = threading.Event(), threading.Event()
    large = json.dumps({"students": [{"id": 1, "exam_id": 17, "individual_info": "x" * 3 * MIB}]}).encode()

    def answer(sent: Sent, connection: socket.socket) -> None:
        if "/18/" in sent.line:
            connection.sendall(whole("200 OK", HONEST, *COUNTS))
            return
        page = whole("200 OK", large, *COUNTS)
        connection.sendall(page[:-100])
        if not reading.is_set():
            reading.set()
            going_on.wait(20)
        connection.sendall(page[-100:])

    def listed(exam: int, **settings: Any) -> list[dict[str, Any]]:
        return list(compat.StudentSessionsClient(upstream_at(wire.base_url, **settings)).sessions(exam))

    with Wire(answer) as wire, ThreadPoolExecutor(2) as threads:
        first = threads.submit(listed, 17, answer_seconds=30)
        reading.wait(20)
        while large_answers._free._value:  # type: ignore[attr-defined]
            time.sleep(0.01)
        assert len(listed(18)) == 1
        once = compat.RetryPolicy(attempts=1)
        with pytest.raises(compat.UpstreamThrottled, match="at once"):
            listed(17, answer_seconds=0.5, retries=once)
        second = threads.submit(listed, 17, answer_seconds=30)
        going_on.set()
        assert len(first.result()) == len(second.result()) == 1


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that gives up an answer after five seconds."""
    with attacked_gateway(tmp_path_factory.mktemp("attacked"), answer_seconds=5) as gateway:
        yield gateway


@pytest.mark.parametrize("name", HOSTILE)
def test_a_gateway_stays_small_and_answers_others(attacked: Gateway, name: str) -> None:
    exam = exam_of(name)
    assert attacked.listed(18).status_code == 200
    usual = resident(attacked)
    with ThreadPoolExecutor(8) as threads:
        attacks = [threads.submit(attacked.listed, exam) for _ in range(8)]
        highest = usual
        while not all(each.done() for each in attacks):
            highest = max(highest, resident(attacked))
            time.sleep(0.02)
    assert {each.result().status_code for each in attacks} <= {502, 503, 504}
    assert attacked.listed(18).status_code == 200
    assert highest - usual < 300 * MIB
