"""Locks of files and folders, which tell whether a process that uses them lives; some systems have none."""

from __future__ import annotations

import os

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["lock_alone", "lock_shared"]


def lock_alone(number: int) -> bool:
    """Lock an open file or folder for this opening alone.

    Args:
        number: its file descriptor. The lock goes with the last copy of it, however the process ends.

    Returns:
        whether nobody else has a lock of it; False too where that cannot be known.
    """
    return fcntl is not None and _locked(number, fcntl.LOCK_EX)


def lock_shared(number: int) -> bool:
    """Lock an open file or folder beside others who do so.

    Args:
        number: its file descriptor.

    Returns:
        whether it is locked, and still has a name.
    """
    return fcntl is not None and _locked(number, fcntl.LOCK_SH) and os.fstat(number).st_nlink > 0


def _locked(number: int, how: int) -> bool:
    try:
        fcntl.flock(number, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
