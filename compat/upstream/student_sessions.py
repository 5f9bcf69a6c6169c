"""The successor at the same vendor: student sessions, their pages and records (seed 002; contract, section 4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
import requests

from compat.errors import ConfigurationError, LegacyError, NotAuthorized, StudentSessionNotFound
from compat.legacy.signature import Caller, signed
from compat.mapping.compiled.refused import REFUSED
from compat.settings_checks import checked_key, checked_token, checked_url
from compat.text.json import check_utf_8, decode_masked, dumps, unmasked
from compat.upstream.base import Capability, Chunk, Codec, LegacySettings, One, Row, Source, Upstream
from compat.upstream.limits import AnswerLimits, LimitKeys, WalkSettings
from compat.upstream.retries import BREAKER_FAILURES, Deadline, RetryPolicy
from compat.upstream.senders import Outgoing
from compat.upstream.transport import (
    CallOptions,
    Reply,
    Transport,
    Unreadable,
    json_object,
    refused_parameters,
    unexpected,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from compat.legacy.query import Query

__all__ = [
    "PageRows",
    "StudentSessions",
    "raw_rows",
    "read_chunk",
    "read_row",
    "refused",
]

_NOBODY: Mapping[str, Any] = {}
PageRows = Callable[[bytes], Sequence[Any]]


class _Page(msgspec.Struct):
    students: list[msgspec.Raw]


class _One(msgspec.Struct):
    student: msgspec.Raw = msgspec.Raw()
    student_session: msgspec.Raw = msgspec.Raw()


_pages = msgspec.json.Decoder(_Page)
_ones = msgspec.json.Decoder(_One)


def read_chunk(reply: Reply, start: int, page_rows: PageRows) -> Chunk:
    """A page of the list.

    Args:
        reply: the answer.
        start: how many records lie before the page.
        page_rows: decodes the page's records.

    Raises:
        Unreadable: it is no page.
        LegacyError: the upstream refused, as contract 2 says.
    """
    if reply.status != 200:
        raise refused(reply)
    rows = _rows(reply, page_rows)
    reply.limits.check_records(len(rows))
    total = _stated(reply, "X-Pagination-Item-Count", least=0)
    limit = _stated(reply, "X-Pagination-Limit", least=1)
    if not rows and total > start:
        raise Unreadable(f"The upstream's page from record {start} on has no records, though it counts {total}.")
    return Chunk(start, rows, total, limit)


def raw_rows(body: bytes) -> Sequence[Any]:
    """A page's records, each as its text."""
    page, masked = decode_masked(_pages.decode, body)
    return [unmasked(bytes(row)) for row in page.students] if masked else page.students


def _rows(reply: Reply, page_rows: PageRows) -> Sequence[Any]:
    """The page's records: as wanted, else as their texts, else as the plain reader has them."""
    try:
        # What is skipped over is not looked at: that it is UTF-8 is seen to here.
        check_utf_8(reply.body)
        return page_rows(reply.body)
    except REFUSED:
        return _rows_by_hand(reply) if page_rows is raw_rows else _rows(reply, raw_rows)


def _rows_by_hand(reply: Reply) -> Sequence[Any]:
    """What the fast reader would not take: the plain one decides whether it is a page."""
    rows = json_object(reply).get("students")
    if not isinstance(rows, list):
        raise Unreadable("The upstream's answer is not a page: it has no list of students.")
    return [dumps(row).encode() for row in rows]


def _stated(reply: Reply, name: str, least: int) -> int:
    text = reply.headers.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) < least:
        raise Unreadable(f"The upstream's answer is not a page: it states no {name}.")
    return int(text)


def read_row(reply: Reply, codec: Codec) -> Row:
    """One record, in either of the two envelopes that are known.

    Raises:
        Unreadable: it holds none.
        LegacyError: the upstream refused, as contract 2 says.
    """
    if reply.status not in (200, 201):
        raise refused(reply)
    try:
        check_utf_8(reply.body)
        found, masked = decode_masked(_ones.decode, reply.body)
    except REFUSED:
        return codec.scan([_one_by_hand(reply)], -1, (), _NOBODY)[0]
    text = bytes(found.student) or bytes(found.student_session)
    if not text:
        raise _no_student()
    return codec.scan([unmasked(text) if masked else text], -1, (), _NOBODY)[0]


def _one_by_hand(reply: Reply) -> bytes:
    """What the fast reader would not take: the plain one decides whether it holds a record."""
    content = json_object(reply)
    for name in ("student", "student_session"):
        if name in content:
            return dumps(content[name]).encode()
    raise _no_student()


def _no_student() -> Unreadable:
    return Unreadable("The upstream's answer holds no student.")


