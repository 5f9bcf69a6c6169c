"""Files that are replaced only when their new content is whole, and the forms in which records are written."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from compat.processes import lock_alone
from compat.text.json import dumps, loads

__all__ = ["Form", "csv_form", "json_form", "ndjson_form", "whole_file"]

_UNFINISHED = re.compile(r"\.exam-compat-[0-9a-f]{16}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its old content, and put it in its place at the end; never at all if anything fails.

    A link keeps pointing where it does. A device or a pipe is written to as it is. Until the file is whole, only its
    owner may read it; what a killed process left half written in the same directory is removed.

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
        # The name beside it is none that anybody gave.
        if error.filename is None or _UNFINISHED.fullmatch(os.path.basename(str(error.filename))):
            error.filename = str(path)
        raise


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    # In the same directory, since only within a file system one file can take another's place at once.
    _sweep(target.parent)
    beside, file = _unfinished(target.parent)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.chmod(_usual_mode() if mode is None else mode)
            if os.name != "posix":
                file.close()
            beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _keep_name(target.parent)


def _unfinished(directory: Path) -> tuple[Path, BinaryIO]:
    """A new file that is locked while its writer lives, so that others can tell it from one that was left behind."""
    while True:
        path = directory / f".exam-compat-{secrets.token_hex(8)}"
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600), "wb")
        lock_alone(file.fileno())
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        # It was taken for one that was left behind, before it was locked.
        file.close()


def _sweep(directory: Path) -> None:
    """Remove what killed processes left half written."""
    with suppress(OSError):
        for entry in list(os.scandir(directory)):
            if _UNFINISHED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    number = os.open(path, os.O_RDWR)
    try:
        if lock_alone(number):
            os.unlink(path)
    finally:
        os.close(number)


def _usual_mode() -> int:
    """The mode of a new file."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _keep_name(directory: Path) -> None:
    """Let the new name outlast a power failure, where the system can."""
    if os.name != "posix":
        return
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Form:
    """A way to write records one after the other; every part is UTF-8.

    Args:
        written: what is written of a record, which is given as JSON.
        beginning: what comes before the first record.
        between: what comes between two.
        end: what comes after the last.
    """

    def __init__(
        self, written: Callable[[bytes], bytes], beginning: bytes = b"", between: bytes = b"", end: bytes = b""
    ) -> None:
        self._written = written
        self._between = between
        self._before = b""
        self.beginning, self.end = beginning, end

    def record(self, text: bytes) -> bytes:
        """The next record."""
        before, self._before = self._before, self._between
        return before + self._written(text)


def ndjson_form() -> Form:
    """A record a line."""
    # A line break between two tokens is legal in JSON; here it would make two lines of one record.
    return Form(lambda text: (msgspec.json.format(text, indent=-1) if b"\n" in text else text) + b"\n")


def json_form(key: str | None = None) -> Form:
    """One JSON document: an array of records, alone or under a key of an object."""
    opening, closing = ("[", "]") if key is None else (f'{{"{key}":[', "]}")
    return Form(lambda text: text, opening.encode(), b",", closing.encode() + b"\n")


def csv_form(columns: Sequence[str]) -> Form:
    """A heading and a row a record; null is empty, nested values, numbers and booleans are their JSON."""

    def row(text: bytes) -> bytes:
        record = loads(text)
        return _row([_field(record.get(name)) for name in columns])

    return Form(row, _row(columns))


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)


def _row(fields: Sequence[str]) -> bytes:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(fields)
    # Half of a surrogate pair is legal in JSON and not in UTF-8.
    return row.getvalue().encode(errors="backslashreplace")
