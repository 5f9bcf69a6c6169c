"""Hostile upstreams for a minute at 32 connections: what a gateway holds, how others fare, how it recovers.

Gateway, upstream, attackers and the caller that is measured are processes of their own. Times are printed and not
asserted, since they depend on what else the machine does; beside them stands what as many honest answers cost.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import pytest
import requests
from attacked import MIB, attacked_gateway, attacking, resident
from gateways import HEADERS_OF
from hostile import HOSTILE
from hostile_server import HONEST_EXAM, exam_of
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


class Measured:
    """What others met while something went on, and what the gateway held meanwhile."""

    def __init__(self, gateway: Gateway, exam: int, seconds: float) -> None:
        times = []
        self.highest = resident(gateway)
        with attacking(gateway, exam, CONNECTIONS) as self.statuses:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                times.append(_honest(gateway))
                self.highest = max(self.highest, resident(gateway))
                time.sleep(0.02)
        self.slowest = _slowest(times)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_minute_of_it(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        with attacked_gateway(tmp_path) as gateway:
            usual_times = [_honest(gateway) for _ in range(200)]
            usual, before = _slowest(usual_times), resident(gateway)
            control = Measured(gateway, HONEST_EXAM, SECONDS / 4)
            attacked = Measured(gateway, exam_of(name), SECONDS)
            recovered = _honest(gateway)
            left = resident(gateway) - before
    with capsys.disabled():
        print(  # noqa: T201 - this is what it is for
            f"\n{name}: {(attacked.highest - before) / MIB:.0f} MiB more, {left / MIB:.0f} afterwards; p99 of others "
            f"{attacked.slowest / usual:.1f} times the usual {usual * 1000:.0f} ms, {control.slowest / usual:.1f} "
            f"beside as many honest answers; {recovered:.2f} s for the first call after; statuses "
            f"{sorted(attacked.statuses)}"
        )
    assert 200 not in attacked.statuses
    assert attacked.highest - before < 300 * MIB
    assert list(temporary.iterdir()) == []
