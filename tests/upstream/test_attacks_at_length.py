"""Hostile upstreams for a minute at 32 connections: what a gateway holds, how others fare, how it recovers.

Times are printed and not asserted, since they depend on what else the machine does: the upstream and all callers of
this test share one process, and most of what an upstream without an end costs is its own sending.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from attacked import MIB, attacked_gateway, exam_of, resident
from gateways import HEADERS_OF
from hostile import HOSTILE
from serving import Gateway

from compat.legacy.signature import signed

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("EXAM_COMPAT_ATTACK_SECONDS", "60"))
CONNECTIONS = 32


def _honest(gateway: Gateway) -> float:
    """Seconds that a call of another caller took."""
    headers, secret = HEADERS_OF["LMS of seconds"]
    begun = time.perf_counter()
    answer = requests.get(gateway.url(18), params=signed({}, secret, {"id": "18"}), headers=headers, timeout=90)
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - begun


def _slowest(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_minute_of_it(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(CONNECTIONS) as threads:
        patch.setenv("TMPDIR", str(temporary))
        with attacked_gateway(tmp_path) as gateway:
            usual_times = [_honest(gateway) for _ in range(200)]
            usual = highest = resident(gateway)
            ending = threading.Event()

            def attack() -> set[int]:
                statuses = set()
                while not ending.is_set():
                    statuses.add(gateway.listed(exam_of(name)).status_code)
                    # A caller that is over its share is refused at once, and would keep this process busy.
                    ending.wait(0.1)
                return statuses

            attacks = [threads.submit(attack) for _ in range(CONNECTIONS)]
            times = []
            ends = time.monotonic() + SECONDS
            while time.monotonic() < ends:
                times.append(_honest(gateway))
                highest = max(highest, resident(gateway))
                time.sleep(0.02)
            ending.set()
            statuses = set().union(*(each.result() for each in attacks))
            recovered = _honest(gateway)
            left = resident(gateway) - usual
    with capsys.disabled():
        print(  # noqa: T201 - this is what it is for
            f"\n{name}: {(highest - usual) / MIB:.0f} MiB more, {left / MIB:.0f} afterwards; p99 of others "
            f"{_slowest(times) / _slowest(usual_times):.1f} times the usual; {recovered:.2f} s for the first call "
            f"after; statuses {sorted(statuses)}"
        )
    assert 200 not in statuses
    assert highest - usual < 300 * MIB
    assert list(temporary.iterdir()) == []
