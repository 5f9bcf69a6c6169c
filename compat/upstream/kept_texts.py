"""The texts of a reading's records, one after the other: in memory while they are few, else in a temporary file."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from typing import IO, Any

from compat.errors import UpstreamError

__all__ = ["KeptTexts", "not_kept"]


class KeptTexts:
    """Texts by where they begin; safe across threads once all are there.

    The file has no name: it is gone with this object, and with the process however that ends.

    Args:
        in_memory: bytes that stay in memory; with more, all of them go to the file.
    """

    def __init__(self, in_memory: int) -> None:
        self.size = 0
        self._in_memory = in_memory
        self._blocks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()  # Of the file's position, which systems with forks have no use for.

    def add(self, texts: Sequence[Any]) -> int:
        """Keep some texts, as bytes or what has a buffer; gives where the first begins, the others following on it.

        Raises:
            UpstreamError: the disk is full, or cannot be written to.
        """
        added = b"".join(texts)
        start = self.size
        self.size += len(added)
        try:
            if self._file is None and self.size > self._in_memory:
                self._file = self._opened()
                for block in self._blocks:
                    self._write(self._file, block)
                self._blocks = []
            if self._file is None:
                self._blocks.append(added)
            else:
                self._write(self._file, added)
        except OSError as error:
            raise not_kept(error.strerror or str(error)) from None
        return start

    def read(self, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """Some texts.

        Raises:
            UpstreamError: they cannot be read back.
        """
        if self._file is None:
            kept = self._in_one()
            return [kept[start : start + length] for start, length in zip(starts, lengths, strict=True)]
        try:
            found = self._read(self._file, starts, lengths)
        except (OSError, ValueError) as error:
            raise not_kept(str(error)) from None
        if list(map(len, found)) != list(lengths):
            raise not_kept("the temporary file is shorter than it was")
        return found

    def _in_one(self) -> bytes:
        if len(self._blocks) != 1:
            # Threads that come here at once make the same of it.
            self._blocks = [b"".join(self._blocks)]
        return self._blocks[0]

    def _opened(self) -> IO[bytes]:
        file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this object
        weakref.finalize(self, file.close)
        return file

    @staticmethod
    def _write(file: IO[bytes], data: Any) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]

    def _read(self, file: IO[bytes], starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        if hasattr(os, "pread"):
            number, pread = file.fileno(), os.pread
            return [pread(number, length, start) for start, length in zip(starts, lengths, strict=True)]
        found = []
        with self._lock:
            for start, length in zip(starts, lengths, strict=True):
                file.seek(start)
                found.append(file.read(length))
        return found

    def close(self) -> None:
        """Give the memory and the file back."""
        self._blocks = []
        if self._file is not None:
            self._file.close()


def not_kept(why: str) -> UpstreamError:
    """The failure to keep records of a walk."""
    return UpstreamError(
        f"The records of the walk could not be kept: {why}. "
        "Free space where temporary files are kept (TMPDIR), or narrow the query."
    )
