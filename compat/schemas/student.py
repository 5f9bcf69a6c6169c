"""Both records: the legacy one, declared once with types and rules, and ``SessionOutput`` (seeds 000 and 002).

Unknown keys stay, and ``toolId`` may be absent: newer models of the platform have dropped it (API facts).

The columns of filter and sort, both directions of the mapping, the losses, the tables of MIGRATION.md, the compiled
form, the hypothesis strategies and what a recording keeps are all read off :class:`StudentSchema`.
"""

from __future__ import annotations

from collections.abc import Mapping

from marshmallow import EXCLUDE, INCLUDE, Schema

from compat.schemas.fields import Array, Boolean, Integer, Record, String, Time, Typed
from compat.schemas.rules import (
    Application,
    Constant,
    Default,
    Exact,
    Identifier,
    Latest,
    LookedUp,
    Rule,
    SessionOnly,
    SessionText,
)
from compat.schemas.rules import Time as SameTime

__all__ = [
    "CARRIED_KEY",
    "COLUMNS",
    "RULES",
    "SESSION_ONLY",
    "STATUSES",
    "STUDENT_FIELDS",
    "PaginatedSessionsOutputSchema",
    "SessionOutputSchema",
    "StudentSchema",
    "check_declaration",
    "exact_rules",
]


class SessionOutputSchema(Schema):
    """One session, as the platform lists it."""

    class Meta:
        unknown = INCLUDE

    applicationId = String(required=True, nullable=False)
    durationInSeconds = Integer(SessionOnly("whole seconds from start to end"), required=True, nullable=False)
    endedAtTime = Time(required=True, nullable=False)
    id = String(required=True, nullable=False)
    startedAtTime = Time(required=True, nullable=False)
    toolId = String(SessionOnly("`applicationId`"), nullable=False)
    wasteDurationInSeconds = Integer(SessionOnly("0"), required=True, nullable=False)
    wastePercentage = Integer(SessionOnly("0"), required=True, nullable=False)
    isProctored = Boolean(SessionOnly(), nullable=False)
    metadata = Record()
    proctoredResult = String(SessionOnly(), nullable=False)
    recordingEndedAtTime = Time()
    recordingS3Key = String(SessionOnly())
    recordingStartedAtTime = Time()
    webcamEnabled = Boolean(SessionOnly(), nullable=False)


class PaginatedSessionsOutputSchema(Schema):
    """One page of sessions."""

    class Meta:
        unknown = INCLUDE

    limit = Integer(required=True, nullable=False)
    offset = Integer(required=True, nullable=False)
    sessions = Array(required=True, nullable=False)
    total = Integer(required=True, nullable=False)


CARRIED_KEY = "exam_student"
"""The key of a session's metadata under which legacy values are carried."""

STATUSES = (
    "registered",
    "before_check_req_mail",
    "email_bounced",
    "email_sent",
    "after_check_req_mail",
    "before_check_req",
    "after_check_req",
    "in_setup",
    "exam_not_started",
    "exam_started",
    "exam_finished",
)
"""The statuses of seeds 001 and 002, in their order."""

_CHECKED = ("not_started", "passed", "failed", "skipped")
_TRANSCODED = ("not_sent_to_queue", "queued", "done")
_FILES = ("application/pdf", "image/jpeg", "image/png")
_NOT_STARTED = Default("not_started")
_NEVER = Default(False)
_NOTHING = Default(None)


