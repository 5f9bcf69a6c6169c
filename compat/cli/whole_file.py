"""Files that are replaced only when their new content is whole."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its old content, and put it in its place at the end; never at all if anything fails.

    A link keeps pointing where it does. A device or a pipe is written to as it is.

    Args:
        path: the file to write.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    # A link is followed: what it names is to be replaced, not the link.
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
        else:
            with _replacing(target) as file:
                yield file
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    # In the same directory, since only within a file system one file can take another's place at once.
    beside = target.with_name(f".exam-compat-{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            beside.chmod(mode)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _keep_name(target.parent)


def _keep_name(directory: Path) -> None:
    """Let the new name outlast a power failure, where the system can."""
    if os.name != "posix":
        return
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
