"""``exam-compat serve`` in a process of its own, for tests that start, stop and kill it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from gateways import SECRET, TOKEN

from compat.legacy.signature import signed

COMMAND = (sys.executable, "-W", "error", "-m", "compat.cli")
HEADERS = {"Authorization": f"Token token={TOKEN}"}


@dataclass
class Gateway:
    """A gateway that was started; its log is in a file, so that a full pipe never holds it back."""

    process: subprocess.Popen[bytes]
    base: str
    admin: str
    log: Path
    ended: bool = field(default=False, init=False)

    def url(self, exam: int = 17) -> str:
        """The list of an exam."""
        return f"{self.base}/api/v3/exams/{exam}/index_students"

    def listed(self, exam: int = 17, **parameters: str) -> requests.Response:
        """The answer to a call that is signed now."""
        return requests.get(self.url(exam), params=query(exam, **parameters), headers=HEADERS, timeout=60)

    def ready(self) -> Mapping[str, Any]:
        """What ``/readyz`` says."""
        found: dict[str, Any] = requests.get(f"{self.admin}/readyz", timeout=10).json()
        return found

    def numbers(self) -> dict[str, float]:
        """What ``/metrics`` says: name and labels to value."""
        lines = requests.get(f"{self.admin}/metrics", timeout=10).text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return [each for each in _children(self.process.pid) if b"spawn_main" in _command_line(each)]

    def entries(self) -> list[dict[str, Any]]:
        """The lines of the log, each of which has to be JSON."""
        return [json.loads(line) for line in self.log.read_bytes().splitlines()]

    def stop(self, number: int = signal.SIGTERM, within: float = 40) -> int:
        """Send a signal, and wait for the exit status."""
        self.process.send_signal(number)
        return self.process.wait(within)


def query(exam: int = 17, **parameters: str) -> dict[str, str]:
    """The parameters of a call that is signed now."""
    return signed(parameters, SECRET, {"id": str(exam)})


@contextmanager
def serving(config: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """A gateway that is ready, on free ports unless options say otherwise."""
    with starting(config, *options, environment=environment) as gateway:
        until(lambda: gateway.ready()["ready"], gateway)
        yield gateway


@contextmanager
def starting(config: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """A gateway whose addresses are taken, and whose workers may still be on their way."""
    log = config.parent / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--config", str(config), "--port", "0", "--admin-port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            cwd=config.parent,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        urls = re.findall(r"https?://\S+:\d+", line)
        assert len(urls) == 2, (line, log.read_text())
        yield Gateway(process, *urls, log)
    finally:
        _end(process)


def until(holds: Callable[[], Any], gateway: Gateway | None = None, within: float = 60) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not, or the gateway is gone.
    """
    ends = time.monotonic() + within
    while True:
        try:
            if holds():
                return
        except requests.ConnectionError:
            # Not up yet, or between two workers.
            pass
        if gateway is not None and gateway.process.poll() is not None:
            raise AssertionError(f"ended with {gateway.process.returncode}: {gateway.log.read_text()}")
        assert time.monotonic() < ends, gateway and gateway.log.read_text()
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _children(process: int) -> list[int]:
    """The processes that a process started; none where it is gone."""
    found: list[int] = []
    with suppress(OSError):
        for task in list(Path(f"/proc/{process}/task").iterdir()):
            # A thread may end meanwhile; those of the others count all the same.
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