class StudentSchema(Schema):
    """A student of an exam as the deprecated interface shows it (seed 002)."""

    class Meta:
        unknown = EXCLUDE

    id = Integer(Identifier("id"), required=True, nullable=False, kept=True)
    session_id = String(SessionText("id"))
    student_id = Integer(LookedUp("student_id"))
    external_id = String(LookedUp("external_id"))
    proctor_id = Integer(_NOTHING)
    time_slot = Integer(_NOTHING, kept=True)
    created_at = Time(Latest(("startedAtTime",)))
    updated_at = Time(Latest(("endedAtTime", "recordingEndedAtTime")))
    email = String(LookedUp("email"))
    operating_system = String(_NOTHING)
    browser = String(_NOTHING)
    browser_version = String(_NOTHING)
    status = String(Constant("exam_finished"), kept=STATUSES)
    token = String(_NOTHING)
    screenshare_check = String(_NOT_STARTED, kept=_CHECKED)
    microphone_check = String(_NOT_STARTED, kept=_CHECKED)
    speakers_check = String(_NOT_STARTED, kept=_CHECKED)
    webcam_check = String(_NOT_STARTED, kept=_CHECKED)
    mobile_check = String(_NOT_STARTED, kept=_CHECKED)
    dummy_exam_survey = String(_NOTHING)
    skip_requirements = Boolean(_NEVER)
    send_confirmation = Boolean(_NEVER)
    name = String(LookedUp("name"))
    start_time = Time(SameTime("startedAtTime", required=True))
    exam_id = Integer(Application("applicationId"), required=True, nullable=False, kept=True)
    expires_at = Time(_NOTHING)
    end_time = Time(SameTime("endedAtTime", required=True))
    entered_room = Boolean(Constant(True))
    reservation_time = Time(_NOTHING)
    exam_document_content_type = String(_NOTHING, kept=_FILES)
    exam_document_file_size = Integer(_NOTHING, kept=True)
    exam_document_updated_at = Time(_NOTHING)
    reviewed = String(_NOTHING)
    id_card_file_name = String(_NOTHING)
    id_card_content_type = String(_NOTHING, kept=_FILES)
    id_card_file_size = Integer(_NOTHING, kept=True)
    face_photo_file_name = String(_NOTHING)
    face_photo_content_type = String(_NOTHING, kept=_FILES)
    face_photo_file_size = Integer(_NOTHING, kept=True)
    bandwidth_check = String(_NOT_STARTED, kept=_CHECKED)
    bandwidth_speed = String(_NOTHING)
    open_time = Time(_NOTHING)
    individual_info = String(_NOTHING)
    rtc_session_id = Integer(_NOTHING, kept=True)
    in_setup = Boolean(_NEVER)
    in_check_requirements = Boolean(_NEVER)
    attempt = Integer(Default(0), kept=True)
    archived = Boolean(_NEVER)
    current_exam_mode = String(_NOTHING)
    rtc_session_ids = Array(Default([]), kept=True)
    transcoding_status = String(Default("not_sent_to_queue"), kept=_TRANSCODED)
    is_individual_info_html = Boolean(_NEVER)
    priority = String(_NOTHING)
    recording_started_at = Time(SameTime("recordingStartedAtTime"))
    recording_ended_at = Time(SameTime("recordingEndedAtTime"))
    is_email_sent = Boolean(_NEVER)
    incidents = Array(Default([]))


def check_declaration(student: type[Schema], session: type[Schema]) -> dict[str, Typed]:
    """Read the fields of a legacy schema, each with a rule that fits the session schema.

    Returns:
        name to field, in the declared order.

    Raises:
        TypeError: a field without a rule, a rule that names no session field, a stand-in of another type than the
            field's, two fields that claim to be the exact form of one session field, a rule that does not say its
            column, or a session field that no legacy field knows and that is not declared to be the session's own.
    """
    known = session._declared_fields
    columns: dict[str, Typed] = {}
    claimed: dict[str, str] = {}
    for name, field in student._declared_fields.items():
        if not isinstance(field, Typed) or field.rule is None:
            raise TypeError(f"{student.__name__}.{name} says nothing of the session: give it a rule")
        for source in field.rule.sources:
            if source not in known:
                raise TypeError(f"{student.__name__}.{name}: {session.__name__} has no field {source!r}")
        if isinstance(field.rule, Exact) and (other := claimed.setdefault(field.rule.source, name)) != name:
            raise TypeError(f"{student.__name__}: {other} and {name} both claim {field.rule.source!r}")
        _check_stand_in(student, name, field, field.rule)
        columns[name] = field
    for name, field in columns.items():
        kind = type(field.rule)
        if issubclass(kind, Rule) and kind.column is Rule.column:
            raise TypeError(f"{student.__name__}.{name}: {kind.__name__} does not say its column")
    used = {source for field in columns.values() if field.rule for source in field.rule.sources}
    for name, field in known.items():
        if name not in used and not isinstance(getattr(field, "rule", None), SessionOnly):
            raise TypeError(f"{session.__name__}.{name} is known to no legacy field: give it a SessionOnly rule")
    return columns


def exact_rules(columns: Mapping[str, Typed]) -> dict[str, Exact]:
    """The rules of the fields that a session says exactly, by their names."""
    return {name: column.rule for name, column in columns.items() if isinstance(column.rule, Exact)}


def _check_stand_in(student: type[Schema], name: str, field: Typed, rule: Rule) -> None:
    if not isinstance(rule, Default | Constant) or rule.value is None:
        return
    if not field.accepts(rule.value):
        raise TypeError(f"{student.__name__}.{name}: {rule.value!r} is not {field.kind}")


SESSION_ONLY: dict[str, Typed] = {
    name: field
    for name, field in SessionOutputSchema._declared_fields.items()
    if isinstance(field, Typed) and isinstance(field.rule, SessionOnly)
}
"""The session's own fields."""

COLUMNS = check_declaration(StudentSchema, SessionOutputSchema)
"""Legacy field name to its declaration, in the seed's order."""

RULES: dict[str, Rule] = {name: column.rule for name, column in COLUMNS.items() if column.rule is not None}
"""Legacy field name to what it and a session know of each other."""

STUDENT_FIELDS = tuple(COLUMNS)
"""The 57 names in the seed's order."""
