"""``import compat`` against importing what it is built on, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.harness import ROUNDS, Report, Way, command_line, compare

_CHILD = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


def importing(modules: str) -> Way:
    """The seconds that the import takes in a process of its own, the start of the interpreter left out."""

    def way() -> float:
        command = [sys.executable, "-c", _CHILD.format(modules)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603

    return way


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    return compare(
        "Importing the package",
        "The import statement alone, in a fresh process each time; its bytecode is cached.",
        {"import compat": importing("compat"), "import requests, marshmallow": importing("requests, marshmallow")},
        {("import compat", "import requests, marshmallow"): "at most 1.25"},
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
