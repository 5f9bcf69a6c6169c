"""The legacy record: its 57 fields, how each filters and sorts, and records as the old system would hold them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from compat.testing.sandbox.text import amsterdam_text

COLUMNS = {
    "id": "integer",
    "session_id": "string",
    "student_id": "integer",
    "external_id": "string",
    "proctor_id": "integer",
    "time_slot": "integer",
    "created_at": "time",
    "updated_at": "time",
    "email": "string",
    "operating_system": "string",
    "browser": "string",
    "browser_version": "string",
    "status": "string",
    "token": "string",
    "screenshare_check": "string",
    "microphone_check": "string",
    "speakers_check": "string",
    "webcam_check": "string",
    "mobile_check": "string",
    "dummy_exam_survey": "string",
    "skip_requirements": "boolean",
    "send_confirmation": "boolean",
    "name": "string",
    "start_time": "time",
    "exam_id": "integer",
    "expires_at": "time",
    "end_time": "time",
    "entered_room": "boolean",
    "reservation_time": "time",
    "exam_document_content_type": "string",
    "exam_document_file_size": "integer",
    "exam_document_updated_at": "time",
    "reviewed": "string",
    "id_card_file_name": "string",
    "id_card_content_type": "string",
    "id_card_file_size": "integer",
    "face_photo_file_name": "string",
    "face_photo_content_type": "string",
    "face_photo_file_size": "integer",
    "bandwidth_check": "string",
    "bandwidth_speed": "string",
    "open_time": "time",
    "individual_info": "string",
    "rtc_session_id": "integer",
    "in_setup": "boolean",
    "in_check_requirements": "boolean",
    "attempt": "integer",
    "archived": "boolean",
    "current_exam_mode": "string",
    "rtc_session_ids": "array",
    "transcoding_status": "string",
    "is_individual_info_html": "boolean",
    "priority": "string",
    "recording_started_at": "time",
    "recording_ended_at": "time",
    "is_email_sent": "boolean",
    "incidents": "array",
}
"""The fields of the legacy record, in its order, and how each filters and sorts."""

FIELDS = tuple(COLUMNS)

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


def column_type(column: str) -> str:
    """The type of a column that filters and sorts; ValueError for every other name."""
    if column not in COLUMNS:
        raise ValueError(f"{column!r} is not a column.")
    if COLUMNS[column] == "array":
        raise ValueError(f"{column!r} holds an array, which neither filters nor sorts.")
    return COLUMNS[column]


_FIRST = (
    "Anna", "anna", "ANNA", "Zoë", "Øyvind", "José", "Łukasz", "Đorđe", "Ève", "İpek", "ß-Straße",
    "王", "美咲", "민준", "فاطمة", "נועם", "Ναταλία", "Алёна", "प्रिया", "Tim 🎓", "👩🏽‍💻 Kim", "O'Brien,",
)  # fmt: skip
_LAST = (
    "de Vries", "De Vries", "van der Berg", "Müller", "Muller", "Nguyễn", "小芳", "佐藤", "김", "الزهراء",
    "כהן", "Παπαδοπούλου", "Иванова", "शर्मा", "O’Neill", 'Smith "Junior"', "Smith", "smith", "Ångström",
)  # fmt: skip


@dataclass(frozen=True)
class RosterRow:
    """One person as a roster lists them; a value that is not known is None."""

    user_id: str
    email: str
    name: str
    student_id: int | None
    external_id: str | None


def make_roster(size: int, random: Random) -> tuple[RosterRow, ...]:
    """That many people with distinct user ids and email addresses; names repeat."""
    return tuple(_person(number, random) for number in range(1, size + 1))


def _person(number: int, random: Random) -> RosterRow:
    user_id = uuid.UUID(int=random.getrandbits(128), version=4)
    student_id: int | None = 100_000 + (number * 7919) % 900_000
    if number % 6 == 0:
        student_id = None
    elif number % 17 == 0:
        # Beyond what a double holds: whoever reads numbers as floats changes it.
        student_id = 2**53 + number
    return RosterRow(
        user_id=str(user_id),
        email=f"{random.choice(('student', 'Student', 'étudiant'))}{number}@example.com",
        name=f"{random.choice(_FIRST)} {random.choice(_LAST)}",
        student_id=student_id,
        external_id=None if number % 4 == 0 else f"{number:06d}",
    )


# Hours around which records lie: the autumn change (where a later instant can read as the smaller text),
# the spring change, a winter afternoon and a summer morning; seconds since 1970 in UTC.
_AUTUMN = 1_540_683_000
_PERIODS = (_AUTUMN, _AUTUMN, 1_521_936_000, 1_542_469_500, 1_530_518_400)
_FRACTIONS = (".373", ".000", ".788", ".788", ".500", ".5", "", ".123456", ".123456789")
_CHECKS = ("not_started", "passed", "failed", "skipped")
_INFORMATION = ("individual_info for this user", "<b>30 minutes</b> more", "Größe?\nZeile 2", "a=b?c=d&e", None)
_MACHINE: dict[str, tuple[str | None, ...]] = {
    "operating_system": ("OS X 10.14.1", "Windows 10", "Ubuntu", None),
    "screenshare_check": _CHECKS,
    "microphone_check": _CHECKS,
    "speakers_check": _CHECKS,
    "webcam_check": _CHECKS,
    "mobile_check": _CHECKS,
    "bandwidth_check": _CHECKS,
    "bandwidth_speed": ("12.5", "70.0", "100", None),
    "transcoding_status": ("not_sent_to_queue", "queued", "done"),
    "current_exam_mode": ("01010000", "00000000", "11010001", None),
}


def cycle_statuses(random: Random) -> Iterator[str]:
    """Statuses without end: all eleven first, then as many again of which most are finished."""
    while True:
        yield from random.sample(STATUSES, len(STATUSES))
        yield from random.sample(STATUSES[-2:] + ("exam_finished",) * 9, len(STATUSES))


def make_record(id: int, exam_id: int, kind: str, status: str, person: RosterRow, random: Random) -> dict[str, Any]:
    """One record; only for exams of the kind ``live`` can start and end be missing."""
    start, end = _start_and_end(random)
    record: dict[str, Any] = {
        "id": id,
        "exam_id": exam_id,
        "status": status,
        "email": person.email,
        "name": person.name,
        "student_id": person.student_id,
        "external_id": person.external_id,
        **_times(start, end, random),
        **_machine(random),
        **_files(start, random),
        **_flags(status, random),
        **_remarks(id, end, random),
    }
    if kind == "live" and status != "exam_finished":
        record.update(end_time=None, recording_ended_at=None)
        if status != "exam_started":
            record.update(start_time=None, recording_started_at=None)
    return {field: record[field] for field in FIELDS}


def _start_and_end(random: Random) -> tuple[int, int]:
    # Steps of ten minutes make many records share a start, so that sorting by it has ties.
    start = random.choice(_PERIODS) + 600 * random.randrange(18)
    if random.random() < 0.5:
        start += random.randrange(600)
    return start, start + random.choice((0, 40, 1800, 3600, 3600, random.randrange(1, 9000)))


def _moment(seconds: int, random: Random) -> str:
    return amsterdam_text(seconds, random.choice(_FRACTIONS))


def _times(start: int, end: int, random: Random) -> dict[str, Any]:
    start_text = _moment(start, random)
    # An end in the same second repeats the text: another fraction might lie before the start.
    end_text = start_text if end == start else _moment(end, random)
    recorded = random.random() < 0.6
    return {
        "created_at": _moment(start - 86400 * random.randrange(1, 4), random),
        "updated_at": _moment(end + random.choice((0, 60, 600)), random),
        "start_time": start_text,
        "end_time": end_text,
        "expires_at": _moment(end + 86400, random) if random.random() < 0.3 else None,
        "reservation_time": _moment(start - 300, random) if random.random() < 0.7 else None,
        "open_time": amsterdam_text(start - start % 3600, ".000") if random.random() < 0.7 else None,
        "recording_started_at": start_text if recorded else None,
        "recording_ended_at": _moment(end + 5, random) if recorded and random.random() < 0.9 else None,
    }


def _machine(random: Random) -> dict[str, Any]:
    browser = random.choice((("Chrome", "70.0.3538.102"), ("Firefox", "63.0"), ("Safari", "12.0.1"), (None, None)))
    machine = {name: random.choice(choices) for name, choices in _MACHINE.items()}
    return {"browser": browser[0], "browser_version": browser[1], **machine}


def _files(start: int, random: Random) -> dict[str, Any]:
    document, card, face = (random.random() < 0.5 for _ in range(3))
    return {
        "exam_document_content_type": "application/pdf" if document else None,
        "exam_document_file_size": random.randrange(1, 2**33) if document else None,
        "exam_document_updated_at": _moment(start - 7200, random) if document else None,
        "id_card_file_name": "data" if card else None,
        "id_card_content_type": "image/png" if card else None,
        "id_card_file_size": random.choice((187297, 187298, 9999)) if card else None,
        "face_photo_file_name": "data" if face else None,
        "face_photo_content_type": random.choice(("image/png", "image/jpeg")) if face else None,
        "face_photo_file_size": random.choice((206025, 0, 10000)) if face else None,
    }


def _flags(status: str, random: Random) -> dict[str, Any]:
    return {
        "skip_requirements": random.random() < 0.2,
        "send_confirmation": random.random() < 0.5,
        "entered_room": status in ("exam_started", "exam_finished"),
        "in_setup": status == "in_setup",
        "in_check_requirements": status == "before_check_req",
        "archived": random.choice((True, False, False, None)),
        "is_individual_info_html": random.random() < 0.3,
        "is_email_sent": random.choice((True, False)),
    }


def _remarks(id: int, end: int, random: Random) -> dict[str, Any]:
    token = f"{random.getrandbits(64):016x}" if random.random() < 0.5 else None
    connections = random.sample(range(1, 500), random.choice((0, 0, 1, 3)))
    return {
        "session_id": f"{random.getrandbits(48):012x}" if random.random() < 0.3 else None,
        "proctor_id": random.choice((7, 8, 9, 10, None)),
        "time_slot": random.choice((1, 2, 3, None)),
        "token": token,
        "dummy_exam_survey": random.choice(("ok", "Ok", "très bien ✓", None)),
        "reviewed": random.choice(("10", "00", "01", "11", None)),
        "individual_info": random.choice(_INFORMATION),
        "rtc_session_id": random.choice((0, 5, 12, None)),
        "attempt": random.choice((0, 0, 1, 2)),
        "rtc_session_ids": connections,
        "priority": random.choice(("01", "00", "10", "1", None)),
        "incidents": [_incident(id, number, end, random) for number in range(random.choice((0, 0, 0, 1, 2)))],
    }


def _incident(id: int, number: int, end: int, random: Random) -> dict[str, Any]:
    noticed = _moment(end, random)
    return {
        "id": id * 10 + number,
        "student_session_id": id,
        "comment": random.choice(("comment", "left the room", "звонок 📱")),
        "created_at": noticed,
        "updated_at": noticed,
        "offset_time": random.randrange(0, 3600),
    }
