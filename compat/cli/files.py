"""Files of records, read one at a time with their places, and files that are replaced only when they are whole."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from compat.processes import lock_alone
from compat.text.json import DuplicateKeyError, dumps, loads, loads_strictly

_UNFINISHED = re.compile(r"\.exam-compat-[0-9a-f]{16}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its old content, and put it in its place at the end; never at all if anything fails.

    A link keeps pointing where it does. A device or a pipe is written to as it is. Until the file is whole, only its
    owner may read it; what a killed process left half written in the same directory is removed.
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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file by :func:`whole_file`."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


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
    if os.name == "posix":
        # Lets the new name outlast a power failure, where the system can.
        with _opened(target.parent, os.O_RDONLY) as folder:
            os.fsync(folder)


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


@contextmanager
def _opened(path: str | Path, flags: int) -> Iterator[int]:
    number = os.open(path, flags)
    try:
        yield number
    finally:
        os.close(number)


def _sweep(directory: Path) -> None:
    """Remove what killed processes left half written."""
    with suppress(OSError):
        for entry in list(os.scandir(directory)):
            if _UNFINISHED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), _opened(entry.path, os.O_RDWR) as number:
                    if lock_alone(number):
                        os.unlink(entry.path)


def _usual_mode() -> int:
    """The mode of a new file."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


@dataclass
class Form:
    """A way to write records, given as JSON, one after the other; every part is UTF-8."""

    written: Callable[[bytes], bytes]
    beginning: bytes = b""
    between: bytes = b""
    end: bytes = b""
    _before: bytes = field(default=b"", init=False)

    def record(self, text: bytes) -> bytes:
        """The next record."""
        before, self._before = self._before, self.between
        return before + self.written(text)


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
        values = (record.get(name, "") for name in columns)
        return _csv_row(
            ["" if value is None else value if isinstance(value, str) else dumps(value) for value in values]
        )

    return Form(row, _csv_row(columns))


def _csv_row(fields: Sequence[str]) -> bytes:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(fields)
    # Half of a surrogate pair is legal in JSON and not in UTF-8.
    return row.getvalue().encode(errors="backslashreplace")


ENVELOPES = ("students", "sessions")
"""Keys of a top-level object under which a list of records may lie, as in the answers of the endpoints."""

_CHUNK = 1 << 18
_BLANK = " \t\n\r"
# Finds where a value ends and nothing else, so numbers need not be converted.
_SCANNER = json.JSONDecoder(parse_float=str, parse_int=str)


class MalformedError(ValueError):
    """The document is no JSON, or holds no records; what was read before it is not to be trusted either."""


