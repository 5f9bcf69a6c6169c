"""The parameters in the body of a legacy call: a JSON object, a form or a multipart form (contract, section 1).

A body that cannot be read has a reason of its own. Its parameters cannot be part of what was signed, so the gateway's
log would otherwise call it a wrong signature, and its sender would look for a fault where there is none.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from compat.json_text import DuplicateKeyError, Number, loads_strictly
from compat.legacy.routes import LegacyCall

__all__ = [
    "CHARSET",
    "ENCODING",
    "FILE",
    "KEY_TWICE",
    "MARK",
    "MULTIPART",
    "NO_JSON",
    "TYPE",
    "Body",
    "UnreadableBody",
    "form_pairs",
    "media_type",
    "read_body",
    "shown",
]

TYPE = "the type of the body is not one that is read"
CHARSET = "the body is not UTF-8"
ENCODING = "the body is compressed or encoded"
MARK = "the body begins with a byte-order mark"
NO_JSON = "the body is not the JSON object that its type says"
KEY_TWICE = "a key of the body stands twice"
MULTIPART = "the body is not the multipart form that its type says"
FILE = "the body holds a file"

_JSON_TYPES = re.compile(r"application/(?:[\w.-]+\+)?json|text/(?:x-)?json|application/jsonrequest")
_FORM = "application/x-www-form-urlencoded"
_UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FILENAME = re.compile(r";\s*filename\*?\s*=", re.IGNORECASE)
_MOST_PARTS = 256


class UnreadableBody(ValueError):
    """A body that cannot be read, or a part of it.

    Attributes:
        reason: one of this module's, for a log: it holds nothing of the call.
        name: the parameter that the answer names.
        message: what the answer says.
    """

    def __init__(self, reason: str, message: str, name: str = "body") -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message
        self.name = name


def shown(value: str) -> str:
    """A caller's own value, short enough for a message that goes back to that caller."""
    return value if len(value) <= 80 else value[:77] + "..."


def media_type(content_type: str | None) -> str:
    """The declared type without its parameters, or nothing."""
    return (content_type or "").partition(";")[0].strip().lower()


class Body(NamedTuple):
    """What a body holds.

    Attributes:
        pairs: names and values in their order; of JSON as :func:`compat.json_text.loads_strictly` gives them.
        faults: what of it cannot be read; where that is the whole body, there are no pairs.
    """

    pairs: Sequence[tuple[str, Any]]
    faults: Sequence[UnreadableBody] = ()


def read_body(call: LegacyCall) -> Body:
    """The parameters in the body of a call."""
    if not call.body.strip():
        return Body(())
    try:
        return _read(call)
    except UnreadableBody as fault:
        return Body((), (fault,))


def _read(call: LegacyCall) -> Body:
    encoding = (call.content_encoding or "").strip()
    if encoding.lower() not in ("", "identity"):
        raise UnreadableBody(ENCODING, f"Must be sent as it is, without Content-Encoding: '{shown(encoding)}'.")
    declared = media_type(call.content_type)
    if declared == "multipart/form-data":
        return _multipart(call.content_type or "", call.body)
    is_json = _JSON_TYPES.fullmatch(declared) is not None or (not declared and call.body.lstrip()[:1] == b"{")
    if not is_json and declared not in (_FORM, ""):
        raise UnreadableBody(TYPE, f"Must be JSON or a form, not '{shown(declared)}'.")
    for charset in _charsets(call.content_type or ""):
        if charset.lower() not in _UTF_8:
            raise UnreadableBody(CHARSET, f"Must be UTF-8, not '{shown(charset)}'.")
    if call.body.startswith(_MARKS):
        raise UnreadableBody(MARK, "Must be UTF-8 without a byte-order mark.")
    return _json(call.body) if is_json else Body(form_pairs(call.body.decode("latin-1")))


def _charsets(content_type: str) -> Iterator[str]:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            yield value.strip().strip('"')


def _json(body: bytes) -> Body:
    faults: list[UnreadableBody] = []
    try:
        text = body.decode()
        try:
            content = loads_strictly(text)
        except DuplicateKeyError as error:
            # The last one counts for the signature, as in most readers of JSON.
            message = f"Must be given once in the body: the key '{shown(error.key)}' stands twice."
            faults.append(UnreadableBody(KEY_TWICE, message, error.key))
            content = json.loads(text, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError):
        raise UnreadableBody(NO_JSON, "Must be a JSON object: it is not JSON.") from None
    if not isinstance(content, dict):
        raise UnreadableBody(NO_JSON, "Must be a JSON object.")
    return Body([*content.items()], faults)


def form_pairs(text: str) -> list[tuple[str, str]]:
    """Names and values of a form or query, one character a byte, as ``urllib.parse.parse_qsl`` reads them.

    Raises:
        UnreadableBody: it is no UTF-8.
    """
    try:
        decoded = text if text.isascii() else text.encode("latin-1").decode()
        if "%" in decoded or "+" in decoded:
            return parse_qsl(decoded, keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise UnreadableBody(CHARSET, "Must be UTF-8.") from None
    # Where there are no escapes, parse_qsl would look for them all the same.
    pairs = [pair.partition("=") for pair in decoded.split("&") if pair]
    return [(name, value) for name, _, value in pairs]


def _multipart(content_type: str, body: bytes) -> Body:
    # Imported here: few callers send such forms.
    from multipart import MultipartError, PushMultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise UnreadableBody(MULTIPART, "Must name the boundary of its parts in its Content-Type.")
    pairs: list[tuple[str, Any]] = []
    faults: list[UnreadableBody] = []
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS, strict=True) as parser:
            for head, content in _parts(parser.parse(body)):
                value = _value(head, content)
                if isinstance(value, UnreadableBody):
                    faults.append(value)
                else:
                    pairs.append((head.name, value))
    except MultipartError as error:
        raise UnreadableBody(MULTIPART, f"Must be a multipart form: {str(error.args[0]).rstrip('.')}.") from None
    return Body(pairs, faults)


def _parts(events: Iterable[Any]) -> Iterator[tuple[Any, bytes]]:
    """The parts of a form: each begins with its head, goes on with bytes and ends with None."""
    head, content = None, bytearray()
    for event in events:
        if event is None:
            yield head, bytes(content)
        elif isinstance(event, bytes | bytearray):
            content += event
        else:
            head, content = event, bytearray()


def _value(head: Any, content: bytes) -> str | UnreadableBody:
    """The value of a part, or why it has none; the other parts are read all the same."""
    name = head.name or "body"
    if _FILENAME.search(head.header("Content-Disposition", "")):
        return UnreadableBody(FILE, "Must be a value, not a file: send the part without a filename.", name)
    encoding = head.header("Content-Transfer-Encoding", "8bit").strip()
    if encoding.lower() not in ("7bit", "8bit", "binary"):
        return UnreadableBody(ENCODING, f"Must be sent as it is, without '{shown(encoding)}'.", name)
    if (head.charset or "utf-8").lower() not in _UTF_8:
        return UnreadableBody(CHARSET, f"Must be UTF-8, not '{shown(head.charset)}'.", name)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return UnreadableBody(CHARSET, "Must be UTF-8.", name)
