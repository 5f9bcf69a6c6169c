"""What it costs a process to be told of calls that are not caught: Python tells an audit hook of much else too."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import ROUNDS, Report, Way, command_line, compare

_CHILD = """
import socket, sys, time
from importlib import import_module
asked = "exam_compat_uncaught" in sys.modules and sys.modules["exam_compat_uncaught"]._listening
assert asked is (sys.argv[1] == "True"), asked
sys.path.insert(0, sys.argv[2])
begun = time.perf_counter()
{}
print(time.perf_counter() - begun)
"""
_OPENING = """
for _ in range(20_000):
    open(sys.argv[2] + "/module_0.py").close()
"""
_IMPORTING = """
for _ in range(20):
    for number in range(50):
        import_module(f"module_{number}")
        del sys.modules[f"module_{number}"]
"""
_NUMBERING = """
for _ in range(500_000):
    id(begun)
"""
_MODULES = 50


def looping(loop: str, folder: str, *, asked: bool) -> Way:
    """The seconds of a loop in a process of its own, which has imported sockets."""
    environment = {**os.environ, "EXAM_COMPAT": "1" if asked else "0"}

    def way() -> float:
        command = [sys.executable, "-c", _CHILD.format(loop), str(asked), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603
        return float(done.stdout)

    return way


def main(rounds: int = ROUNDS) -> Report:
    """Measure; opening and importing are what scripts do, and ``id()`` is the least that Python tells of."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_MODULES):
            Path(folder, f"module_{number}.py").write_text(f"number = {number}\n")
        loops = {"opening files": _OPENING, "importing modules": _IMPORTING, "id() alone": _NUMBERING}
        return compare(
            "Being told of calls that are not caught",
            "A loop in a process that has imported sockets, with EXAM_COMPAT=1 and without; bytecode is cached.",
            {
                f"{name}, {'told' if asked else 'not told'}": looping(loop, folder, asked=asked)
                for name, loop in loops.items()
                for asked in (True, False)
            },
            {(f"{name}, told", f"{name}, not told"): "at most 1.1" if name != "id() alone" else "" for name in loops},
            rounds,
        )


if __name__ == "__main__":
    command_line(main)
