"""What is written down and counted of a request, and what never is."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from compat.gateway.metrics import Metrics, MetricsReader, UpstreamSeen
from compat.gateway.observers import CallLog, JsonLines, ObserverQueue, log_line
from compat.gateway.request import Exchange


def _exchange(**changes: object) -> Exchange:
    made = Exchange("r-1", "GET", at=1_700_000_000.25, route="index_students", caller="registrar", status=200)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _numbers(metrics: Metrics) -> dict[str, float]:
    """Name and labels to value, without the moments at which series began."""
    return {
        name: float(value)
        for name, _, value in (
            line.rpartition(" ") for line in MetricsReader(metrics.registry).exposition().decode().splitlines()
        )
        if not name.startswith("#") and "_created" not in name
    }


def test_a_request_is_one_line_of_json() -> None:
    exchange = _exchange(exam_id="17", seconds=0.0123, answered_by="new")
    exchange.attempted(503)
    exchange.attempted(200)
    line = log_line(exchange)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "event": "call",
        "request_id": "r-1",
        "method": "GET",
        "route": "index_students",
        "caller": "registrar",
        "exam_id": "17",
        "status": 200,
        "answered_by": "new",
        "milliseconds": 12.3,
        "upstream_calls": 2,
    }


def test_no_text_of_a_caller_begins_a_line_of_its_own() -> None:
    method = 'G"\r\n{"event": "call"}\u2028'
    line = log_line(_exchange(method=method))
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert json.loads(line)["method"] == method


def test_a_path_that_holds_anything_else_is_not_shown_as_an_exam() -> None:
    for given in ("jan@example.org", "1\r\n2", "١٧", ""):
        assert "exam_id" not in json.loads(log_line(_exchange(exam_id=given)))


def test_a_message_shows_where_an_error_came_from_and_not_what_it_says() -> None:
    try:
        raise ValueError("jan@example.org")
    except ValueError:
        record = logging.LogRecord("compat", logging.ERROR, __file__, 1, "a call failed\n", None, sys.exc_info())
    line = JsonLines().format(record)
    assert "jan@example.org" not in line
    shown = json.loads(line)
    assert (shown["level"], shown["message"], shown["exception"]) == ("error", "a call failed\n", "ValueError")
    assert shown["at"][0].startswith(__file__)
    assert "\n" not in line


def test_calls_count_by_route_status_and_caller() -> None:
    metrics, lines = Metrics(), []
    journal = CallLog(metrics, lines.append)
    for exchange in (
        _exchange(seconds=0.02),
        _exchange(seconds=0.02, status=422),
        _exchange(status=403, refusal="wrong signature"),
        _exchange(status=403, caller=None, refusal="unknown token"),
        _exchange(route="other", caller=None, status=204),
    ):
        journal([exchange])
    found = _numbers(metrics)
    assert len(lines) == 5
    assert found['exam_compat_calls_total{caller="registrar",route="index_students",status="200"}'] == 1
    assert found['exam_compat_calls_total{caller="unknown",route="index_students",status="403"}'] == 1
    assert found['exam_compat_call_seconds_bucket{le="0.025",route="index_students"}'] == 4
    assert found['exam_compat_call_seconds_bucket{le="0.01",route="index_students"}'] == 2
    assert found['exam_compat_refusals_total{reason="wrong signature"}'] == 1
    # Two were admitted, one of them to be refused for its parameters.
    assert found["exam_compat_nonces_spent_total"] == 2


def test_lines_go_out_together_as_far_as_a_pipe_keeps_them_together() -> None:
    written: list[bytes] = []
    journal = CallLog(Metrics(), written.append)
    ended = [_exchange(failure="x" * (number * 40)) for number in range(60)]
    journal([*ended, _exchange(failure="x" * 9000), *ended])
    lines = [log_line(each) for each in [*ended, _exchange(failure="x" * 9000), *ended]]
    assert b"".join(written) == b"".join(lines)
    assert len(written) < len(lines) / 2
    assert all(each.endswith(b"\n") and (len(each) <= 4096 or each in lines) for each in written)


def test_what_ends_at_about_the_same_time_is_told_together_and_all_of_it_at_the_end() -> None:
    told: list[list[str]] = []

    async def answers() -> None:
        aftermath = ObserverQueue([], [lambda ended: told.append([each.request_id for each in ended])])
        for name in ("a", "b", "c"):
            aftermath.ended(_exchange(request_id=name), None)
        assert told == []
        ends = time.monotonic() + 30
        while not told and time.monotonic() < ends:
            await asyncio.sleep(0.01)
        aftermath.ended(_exchange(request_id="d"), None)
        await aftermath.close()

    asyncio.run(answers())
    assert told == [["a", "b", "c"], ["d"]]


def test_one_that_fails_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    def fails(ended: Sequence[Exchange]) -> None:
        raise OSError("jan@example.org")

    async def answer() -> None:
        aftermath = ObserverQueue([], [fails, lambda ended: told.append(len(ended))])
        aftermath.ended(_exchange(), None)
        aftermath.ended(_exchange(), None)
        await aftermath.close()

    asyncio.run(answer())
    assert told == [2]
    assert [each.startswith("2 calls are not told of: OSError at ") for each in caplog.messages] == [True]
    assert "jan@" not in caplog.text


@pytest.mark.parametrize(
    ("status", "route", "failed"),
    [
        (200, "index_students", False),
        (404, "index_students", False),
        (403, "index_students", True),
        (403, "other", None),
        (429, "index_students", True),
        (503, "other", True),
        (None, "index_students", True),
    ],
)
def test_what_came_back_says_whether_the_upstream_is_of_use(
    status: int | None, route: str, failed: bool | None
) -> None:
    metrics, exchange = Metrics(), _exchange(route=route)
    exchange.attempted(status)
    metrics.count([exchange])
    seen = MetricsReader(metrics.registry).upstream_seen()
    assert (seen.failure > 0) == (failed is True)
    assert (seen.success > 0) == (failed is False)


_PROCESS = """
import sys
from compat.gateway.request import Exchange
from compat.gateway.metrics import Metrics
metrics = Metrics()
metrics.walks_kept(3)
metrics.drifted("email")
for _ in range(int(sys.argv[1])):
    metrics.count([Exchange("r", "GET", route="index_students", caller="a", status=200)])
"""


def test_processes_are_added_up_and_what_one_kept_goes_with_it(tmp_path: Path) -> None:
    for calls in ("2", "3"):
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-W", "error", "-c", _PROCESS, calls], env=environment, check=True, timeout=60)
    shown = MetricsReader(tmp_path).exposition().decode()
    assert 'exam_compat_calls_total{caller="a",route="index_students",status="200"} 5.0' in shown
    assert 'exam_compat_drift_total{field="email"} 2.0' in shown
    assert "exam_compat_walks_kept 0" in shown or "exam_compat_walks_kept " not in shown


@pytest.mark.parametrize("name", ["counter_9.db", "gauge_max_9.db", "histogram_9.db"])
def test_a_file_that_a_process_has_only_opened_counts_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    numbers = MetricsReader(tmp_path)
    assert numbers.upstream_seen() == UpstreamSeen()
    assert numbers.exposition() == b""
