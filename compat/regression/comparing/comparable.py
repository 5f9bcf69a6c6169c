"""Whether two answers can be compared at all, and what they hold.

A browser drops large bodies, a proxy answers in place of the endpoint, a login page comes with status 200. Nothing
can be compared with these, so they say nothing for the new endpoint: they are counted apart, by reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from compat.errors import LegacyError
from compat.legacy.parameters import gather
from compat.legacy.query import LARGEST_LIMIT
from compat.legacy.routes import LegacyCall
from compat.regression.comparing.pairs import Answered, Pair

__all__ = [
    "COMPARED_HEADERS",
    "ITEM_COUNT",
    "LIMIT",
    "PAGE",
    "PAGE_COUNT",
    "Content",
    "Examined",
    "examine",
    "examine_pair",
    "ids_of",
    "members",
    "read_content",
]


class _List(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    students: list[msgspec.Raw]


class _One(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    student: msgspec.Raw


class _Identified(msgspec.Struct, gc=False):
    id: msgspec.Raw = msgspec.Raw(b"")


class _Failure(msgspec.Struct, gc=False):
    error: msgspec.Raw = msgspec.Raw(b"")
    errors: msgspec.Raw = msgspec.Raw(b"")


_list = msgspec.json.Decoder(_List).decode
_one = msgspec.json.Decoder(_One).decode
_identified = msgspec.json.Decoder(_Identified).decode
_failure = msgspec.json.Decoder(_Failure).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Content(msgspec.Struct, frozen=True, gc=False):
    """A body by its form, with the JSON text of each record, or an error's message and the names of its parameters."""

    form: Literal["list", "one", "error", "other", "empty", "unreadable"]
    records: Sequence[msgspec.Raw] = ()
    error: bytes = b""
    parameters: tuple[str, ...] = ()


def read_content(body: bytes, status: int) -> Content:
    """Read a body; whatever it is, it has a form."""
    if not body:
        return Content("empty")
    try:
        if status >= 400:
            found = _failure(body)
            errors = msgspec.json.decode(found.errors) if found.errors else {}
            names = tuple(sorted(errors)) if isinstance(errors, dict) else ()
            return Content("error", error=bytes(found.error), parameters=names)
        return Content("list", _list(body).students)
    except _UNREADABLE:
        pass
    try:
        return Content("one", [_one(body).student])
    except _UNREADABLE:
        return Content("unreadable" if members(body) is None else "other")


def ids_of(records: Sequence[msgspec.Raw]) -> list[str] | None:
    """The id of each record as its JSON text; None where one has none."""
    try:
        found = [str(bytes(_identified(record).id), "utf-8") for record in records]
    except _UNREADABLE:
        return None
    return found if all(found) else None


def members(record: Any) -> Mapping[str, msgspec.Raw] | None:
    """The fields of a record, each as its JSON text; None where it is no object."""
    try:
        found: Mapping[str, msgspec.Raw] = _members(record)
    except _UNREADABLE:
        return None
    return found


ITEM_COUNT, PAGE_COUNT, PAGE, LIMIT = (
    "x-pagination-item-count",
    "x-pagination-page-count",
    "x-pagination-page",
    "x-pagination-limit",
)
COMPARED_HEADERS = ("content-type", ITEM_COUNT, PAGE_COUNT, PAGE, LIMIT)
"""The headers of the old interface that old integrations read; all others are the server's own affair."""

_REFUSALS = range(400, 500)
_OWN_FAILURES = (408, 429)
_TEXTS = ("text/html", "text/plain", "text/xml", "application/xhtml+xml")
"""Content types that people or machines of other kinds read: a page of students never has one."""


class Examined(NamedTuple):
    """An answer of the old endpoint, as evidence.

    Attributes:
        why_not: why nothing can be compared with it, in the same words for answers of one kind, without anything of its
            content; None where something can.
        content: its body, read.
    """

    why_not: str | None
    content: Content = Content("empty")


def examine_pair(pair: Pair) -> Examined:
    """What a pair is evidence of.

    A refusal needs no body to differ from an answer: who may see what is told by the status alone.
    """
    old, new = pair.old, pair.new
    found = examine(pair.call, old)
    if found.why_not and old.failure is None and _own_refusal(old.status) and old.status != new.status:
        return found if new.failure is not None else found._replace(why_not=None)
    return found


