"""What the start-up file costs every Python of an installation, most of which never ask for the shim."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness import ROUNDS, Report, Way, command_line, compare

_ROOT = Path(__file__).parents[1]
_STARTS = 20


def _environment(folder: Path, *files: str) -> str:
    """The Python of an environment that has nothing but some files of ours in site-packages."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in files:
        shutil.copy(_ROOT / name, packages / name)
    return str(folder / "bin" / "python")


def starting(python: str, variables: Mapping[str, str] | None = None) -> Way:
    """The processor's seconds for a Python that starts, imports os and ends."""
    environment = {"PATH": os.environ["PATH"], **(variables or {})}

    def way() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(_STARTS):
            subprocess.run([python, "-c", "import os"], check=True, env=environment)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / _STARTS

    return way


def main(rounds: int = ROUNDS) -> Report:
    """Measure; the processor's time, since a start takes so little that whatever else runs would count for more."""
    with tempfile.TemporaryDirectory() as temporary:
        beside = [path.name for path in _ROOT.glob("exam_compat_*.py")]
        with_file = _environment(Path(temporary, "with"), "exam-students-compat.pth", *beside)
        without = _environment(Path(temporary, "without"))
        # Both write their bytecode now.
        asked = {"EXAM_COMPAT": "1"}
        for each in (starting(with_file, asked), starting(without)):
            each()
        return compare(
            "Starting a Python that has the start-up file",
            "python -c 'import os' in an environment that has nothing installed, with the start-up file and without; "
            "the processor's time of twenty starts a round.",
            {
                "with the start-up file": starting(with_file),
                "with it, and EXAM_COMPAT=1": starting(with_file, asked),
                "without": starting(without),
            },
            {
                ("with the start-up file", "without"): "at most 1.05",
                ("with it, and EXAM_COMPAT=1", "without"): "",
            },
            rounds,
        )


if __name__ == "__main__":
    command_line(main)
