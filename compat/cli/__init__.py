"""The command ``exam-compat``: one file a command, each a thin entrance to the core."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main() -> NoReturn:
    """Run the command with the arguments of the process, and end the process with its exit status."""
    try:
        from compat.cli.program import program
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(
            f"exam-compat: the command line needs {error.name}, which is not installed; "
            "get it with: pip install 'exam-students-compat[cli]'\n"
        )
        sys.exit(2)
    # Ended by its supervisor, a command cleans up as it does when a person interrupts it.
    signal.signal(signal.SIGTERM, _interrupt)
    program.main(prog_name="exam-compat")
    sys.exit(0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
