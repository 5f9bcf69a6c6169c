"""The deprecated interface, answered straight from the legacy records by the documented rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from compat.testing.sandbox.context import Context, Exchange, signed_parameters
from compat.testing.sandbox.dataset import EmailTakenError, Entry, Exam
from compat.testing.sandbox.messages import RefusalError, SandboxAnswer, json_answer, not_authorised, text_answer
from compat.testing.sandbox.parameters import Reader, boolean, number, one_of, positive_number
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


def index_students(context: Context, exchange: Exchange) -> SandboxAnswer:
    """The list of an exam's students."""
    values = signed_parameters(context, exchange)
    reader = Reader(values)
    exam_id = reader.required("id", number, 0)
    return list_answer(context, reader, exam_id, EVERYTHING, LARGEST_PAGE, "record_text")


def list_answer(
    context: Context,
    reader: Reader,
    exam_id: int | None,
    honoured: frozenset[str],
    largest: int,
    form: str,
) -> SandboxAnswer:
    """One page of records; what is not honoured is ignored as if it had not been sent."""
    page = reader.optional("page", positive_number, 1)
    limit = min(reader.optional("limit", positive_number, largest), largest)
    status = reader.optional("status", one_of(STATUSES), "") if "status" in honoured else ""
    conditions: list[Condition] = []
    keys: list[SortKey] = []
    if "filter" in honoured:
        conditions = reader.optional("filter", lambda text: read_filter(text, context.zone), [])
    if "sort" in honoured:
        keys = reader.optional("sort", read_sort, [])
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
    return text_answer(200, _joined(one_page(rows, page, limit), form), headers)


def _joined(rows: Sequence[Entry], form: str) -> bytes:
    return b'{"students":[' + b",".join(getattr(row, form) for row in rows) + b"]}"


def student_answer(status: int, text: bytes) -> SandboxAnswer:
    """One student in the envelope that both interfaces use."""
    return text_answer(status, b'{"student":' + text + b"}")


def no_such_session(id: str) -> RefusalError:
    """The documented refusal of a session that is not there."""
    return RefusalError(404, f"Couldn't find Student Session with 'id'='{id}'")


def show_student(context: Context, exchange: Exchange) -> SandboxAnswer:
    """One student of an exam."""
    values = signed_parameters(context, exchange)
    exam_id, session_id = _read_ids(Reader(values))
    entry = context.dataset.find(session_id)
    if entry is None or entry.exam.id != exam_id:
        raise no_such_session(values["student_session_id"])
    return student_answer(200, entry.record_text)


def delete_student(context: Context, exchange: Exchange) -> SandboxAnswer:
    """Remove one student of an exam."""
    values = signed_parameters(context, exchange)
    exam_id, session_id = _read_ids(Reader(values))
    if not context.dataset.remove(session_id, exam_id):
        raise no_such_session(values["student_session_id"])
    return json_answer(200, {})


def _read_ids(reader: Reader) -> tuple[int, int]:
    exam_id = reader.required("id", number, 0)
    session_id = reader.required("student_session_id", number, 0)
    reader.finish()
    return exam_id, session_id


def add_student(context: Context, exchange: Exchange) -> SandboxAnswer:
    """Add a student to an exam."""
    values = signed_parameters(context, exchange)
    entry = add_entry(context, Reader(values), "id")
    return student_answer(201, entry.record_text)


def add_entry(context: Context, reader: Reader, exam_parameter: str) -> Entry:
    """Add the student that the parameters describe; both interfaces add by the same rules."""
    exam_id = reader.required(exam_parameter, number, 0)
    record = {
        **_blank_record(context),
        "exam_id": exam_id,
        "name": reader.required("name", str, ""),
        "email": reader.required("email", str, ""),
        **changeable_values(context, reader, {"skip_requirements": False, "is_individual_info_html": False}),
    }
    reader.finish()
    exam = context.dataset.exam(exam_id)
    if exam is None:
        raise not_authorised()
    return _add_or_refuse(context, exam, record)


def _add_or_refuse(context: Context, exam: Exam, record: dict[str, Any]) -> Entry:
    try:
        return context.dataset.add(exam, record)
    except EmailTakenError as error:
        raise email_taken() from error


def email_taken() -> RefusalError:
    """The refusal of an email address that is in the exam already."""
    return RefusalError(422, "has already been taken", {"email": ["has already been taken"]})


def changeable_values(context: Context, reader: Reader, defaults: dict[str, Any]) -> dict[str, Any]:
    """The optional values that a client may set, as far as they are given or have a default."""

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
    return {**defaults, **{name: value for name, value in values.items() if value is not None}}


def now_text(context: Context) -> str:
    """The present moment as the interface writes it."""
    return local_text(datetime.now(timezone.utc), context.zone)


def _blank_record(context: Context) -> dict[str, Any]:
    now = now_text(context)
    checks = [name for name in FIELDS if name.endswith("_check")]
    flags = (
        "send_confirmation",
        "entered_room",
        "in_setup",
        "in_check_requirements",
        "archived",
        "is_email_sent",
    )
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
