"""The legacy record: its 57 fields in the documented order, and how each of them filters and sorts."""

from __future__ import annotations

FIELDS = (
    "id",
    "session_id",
    "student_id",
    "external_id",
    "proctor_id",
    "time_slot",
    "created_at",
    "updated_at",
    "email",
    "operating_system",
    "browser",
    "browser_version",
    "status",
    "token",
    "screenshare_check",
    "microphone_check",
    "speakers_check",
    "webcam_check",
    "mobile_check",
    "dummy_exam_survey",
    "skip_requirements",
    "send_confirmation",
    "name",
    "start_time",
    "exam_id",
    "expires_at",
    "end_time",
    "entered_room",
    "reservation_time",
    "exam_document_content_type",
    "exam_document_file_size",
    "exam_document_updated_at",
    "reviewed",
    "id_card_file_name",
    "id_card_content_type",
    "id_card_file_size",
    "face_photo_file_name",
    "face_photo_content_type",
    "face_photo_file_size",
    "bandwidth_check",
    "bandwidth_speed",
    "open_time",
    "individual_info",
    "rtc_session_id",
    "in_setup",
    "in_check_requirements",
    "attempt",
    "archived",
    "current_exam_mode",
    "rtc_session_ids",
    "transcoding_status",
    "is_individual_info_html",
    "priority",
    "recording_started_at",
    "recording_ended_at",
    "is_email_sent",
    "incidents",
)

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

INTEGER_COLUMNS = frozenset(
    {
        "id",
        "student_id",
        "proctor_id",
        "time_slot",
        "exam_id",
        "exam_document_file_size",
        "id_card_file_size",
        "face_photo_file_size",
        "rtc_session_id",
        "attempt",
    }
)
BOOLEAN_COLUMNS = frozenset(
    {
        "skip_requirements",
        "send_confirmation",
        "entered_room",
        "in_setup",
        "in_check_requirements",
        "archived",
        "is_individual_info_html",
        "is_email_sent",
    }
)
TIME_COLUMNS = frozenset(
    {
        "created_at",
        "updated_at",
        "start_time",
        "end_time",
        "expires_at",
        "reservation_time",
        "exam_document_updated_at",
        "open_time",
        "recording_started_at",
        "recording_ended_at",
    }
)
ARRAY_COLUMNS = frozenset({"incidents", "rtc_session_ids"})


def column_type(column: str) -> str:
    """The type of a column that filters and sorts; ValueError for every other name."""
    if column not in FIELDS:
        raise ValueError(f"{column!r} is not a column.")
    if column in ARRAY_COLUMNS:
        raise ValueError(f"{column!r} holds an array, which neither filters nor sorts.")
    if column in INTEGER_COLUMNS:
        return "integer"
    if column in BOOLEAN_COLUMNS:
        return "boolean"
    if column in TIME_COLUMNS:
        return "time"
    return "string"
