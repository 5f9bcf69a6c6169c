"""The successor at the same vendor: student sessions, their pages and records (seed 002; contract, section 4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import msgspec

from compat.errors import ConfigurationError, LegacyError, NotAuthorized, StudentSessionNotFound
from compat.legacy.signature import Caller, signed
from compat.settings_checks import checked_key, checked_token, nearest, without_api_path
from compat.text.json import dumps, unmasked
from compat.upstream.base import (
    Capability,
    Chunk,
    Decode,
    LegacySettings,
    Row,
    SharedKeys,
    Source,
    Upstream,
    asked_page,
)
from compat.upstream.retries import Deadline
from compat.upstream.senders import Outgoing
from compat.upstream.transport import (
    CallOptions,
    Reply,
    Unreadable,
    decode_page,
    decode_texts,
    json_object,
    refused_parameters,
    unexpected,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from compat.legacy.query import Query
    from compat.upstream.records import Codec

__all__ = ["StudentSessions", "raw_page", "read_chunk", "read_row"]

_T = TypeVar("_T")
_NOBODY: Mapping[str, Any] = {}


class _Page(msgspec.Struct):
    students: list[Any]


class _Texts(_Page):
    students: list[msgspec.Raw]


class _One(msgspec.Struct):
    student: msgspec.Raw = msgspec.Raw()
    student_session: msgspec.Raw = msgspec.Raw()


_pages = msgspec.json.Decoder(_Texts)
_ones = msgspec.json.Decoder(_One)


def read_chunk(reply: Reply, start: int, decode: Decode | None = None) -> Chunk:
    """A page of the list.

    Args:
        start: how many records lie before the page.

    Raises:
        Unreadable: it is no page.
        LegacyError: the upstream refused, as contract 2 says.
    """
    if reply.status != 200:
        raise _refused(reply)
    rows = decode_page(reply, decode or raw_page, raw_page, _plain_page).students
    if len(rows) > reply.limits.page_records:
        raise reply.limits.too_many_records()
    total = _stated(reply, "X-Pagination-Item-Count", least=0)
    limit = _stated(reply, "X-Pagination-Limit", least=1)
    if not rows and total > start:
        raise Unreadable(f"The upstream's page from record {start} on has no records, though it counts {total}.")
    return Chunk(start, rows, total, limit)


def raw_page(body: bytes) -> Any:
    """A page with each record as its text."""
    page, masked = decode_texts(_pages.decode, body)
    return _Page([unmasked(bytes(row)) for row in page.students]) if masked else page


def _plain_page(reply: Reply) -> _Page:
    rows = json_object(reply).get("students")
    if not isinstance(rows, list):
        raise Unreadable("The upstream's answer is not a page: it has no list of students.")
    return _Page([dumps(row).encode() for row in rows])


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
        raise _refused(reply)
    text = decode_page(reply, _text_of_one, _text_of_one, _plain_text_of_one)
    if not text:
        raise Unreadable("The upstream's answer holds no student.")
    return codec.scan([text], None, (), _NOBODY)[0]


def _text_of_one(body: bytes) -> bytes:
    found, masked = decode_texts(_ones.decode, body)
    text = bytes(found.student) or bytes(found.student_session)
    return unmasked(text) if masked else text


def _plain_text_of_one(reply: Reply) -> bytes:
    content = json_object(reply)
    return next((dumps(content[name]).encode() for name in ("student", "student_session") if name in content), b"")


def _refused(reply: Reply) -> LegacyError:
    """The error that another status than success stands for."""
    if reply.status in (401, 403):
        return NotAuthorized(hint=reply.hint)
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
        shared: what every kind of upstream takes, as :class:`compat.upstream.Upstream` describes it.

    Raises:
        ConfigurationError: an argument that cannot be used.
    """

    kind = "student_sessions"
    takes_other_calls = True

    def __init__(
        self,
        base_url: str,
        *,
        api_token: str,
        secret_key: str,
        scope: Literal["all", "exam"] = "all",
        pushdown: Iterable[str] = ("status",),
        **shared: Unpack[SharedKeys],
    ) -> None:
        if scope not in ("all", "exam"):
            raise ConfigurationError(f'scope = {scope!r}: must be "all" or "exam"')
        own_scope: frozenset[Capability] = frozenset({"exam"}) if scope == "exam" else frozenset()
        super().__init__(without_api_path(base_url), _checked_pushdown(pushdown) | own_scope, **shared)
        self.scope = scope
        self._api_token = checked_token("api_token", api_token)
        self._secret_key = checked_key("secret_key", secret_key)

    def __repr__(self) -> str:
        return f"StudentSessions({self.base_url!r}, scope={self.scope!r})"

    @property
    def signed_with(self) -> tuple[str, ...]:
        return "api_token", "secret_key"

    @property
    def account(self) -> Caller:
        """What its requests are signed with; the old endpoint of the same system takes it too."""
        return Caller("upstream", self._api_token, self._secret_key)

    @property
    def successor_path(self) -> str:
        return "/api/v3/student_sessions"

    def check_query(self, query: Query) -> None:
        """Every exam id may have sessions here."""

    def sources(self, query: Query, pushed: frozenset[Capability], options: CallOptions) -> list[Source]:
        wished: tuple[tuple[Capability, str | None], ...] = (
            ("status", query.status),
            ("filter", query.filter_text),
            ("sort", query.sort_text),
        )
        parameters: dict[str, str] = {name: text for name, text in wished if text is not None and name in pushed}
        return [self.source(query.exam_id if "exam" in pushed else None, parameters, options)]

    def source(self, exam_id: int | None, parameters: Mapping[str, str], options: CallOptions) -> Source:
        """The list of one exam, or of all, with further parameters."""
        if exam_id is None:
            return _List(self, "student_sessions", {}, parameters, options)
        return _List(self, f"exams/{exam_id}/student_sessions", {"exam_id": str(exam_id)}, parameters, options)

    def codec(self, settings: LegacySettings) -> Codec:
        # Imported here: it brings the declaration of the record, which a call needs and an import does not.
        from compat.upstream.student_codec import StudentCodec

        return StudentCodec(settings)

    def one(self, student_session_id: int, codec: Codec, options: CallOptions) -> Row | list[Source] | None:
        def accept(reply: Reply) -> Row:
            row = read_row(reply, codec)
            if row.id != student_session_id:
                raise Unreadable(f"The upstream answered with another student session than {student_session_id}.")
            return row

        return self._call_one("GET", student_session_id, {}, accept, options)

    def add(self, exam_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        def accept(reply: Reply) -> Row:
            row = read_row(reply, codec)
            if row.exam_id != exam_id:
                raise Unreadable(f"The upstream answered with a student session of another exam than {exam_id}.")
            return row

        return self.call(
            "POST", f"exams/{exam_id}/student_sessions", values, {"exam_id": str(exam_id)}, accept, options
        )

    def update(self, student_session_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        return self._call_one("PATCH", student_session_id, values, lambda reply: read_row(reply, codec), options)

    def delete(self, student_session_id: int, options: CallOptions) -> None:
        def accept(reply: Reply) -> None:
            if reply.status not in (200, 202, 204):
                raise _refused(reply)

        self._call_one("DELETE", student_session_id, {}, accept, options)

    def _call_one(
        self, method: str, number: int, values: Mapping[str, str], accept: Callable[[Reply], _T], options: CallOptions
    ) -> _T:
        def found(reply: Reply) -> _T:
            if reply.status != 404:
                return accept(reply)
            error = StudentSessionNotFound(number)
            if method == "GET":
                error.answered = reply.status, bytes(reply.body)
            raise error

        return self.call(method, f"student_sessions/{number}", values, {"id": str(number)}, found, options)

    def call(
        self,
        method: str,
        path: str,
        values: Mapping[str, str],
        ids: Mapping[str, str],
        accept: Callable[[Reply], _T],
        options: CallOptions,
    ) -> _T:
        """Call a path of the API; a GET may be tried again, anything else is sent once.

        Args:
            path: what comes after ``/api/v3/``.
            ids: the ids in the path, by their names in the signature.
            accept: makes a result of the answer.
        """
        send = self._transport.read if method == "GET" else self._transport.write
        return send(lambda: self.request(method, f"/api/v3/{path}", values, ids), accept, options)

    def request(self, method: str, path: str, values: Mapping[str, str], ids: Mapping[str, str]) -> Outgoing:
        """A request signed just now: a fresh timestamp, nonce and signature for every attempt."""
        sent = signed(values, self._secret_key, ids)
        headers = {"Authorization": f"Token token={self._api_token}", "Accept": _ACCEPT}
        url = self.base_url + path
        if method in ("POST", "PATCH"):
            headers["Content-Type"] = "application/json"
            return Outgoing(method, url, headers=headers, data=json.dumps(sent).encode())
        return Outgoing(method, url, headers=headers, params=sent)


@dataclass(frozen=True, repr=False, eq=False)
class _List(Source):
    upstream: StudentSessions
    path: str
    ids: Mapping[str, str]
    parameters: Mapping[str, str]
    options: CallOptions
    numbered = True
    person = _NOBODY

    def fetch(
        self, start: int, limit: int, step: int | None, walk: Deadline | None, decode: Decode | None = None
    ) -> Chunk:
        asked = {**self.parameters, "page": str(start // (step or limit) + 1), "limit": str(limit)}
        page = asked_page(decode, self.path, asked)

        def build() -> Outgoing:
            request = self.upstream.request("GET", f"/api/v3/{self.path}", asked, self.ids)
            request.headers.update(page.condition)
            return request

        def accept(reply: Reply) -> Chunk:
            return read_chunk(page.answer(reply), start, page.decode)

        return self.upstream._transport.read(build, accept, self.options, walk)


def _checked_pushdown(pushdown: Iterable[str]) -> frozenset[Capability]:
    if not isinstance(pushdown, Iterable):
        raise ConfigurationError(f"pushdown: must be a list of {', '.join(_PUSHABLE)}")
    chosen = tuple(pushdown) if not isinstance(pushdown, str) else (pushdown,)
    for name in chosen:
        if name not in _PUSHABLE:
            near = nearest(str(name), _PUSHABLE)
            told = f"; the nearest is {near}" if near else ""
            raise ConfigurationError(f"pushdown: {name!r} is none of {', '.join(_PUSHABLE)}{told}")
    return frozenset(name for name in get_args(Capability) if name in chosen)
