"""The same call answered by both endpoints: what is kept of each answer, and whether the two can be compared at all.

A browser drops large bodies, a proxy answers in place of the endpoint, a login page comes with status 200. Nothing
can be compared with these, so they say nothing for the new endpoint: they are counted apart, by reason.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec
import requests

from compat.errors import LegacyError, UpstreamError, UpstreamThrottled, UpstreamTimeout, UpstreamUnreachable
from compat.legacy.parameters import gather, media_type
from compat.legacy.query import LARGEST_LIMIT
from compat.legacy.routes import Answer, LegacyCall, failure
from compat.processes import cached_property

__all__ = [
    "COMPARED_HEADERS",
    "ITEM_COUNT",
    "LONGEST",
    "PAGE",
    "PAGE_COUNT",
    "Answered",
    "Content",
    "Pair",
    "examine",
    "examine_pair",
    "ids_of",
    "kept_answer",
    "kept_error",
    "kept_response",
    "members",
    "read_content",
    "watch_response",
]


@dataclass(frozen=True)
class Answered:
    """What one endpoint answered to a call.

    Attributes:
        status: the HTTP status; 0 where no whole answer came.
        body: all of it, unpacked; empty where none came.
        seconds: from sending the request to the last byte.
        failure: what failed where no whole answer came, such as ``timeout``; no secrets.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    failure: str | None = None

    @cached_property
    def named(self) -> Mapping[str, str]:
        """The headers by their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}

    def number(self, name: str) -> int | None:
        """The number in a header; None where there is none."""
        return _number(self.named.get(name, ""))


@dataclass(frozen=True)
class Pair:
    """A call, which is a read, and its two answers.

    Attributes:
        caller: whose it is by the configuration, or None.
        at: when it came, seconds since the epoch.
        new: what the shim answered from the new endpoint.
        served: which of them the caller got.
    """

    call: LegacyCall
    caller: str | None
    at: float
    old: Answered
    new: Answered
    served: Literal["legacy", "new"]


LONGEST = 8 * 1024 * 1024
"""Bytes of the longest body that is kept: the pages of lists have far fewer."""

_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((UpstreamTimeout, requests.Timeout, concurrent.futures.TimeoutError), "timeout"),
    ((UpstreamUnreachable, requests.ConnectionError), "unreachable"),
    ((UpstreamThrottled,), "throttled"),
    ((UpstreamError,), "unreadable"),
)


def kept_answer(answer: Answer, seconds: float, failure: str | None = None) -> Answered:
    """An answer of the shim."""
    return Answered(answer.status, dict(answer.headers), answer.body, seconds, failure)


def kept_error(error: Exception, seconds: float) -> Answered:
    """A failure: the answer that the old interface has for it, and in a word what happened where an endpoint failed."""
    word = next((word for kinds, word in _WORDS if isinstance(error, kinds)), None)
    if isinstance(error, LegacyError):
        return kept_answer(failure(error), seconds, word)
    return Answered(0, seconds=seconds, failure=word or "broken")


def kept_response(response: requests.Response, seconds: float) -> Answered:
    """A response that was read to its end."""
    return Answered(response.status_code, dict(response.headers), response.content, seconds)


def watch_response(response: requests.Response, begun: float, then: Callable[[Answered], object]) -> None:
    """Tell of a response when its reader has come to its end.

    Nothing is read ahead of the reader, who may have asked for a stream. One who leaves off, who reads the raw body
    itself, or whose body is too long to keep, is not told of. The request was begun at that ``time.perf_counter``.
    """

    def tell(body: bytes) -> None:
        then(Answered(response.status_code, dict(response.headers), body, time.perf_counter() - begun))

    raw: Any = response.raw
    if isinstance(response._content, bytes) or raw is None:
        # An adapter of the script's own made it, or another library than requests did.
        tell(response.content or b"")
        return
    stream = getattr(raw, "stream", None)
    if stream is None:
        return

    def watched(amt: int = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        parts: list[bytes] = []
        size = 0
        for part in stream(amt, decode_content=decode_content):
            size += len(part)
            if decode_content and size <= LONGEST:
                parts.append(part)
            yield part
        if decode_content and size <= LONGEST:
            tell(b"".join(parts))

    raw.stream = watched


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


ITEM_COUNT, PAGE_COUNT = "x-pagination-item-count", "x-pagination-page-count"
PAGE, _LIMIT = "x-pagination-page", "x-pagination-limit"
_PAGINATION = (ITEM_COUNT, PAGE_COUNT, PAGE, _LIMIT)
COMPARED_HEADERS = ("content-type", *_PAGINATION)
"""The headers of the old interface that old integrations read; all others are the server's own affair."""

