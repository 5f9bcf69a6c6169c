"""The file of a recording: gzip members one behind the other, each of whole lines.

Each member can be read without those before it, so that what was written stays readable whatever becomes of the rest,
and one that was cut off shows. ``zcat`` reads such a file too. Measured on recorded answers, zstandard makes files of
the same size and reads twice as fast: a twentieth of what checking a call costs, and no reason for a package.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["CutOff", "Damaged", "FrameFile", "frame", "frames_of"]

_LEVEL = 4
_PIECE = 1 << 18
_GZIP = 31
"""What zlib calls gzip's own head and checksum."""


class CutOff(Exception):
    """The file ends within a frame."""


class Damaged(Exception):
    """What stands in the file is no frame."""


class FrameFile:
    """Appends frames to a file of its own, which only its owner may read.

    Args:
        path: the file.

    Raises:
        OSError: it is there already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._whole = 0

    def append(self, frame: bytes) -> None:
        """Write a frame, or nothing of it.

        Raises:
            OSError: it cannot be written.
        """
        try:
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._number, rest) :]
        except OSError:
            # A part of it would pass for a file that was cut off, and hide what is appended later.
            os.ftruncate(self._number, self._whole)
            os.lseek(self._number, self._whole, os.SEEK_SET)
            raise
        self._whole += len(frame)

    def close(self, *, durable: bool = True) -> None:
        """Close the file, once the disk has it."""
        try:
            if durable:
                os.fsync(self._number)
        finally:
            os.close(self._number)


def frame(content: bytes) -> bytes:
    """A frame of some lines."""
    return gzip.compress(content, _LEVEL, mtime=0)


def frames_of(path: Path) -> Iterator[bytes]:
    """The content of each frame of a file.

    Raises:
        CutOff: the file ends within one; the whole ones before it were given.
        Damaged: what follows is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        rest = b""
        while rest or (rest := file.read(_PIECE)):
            reader = zlib.decompressobj(_GZIP)
            parts = []
            while not reader.eof:
                rest = rest or file.read(_PIECE)
                if not rest:
                    raise CutOff
                try:
                    parts.append(reader.decompress(rest))
                except zlib.error as error:
                    raise Damaged(str(error)) from None
                rest = reader.unused_data
            yield b"".join(parts)
