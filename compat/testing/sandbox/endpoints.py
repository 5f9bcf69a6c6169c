"""The routes of all interfaces, answered straight from the data set by the documented rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any
from urllib.parse import unquote

from compat.testing.sandbox.context import Context, ReadRequest, signed_parameters
from compat.testing.sandbox.dataset import EmailTakenError, Entry
from compat.testing.sandbox.messages import (
    Incoming,
    Reader,
    RefusalError,
    SandboxAnswer,
    boolean,
    json_answer,
    not_authorised,
    number,
    one_of,
    positive_number,
    text_answer,
)
from compat.testing.sandbox.records import FIELDS, STATUSES
from compat.testing.sandbox.reference import (
    Condition,
    SortKey,
    filtered,
    one_page,
    ordered,
    page_count,
    read_filter,
    read_sort,
)
from compat.testing.sandbox.text import local_text

LARGEST_PAGE = 300
EVERYTHING = frozenset({"status", "filter", "sort"})


@dataclass(frozen=True)
class Interface:
    """One of the two signed interfaces: how it is called, and how it writes a student.

    Attributes:
        name: what a recorded call says.
        exam: the parameter that holds the id of an exam. A route without it in its path is about all exams.
        session: the parameter that holds the id of a student session.
        form: the attribute of an entry that holds its JSON.
        honoured: of status, filter and sort those that a list obeys; None for what the sandbox was started with.
    """

    name: str
    exam: str
    session: str
    form: str
    honoured: frozenset[str] | None

    def student(self, status: int, entry: Entry) -> SandboxAnswer:
        """One student, in the envelope that both interfaces use."""
        text: bytes = getattr(entry, self.form)
        return text_answer(status, b'{"student":' + text + b"}")


LEGACY = Interface("legacy", "id", "student_session_id", "record_text", EVERYTHING)
STUDENT_SESSIONS = Interface("student_sessions", "exam_id", "id", "student_session_text", None)


def list_students(interface: Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    """One page of records; what is not honoured is ignored as if it had not been sent."""
    honoured, largest = interface.honoured, LARGEST_PAGE
    if honoured is None:
        honoured, largest = context.pushdown, context.clamp
    ignored = EVERYTHING - honoured
    values = signed_parameters(context, request)
    reader = Reader({name: text for name, text in values.items() if name not in ignored})
    exam_id = _exam_id(interface, request, reader)
    page = reader.optional("page", positive_number, 1)
    limit = min(reader.optional("limit", positive_number, largest), largest)
    status = reader.optional("status", one_of(STATUSES), "")
    conditions: list[Condition] = reader.optional("filter", lambda text: read_filter(text, context.zone), [])
    keys: list[SortKey] = reader.optional("sort", read_sort, [])
    reader.finish()
    rows = context.dataset.entries(exam_id)
    if status:
        rows = [row for row in rows if row.record["status"] == status]
    rows = ordered(filtered(rows, conditions, context.zone), keys, context.zone)
    headers = {
        "X-Pagination-Item-Count": str(len(rows)),
        "X-Pagination-Page-Count": str(page_count(len(rows), limit)),
        "X-Pagination-Page": str(page),
        "X-Pagination-Limit": str(limit),
    }
    students = b",".join(getattr(row, interface.form) for row in one_page(rows, page, limit))
    return text_answer(200, b'{"students":[' + students + b"]}", headers)


def show_student(interface: Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    """One student, of the exam where the path names one."""
    values = signed_parameters(context, request)
    exam_id, session_id = _ids(interface, request, Reader(values))
    entry = context.dataset.find(session_id)
    if entry is None or exam_id not in (None, entry.exam.id):
        raise _no_such_session(values[interface.session])
    return interface.student(200, entry)


def delete_student(interface: Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    """Remove a student, of the exam where the path names one."""
    values = signed_parameters(context, request)
    exam_id, session_id = _ids(interface, request, Reader(values))
    if not context.dataset.remove(session_id, exam_id):
        raise _no_such_session(values[interface.session])
    return json_answer(200, {})


def add_student(interface: Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    """Add a student to an exam."""
    reader = Reader(signed_parameters(context, request))
    exam_id = reader.required(interface.exam, number, 0)
    record = {
        **_blank_record(context),
        "exam_id": exam_id,
        "name": reader.required("name", str, ""),
        "email": reader.required("email", str, ""),
        "skip_requirements": False,
        "is_individual_info_html": False,
        **_changeable_values(context, reader),
    }
    reader.finish()
    exam = context.dataset.exam(exam_id)
    if exam is None:
        raise not_authorised()
    try:
        return interface.student(201, context.dataset.add(exam, record))
    except EmailTakenError as error:
        raise _email_taken() from error


def change_student(interface: Interface, context: Context, request: ReadRequest) -> SandboxAnswer:
    """Change some values of a student session."""
    values = signed_parameters(context, request)
    reader = Reader(values)
    session_id = reader.required(interface.session, number, 0)
    given = {name: values[name] for name in ("name", "email") if name in values}
    changes = {**_changeable_values(context, reader), **given, "updated_at": _now_text(context)}
    reader.finish()
    try:
        entry = context.dataset.change(session_id, changes)
    except EmailTakenError as error:
        raise _email_taken() from error
    if entry is None:
        raise _no_such_session(values[interface.session])
    return interface.student(200, entry)


def _exam_id(interface: Interface, request: ReadRequest, reader: Reader) -> int | None:
    return reader.required(interface.exam, number, 0) if interface.exam in request.path_parameters else None


def _ids(interface: Interface, request: ReadRequest, reader: Reader) -> tuple[int | None, int]:
    exam_id = _exam_id(interface, request, reader)
    session_id = reader.required(interface.session, number, 0)
    reader.finish()
    return exam_id, session_id


def _no_such_session(id: str) -> RefusalError:
    return RefusalError(404, f"Couldn't find Student Session with 'id'='{id}'")


def _email_taken() -> RefusalError:
    return RefusalError(422, "has already been taken", {"email": ["has already been taken"]})


def _changeable_values(context: Context, reader: Reader) -> dict[str, Any]:
    """The optional values that a client may set, as far as they are given."""

    def read_opening(text: str) -> str:
        try:
            return local_text(datetime.fromtimestamp(number(text), timezone.utc), context.zone)
        except (OverflowError, OSError) as error:
            raise ValueError("Must be seconds since 1970.") from error

    values = {
        "individual_info": reader.optional("individual_info", str, None),
        "is_individual_info_html": reader.optional("is_individual_info_html", boolean, None),
        "skip_requirements": reader.optional("skip_requirements", boolean, None),
        "open_time": reader.optional("open_time", read_opening, None),
    }
    return {name: value for name, value in values.items() if value is not None}


def _now_text(context: Context) -> str:
    return local_text(datetime.now(timezone.utc), context.zone)


def _blank_record(context: Context) -> dict[str, Any]:
    now = _now_text(context)
    checks = [name for name in FIELDS if name.endswith("_check")]
    flags = ("send_confirmation", "entered_room", "in_setup", "in_check_requirements", "archived", "is_email_sent")
    return {
        **dict.fromkeys(FIELDS),
        **dict.fromkeys(checks, "not_started"),
        **dict.fromkeys(flags, False),
        "status": "registered",
        "created_at": now,
        "updated_at": now,
        "attempt": 0,
        "transcoding_status": "not_sent_to_queue",
        "rtc_session_ids": [],
        "incidents": [],
    }


def issue_token(context: Context, request: ReadRequest) -> SandboxAnswer:
    """A token for client credentials."""
    readable = not request.merged.conflicts
    return context.tokens.answer(request.incoming.authorization, request.merged.values, readable)


def list_sessions(context: Context, request: ReadRequest) -> SandboxAnswer:
    """One page of the paginated sessions, of the user where the path names one."""
    context.tokens.check(request.incoming.authorization)
    user_id = request.path_parameters.get("userId")
    entries = context.dataset.entries_with_session() if user_id is None else context.dataset.entries_of_user(user_id)
    if entries is None:
        raise RefusalError(404, "There is no such user.")
    request.merged.refuse_conflicts()
    request.merged.refuse_empty()
    reader = Reader(request.merged.values)
    limit = min(reader.optional("limit", positive_number, context.clamp), context.clamp)
    offset = reader.optional("offset", number, 0)
    reader.finish()
    sessions = b",".join(entry.paginated_session_text for entry in entries[offset : offset + limit])
    head = f'{{"limit":{limit},"offset":{offset},"total":{len(entries)},"sessions":['
    return text_answer(200, head.encode() + sessions + b"]}")


Endpoint = Callable[[Context, ReadRequest], SandboxAnswer]


@dataclass(frozen=True)
class Route:
    """A method and a path, and what answers them."""

    interface: str
    method: str
    path: re.Pattern[str]
    endpoint: Endpoint


def _route(interface: str, method: str, path: str, endpoint: Endpoint) -> Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(interface, method, re.compile(pattern + "/?"), endpoint)


def _signed(
    interface: Interface, method: str, path: str, endpoint: Callable[[Interface, Context, ReadRequest], SandboxAnswer]
) -> Route:
    return _route(interface.name, method, path, partial(endpoint, interface))


_EXAM = "/api/v3/exams/{id}/"
_OF_EXAM = "/api/v3/exams/{exam_id}/student_sessions"
_ONE = "/api/v3/student_sessions/{id}"

ROUTES = (
    _signed(LEGACY, "GET", _EXAM + "index_students", list_students),
    _signed(LEGACY, "GET", _EXAM + "show_student", show_student),
    _signed(LEGACY, "POST", _EXAM + "add_student", add_student),
    _signed(LEGACY, "DELETE", _EXAM + "delete_student", delete_student),
    _signed(STUDENT_SESSIONS, "GET", "/api/v3/student_sessions", list_students),
    _signed(STUDENT_SESSIONS, "GET", _OF_EXAM, list_students),
    _signed(STUDENT_SESSIONS, "POST", _OF_EXAM, add_student),
    _signed(STUDENT_SESSIONS, "GET", _ONE, show_student),
    _signed(STUDENT_SESSIONS, "PATCH", _ONE, change_student),
    _signed(STUDENT_SESSIONS, "DELETE", _ONE, delete_student),
    _route("token", "POST", "/auth/1.0/token", issue_token),
    _route("paginated_sessions", "GET", "/insights/1.0/sessions", list_sessions),
    _route("paginated_sessions", "GET", "/insights/1.0/users/{userId}/sessions", list_sessions),
)


def find_route(incoming: Incoming) -> tuple[Route, dict[str, str]] | None:
    """The route of a request, and the parameters of its path."""
    for route in ROUTES:
        match = route.path.fullmatch(incoming.path)
        if match and route.method == incoming.method:
            values = match.groupdict()
            return route, {name: unquote(value, errors="surrogateescape") for name, value in values.items()}
    return None
