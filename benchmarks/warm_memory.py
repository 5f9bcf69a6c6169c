"""A worker that keeps freed memory against one that gives it back: processor time, page faults and resident memory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable

import psutil

from benchmarks.data import RECORDS, student_sessions_page
from benchmarks.harness import ROUNDS, Figure, Report, Way, command_line, compare
from compat.gateway.workers import keep_memory_warm
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec
from compat.upstream.student_sessions import read_chunk
from compat.upstream.transport import Reply

_THREADS = 4
_CALLS = 100
_PIECE = 1 << 16
_MEBIBYTE = 1 << 20
_KEPT = (0, 1, 4, 16, 64, 256)
"""MiB kept; 0 leaves the C library as it is."""


def worker(kept: int) -> dict[str, float]:
    """What calls do with memory: read a body in pieces, make the page, keep both while it is sent."""
    if kept:
        keep_memory_warm(kept << 20, min(kept << 20, 32 << 20))
    body, codec = student_sessions_page(), StudentCodec(LegacySettings())
    headers = {"X-Pagination-Item-Count": str(RECORDS), "X-Pagination-Limit": str(RECORDS)}

    def call() -> None:
        received = b"".join([bytes(body[at : at + _PIECE]) for at in range(0, len(body), _PIECE)])
        page = codec.whole_page(read_chunk(Reply(200, headers, received), 0, codec.page).rows, {})
        assert page is not None
        sent = bytearray(page)
        del sent[:_PIECE]

    def calls(count: int) -> None:
        for _ in range(count):
            call()

    _at_once(lambda: calls(5))
    process = psutil.Process()
    before, faults = process.cpu_times(), _faults()
    _at_once(lambda: calls(_CALLS))
    after = process.cpu_times()
    made = _THREADS * _CALLS
    return {
        "seconds": (after.user + after.system - before.user - before.system) / made,
        "faults": (_faults() - faults) / made,
        "resident": process.memory_info().rss / _MEBIBYTE,
    }


def _at_once(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _faults() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class _Worker:
    """Runs a worker, and notes what it says."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.said: list[dict[str, float]] = []

    def __call__(self) -> float:
        command = [sys.executable, "-m", "benchmarks.warm_memory", "--worker", str(self._kept)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        self.said.append(json.loads(done.stdout))
        return self.said[-1]["seconds"]

    def values(self, name: str) -> list[float]:
        """What was said in each round, the first one to warm up left out."""
        return [each[name] for each in self.said[1:]]


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    workers = {"as it is" if not kept else f"{kept} MiB kept": _Worker(kept) for kept in _KEPT}
    ways: dict[str, Way] = {**workers}
    plain, chosen = "as it is", "16 MiB kept"
    report = compare(
        "Memory kept for the next call",
        f"{_THREADS} threads of a process make the old page of 300 records, of a body that came in pieces, "
        f"{_CALLS} times each. The seconds are the processor's, a call.",
        ways,
        {(name, plain): "" for name in workers if name != plain},
        min(rounds, 7),
    )
    figures = [
        Figure(f"{what}, {name}", "", workers[name].values(key))
        for what, key in (("page faults a call", "faults"), ("resident MiB", "resident"))
        for name in workers
    ]
    assert chosen in workers
    return Report(report.title, report.work, report.seconds, report.versus, figures)


if __name__ == "__main__":
    if "--worker" in sys.argv:
        print(json.dumps(worker(int(sys.argv[-1]))))
    else:
        command_line(main)
