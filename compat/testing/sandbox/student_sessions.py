"""The student sessions interface: the legacy records with newer fields among them."""

from __future__ import annotations

from compat.testing.sandbox.context import Context, Exchange, signed_parameters
from compat.testing.sandbox.dataset import EmailTakenError
from compat.testing.sandbox.legacy import (
    add_entry,
    changeable_values,
    email_taken,
    list_answer,
    no_such_session,
    now_text,
    student_answer,
)
from compat.testing.sandbox.messages import SandboxAnswer, json_answer
from compat.testing.sandbox.parameters import Reader, number

FORM = "student_session_text"


def list_all(context: Context, exchange: Exchange) -> SandboxAnswer:
    """The student sessions of all exams."""
    reader = Reader(signed_parameters(context, exchange))
    return list_answer(context, reader, None, context.pushdown, context.clamp, FORM)


def list_of_exam(context: Context, exchange: Exchange) -> SandboxAnswer:
    """The student sessions of one exam."""
    reader = Reader(signed_parameters(context, exchange))
    exam_id = reader.required("exam_id", number, 0)
    return list_answer(context, reader, exam_id, context.pushdown, context.clamp, FORM)


def add(context: Context, exchange: Exchange) -> SandboxAnswer:
    """Add a student session to an exam."""
    reader = Reader(signed_parameters(context, exchange))
    return student_answer(201, add_entry(context, reader, "exam_id").student_session_text)


def show(context: Context, exchange: Exchange) -> SandboxAnswer:
    """One student session."""
    values = signed_parameters(context, exchange)
    entry = context.dataset.find(_read_id(Reader(values)))
    if entry is None:
        raise no_such_session(values["id"])
    return student_answer(200, entry.student_session_text)


def change(context: Context, exchange: Exchange) -> SandboxAnswer:
    """Change some values of a student session."""
    values = signed_parameters(context, exchange)
    reader = Reader(values)
    session_id = reader.required("id", number, 0)
    given = {name: values[name] for name in ("name", "email") if name in values}
    changes = {**changeable_values(context, reader, {}), **given, "updated_at": now_text(context)}
    reader.finish()
    try:
        entry = context.dataset.change(session_id, changes)
    except EmailTakenError as error:
        raise email_taken() from error
    if entry is None:
        raise no_such_session(values["id"])
    return student_answer(200, entry.student_session_text)


def remove(context: Context, exchange: Exchange) -> SandboxAnswer:
    """Remove a student session."""
    values = signed_parameters(context, exchange)
    if not context.dataset.remove(_read_id(Reader(values))):
        raise no_such_session(values["id"])
    return json_answer(200, {})


def _read_id(reader: Reader) -> int:
    session_id = reader.required("id", number, 0)
    reader.finish()
    return session_id
