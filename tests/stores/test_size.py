"""A day at ten calls a second fits in 200 MiB, and none of it is forgotten meanwhile.

Each store is filled for as long as it ever remembers a call, which is more than a day. A part of the calls in the
suite, all of them in the soak.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis_server import RedisServer
from test_spending import HOUR, ONE, Clock

from compat.stores import Store, open_store
from compat.stores.sqlite import SqliteStore

MOST = 200 * 2**20
WHOLE = pytest.param(1.0, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])


def call(number: int) -> tuple[bytes, str, str]:
    return ONE, str(10**17 + number), f"{number:064x}"


def fill(store: Store, clock: Clock, hours: int, share: float) -> None:
    """Spend ten calls a second, or a share of that, for some hours; those of a day ago stay spent all the while."""
    a_second = 10 * share
    begun = clock.now
    for number in range(int(hours * HOUR * a_second)):
        clock.now = begun + number / a_second
        assert store.spend(*call(number))
        a_day_ago = number - int(24 * HOUR * a_second) + 1
        if number % 997 == 0 and a_day_ago >= 0:
            assert not store.spend(*call(a_day_ago))


def memory(share: float) -> None:
    """Print by how many bytes this process grew, at most, while it remembered."""
    from compat.stores.base import MemoryStore

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    clock = Clock(0.0)
    store = MemoryStore(clock)
    before = resident()
    fill(store, clock, 26, share)
    sys.stdout.write(str(resident() - before))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="says here only how much memory a process has")
# Python's sets are sparser while they are small, so a smaller part would say less.
@pytest.mark.parametrize("share", [0.1, WHOLE])
def test_memory(share: float) -> None:
    code = f"import test_size; test_size.memory({share})"
    found = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    told("memory", int(found.stdout), share)


@pytest.mark.parametrize("share", [0.05, WHOLE])
def test_sqlite(tmp_path: Path, share: float) -> None:
    clock = Clock(0.0)
    store = SqliteStore(tmp_path / "calls.db", clock=clock)
    fill(store, clock, 36, share)
    told("sqlite", sum(path.stat().st_size for path in tmp_path.iterdir() if path.is_file()), share)
    store.close()


@pytest.mark.parametrize("share", [0.05, WHOLE])
def test_redis(tmp_path: Path, share: float) -> None:
    with RedisServer(tmp_path, "--appendonly", "no") as server, server.client() as client:
        store = open_store(server.url)
        store.ping()
        before = client.info("memory")["used_memory"]
        most = number = 0
        for _ in range(7):
            for _ in range(int(4 * HOUR * 10 * share)):
                assert store.spend(*call(number))
                number += 1
            most = max(most, client.info("memory")["used_memory"] - before)
            # Redis has a clock of its own: four hours pass by a set's taking the place of the one before it.
            for key in sorted(client.scan_iter("*spent:*")):
                name, _, span = key.decode().rpartition(":")
                client.rename(key, f"{name}:{int(span) - 1}")
        store.close()
    told("redis", most, share)


def told(kind: str, size: int, share: float) -> None:
    # The log is read by whoever wants the number: pytest -rP.
    sys.stdout.write(f"{kind}: {size / 2**20:.1f} MiB, {size / (864_000 * share):.0f} bytes for each call of a day\n")
    assert 0 < size <= MOST * share
