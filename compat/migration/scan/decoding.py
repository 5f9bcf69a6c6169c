"""Bytes of a file as text: whatever encoding it has, and a binary file told as such."""

from __future__ import annotations

import codecs
import io
import re
import tokenize

__all__ = ["NotText", "decoded", "lines_of"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # A UTF-32 mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 4096
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


class NotText(ValueError):
    """A file that holds no text."""


def decoded(content: bytes, *, is_python: bool = False) -> tuple[str, str]:
    """The text of a file, and why its encoding is in doubt; the second is empty where it is not.

    A byte order mark decides, then the encoding that a Python file declares, then UTF-8. What is none of these is read
    as Latin-1, in which every byte is a character and the routes' own letters are what they are.

    Args:
        content: all of the file.
        is_python: whether a declaration in the first two lines counts.

    Raises:
        NotText: it is binary.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            text, doubt = _in(content, encoding)
            # Python itself reads no other mark than that of UTF-8.
            return text, doubt or (
                f"{encoding.upper()} is no encoding of Python" if is_python and mark[0] != 0xEF else ""
            )
    if b"\0" in content:
        return _in(content, _unmarked(content))
    return _in(content, _declared(content) if is_python else "utf-8")


def lines_of(text: str) -> list[str]:
    """The lines of a text as editors count them: a form feed or a Unicode separator ends none."""
    return _LINE_ENDS.split(text)


def _in(content: bytes, encoding: str) -> tuple[str, str]:
    try:
        return content.decode(encoding), ""
    except (UnicodeDecodeError, LookupError):
        if b"\0" in content:
            raise NotText("binary") from None
        return content.decode("latin-1"), "neither UTF-8 nor in the encoding that it declares"


def _declared(content: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    except SyntaxError:
        return "an unknown one"


def _unmarked(content: bytes) -> str:
    """UTF-16 without a mark, told by the zero in every second byte of what is mostly ASCII."""
    sample = content[:_SAMPLE]
    high, low = sample[0::2], sample[1::2]
    if low.count(0) * 2 > len(low) and not high.count(0):
        return "utf-16-le"
    if high.count(0) * 2 > len(high) and not low.count(0):
        return "utf-16-be"
    raise NotText("binary")
