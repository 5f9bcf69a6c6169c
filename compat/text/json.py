"""JSON as RFC 8259 has it: numbers keep their very text, lone surrogates are read, and counts have a plural.

Python's own reader accepts ``NaN`` and turns ``1.10`` into ``1.1``; an answer that is to show what the upstream
wrote can afford neither.

Before such a body is decoded its lone surrogates are masked, each as a text that nobody can have written; in what is
encoded again they are put back as they were.
"""

from __future__ import annotations

import json
import re
import secrets
from codecs import utf_8_decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, repeat
from typing import Any, Final, NoReturn, TypeVar

import msgspec

__all__ = [
    "DuplicateKeyError",
    "Number",
    "array_of",
    "check_utf_8",
    "copied",
    "decode_masked",
    "dumps",
    "loads",
    "loads_strictly",
    "masked",
    "same",
    "several",
    "unmasked",
    "unmasked_text",
]

_LONGEST_INTEGER = 4000
"""Digits of an integer up to which Python converts it whatever its settings (the default limit is 4,300)."""

_END: Final = object()

_PIECE = 1 << 15
"""Bytes that are checked at once."""


@dataclass(frozen=True)
class Number:
    """A JSON number by its text."""

    text: str

    def integer(self) -> int:
        """Its value, where its text is that of an integer, of any number of digits."""
        return int(Decimal(self.text))

    __int__ = integer


class DuplicateKeyError(ValueError):
    """One key stands twice in a JSON object.

    Attributes:
        key: that key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int | Number:
    return int(text) if len(text) <= _LONGEST_INTEGER and text != "-0" else Number(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DuplicateKeyError(key)
        found[key] = value
    return found


def loads(text: bytes | str) -> Any:
    """Read JSON; integers become ``int``, every other number a :class:`Number`, ``-0`` and the longest ones among them.

    Raises:
        ValueError: it is not UTF-8, not JSON, or nested past reading.
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        return json.loads(text, parse_float=Number, parse_int=_integer, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def loads_strictly(text: str) -> Any:
    """Read JSON that a caller wrote: every number a :class:`Number`, and no key twice.

    Raises:
        DuplicateKeyError: a key stands twice in one object.
        ValueError: it is not JSON, or nested past reading.
    """
    try:
        return json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any) -> str:
    """Write JSON without blanks; a :class:`Number` as its text, a lone surrogate as its escape.

    Raises:
        ValueError: a float that JSON cannot hold.
    """
    try:
        return _write(value)
    except RecursionError:
        # Newer Pythons read JSON that is nested deeper than their functions may be.
        return _write_deep(value)


def _write(value: Any) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{_write_text(key)}:{_write(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write, value)) + "]"
    if isinstance(value, str):
        return _write_text(value)
    return json.dumps(value, allow_nan=False)


def _write_deep(value: Any) -> str:
    """What :func:`_write` gives, at any depth."""
    pieces: list[str] = []
    unfinished: list[tuple[Iterator[tuple[str, Any]], str]] = [(iter([("", value)]), "")]
    while unfinished:
        members, end = unfinished[-1]
        before, item = next(members, (end, _END))
        if item is _END:
            pieces.append(end)
            unfinished.pop()
        elif isinstance(item, dict):
            pieces.append(before + "{")
            unfinished.append((_members([f"{_write_text(key)}:" for key in item], item.values()), "}"))
        elif isinstance(item, list | tuple):
            pieces.append(before + "[")
            unfinished.append((_members([""] * len(item), item), "]"))
        else:
            pieces.append(before + _write(item))
    return "".join(pieces)


def _members(names: Iterable[str], values: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Each value with what is written before it."""
    commas = chain([""], repeat(","))
    return ((comma + name, value) for comma, name, value in zip(commas, names, values, strict=False))


def _write_text(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return written


def array_of(texts: Sequence[Any]) -> bytes:
    """A JSON array of values that are JSON already, as bytes or what has a buffer.

    A page is put together at once: each copy of it on the way would be half a megabyte of fresh memory.
    """
    if len(texts) < 2:
        return b"[%b]" % b"".join(texts)
    parts = [*texts]
    parts[0], parts[-1] = b"[%b" % parts[0], b"%b]" % parts[-1]
    return b",".join(parts)


def check_utf_8(body: bytes) -> None:
    """Refuse what is no UTF-8, a piece at a time: the text of a whole page would be megabytes of fresh memory.

    Raises:
        UnicodeDecodeError: it is none.
    """
    if body.isascii():
        return
    pieces, begin, length = memoryview(body), 0, len(body)
    while begin < length:
        end = begin + _PIECE
        begin += utf_8_decode(pieces[begin:end], "strict", end >= length)[1]


def several(number: int, thing: str) -> str:
    """A number and what it counts: ``1 call``, ``1,900 calls``.

    Args:
        number: how many.
        thing: one of them.
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


_T = TypeVar("_T")

# A character that Unicode keeps for a process's own use, and digits that nobody outside can know.
_MASK = "\ufdd0" + secrets.token_hex(8)
_MASK_BYTES = _MASK.encode()
_ESCAPES = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)
_MASKED = re.compile(_MASK_BYTES + rb"([dD][89a-fA-F][0-9a-fA-F]{2})")
_MASKED_TEXT = re.compile(_MASK + "([dD][89a-fA-F][0-9a-fA-F]{2})")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def masked(body: bytes) -> bytes | None:
    """JSON with its lone surrogates masked; None where it has none."""
    if _SURROGATE.search(body) is None:
        return None
    found = _ESCAPES.sub(lambda each: each[0] if each[1] is None else _MASK_BYTES + each[1], body)
    return None if len(found) == len(body) else found


def unmasked(text: bytes) -> bytes:
    """JSON with its lone surrogates as they were."""
    return _MASKED.sub(rb"\\u\1", text) if _MASK_BYTES in text else text


def unmasked_text(text: str) -> str:
    """A text that was decoded, with its lone surrogates."""
    return _MASKED_TEXT.sub(lambda each: chr(int(each[1], 16)), text) if _MASK in text else text


def decode_masked(decode: Callable[[bytes], _T], body: bytes) -> tuple[_T, bool]:
    """Decode JSON, and say whether its lone surrogates had to be masked.

    Raises:
        msgspec.MsgspecError: it cannot be decoded, with or without them.
        RecursionError: it is nested too deeply.
    """
    try:
        return decode(body), False
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        without: Any = masked(body)
        if without is None:
            raise
        return decode(without), True


# Neither of these calls itself: newer Pythons read JSON that is nested deeper than their functions may be.


def copied(value: Any) -> Any:
    """A copy of a JSON value that has no array or object in common with it."""
    whole = [value]
    waiting: list[Any] = [whole]
    while waiting:
        container = waiting.pop()
        for place, item in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(item, dict | list):
                container[place] = item.copy()
                waiting.append(container[place])
    return whole[0]


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1, 1.0 and true are three, and the order of keys says nothing."""
    waiting = [(one, other)]
    while waiting:
        left, right = waiting.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, dict):
            if left.keys() != right.keys():
                return False
            waiting.extend((item, right[key]) for key, item in left.items())
        elif isinstance(left, list):
            if len(left) != len(right):
                return False
            waiting.extend(zip(left, right, strict=True))
        elif repr(left) != repr(right) if isinstance(left, float) else left != right:
            return False
    return True
