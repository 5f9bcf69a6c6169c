"""The parameters of a legacy call, gathered from path, query and body (contract, section 1).

A body that cannot be read has a reason of its own. Its parameters cannot be part of what was signed, so the gateway's
log would otherwise call it a wrong signature, and its sender would look for a fault where there is none.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from compat.errors import InvalidParameter
from compat.legacy.routes import LegacyCall, Route
from compat.text.json import DuplicateKeyError, Number, dumps, loads_strictly

__all__ = [
    "CHARSET",
    "ENCODING",
    "FILE",
    "FLAGS",
    "KEY_TWICE",
    "MARK",
    "MULTIPART",
    "NO_JSON",
    "QUERY_CHARSET",
    "TYPE",
    "Body",
    "Parameters",
    "UnreadableBody",
    "check",
    "form_pairs",
    "gather",
    "media_type",
    "missing",
    "number",
    "read_body",
    "refusal",
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
QUERY_CHARSET = "the query is not UTF-8"

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
        pairs: names and values in their order; of JSON as :func:`compat.text.json.loads_strictly` gives them.
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


FLAGS = ("true", "false", "1", "0")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_LONGEST_NUMBER = 4000
_ENVELOPES = ("student", "student_session")


@dataclass(frozen=True)
class Parameters:
    """The merged set that a server sees, each value as the text that the client signed.

    Attributes:
        values: name to text; the path's id wins over any other.
        problems: name to messages, of parameters that no one value can be told of.
        unread: why the body or the query could not be read, in words that hold nothing of it; None where it could.
    """

    values: Mapping[str, str] = field(repr=False)
    problems: Mapping[str, list[str]]
    unread: str | None = None


def _told(name: str, value: str) -> str:
    return "…" if name == "signature" else shown(value)


def missing(name: str) -> str:
    """The documented text for a parameter that is not there or is empty (API facts, add_student)."""
    return f"Param is missing or the value is empty: '{name}'"


def number(text: str) -> int | None:
    """The digits as a number, or None where they are not digits."""
    if _DIGITS.fullmatch(text) is None or len(text) > _LONGEST_NUMBER:
        return None
    return int(text)


def gather(call: LegacyCall) -> Parameters:
    """Merge path, query and body, whichever entrance they reached; nothing is refused yet.

    A request whose parameters contradict each other still has a base string to check, so that a stranger learns
    nothing from a 422 (contract, section 6); the contradictions are kept as ``problems``.
    """
    problems: dict[str, list[str]] = {}
    merged: dict[str, str] = {}
    body = read_body(call) if call.body else Body(())
    unread = body.faults[0].reason if body.faults else None
    for fault in body.faults:
        _report(problems, fault.name, fault.message)
    try:
        query = form_pairs(call.query)
    except UnreadableBody as fault:
        _report(problems, "query", fault.message)
        query, unread = [], QUERY_CHARSET
    for place, pairs in (("query", query), ("body", body.pairs)):
        for name, value in _once(place, call.route, pairs, problems).items():
            if name in merged and merged[name] != value and name != "id":
                _report(problems, name, f"Must not differ between query and body: '{_told(name, value)}'.")
            merged[name] = value
    merged["id"] = call.exam_id
    return Parameters(merged, problems, unread)


def _once(place: str, route: Route, pairs: Iterable[tuple[str, Any]], problems: dict[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, given in pairs:
        value = given if isinstance(given, str) else _scalar(name, given, problems)
        if name in found:
            _report(problems, name, f"Must be given once in the {place}: '{_told(name, value)}'.")
        elif value == "":
            _report(problems, name, missing(name))
        elif "[" in name and (meant := _within_brackets(route, name)):
            form = "one parameter of stringified JSON" if meant in route.json else f"the parameter {meant}"
            _report(problems, meant, f"Must be sent as {form}: brackets are not read in '{shown(name)}'.")
        found[name] = value
    return found


def _within_brackets(route: Route, name: str) -> str | None:
    """The parameter of the route that Rails would find in a name such as ``filter[name][eq]``; None for none.

    It would be ignored as a name that nobody knows, and a list without its filter is a wrong list.
    """
    head, *inner = re.split(r"[\[\]]+", name.rstrip("]"))
    if head in route.known:
        return head
    inner = inner if head in _ENVELOPES else []
    return next((each for each in inner if each in route.known), None)


def _report(problems: dict[str, list[str]], name: str, message: str) -> None:
    problems.setdefault(name, []).append(message)


def _scalar(name: str, value: Any, problems: dict[str, list[str]]) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        # As Ruby writes it; it is a parameter without a value.
        return ""
    _report(problems, name, f"Must be a String; JSON goes in stringified: '{shown(dumps(value))}'.")
    return dumps(value)


def check(route: Route, parameters: Parameters) -> Mapping[str, str]:
    """Refuse what breaks a rule that needs no more than the parameter itself.

    Raises:
        InvalidParameter: names every such parameter.
    """
    values = parameters.values
    problems = {name: list(messages) for name, messages in parameters.problems.items()}
    for name in route.required:
        if name not in values:
            _report(problems, name, missing(name))
    for name, value in values.items():
        if name not in problems and (message := refusal(route, name, value)) is not None:
            _report(problems, name, message)
    if problems:
        raise InvalidParameter(problems, values)
    return values


def refusal(route: Route, name: str, value: str) -> str | None:
    """Why a number or a flag of that route is refused; None where it is not, or is neither."""
    if name in route.numbers:
        found = number(value)
        if found is None:
            return "Must be a number."
        if found < 1 and name in ("page", "limit"):
            return "Must be at least 1."
    elif name in route.flags and value.lower() not in FLAGS:
        return "Must be one of: true, false, 1, 0."
    return None