def refused(reply: Reply) -> LegacyError:
    """The error that another status than success stands for."""
    if reply.status in (401, 403):
        return NotAuthorized()
    return refused_parameters(reply) if reply.status == 422 else unexpected(reply)


_ACCEPT = "application/vnd.procwise.v3"
_PUSHABLE: tuple[Capability, ...] = ("status", "filter", "sort")


class StudentSessions(Upstream):
    """``GET /api/v3/student_sessions``, signed, 300 records a page.

    Args:
        base_url: scheme and host, such as ``https://acme.proctorexam.com``.
        api_token: the user's token.
        secret_key: the key that its calls are signed with.
        scope: "all" reads the list of all exams and drops the others' records here; "exam" reads
            ``/exams/{id}/student_sessions``.
        pushdown: what is left to the upstream, of status, filter and sort; checked on what comes back.
        walk_deadline: seconds that a reading of the whole list may take.
        walk_pages: pages that one may read, all its attempts together; more is an error.
        walk_bytes: bytes of records that one may read, all its attempts together; more is an error.
        walk_rate: calls a second that readings of small pages, with fewer than 100 records, make together.
        breaker_failures: attempts in a row that fail before one call at a time goes on trying, while others are told
            at once; 0 for no such stop.
        unsettled: "serve" a list that kept changing and say so, or "refuse" it.
        session: the ``requests`` session to call with; your adapters, proxies, certificates and cookies then count.
        retries: how often and how long to try.
        limits: the keys of :class:`compat.upstream.limits.AnswerLimits`.

    Raises:
        ConfigurationError: an argument that cannot be used.
    """

    kind = "student_sessions"

    def __init__(
        self,
        base_url: str,
        *,
        api_token: str,
        secret_key: str,
        scope: Literal["all", "exam"] = "all",
        pushdown: Iterable[str] = ("status",),
        walk_deadline: float = 900,
        walk_pages: int = WalkSettings.pages,
        walk_bytes: int = WalkSettings.bytes,
        walk_rate: float = WalkSettings.rate,
        breaker_failures: int = BREAKER_FAILURES,
        unsettled: Literal["serve", "refuse"] = "serve",
        session: requests.Session | None = None,
        retries: RetryPolicy = RetryPolicy(),
        **limits: Unpack[LimitKeys],
    ) -> None:
        if scope not in ("all", "exam"):
            raise ConfigurationError(f'scope = {scope!r}: must be "all" or "exam"')
        chosen = _checked_pushdown(pushdown)
        own_scope: frozenset[Capability] = frozenset({"exam"}) if scope == "exam" else frozenset()
        super().__init__(chosen | own_scope, WalkSettings(walk_deadline, unsettled, walk_pages, walk_bytes, walk_rate))
        self.base_url = checked_url("base_url", base_url)
        self.scope = scope
        self._api_token = checked_token("api_token", api_token)
        self._secret_key = checked_key("secret_key", secret_key)
        taken = AnswerLimits.of(**limits)
        self.keep_alive = taken.keep_alive
        self._transport = Transport(retries, session, "student sessions", taken, breaker_failures)

    def __repr__(self) -> str:
        return f"StudentSessions({self.base_url!r}, scope={self.scope!r})"

    @property
    def account(self) -> Caller:
        """What its requests are signed with; the old endpoint of the same system takes it too."""
        return Caller("upstream", self._api_token, self._secret_key)

    def check_query(self, query: Query) -> None:
        """Every exam id may have sessions here."""

    def sources(
        self,
        query: Query,
        pushed: frozenset[Capability],
        options: CallOptions,
        page_rows: PageRows | None = None,
    ) -> list[Source]:
        parameters: dict[str, str] = {}
        if query.status is not None and "status" in pushed:
            parameters["status"] = query.status
        if query.filter_text is not None and "filter" in pushed:
            parameters["filter"] = query.filter_text
        if query.sort_text is not None and "sort" in pushed:
            parameters["sort"] = query.sort_text
        exam_id = query.exam_id if "exam" in pushed else None
        return [self.source(exam_id, parameters, options, page_rows)]

    def source(
        self,
        exam_id: int | None,
        parameters: Mapping[str, str],
        options: CallOptions,
        page_rows: PageRows | None = None,
    ) -> Source:
        """The list of one exam, or of all, with further parameters."""
        if exam_id is None:
            return _List(self, "/api/v3/student_sessions", {}, parameters, options, page_rows)
        path = f"/api/v3/exams/{exam_id}/student_sessions"
        return _List(self, path, {"exam_id": str(exam_id)}, parameters, options, page_rows)

    def codec(self, settings: LegacySettings) -> Codec:
        # Imported here: it brings the declaration of the record, which a call needs and an import does not.
        from compat.upstream.student_codec import StudentCodec

        return StudentCodec(settings)

    def one(self, student_session_id: int, codec: Codec, options: CallOptions) -> One:
        def accept(reply: Reply) -> Row | None:
            if reply.status == 404:
                return None
            row = read_row(reply, codec)
            if row.id != student_session_id:
                raise Unreadable(f"The upstream answered with another student session than {student_session_id}.")
            return row

        found: Row | None = self.call("GET", student_session_id, {}, accept, options)
        return One(found)

    def add(self, exam_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        path = f"/api/v3/exams/{exam_id}/student_sessions"

        def build() -> Outgoing:
            return self.request("POST", path, values, {"exam_id": str(exam_id)})

        def accept(reply: Reply) -> Row:
            row = read_row(reply, codec)
            if row.exam_id != exam_id:
                raise Unreadable(f"The upstream answered with a student session of another exam than {exam_id}.")
            return row

        return self._transport.write(build, accept, options)

    def update(self, student_session_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        def accept(reply: Reply) -> Row:
            if reply.status == 404:
                raise StudentSessionNotFound(student_session_id)
            return read_row(reply, codec)

        changed: Row = self.call("PATCH", student_session_id, values, accept, options)
        return changed

    def delete(self, student_session_id: int, options: CallOptions) -> None:
        def accept(reply: Reply) -> None:
            if reply.status == 404:
                raise StudentSessionNotFound(student_session_id)
            if reply.status not in (200, 202, 204):
                raise refused(reply)

        self.call("DELETE", student_session_id, {}, accept, options)

    def call(
        self,
        method: str,
        student_session_id: int,
        values: Mapping[str, str],
        accept: Any,
        options: CallOptions,
    ) -> Any:
        """Call ``/student_sessions/{id}``; a GET may be tried again, anything else is sent once."""

        def build() -> Outgoing:
            path = f"/api/v3/student_sessions/{student_session_id}"
            return self.request(method, path, values, {"id": str(student_session_id)})

        send = self._transport.read if method == "GET" else self._transport.write
        return send(build, accept, options)

    def request(self, method: str, path: str, values: Mapping[str, str], ids: Mapping[str, str]) -> Outgoing:
        """A request signed just now: a fresh timestamp, nonce and signature for every attempt."""
        sent = signed(values, self._secret_key, ids)
        headers = {"Authorization": f"Token token={self._api_token}", "Accept": _ACCEPT}
        url = self.base_url + path
        if method in ("POST", "PATCH"):
            headers["Content-Type"] = "application/json"
            return Outgoing(method, url, headers=headers, data=json.dumps(sent).encode())
        return Outgoing(method, url, headers=headers, params=sent)

    def read(
        self,
        path: str,
        values: Mapping[str, str],
        ids: Mapping[str, str],
        accept: Any,
        options: CallOptions,
        walk: Deadline | None,
    ) -> Any:
        """Send a signed GET, as often as it takes."""
        return self._transport.read(lambda: self.request("GET", path, values, ids), accept, options, walk)


class _List(Source):
    numbered = True
    person = _NOBODY

    def __init__(
        self,
        upstream: StudentSessions,
        path: str,
        ids: Mapping[str, str],
        parameters: Mapping[str, str],
        options: CallOptions,
        page_rows: PageRows | None,
    ) -> None:
        self._page_rows = page_rows or raw_rows
        self._upstream = upstream
        self._path = path
        self._ids = ids
        self._parameters = parameters
        self._options = options

    def fetch(self, start: int, limit: int, step: int | None, walk: Deadline | None) -> Chunk:
        page = start // (step or limit) + 1
        asked = {**self._parameters, "page": str(page), "limit": str(limit)}

        def accept(reply: Reply) -> Chunk:
            return read_chunk(reply, start, self._page_rows)

        chunk: Chunk = self._upstream.read(self._path, asked, self._ids, accept, self._options, walk)
        return chunk


def _checked_pushdown(pushdown: Iterable[str]) -> frozenset[Capability]:
    if not isinstance(pushdown, Iterable):
        raise ConfigurationError(f"pushdown: must be a list of {', '.join(_PUSHABLE)}")
    chosen = tuple(pushdown) if not isinstance(pushdown, str) else (pushdown,)
    for name in chosen:
        if name not in _PUSHABLE:
            raise ConfigurationError(f"pushdown: {name!r} is none of {', '.join(_PUSHABLE)}")
    return frozenset(name for name in get_args(Capability) if name in chosen)
