"""One generated set of exams, records and sessions, with the awkward values of real ones, for every interface."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from compat.processes import cached_property
from compat.testing.sandbox.messages import RefusalError
from compat.testing.sandbox.reference import FIELDS, STATUSES, amsterdam_text, find_zone, read_instant, utc_text

_FIRST = (
    "Anna", "anna", "ANNA", "Zoë", "Øyvind", "José", "Łukasz", "Đorđe", "Ève", "İpek", "ß-Straße",
    "王", "美咲", "민준", "فاطمة", "נועם", "Ναταλία", "Алёна", "प्रिया", "Tim 🎓", "👩🏽‍💻 Kim", "O'Brien,",
)  # fmt: skip
_LAST = (
    "de Vries", "De Vries", "van der Berg", "Müller", "Muller", "Nguyễn", "小芳", "佐藤", "김", "الزهراء",
    "כהן", "Παπαδοπούλου", "Иванова", "शर्मा", "O’Neill", 'Smith "Junior"', "Smith", "smith", "Ångström",
)  # fmt: skip


class RosterRow(NamedTuple):
    """One person as a roster lists them; a value that is not known is None."""

    user_id: str
    email: str
    name: str
    student_id: int | None
    external_id: str | None


def _person(number: int, random: Random) -> RosterRow:
    """A person with an email address that no other number has; names repeat."""
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
_PERIODS = (1_540_683_000, 1_540_683_000, 1_521_936_000, 1_542_469_500, 1_530_518_400)
_FRACTIONS = (".373", ".000", ".788", ".788", ".500", ".5", "", ".123456", ".123456789")
_CHECKS = ("not_started", "passed", "failed", "skipped")
_INFORMATION = ("individual_info for this user", "<b>30 minutes</b> more", "Größe?\nZeile 2", "a=b?c=d&e", None)
_BROWSERS = (("Chrome", "70.0.3538.102"), ("Firefox", "63.0"), ("Safari", "12.0.1"), (None, None))
_MACHINE: dict[str, tuple[str | None, ...]] = {
    "operating_system": ("OS X 10.14.1", "Windows 10", "Ubuntu", None),
    **dict.fromkeys((name for name in FIELDS if name.endswith("_check")), _CHECKS),
    "bandwidth_speed": ("12.5", "70.0", "100", None),
    "transcoding_status": ("not_sent_to_queue", "queued", "done"),
    "current_exam_mode": ("01010000", "00000000", "11010001", None),
}


def _statuses(random: Random) -> Iterator[str]:
    """Statuses without end: all eleven first, then as many again of which most are finished."""
    while True:
        yield from random.sample(STATUSES, len(STATUSES))
        yield from random.sample(STATUSES[-2:] + ("exam_finished",) * 9, len(STATUSES))


def _record(id: int, exam_id: int, kind: str, status: str, person: RosterRow, random: Random) -> dict[str, Any]:
    """One record; only for exams of the kind ``live`` can start and end be missing."""
    # Steps of ten minutes make many records share a start, so that sorting by it has ties.
    start = random.choice(_PERIODS) + 600 * random.randrange(18)
    if random.random() < 0.5:
        start += random.randrange(600)
    end = start + random.choice((0, 40, 1800, 3600, 3600, random.randrange(1, 9000)))
    record: dict[str, Any] = {
        "id": id,
        "exam_id": exam_id,
        "status": status,
        "email": person.email,
        "name": person.name,
        "student_id": person.student_id,
        "external_id": person.external_id,
        **_times(start, end, random),
        **dict(zip(("browser", "browser_version"), random.choice(_BROWSERS), strict=True)),
        **{name: random.choice(choices) for name, choices in _MACHINE.items()},
        **_files(start, random),
        **_remarks(id, status, end, random),
    }
    if kind == "live" and status != "exam_finished":
        record.update(end_time=None, recording_ended_at=None)
        if status != "exam_started":
            record.update(start_time=None, recording_started_at=None)
    return {field: record[field] for field in FIELDS}


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


def _remarks(id: int, status: str, end: int, random: Random) -> dict[str, Any]:
    return {
        "skip_requirements": random.random() < 0.2,
        "send_confirmation": random.random() < 0.5,
        "entered_room": status in ("exam_started", "exam_finished"),
        "in_setup": status == "in_setup",
        "in_check_requirements": status == "before_check_req",
        "archived": random.choice((True, False, False, None)),
        "is_individual_info_html": random.random() < 0.3,
        "is_email_sent": random.choice((True, False)),
        "token": f"{random.getrandbits(64):016x}" if random.random() < 0.5 else None,
        "rtc_session_ids": random.sample(range(1, 500), random.choice((0, 0, 1, 3))),
        "session_id": f"{random.getrandbits(48):012x}" if random.random() < 0.3 else None,
        "proctor_id": random.choice((7, 8, 9, 10, None)),
        "time_slot": random.choice((1, 2, 3, None)),
        "dummy_exam_survey": random.choice(("ok", "Ok", "très bien ✓", None)),
        "reviewed": random.choice(("10", "00", "01", "11", None)),
        "individual_info": random.choice(_INFORMATION),
        "rtc_session_id": random.choice((0, 5, 12, None)),
        "attempt": random.choice((0, 0, 1, 2)),
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


_UTC = find_zone("UTC")


def _student_session(record: Mapping[str, Any], random: Random) -> dict[str, Any]:
    """The record as student sessions write it: newer fields among the old, in an order of its own."""
    values = {
        **record,
        "pre_assigned_proctor_id": random.choice((None, 7)),
        "preserve": random.random() < 0.1,
        "pin_code": f"{random.randrange(10000):04d}",
        "pod_names": random.choice(([], ["north", "süd"])),
        "review_commentary": random.choice((None, "no remarks")),
        "use_external_service": False,
        "incidents_count": len(record["incidents"]),
    }
    names = list(values)
    random.shuffle(names)
    leaves_nulls_out = random.random() < 0.3
    return {
        name: values[name]
        for name in names
        if values[name] is not None or not (leaves_nulls_out and random.random() < 0.3)
    }


def paginated_session(record: Mapping[str, Any], kind: str, application_id: str, random: Random) -> dict[str, Any]:
    """The record as paginated sessions write it; the record has to have a start and an end."""
    begun, ended = (read_instant(record[name], _UTC) for name in ("start_time", "end_time"))
    session: dict[str, Any] = {
        "id": str(uuid.UUID(int=random.getrandbits(128), version=4)) if kind == "live" else str(record["id"]),
        "applicationId": application_id,
        "startedAtTime": utc_text(record["start_time"]),
        "endedAtTime": utc_text(record["end_time"]),
        "durationInSeconds": ended[0] - begun[0] - (ended[1] < begun[1]),
        "toolId": application_id,
        "wasteDurationInSeconds": random.randrange(0, 60),
        "wastePercentage": random.randrange(0, 101),
        "isProctored": random.random() < 0.8,
        "metadata": _metadata(record, kind, random),
        "proctoredResult": random.choice(("passed", "failed", "under_review")),
        "recordingStartedAtTime": record["recording_started_at"] and utc_text(record["recording_started_at"]),
        "recordingEndedAtTime": record["recording_ended_at"] and utc_text(record["recording_ended_at"]),
        "recordingS3Key": random.choice((None, f"recordings/{record['id']}.webm")),
        "webcamEnabled": random.random() < 0.9,
        "reviewState": random.choice((None, {"by": "älpha", "rounds": 2})),
    }
    for name in ("toolId", "isProctored", "proctoredResult", "recordingS3Key", "webcamEnabled", "reviewState"):
        if random.random() < 0.2:
            del session[name]
    return session


def _metadata(record: Mapping[str, Any], kind: str, random: Random) -> dict[str, Any] | None:
    if kind == "born_old":
        carried = {"exam_student": {name: value for name, value in record.items() if name not in ("id", "exam_id")}}
        return carried | ({"course": {"code": "WIS-101", "groups": [1, 2]}} if random.random() < 0.5 else {})
    known = {name: record[name] for name in RosterRow._fields[1:]}
    return random.choice((None, {}, {"source": "launch"}, known, {**known, "attemptNumber": 1}))


FIRST_EXAM_ID = 17
_KINDS = ("born_old", "born_new", "live")


@dataclass(frozen=True)
class Exam:
    """An exam: its number, its applicationId, and where its sessions come from.

    ``born_old`` sessions were made from legacy records and carry them; ``born_new`` ones know nothing of
    the old interface; ``live`` ones are new too, under ids of their own, and exist only for students who
    finished.
    """

    id: int
    application_id: str
    kind: str


@dataclass(frozen=True, eq=False)
class Entry:
    """One record and everything that the interfaces derive from it, derived once."""

    record: Mapping[str, Any]
    exam: Exam
    user_id: str | None
    seed: int

    @property
    def has_session(self) -> bool:
        """Whether there is a session: it always has a start and an end."""
        return self.record["start_time"] is not None and self.record["end_time"] is not None

    @cached_property
    def student_session(self) -> dict[str, Any]:
        return _student_session(self.record, self._random("student session"))

    @cached_property
    def paginated_session(self) -> dict[str, Any]:
        random = self._random("paginated session")
        return paginated_session(self.record, self.exam.kind, self.exam.application_id, random)

    @cached_property
    def record_text(self) -> bytes:
        return _text(self.record)

    @cached_property
    def student_session_text(self) -> bytes:
        """The student session as JSON, escaped to ASCII for one in four."""
        return _text(self.student_session, escaped=self.record["id"] % 4 == 0)

    @cached_property
    def paginated_session_text(self) -> bytes:
        return _text(self.paginated_session)

    def _random(self, purpose: str) -> Random:
        return Random(f"{self.seed} {purpose} {self.record['id']}")


def _text(value: Any, *, escaped: bool = False) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=escaped).encode()


class Dataset:
    """The data that a sandbox serves; every change goes through one lock."""

    def __init__(self, exams: tuple[Exam, ...], roster: tuple[RosterRow, ...], entries: list[Entry], seed: int) -> None:
        self.exams = exams
        self.roster = roster
        self.seed = seed
        self._lock = threading.RLock()
        self._entries = {entry.record["id"]: entry for entry in entries}
        self._next_id = max(self._entries, default=0) + 1
        self._with_session: list[Entry] | None = None
        self._ids_by_user: dict[str, list[int]] = {row.user_id: [] for row in roster}
        for entry in entries:
            if entry.user_id is not None:
                self._ids_by_user[entry.user_id].append(entry.record["id"])

    @property
    def students(self) -> list[dict[str, Any]]:
        """The legacy records of all exams, in the order of the data set."""
        return [dict(entry.record) for entry in self.entries()]

    @property
    def student_sessions(self) -> list[dict[str, Any]]:
        """The same as the student sessions interface writes them."""
        return [dict(entry.student_session) for entry in self.entries()]

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The paginated sessions, in the same order."""
        return [dict(entry.paginated_session) for entry in self.entries_with_session()]

    def user_of(self, id: int) -> str | None:
        """The user id of a legacy record's person; None for one that was added later."""
        entry = self.find(id)
        return None if entry is None else entry.user_id

    def exam(self, id: int) -> Exam | None:
        return next((exam for exam in self.exams if exam.id == id), None)

    def entries(self, exam_id: int | None = None) -> list[Entry]:
        """All entries, or those of one exam."""
        with self._lock:
            entries = list(self._entries.values())
        return entries if exam_id is None else [entry for entry in entries if entry.exam.id == exam_id]

    def entries_with_session(self) -> list[Entry]:
        with self._lock:
            if self._with_session is None:
                self._with_session = [entry for entry in self._entries.values() if entry.has_session]
            return self._with_session

    def entries_of_user(self, user_id: str) -> list[Entry] | None:
        """One user's entries that have a paginated session; None for a user whom nobody knows."""
        with self._lock:
            if user_id not in self._ids_by_user:
                return None
            ids = self._ids_by_user[user_id]
            entries = [self._entries[each] for each in ids if each in self._entries]
        return [entry for entry in entries if entry.has_session]

    def find(self, id: int) -> Entry | None:
        with self._lock:
            return self._entries.get(id)

    def add(self, exam: Exam, record: Mapping[str, Any]) -> Entry:
        """Add a record under the next id; RefusalError if the exam has that email address."""
        with self._lock:
            self._refuse_taken(exam.id, record["email"], None)
            values = {name: self._next_id if name == "id" else value for name, value in record.items()}
            self._next_id += 1
            return self._keep(Entry(values, exam, None, self.seed))

    def change(self, id: int, values: Mapping[str, Any]) -> Entry | None:
        """Change values of a record; None if there is no such record, RefusalError as for ``add``."""
        with self._lock:
            entry = self._entries.get(id)
            if entry is None:
                return None
            if "email" in values:
                self._refuse_taken(entry.exam.id, values["email"], id)
            return self._keep(Entry({**entry.record, **values}, entry.exam, entry.user_id, self.seed))

    def remove(self, id: int) -> bool:
        """Remove a record; whether there was one."""
        with self._lock:
            self._with_session = None
            return self._entries.pop(id, None) is not None

    def _keep(self, entry: Entry) -> Entry:
        self._entries[entry.record["id"]] = entry
        self._with_session = None
        return entry

    def _refuse_taken(self, exam_id: int, email: str, id: int | None) -> None:
        if any(entry.record["email"] == email and entry.record["id"] != id for entry in self.entries(exam_id)):
            raise RefusalError(422, "has already been taken", {"email": ["has already been taken"]})


