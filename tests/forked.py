"""Checks that are made in a forked process."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable

import pytest

__all__ = ["fork", "in_child", "needs_fork", "right"]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
_LONGEST = 60
"""Seconds after which a child that hangs is ended by the kernel, and so has failed."""


def fork(check: Callable[[], object]) -> int:
    """Begin a check in a forked process, whose number it gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads, which is what is tried
        child = os.fork()
    if child == 0:
        held = False
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_LONGEST)
        try:
            held = bool(check())
        except BaseException:  # noqa: BLE001 - the parent is told by the status
            traceback.print_exc()
        os._exit(0 if held else 1)
    return child


def right(child: int) -> bool:
    """Whether the check of a forked process held."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def in_child(check: Callable[[], object]) -> bool:
    """Whether a check holds in a forked process."""
    return right(fork(check))
