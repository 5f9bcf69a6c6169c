"""The routes of all interfaces, answered straight from the data set by the documented rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from functools import partial
from typing import Any
from urllib.parse import unquote

from compat.testing.sandbox import reference as rules
from compat.testing.sandbox.dataset import Dataset, Entry
from compat.testing.sandbox.messages import (
    Incoming,
    Merged,
    Reader,
    RefusalError,
    SandboxAnswer,
    SignatureCheck,
    Tokens,
    json_answer,
    not_authorised,
    text_answer,
)

_LARGEST_PAGE = 300
PUSHDOWNS = ("status", "filter", "sort")


@dataclass(frozen=True)
class Context:
    """What every request meets."""

    dataset: Dataset
    zone: tzinfo
    clamp: int
    pushdown: tuple[str, ...]
    signatures: SignatureCheck
    tokens: Tokens

    def __post_init__(self) -> None:
        if self.clamp < 1:
            raise ValueError(f"clamp: {self.clamp} is no page size; it must be at least 1.")
        for name in self.pushdown:
            if name not in PUSHDOWNS:
                raise ValueError(f"pushdown: {name!r} is not one of {', '.join(PUSHDOWNS)}.")

    def now(self) -> str:
        return self.shown(datetime.now(timezone.utc))

    def shown(self, moment: datetime) -> str:
        """A moment as the legacy interface writes it: milliseconds and an offset."""
        return moment.astimezone(self.zone).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class ReadRequest:
    """A request as it came, its parameters, and whether it may use up its nonce."""

    incoming: Incoming
    path_parameters: Mapping[str, str]
    merged: Merged
    spend_nonce: bool

    def signed(self, context: Context) -> Mapping[str, str]:
        """The parameters of a request whose signature holds.

        The token comes first, then whatever leaves no single set of parameters to verify, then the signature,
        and only then parameters without a value.
        """
        context.signatures.check_token(self.incoming.authorization)
        self.merged.refuse_conflicts()
        context.signatures.check_parameters(self.merged.values, spend=self.spend_nonce)
        self.merged.refuse_empty()
        return self.merged.values


@dataclass(frozen=True)
class _Interface:
    """One of the two signed interfaces: how it is called, and how it writes a student."""

    name: str
    exam: str  # the parameter that holds the id of an exam; a route without it in its path is about all exams
    session: str  # the parameter that holds the id of a student session
    form: str  # the attribute of an entry that holds its JSON
    honoured: tuple[str, ...] | None  # what a list obeys; None for what the sandbox was started with

    def student(self, status: int, entry: Entry) -> SandboxAnswer:
        return text_answer(status, b'{"student":' + getattr(entry, self.form) + b"}")

    def exam_id(self, request: ReadRequest, reader: Reader) -> int | None:
        return reader.required(self.exam, rules.number, 0) if self.exam in request.path_parameters else None


_LEGACY = _Interface("legacy", "id", "student_session_id", "record_text", PUSHDOWNS)
_STUDENT_SESSIONS = _Interface("student_sessions", "exam_id", "id", "student_session_text", None)


def _list_students(interface: _Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    """One page of records; what is not honoured is ignored as if it had not been sent."""
    honoured, largest = interface.honoured, _LARGEST_PAGE
    if honoured is None:
        honoured, largest = context.pushdown, context.clamp
    ignored = [name for name in PUSHDOWNS if name not in honoured]
    reader = Reader({name: text for name, text in request.signed(context).items() if name not in ignored})
    exam_id = interface.exam_id(request, reader)
    page = reader.optional("page", rules.positive_number, 1)
    limit = min(reader.optional("limit", rules.positive_number, largest), largest)
    status = reader.optional("status", rules.one_of(*rules.STATUSES), "")
    conditions: list[rules.Condition] = reader.optional(
        "filter", lambda text: rules.read_filter(text, context.zone), []
    )
    keys: list[rules.SortKey] = reader.optional("sort", rules.read_sort, [])
    reader.finish()
    rows = [row for row in context.dataset.entries(exam_id) if status in ("", row.record["status"])]
    rows = rules.ordered(rules.filtered(rows, conditions, context.zone), keys, context.zone)
    headers = {
        "X-Pagination-Item-Count": str(len(rows)),
        "X-Pagination-Page-Count": str(rules.page_count(len(rows), limit)),
        "X-Pagination-Page": str(page),
        "X-Pagination-Limit": str(limit),
    }
    students = b",".join(getattr(row, interface.form) for row in rules.one_page(rows, page, limit))
    return text_answer(200, b'{"students":[' + students + b"]}", headers)


def _find_student(interface: _Interface, context: Context, request: ReadRequest) -> Entry:
    """The student that a request names, of the exam where the path names one."""
    reader = Reader(values := request.signed(context))
    exam_id = interface.exam_id(request, reader)
    entry = context.dataset.find(reader.required(interface.session, rules.number, 0))
    reader.finish()
    if entry is None or exam_id not in (None, entry.exam.id):
        raise _no_such_session(values[interface.session])
    return entry


def _show_student(interface: _Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    return interface.student(200, _find_student(interface, context, request))


def _delete_student(interface: _Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    entry = _find_student(interface, context, request)
    if not context.dataset.remove(entry.record["id"]):
        raise _no_such_session(request.merged.values[interface.session])
    return json_answer(200, {})


def _add_student(interface: _Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    reader = Reader(request.signed(context))
    exam_id = reader.required(interface.exam, rules.number, 0)
    record = {
        **_blank_record(context.now()),
        "exam_id": exam_id,
        "name": reader.required("name", str, ""),
        "email": reader.required("email", str, ""),
        **_changeable_values(context, reader),
    }
    reader.finish()
    exam = context.dataset.exam(exam_id)
    if exam is None:
        raise not_authorised()
    return interface.student(201, context.dataset.add(exam, record))


def _change_student(interface: _Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    reader = Reader(values := request.signed(context))
    session_id = reader.required(interface.session, rules.number, 0)
    given = {name: values[name] for name in ("name", "email") if name in values}
    changes = {**_changeable_values(context, reader), **given, "updated_at": context.now()}
    reader.finish()
    entry = context.dataset.change(session_id, changes)
    if entry is None:
        raise _no_such_session(values[interface.session])
    return interface.student(200, entry)


def _no_such_session(id: str) -> RefusalError:
    return RefusalError(404, f"Couldn't find Student Session with 'id'='{id}'")


def _changeable_values(context: Context, reader: Reader) -> dict[str, Any]:
    """The optional values that a client may set, as far as they are given."""

    def read_opening(text: str) -> str:
        try:
            return context.shown(datetime.fromtimestamp(rules.number(text), timezone.utc))
        except (OverflowError, OSError) as error:
            raise ValueError("Must be seconds since 1970.") from error

    readers: dict[str, Callable[[str], Any]] = {
        "individual_info": str,
        "is_individual_info_html": rules.boolean,
        "skip_requirements": rules.boolean,
        "open_time": read_opening,
    }
    values = {name: reader.optional(name, read, None) for name, read in readers.items()}
    return {name: value for name, value in values.items() if value is not None}


def _blank_record(now: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(rules.FIELDS),
        **dict.fromkeys((name for name in rules.FIELDS if name.endswith("_check")), "not_started"),
        **dict.fromkeys((name for name, kind in rules.COLUMNS.items() if kind == "boolean"), False),
        "status": "registered",
        "created_at": now,
        "updated_at": now,
        "attempt": 0,
        "transcoding_status": "not_sent_to_queue",
        "rtc_session_ids": [],
        "incidents": [],
    }


def _issue_token(context: Context, request: ReadRequest) -> SandboxAnswer:
    return context.tokens.answer(request.incoming.authorization, request.merged)


def _list_sessions(context: Context, request: ReadRequest) -> SandboxAnswer:
    """One page of the paginated sessions, of the user where the path names one."""
    context.tokens.check(request.incoming.authorization)
    user_id = request.path_parameters.get("userId")
    entries = context.dataset.entries_with_session() if user_id is None else context.dataset.entries_of_user(user_id)
    if entries is None:
        raise RefusalError(404, "There is no such user.")
    request.merged.refuse_conflicts()
    request.merged.refuse_empty()
    reader = Reader(request.merged.values)
    limit = min(reader.optional("limit", rules.positive_number, context.clamp), context.clamp)
    offset = reader.optional("offset", rules.number, 0)
    reader.finish()
    sessions = b",".join(entry.paginated_session_text for entry in entries[offset : offset + limit])
    head = f'{{"limit":{limit},"offset":{offset},"total":{len(entries)},"sessions":['
    return text_answer(200, head.encode() + sessions + b"]}")


@dataclass(frozen=True)
class Route:
    """A method and a path, and what answers them."""

    interface: str
    method: str
    path: re.Pattern[str]
    endpoint: Callable[[Context, ReadRequest], SandboxAnswer]


_Signed = Callable[[_Interface, Context, ReadRequest], SandboxAnswer]
_EXAM = "/api/v3/exams/{id}/"
_OF_EXAM = "/api/v3/exams/{exam_id}/student_sessions"
_ALL = "/api/v3/student_sessions"
_ONE = "/api/v3/student_sessions/{id}"
_SIGNED: tuple[tuple[_Interface, str, str, _Signed], ...] = (
    (_LEGACY, "GET", _EXAM + "index_students", _list_students),
    (_LEGACY, "GET", _EXAM + "show_student", _show_student),
    (_LEGACY, "POST", _EXAM + "add_student", _add_student),
    (_LEGACY, "DELETE", _EXAM + "delete_student", _delete_student),
    (_STUDENT_SESSIONS, "GET", _ALL, _list_students),
    (_STUDENT_SESSIONS, "GET", _OF_EXAM, _list_students),
    (_STUDENT_SESSIONS, "POST", _OF_EXAM, _add_student),
    (_STUDENT_SESSIONS, "GET", _ONE, _show_student),
    (_STUDENT_SESSIONS, "PATCH", _ONE, _change_student),
    (_STUDENT_SESSIONS, "DELETE", _ONE, _delete_student),
)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "/?")


_ROUTES = (
    *(Route(each.name, method, _pattern(path), partial(answer, each)) for each, method, path, answer in _SIGNED),
    Route("token", "POST", _pattern("/auth/1.0/token"), _issue_token),
    Route("paginated_sessions", "GET", _pattern("/insights/1.0/sessions"), _list_sessions),
    Route("paginated_sessions", "GET", _pattern("/insights/1.0/users/{userId}/sessions"), _list_sessions),
)


def find_route(incoming: Incoming) -> tuple[Route, dict[str, str]] | None:
    """The route of a request, and the parameters of its path."""
    for route in _ROUTES:
        match = route.path.fullmatch(incoming.path)
        if match and route.method == incoming.method:
            values = match.groupdict()
            return route, {name: unquote(value, errors="surrogateescape") for name, value in values.items()}
    return None
