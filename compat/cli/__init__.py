"""The command ``exam-compat``: one file a command or a few that belong together, each a thin entrance to the core."""

from __future__ import annotations

import os
import signal
import sys
from _thread import interrupt_main
from threading import Timer
from types import FrameType
from typing import NoReturn

import exam_compat_startup

__all__ = ["main"]

_NEEDED = ("click", "rich")
_INTERRUPTED = 130


def main(name: str = "exam-compat") -> NoReturn:
    """Run the command with the arguments of the process, and end the process with its exit status.

    Args:
        name: what its help says to type.
    """
    # A command asks the old endpoint for itself, whatever its environment says of scripts; run has it said again.
    exam_compat_startup.end()
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
    sys.unraisablehook = _unraisable
    try:
        program.main(prog_name=name)
    except (SystemExit, KeyboardInterrupt) as end:
        # Whoever presses Ctrl-C again, or while threads are waited for.
        signal.signal(signal.SIGINT, _leave)
        if isinstance(end, KeyboardInterrupt) or end.code == _INTERRUPTED:
            # All is cleaned up by now; threads that still wait for an upstream would hold the process back.
            sys.stderr.flush()
            os._exit(_INTERRUPTED)
        raise


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"\nInterrupted.\n")
    os._exit(_INTERRUPTED)


def _unraisable(ignored: sys.UnraisableHookArgs) -> None:
    """An interrupt that met a finalizer, where Python only tells of it, comes again a moment later."""
    if ignored.exc_type is KeyboardInterrupt:
        Timer(0.01, interrupt_main).start()
    else:
        sys.__unraisablehook__(ignored)