_OWN_FAILURES = (408, 429)
_TEXTS = ("text/html", "text/plain", "text/xml", "application/xhtml+xml")
"""Content types that people or machines of other kinds read: a page of students never has one."""


class _Examined(NamedTuple):
    """An answer of the old endpoint, as evidence: why nothing can be compared with it, or None; and its body, read.

    The reasons are the same words for answers of one kind, without anything of their content.
    """

    why_not: str | None
    content: Content = Content("empty")


def examine_pair(pair: Pair) -> _Examined:
    """What a pair is evidence of.

    A refusal needs no body to differ from an answer: who may see what is told by the status alone.
    """
    old, new = pair.old, pair.new
    found = examine(pair.call, old)
    if found.why_not and old.failure is None and _own_refusal(old.status) and old.status != new.status:
        return found if new.failure is not None else found._replace(why_not=None)
    return found


def examine(call: LegacyCall, answered: Answered) -> _Examined:
    """What an answer of the old endpoint to a call is evidence of."""
    if answered.failure is not None:
        return _Examined(f"the old endpoint failed ({answered.failure})")
    status = answered.status
    if status >= 500 or status in _OWN_FAILURES:
        return _Examined(f"the old endpoint failed (status {status})")
    if status != 200 and not _own_refusal(status):
        return _Examined(f"status {status}, which is no answer of the old interface")
    if call.method == "HEAD":
        counted = any(answered.number(name) is not None for name in _PAGINATION)
        return _Examined(None if counted or status != 200 else "a HEAD without pagination headers")
    if not answered.body:
        return _Examined("an answer without a body")
    content = read_content(answered.body, status)
    return _Examined(_why_not_a_body(call, status, content) or _contradiction(call, answered, content), content)


def _own_refusal(status: int) -> bool:
    return 400 <= status < 500 and status not in _OWN_FAILURES


def _why_not_a_body(call: LegacyCall, status: int, content: Content) -> str | None:
    if content.form == "unreadable":
        return "a body that is not a JSON object" if status == 200 else "a refusal that is not a JSON object"
    if status != 200:
        return None
    wanted = "list" if call.route.gives == "page" else "one"
    if content.form != wanted:
        return "a body that is no page of students" if wanted == "list" else "a body that is no student"
    return "a record without an id" if ids_of(content.records) is None else None


def _contradiction(call: LegacyCall, answered: Answered, content: Content) -> str | None:
    """What the headers say that the body or the call does not."""
    kind = media_type(answered.named.get("content-type"))
    if kind in _TEXTS:
        return f"headers that contradict the body: a content type of {kind}"
    if content.form != "list":
        return None
    odd = next((name for name in _PAGINATION if name in answered.named and answered.number(name) is None), None)
    against_body = f"{odd} is no number" if odd else _against_body(answered, len(content.records))
    if against_body is not None:
        return f"headers that contradict the body: {against_body}"
    against_call = _against_call(call, answered)
    return None if against_call is None else f"headers that contradict the question: {against_call}"


def _against_body(answered: Answered, shown: int) -> str | None:
    count, pages, page, limit = map(answered.number, _PAGINATION)
    if (limit is not None and shown > limit) or limit == 0:
        return f"more records than {_LIMIT}"
    if count is not None and shown > count:
        return f"more records than {ITEM_COUNT}"
    if count is not None and pages is not None and limit and pages != -(-count // limit):
        return f"{PAGE_COUNT} is not {ITEM_COUNT} by {_LIMIT}"
    if count is not None and limit and page is not None and shown != max(0, min(limit, count - (page - 1) * limit)):
        return f"not as many records as {ITEM_COUNT}, {PAGE} and {_LIMIT} say"
    return None


def _against_call(call: LegacyCall, answered: Answered) -> str | None:
    try:
        asked = gather(call).values
    except LegacyError:
        return None
    page, limit = _number(asked.get("page", "1")), _number(asked.get("limit", f"{LARGEST_LIMIT}"))
    if page is not None and answered.number(PAGE) not in (None, page):
        return f"{PAGE} is not the page that was asked for"
    said = answered.number(_LIMIT)
    if limit is None or said is None:
        return None
    # How the old endpoint cuts a limit that is too large, no document says: it is bound by what was asked.
    fits = said == limit or (limit > LARGEST_LIMIT and said < limit)
    return None if fits else f"{_LIMIT} is not the limit that was asked for"


def _number(text: str) -> int | None:
    """A number; None for what is none, which the old endpoint has to refuse."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
