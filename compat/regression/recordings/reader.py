"""Reading recordings: call by call, no more in memory than a frame has, and never fewer than were written, unsaid."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from compat.regression.recordings.format import (
    FORMAT,
    DamagedRecording,
    NewOrder,
    RecordedCall,
    RecordingEnd,
    RecordingError,
    RecordingHead,
    UnfinishedRecording,
)
from compat.text.json import several

__all__ = ["SUFFIX", "FileRead", "Recording", "calls_in_file", "open_recording", "read_head"]

SUFFIX = ".ndjson.gz"
_Line = RecordingHead | NewOrder | RecordedCall | RecordingEnd
_PIECE = 1 << 18
_GZIP = 31
"""What zlib calls gzip's own head and checksum."""
_DECODER: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


@dataclass
class FileRead:
    """A file of a recording, as far as it was read.

    Attributes:
        lost: how many calls its writer could not write.
        finished: whether its writer closed it.
        line: the number of the line that was read last.
    """

    path: Path
    head: RecordingHead | None = None
    calls: int = 0
    lost: int = 0
    finished: bool = False
    line: int = 0


@dataclass
class Recording:
    """The calls of some files, in their order; each iteration reads them anew, ``files`` says how far it has come."""

    paths: tuple[Path, ...]
    unfinished: Literal["refuse", "accept"] = "refuse"
    files: list[FileRead] = field(default_factory=list)

    def __iter__(self) -> Iterator[RecordedCall]:
        """Each call.

        Raises:
            UnfinishedRecording: a file has no end, and is refused without one; what it has was given.
            DamagedRecording: a file cannot be read any further.
            RecordingError: as :func:`read_head` does.
        """
        self.files = []
        for path in self.paths:
            read = FileRead(path)
            self.files.append(read)
            yield from _calls(read, self.unfinished == "refuse")

    def heads(self) -> list[RecordingHead]:
        """The first line of each file.

        Raises:
            RecordingError: as :func:`read_head` does.
        """
        return [read_head(path) for path in self.paths]

    def age(self, now: float | None = None) -> float:
        """Seconds since the oldest file was begun.

        Raises:
            RecordingError: as :meth:`heads` does.
        """
        return (time.time() if now is None else now) - min(head.made_at for head in self.heads())


def open_recording(*places: str | Path, unfinished: Literal["refuse", "accept"] = "refuse") -> Recording:
    """The recording of some files and folders.

    Args:
        places: files, and folders whose files are read by name.
        unfinished: whether a file without its end is refused, or read as far as it goes, as one must be that is being
            written.

    Raises:
        RecordingError: a place is not there, or there is no file in a folder.
    """
    paths: list[Path] = []
    for place in map(Path, places):
        found = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
        if not found:
            raise RecordingError(f"{place}: no recording in this folder")
        if not found[0].is_file():
            raise RecordingError(f"{place}: no such file")
        paths += found
    return Recording(tuple(paths), unfinished)


def read_head(path: Path) -> RecordingHead:
    """The first line of a file.

    Raises:
        RecordingError: it is no recording, or of a version that is not known here.
    """
    line: _Line | None = None
    with suppress(_CutOff, _Damaged, msgspec.DecodeError):
        line = _DECODER.decode(next(_frames_of(path), b"").partition(b"\n")[0])
    if not isinstance(line, RecordingHead):
        raise RecordingError(f"{path}: no recording")
    if line.format != FORMAT:
        raise RecordingError(f"{path}: format {line.format} of recordings, and this version reads format {FORMAT}")
    return line


def calls_in_file(path: Path) -> int:
    """How many calls a file has, counted without reading them; of one that is damaged, those that come before."""
    calls = 0
    with suppress(_CutOff, _Damaged, OSError):
        for frame in _frames_of(path):
            calls += frame.count(b'{"line":"call",')
    return calls


def _calls(read: FileRead, refuse_unfinished: bool) -> Iterator[RecordedCall]:
    read.head = read_head(read.path)
    try:
        for frame in _frames_of(read.path):
            for line in _DECODER.decode_lines(frame):
                read.line += 1
                if read.finished:
                    raise _Damaged("something stands behind its end")
                if isinstance(line, RecordedCall):
                    read.calls += 1
                    yield line
                elif isinstance(line, RecordingEnd):
                    read.finished, read.lost = True, line.lost
                    if line.calls != read.calls:
                        raise _Damaged(f"it had {several(line.calls, 'whole call')}")
    except _CutOff:
        pass
    except (_Damaged, msgspec.DecodeError) as error:
        message = f"{read.path}: damaged behind {several(read.calls, 'whole call')}: {error}"
        raise DamagedRecording(message, read.calls) from None
    if not read.finished and refuse_unfinished:
        behind = several(read.calls, "whole call")
        message = f"{read.path}: the end is missing behind {behind}; its writer was stopped, or writes still"
        raise UnfinishedRecording(message, read.calls)


class _CutOff(Exception):
    """The file ends within a frame."""


class _Damaged(Exception):
    """What stands in the file is no frame."""


def _frames_of(path: Path) -> Iterator[bytes]:
    """The content of each frame of a file: the whole ones before one that is cut off, or is none."""
    with path.open("rb") as file:
        rest = b""
        while rest or (rest := file.read(_PIECE)):
            reader = zlib.decompressobj(_GZIP)
            parts = []
            while not reader.eof:
                rest = rest or file.read(_PIECE)
                if not rest:
                    raise _CutOff
                try:
                    parts.append(reader.decompress(rest))
                except zlib.error as error:
                    raise _Damaged(str(error)) from None
                rest = reader.unused_data
            yield b"".join(parts)
