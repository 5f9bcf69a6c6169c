"""Lone surrogates in JSON, which Python reads and the fast decoder does not: no UTF-8 says one, only an escape does.

Before such a body is decoded its lone surrogates are masked, each as a text that nobody can have written; in what is
encoded again they are put back as they were.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

__all__ = ["decode_masked", "masked", "unmasked", "unmasked_text"]

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
