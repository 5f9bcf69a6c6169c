"""Files of records: each record with its place, or why it cannot be read; one in memory at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from compat.text.json import DuplicateKeyError, loads, loads_strictly

__all__ = [
    "ENVELOPES",
    "FORMATS",
    "Found",
    "JsonRecords",
    "MalformedError",
    "RecordFile",
]

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
        self._text = ""
        self._at = 0
        self._ended = False

    def __iter__(self) -> Iterator[str]:
        """The JSON text of each record.

        Raises:
            MalformedError: says what is wrong with the document.
        """
        start = self._peek()
        if start == "[":
            yield from self._elements()
        elif start == "{":
            yield from self._object()
        else:
            raise MalformedError("it starts with neither an array nor an object")
        if self._peek():
            raise MalformedError("something follows the end of the document")

    def _elements(self) -> Iterator[str]:
        self._expect("[")
        if self._accept("]"):
            return
        while True:
            yield self._value()
            if self._accept("]"):
                return
            self._expect(",")

    def _object(self) -> Iterator[str]:
        self._expect("{")
        members: list[str] = []
        enveloped = False
        ended = self._accept("}")
        while not ended:
            key = self._value()
            self._expect(":")
            if key.strip('"') in ENVELOPES and self._peek() == "[":
                enveloped = True
                yield from self._elements()
            else:
                members.append(f"{key}:{self._value()}")
            ended = self._accept("}")
            if not ended:
                self._expect(",")
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
        file: its name as it was given.
        unit: what ``number`` counts: "line" from 1, or "index" from 0.
        number: where in the file it stands.
        record: the record; None where the text is none.
        text: the entry as it stands in the file.
        reason: why the text is no record; empty where it is one.
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
        self._name = name
        self._file = file
        self._form = form
        self._advance = advance
        self._ahead = b""

    def __iter__(self) -> Iterator[Found]:
        """Every entry; a record that cannot be read is one too.

        Raises:
            MalformedError: the file as a whole is not what its format says.
        """
        form = self._looked_like() if self._form == "auto" else self._form
        return self._of_document() if form == "json" else self._of_lines()

    def _of_document(self) -> Iterator[Found]:
        for index, text in enumerate(JsonRecords(self._read)):
            yield self._found("index", index, text)

    def _of_lines(self) -> Iterator[Found]:
        for number, line in enumerate(self._lines(), 1):
            stripped = line.strip(b" \t\r")
            if not stripped:
                continue
            try:
                yield self._found("line", number, stripped.decode())
            except UnicodeDecodeError:
                # Kept byte by byte for the list of what was refused.
                text = stripped.decode(errors="surrogateescape")
                yield Found(self._name, "line", number, None, text, "Must be UTF-8.")

    def _found(self, unit: str, number: int, text: str) -> Found:
        record, reason = _read_record(text)
        return Found(self._name, unit, number, record, text, reason)

    def _lines(self) -> Iterator[bytes]:
        pending = b""
        first = True
        while chunk := self._read(_CHUNK):
            *whole, pending = (pending + chunk).split(b"\n")
            for line in whole:
                yield line.removeprefix(codecs.BOM_UTF8) if first else line
                first = False
        yield pending.removeprefix(codecs.BOM_UTF8) if first else pending

    def _read(self, size: int) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
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
            chunk = self._file.read(_CHUNK)
            self._advance(len(chunk))
            self._ahead += chunk
            if not chunk:
                return start


def _read_record(text: str) -> tuple[dict[str, Any] | None, str]:
    try:
        # Of a key that stands twice, one value would be dropped without a word.
        loads_strictly(text)
        record = loads(text)
    except DuplicateKeyError as error:
        return None, f"{error.key}: Must stand in the record once."
    except ValueError as error:
        return None, f"Must be JSON: {getattr(error, 'msg', error)}."
    if not isinstance(record, dict):
        return None, "Must be a JSON object."
    return record, ""
