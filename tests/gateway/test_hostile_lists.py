"""An upstream whose list has no end and one record a page: who asks for anything else is served as ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import pytest
from serving import Gateway, until
from test_admission import LONG, QUICK, Upstream, ask, gateway_before, going_away

CONNECTIONS = 32
OTHERS = 8


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as wire:
        yield wire


def hold(gateway: Gateway, number: int, ended: threading.Event) -> None:
    """Ask for a list without an end, each time by another limit, until it is enough."""
    limit = number
    while not ended.is_set():
        connection = going_away(gateway, LONG, sort='[{"id":"asc"}]', limit=str(limit % 300 + 1))
        with connection:
            connection.settimeout(0.2)
            while not ended.is_set():
                try:
                    if connection.recv(65536):
                        # Refused for load, or at a limit: it comes again, as one that obeys Retry-After does.
                        ended.wait(1)
                    break
                except TimeoutError:
                    continue
        limit += CONNECTIONS


def others(gateway: Gateway, seconds: float) -> list[float]:
    """Seconds of each call that others make meanwhile; all of them are answered."""
    ends = time.monotonic() + seconds

    def call(_: int) -> list[float]:
        taken = []
        while time.monotonic() < ends:
            begun = time.monotonic()
            assert ask(gateway, QUICK, "second").status_code == 200
            taken.append(time.monotonic() - begun)
        return taken

    with ThreadPoolExecutor(OTHERS) as callers:
        return [each for taken in callers.map(call, range(OTHERS)) for each in taken]


def p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98]


@pytest.mark.parametrize(
    "seconds", [4, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(400)])], ids=["short", "minute"]
)
def test_lists_without_an_end_leave_the_others_served(tmp_path: Path, upstream: Upstream, seconds: int) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with gateway_before(tmp_path, upstream, environment={"TMPDIR": str(scratch)}) as gateway:
        usual = others(gateway, seconds / 4)
        ended = threading.Event()
        with ThreadPoolExecutor(CONNECTIONS - OTHERS) as hostile:
            for number in range(CONNECTIONS - OTHERS):
                hostile.submit(hold, gateway, number, ended)
            until(lambda: upstream.asked(LONG) > 100)
            before = upstream.asked(LONG)
            begun = time.monotonic()
            meanwhile = others(gateway, seconds)
            calls = upstream.asked(LONG) - before
            passed = time.monotonic() - begun
            ended.set()
        figures = [p99(usual), p99(meanwhile), calls / passed]
        assert len(meanwhile) > OTHERS
        # What nobody waits for any more has ended: no call of it comes after a while.
        last = -1
        while last != (last := upstream.asked(LONG)):
            time.sleep(0.3)
        after = others(gateway, seconds / 12)
        if seconds >= 60:
            # Of one run, on one machine: a ratio.
            assert p99(meanwhile) < 3 * p99(usual), figures
            assert p99(after) < 3 * p99(usual), figures
        assert gateway.stop() == 0
    assert list(scratch.iterdir()) == []
