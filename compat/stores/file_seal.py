"""Whether a file is as its last user left it, so that an older state put back in its place is noticed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from compat.file_locks import lock_alone, lock_shared
from compat.forks import renew_after_fork

__all__ = ["FileSeal"]

_WAIT = 2.0


class FileSeal:
    """Notes beside a file what the file system says of it when its last user leaves it.

    A copy put in the place of the file has other times, and mostly another number. The file system's time of the last
    change cannot be set by who copies. Every process that uses the file holds a shared lock of the note, which is
    empty meanwhile; so after a crash the file counts as changed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path
        self._note = Path(f"{path}-seal")
        self._held: int | None = None
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Let go of the parent's lock, in a process that was forked."""
        self._let_go()

    def take(self) -> bool:
        """Begin to use the file.

        Returns:
            whether it is as its last user left it, or others use it; where the system has no locks, True.

        Raises:
            OSError: the note cannot be made.
        """
        if self._held is not None:
            return True
        self._held = os.open(self._note, os.O_RDWR | os.O_CREAT, 0o600)
        ends = time.monotonic() + _WAIT
        # Alone first: of two who begin at once, one has to look.
        while not lock_alone(self._held):
            if lock_shared(self._held) or time.monotonic() > ends:
                return True
            # Somebody who is alone looks at the note, or writes it.
            time.sleep(0.01)
        whole = os.pread(self._held, 1000, 0) == self._looks()
        os.ftruncate(self._held, 0)
        lock_shared(self._held)
        return whole

    def leave(self) -> None:
        """Stop using the file, which is closed; the last one to do so notes how it looks."""
        with suppress(OSError):
            if self._held is not None and lock_alone(self._held):
                os.ftruncate(self._held, 0)
                os.pwrite(self._held, self._looks(), 0)
        self._let_go()

    def _looks(self) -> bytes:
        found = self._file.stat()
        return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n".encode()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)
