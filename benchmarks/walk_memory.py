"""Memory and time of walks ten times apart in length, each in a fresh process."""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import Figure, Report
from benchmarks.upstream import serving
from benchmarks.walking import session_list, walk

SESSIONS = 1_000_000
_QUICK = 50_000
_TENTH = 10
_MIB = 1024


def peak() -> float:
    """MiB that this process has had resident at most."""
    status = Path("/proc/self/status")
    if status.exists():
        # The program's own: what getrusage says may be that of the process that started this one.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / _MIB
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / _MIB / (_MIB if sys.platform == "darwin" else 1)


def walked(sessions: int) -> tuple[float, float]:
    """Seconds and peak MiB of a walk, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.walk_memory", "--child", str(sessions)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    seconds, used = json.loads(answer.stdout)
    return seconds, used


def child(sessions: int) -> None:
    """Walk, and tell the seconds and the MiB."""
    with serving(session_list(), sessions) as base_url:
        begun = time.perf_counter()
        records = 0
        for answer in walk(base_url):
            records += answer.content.count(b'"session_id":')
        seconds = time.perf_counter() - begun
    assert sessions / 2 < records <= sessions
    print(json.dumps([seconds, peak()]))


def measured(sessions: int, rounds: int) -> Report:
    """Measure walks of so many sessions and of a tenth."""
    long, short = [], []
    for _ in range(rounds):
        short.append(walked(sessions // _TENTH))
        long.append(walked(sessions))
    growth = [math.log(one / other, _TENTH) for (one, _), (other, _) in zip(long, short, strict=True)]
    return Report(
        f"Memory of a walk of {sessions:,} sessions",
        f"The walk of `walk.py` without latency, all legacy pages; time grows from {sessions // _TENTH:,} sessions to "
        f"{sessions:,} by the power of the length that is given.",
        {
            f"walk of {sessions // _TENTH:,}": [seconds for seconds, _ in short],
            f"walk of {sessions:,}": [seconds for seconds, _ in long],
        },
        [],
        [
            Figure(f"resident at most, MiB, {sessions:,} sessions", "at most 512", [used for _, used in long]),
            Figure(f"resident at most, MiB, {sessions // _TENTH:,} sessions", "", [used for _, used in short]),
            Figure("exponent of the time's growth", "at most 1.1", growth),
        ],
    )


def main(rounds: int = 1) -> Report:
    """Measure short walks."""
    return measured(_QUICK, min(rounds, 3))


def full(rounds: int = 1) -> Report:
    """Measure the walks of the claim, once."""
    return measured(SESSIONS, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=_QUICK, help=f"how many; the claim has {SESSIONS:,}")
    parser.add_argument("--rounds", type=int, default=1, help="how often")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
    else:
        print(measured(given.sessions, given.rounds).markdown())
