"""A gateway before an upstream that is hostile about some exams, each in processes of its own, and so are attackers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from gateways import written
from serving import Gateway, serving

__all__ = ["MIB", "attacked_gateway", "attacking", "resident"]

MIB = 1 << 20
_HERE = Path(__file__).parent


@contextmanager
def attacked_gateway(folder: Path, **settings: float) -> Iterator[Gateway]:
    """A gateway whose upstream answers one exam honestly; keys are those of ``[upstream]``."""
    with _program("hostile_server.py") as upstream:
        assert upstream.stdout is not None
        base_url = f"http://127.0.0.1:{int(upstream.stdout.readline())}"
        keys = {"kind": "student_sessions", "base_url": base_url, "api_token": "a", "secret_key": "b"}
        tables = {"upstream": {**keys, "scope": "exam", **settings}, "store": {"url": "memory://"}}
        with serving(written(folder, tables)) as gateway:
            yield gateway


@contextmanager
def attacking(gateway: Gateway, exam: int, connections: int) -> Iterator[set[int]]:
    """Let so many callers ask for a list; the statuses that came are in the set when the block has ended."""
    statuses: set[int] = set()
    with _program("attackers.py", gateway.url(exam), str(exam), str(connections)) as attackers:
        yield statuses
        said, _ = attackers.communicate("", timeout=150)
        statuses.update(json.loads(said))


@contextmanager
def _program(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program of this folder, which ends with its input."""
    paths = [str(_HERE), str(_HERE.parent)]
    begin = f"import sys, runpy; sys.path[:0] = {paths}; runpy.run_path({str(_HERE / name)!r}, run_name='__main__')"
    command = [sys.executable, "-c", begin, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def resident(gateway: Gateway) -> int:
    """Bytes of memory that the gateway's processes have."""
    family = [psutil.Process(gateway.process.pid)]
    family += family[0].children(recursive=True)
    return sum(each.memory_info().rss for each in family)