def examine(call: LegacyCall, answered: Answered) -> Examined:
    """What an answer of the old endpoint to a call is evidence of."""
    if answered.failure is not None:
        return Examined(f"the old endpoint failed ({answered.failure})")
    status = answered.status
    if status >= 500 or status in _OWN_FAILURES:
        return Examined(f"the old endpoint failed (status {status})")
    if status != 200 and not _own_refusal(status):
        return Examined(f"status {status}, which is no answer of the old interface")
    headers = _numbers(answered.headers)
    if call.method == "HEAD":
        return Examined(None if headers or status != 200 else "a HEAD without pagination headers")
    if not answered.body:
        return Examined("an answer without a body")
    content = read_content(answered.body, status)
    odd = _why_not_a_body(call, status, content) or _why_headers_contradict(call, answered.headers, headers, content)
    return Examined(odd, content)


def _own_refusal(status: int) -> bool:
    return status in _REFUSALS and status not in _OWN_FAILURES


def _why_not_a_body(call: LegacyCall, status: int, content: Content) -> str | None:
    if content.form == "unreadable":
        return "a body that is not a JSON object" if status == 200 else "a refusal that is not a JSON object"
    if status != 200:
        return None
    wanted = "list" if call.route.gives == "page" else "one"
    if content.form != wanted:
        return "a body that is no page of students" if wanted == "list" else "a body that is no student"
    if ids_of(content.records) is None:
        return "a record without an id"
    return None


def _why_headers_contradict(
    call: LegacyCall, given: Mapping[str, str], numbers: Mapping[str, int], content: Content
) -> str | None:
    named = {name.lower(): value for name, value in given.items()}
    kind = named.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _TEXTS:
        return f"headers that contradict the body: a content type of {kind}"
    if content.form != "list":
        return None
    odd = next((name for name in COMPARED_HEADERS[1:] if name in named and name not in numbers), None)
    if odd is not None:
        return f"headers that contradict the body: {odd} is no number"
    against_body = _against_body(numbers, content.records)
    if against_body is not None:
        return f"headers that contradict the body: {against_body}"
    against_call = _against_call(call, numbers)
    return None if against_call is None else f"headers that contradict the question: {against_call}"


def _numbers(headers: Mapping[str, str]) -> dict[str, int]:
    """The pagination headers that are there and are numbers, by their names in lower case."""
    return {
        name.lower(): number
        for name, value in headers.items()
        if name.lower() in COMPARED_HEADERS[1:] and (number := _number(value)) is not None
    }


def _against_body(numbers: Mapping[str, int], records: Sequence[msgspec.Raw]) -> str | None:
    count, pages, page, limit = (numbers.get(name) for name in (ITEM_COUNT, PAGE_COUNT, PAGE, LIMIT))
    shown = len(records)
    if (limit is not None and shown > limit) or limit == 0:
        return f"more records than {LIMIT}"
    if count is not None and shown > count:
        return f"more records than {ITEM_COUNT}"
    if count is not None and pages is not None and limit and pages != -(-count // limit):
        return f"{PAGE_COUNT} is not {ITEM_COUNT} by {LIMIT}"
    if count is not None and limit and page is not None and shown != max(0, min(limit, count - (page - 1) * limit)):
        return f"not as many records as {ITEM_COUNT}, {PAGE} and {LIMIT} say"
    return None


def _against_call(call: LegacyCall, numbers: Mapping[str, int]) -> str | None:
    try:
        asked = gather(call).values
    except LegacyError:
        return None
    page, limit = _number(asked.get("page", "1")), _number(asked.get("limit", f"{LARGEST_LIMIT}"))
    if page is not None and numbers.get(PAGE, page) != page:
        return f"{PAGE} is not the page that was asked for"
    if limit is None:
        return None
    said = numbers.get(LIMIT, limit)
    # How the old endpoint cuts a limit that is too large, no document says: it is bound by what was asked.
    if said != limit and not (limit > LARGEST_LIMIT and said < limit):
        return f"{LIMIT} is not the limit that was asked for"
    return None


def _number(text: str) -> int | None:
    """A number; None for what is none, which the old endpoint has to refuse."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
