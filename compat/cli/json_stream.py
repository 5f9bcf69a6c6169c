"""Reads the records of a JSON document one after the other, and keeps no more of it than the one at hand."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator

__all__ = ["ENVELOPES", "JsonRecords", "MalformedError"]

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

    Args:
        read: gives up to so many bytes, and none at the end.
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