class JsonRecords:
    """The records of one document: an array, an object with such an array in an envelope, or one record.

    It is read piece by piece: ``read`` gives up to so many bytes, and none at the end.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False

    def __iter__(self) -> Iterator[str]:
        """The JSON text of each record; MalformedError where something is wrong with the document."""
        start = self._peek()
        if start == "[":
            yield from self._elements()
        elif start == "{":
            yield from self._object()
        else:
            raise MalformedError("it starts with neither an array nor an object")
        if self._peek():
            raise MalformedError("something follows the end of the document")

    def _members(self, begin: str, end: str) -> Iterator[None]:
        """Stands at each member of an array or object in turn."""
        self._expect(begin)
        if self._accept(end):
            return
        while True:
            yield
            if self._accept(end):
                return
            self._expect(",")

    def _elements(self) -> Iterator[str]:
        for _ in self._members("[", "]"):
            yield self._value()

    def _object(self) -> Iterator[str]:
        members: list[str] = []
        enveloped = False
        for _ in self._members("{", "}"):
            key = self._value()
            self._expect(":")
            if key.strip('"') in ENVELOPES and self._peek() == "[":
                enveloped = True
                yield from self._elements()
            else:
                members.append(f"{key}:{self._value()}")
        if not enveloped:
            yield "{" + ",".join(members) + "}"

    def _value(self) -> str:
        while True:
            self._peek()
            try:
                _, end = _SCANNER.raw_decode(self._text, self._at)
            except RecursionError:
                raise MalformedError("it is nested too deeply") from None
            except ValueError as error:
                if self._ended:
                    reason = getattr(error, "msg", str(error))
                    raise MalformedError(f"{reason[0].lower()}{reason[1:]}") from None
            else:
                # A number at the end of what was read may go on.
                if end < len(self._text) or self._ended:
                    text, self._at = self._text[self._at : end], end
                    return text
            self._fill()

    def _peek(self) -> str:
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._fill()

    def _accept(self, char: str) -> bool:
        found = self._peek() == char
        self._at += found
        return found

    def _expect(self, char: str) -> None:
        if not self._accept(char):
            found = repr(self._peek()) if self._peek() else "the end"
            raise MalformedError(f"{char!r} is expected where {found} is")

    def _fill(self) -> None:
        kept = self._text[self._at :]
        # At least doubled: a value of any length is then looked at a few times only.
        chunk = self._read(max(_CHUNK, len(kept)))
        self._ended = not chunk
        try:
            self._text = kept + self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError:
            raise MalformedError("it is not UTF-8") from None
        self._at = 0


FORMATS = ("auto", "json", "ndjson")
_FARTHEST = 1 << 20
_LINED = (".ndjson", ".jsonl")


@dataclass(frozen=True)
class Found:
    """One entry of a file.

    Attributes:
        unit: what ``number`` counts: "line" from 1, or "index" from 0.
        record: the record; None where the text is none, for a reason.
    """

    file: str
    unit: str
    number: int
    record: dict[str, Any] | None = field(repr=False)
    text: str = field(repr=False)
    reason: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.file}:{self.number}" if self.unit == "line" else f"{self.file}[{self.number}]"


class RecordFile:
    """Reads a file of records from its start, once.

    Args:
        name: for places; its ending may tell the format.
        file: the bytes.
        form: "json", "ndjson", or "auto" to look.
        advance: is told how many bytes were read each time.
    """

    def __init__(self, name: str, file: BinaryIO, form: str, advance: Callable[[int], None]) -> None:
        self._name, self._file, self._form, self._advance = name, file, form, advance
        self._ahead = b""

    def __iter__(self) -> Iterator[Found]:
        """Every entry, also one that cannot be read; MalformedError where the file is not what its format says."""
        form = self._looked_like() if self._form == "auto" else self._form
        if form != "json":
            return self._of_lines()
        texts = enumerate(JsonRecords(self._read))
        return (Found(self._name, "index", index, *_read_record(text)) for index, text in texts)

    def _of_lines(self) -> Iterator[Found]:
        for number, line in enumerate(self._lines(), 1):
            stripped = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip(b" \t\r")
            if not stripped:
                continue
            try:
                yield Found(self._name, "line", number, *_read_record(stripped.decode()))
            except UnicodeDecodeError:
                # Kept byte by byte for the list of what was refused.
                text = stripped.decode(errors="surrogateescape")
                yield Found(self._name, "line", number, None, text, "Must be UTF-8.")

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        while chunk := self._read(_CHUNK):
            *whole, pending = (pending + chunk).split(b"\n")
            yield from whole
        yield pending

    def _read(self, size: int) -> bytes:
        ahead, self._ahead = self._ahead, b""
        return ahead or self._read_on(size)

    def _read_on(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self._advance(len(chunk))
        return chunk

    def _looked_like(self) -> str:
        if self._name.lower().endswith(_LINED):
            return "ndjson"
        start = self._look_ahead()
        if start.startswith(b"["):
            return "json"
        if not start.startswith(b"{"):
            return "ndjson"
        try:
            first = loads(start.partition(b"\n")[0])
        except ValueError:
            # The first line is no value of its own: one document over many lines.
            return "json"
        return "json" if any(isinstance(first.get(key), list) for key in ENVELOPES) else "ndjson"

    def _look_ahead(self) -> bytes:
        while True:
            start = self._ahead.removeprefix(codecs.BOM_UTF8).lstrip()
            if b"\n" in start or len(self._ahead) >= _FARTHEST:
                return start
            chunk = self._read_on(_CHUNK)
            self._ahead += chunk
            if not chunk:
                return start


def _read_record(text: str) -> tuple[dict[str, Any] | None, str, str]:
    """The record or None, its text, and why there is none."""
    try:
        # Of a key that stands twice, one value would be dropped without a word.
        loads_strictly(text)
        record = loads(text)
    except DuplicateKeyError as error:
        return None, text, f"{error.key}: Must stand in the record once."
    except ValueError as error:
        return None, text, f"Must be JSON: {getattr(error, 'msg', error)}."
    return (record, text, "") if isinstance(record, dict) else (None, text, "Must be a JSON object.")