def generate(students: int = 120, exams: int = 3, seed: int = 2018, first_exam: int = FIRST_EXAM_ID) -> Dataset:
    """The data set of that many records over that many exams; the same seed gives the same data."""
    if students < 0 or exams < 1:
        raise ValueError("A data set needs at least one exam and no fewer than 0 students.")
    random = Random(seed)
    made_exams = tuple(
        Exam(first_exam + number, str(uuid.UUID(int=random.getrandbits(128), version=4)), _KINDS[number % len(_KINDS)])
        for number in range(exams)
    )
    sizes = [students // exams + (number < students % exams) for number in range(exams)]
    roster = tuple(_person(each, random) for each in range(1, 1 + max(sizes) + max(3, students // 4)))
    order = [number for number, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(order)
    # Each exam meets its people in the roster's order, so a reading user by user finds the same order.
    people = [iter(sorted(random.sample(range(len(roster)), size))) for size in sizes]
    statuses = [_statuses(random) for _ in sizes]
    ids = random.sample(range(1001, 1101 + students * 9), students)
    entries = []
    for legacy_id, number in zip(ids, order, strict=True):
        exam, person = made_exams[number], roster[next(people[number])]
        record = _record(legacy_id, exam.id, exam.kind, next(statuses[number]), person, random)
        entries.append(Entry(record, exam, person.user_id, seed))
    return Dataset(made_exams, roster, entries, seed)
