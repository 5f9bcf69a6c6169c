"""The body of a message in a HAR file, whatever it is packed in, and whatever is said of that."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import urllib3
from urllib3.exceptions import HTTPError

from compat.regression.comparing.pairs import LONGEST

__all__ = ["Body", "body_of"]

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CODINGS = ("gzip", "zstd", "br", "deflate")
_MOST_LAYERS = 3
_NOTHING_PACKED = 32
"""Bytes that nothing takes when it is packed, at most: more than these that give nothing were cut off."""
_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_]*={0,2}", re.ASCII)


class Body(NamedTuple):
    """A body: unpacked where it can be, whether the file has it, be it empty, and what is odd about it, if anything."""

    octets: bytes
    there: bool
    odd: str = ""


def body_of(part: Mapping[str, Any], coding: str | None, attached: Callable[[str], bytes | None]) -> Body:
    """The body that a part, ``content`` or ``postData``, has itself or names as a file, which ``attached`` reads.

    The header ``Content-Encoding``, the coding, may be true or not.
    """
    text, name, encoding = part.get("text"), part.get("_file"), part.get("encoding")
    if isinstance(text, str):
        if not isinstance(encoding, str) or encoding.strip().lower() != "base64":
            return _plain(text, coding)
        octets = _of_base64(text)
        if octets is None:
            return _plain(text, coding)._replace(odd="a body that is not the base64 that it is said to be")
        return _unpacked(octets, coding)
    octets = attached(name) if isinstance(name, str) else None
    return Body(b"", there=False) if octets is None else _unpacked(octets, coding)


def _of_base64(text: str) -> bytes | None:
    """What base64 says, in lines or not, of either alphabet, padded or not; None where it is none."""
    whole = "".join(text.split())
    if _BASE64.fullmatch(whole) is None:
        return None
    whole = whole.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    except binascii.Error:
        return None


def _plain(text: str, coding: str | None) -> Body:
    # Some write each octet of what they could not read as the character of its number.
    with suppress(UnicodeEncodeError):
        octets = text.encode("latin-1")
        if text[:1] not in "{[<" and (coding is not None or _marked(octets)):
            found = _unpacked(octets, coding)
            if not found.odd:
                return found
    return Body(text.encode(errors="surrogatepass"), there=True)


def _unpacked(octets: bytes, coding: str | None) -> Body:
    for layer in range(_MOST_LAYERS):
        # A packed body may begin as JSON does: brotli's first octet is often a bracket.
        if _is_text(octets) and (layer or _begins_as_text(octets)):
            return Body(octets, there=True)
        found = _without_one_layer(octets, coding)
        if found is None:
            break
        octets = found
    if _is_text(octets) or _begins_as_text(octets):
        return Body(octets, there=True)
    reason = "a packed body that could not be unpacked"
    missing = [name for name in _named(octets, coding) if name not in urllib3.HTTPResponse.CONTENT_DECODERS]
    if missing:
        reason = f"a body packed by {missing[0]}, for which exam-students-compat[regression] has to be installed"
    return Body(octets, there=True, odd=reason)


def _named(octets: bytes, coding: str | None) -> list[str]:
    """What a body is packed in by its first bytes, and by the header, the outermost first."""
    declared = [each.strip().lower() for each in reversed((coding or "").split(","))]
    marked = _marked(octets)
    return [*([marked] if marked else []), *(each for each in declared if each in _CODINGS or each == "x-gzip")]


def _without_one_layer(octets: bytes, coding: str | None) -> bytes | None:
    named = _named(octets, coding)
    guessed = () if _is_text(octets) else _CODINGS
    for name in dict.fromkeys([*named, *guessed]):
        found = _decoded(octets, name)
        if found is None or (not found and (guessed == () or name not in named or len(octets) > _NOTHING_PACKED)):
            continue
        # Other than gzip and zstandard, these have no mark: what comes out tells whether it was one.
        if _marked(found) or _is_text(found) or name == _marked(octets):
            return found
    return None


def _marked(octets: bytes) -> str | None:
    return next((name for magic, name in _MAGIC.items() if octets.startswith(magic)), None)


def _decoded(octets: bytes, coding: str) -> bytes | None:
    if coding not in urllib3.HTTPResponse.CONTENT_DECODERS:
        return None
    headers = {"content-encoding": coding}
    try:
        with urllib3.HTTPResponse(io.BytesIO(octets), headers=headers, preload_content=False) as packed:
            found = packed.read(LONGEST + 1, decode_content=True)
    except (HTTPError, OSError):
        return None
    return found if len(found) <= LONGEST else None


def _begins_as_text(octets: bytes) -> bool:
    return octets.removeprefix(_BOM).lstrip(_BLANKS)[:1] in (b"", b"{", b"[", b"<")


def _is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
