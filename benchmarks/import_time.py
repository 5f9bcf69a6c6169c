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


_READY = (
    "requests, compat; compat.mount(requests.Session(), 'https://old.example', compat.StudentSessions("
    "'https://new.example', api_token='a', secret_key='b'))"
)


def main(rounds: int = ROUNDS) -> Report:
    """Measure; what is imported on first use is shown by mounting an upstream, after which calls are answered."""
    return compare(
        "Importing the package",
        "The statements alone, in a fresh process each time; bytecode is cached. Whoever mounts an upstream needs the "
        "declaration of the record, and marshmallow with it, which the import by itself leaves out.",
        {
            "import compat": importing("compat"),
            "import compat and mount student sessions": importing(_READY),
            "import requests, marshmallow": importing("requests, marshmallow"),
        },
        {
            ("import compat", "import requests, marshmallow"): "at most 1.25",
            ("import compat and mount student sessions", "import requests, marshmallow"): "",
        },
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
