"""One generated set of exams, records and sessions, which every interface of the sandbox serves."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from compat.testing.sandbox.records import RosterRow, cycle_statuses, make_record, make_roster
from compat.testing.sandbox.text import find_zone, read_instant, utc_text

CARRIED_KEY = "exam_student"
_UTC = find_zone("UTC")


def student_session(record: Mapping[str, Any], random: Random) -> dict[str, Any]:
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
    session: dict[str, Any] = {
        "id": str(uuid.UUID(int=random.getrandbits(128), version=4)) if kind == "live" else str(record["id"]),
        "applicationId": application_id,
        "startedAtTime": utc_text(record["start_time"]),
        "endedAtTime": utc_text(record["end_time"]),
        "durationInSeconds": _duration(record["start_time"], record["end_time"]),
        "toolId": application_id,
        "wasteDurationInSeconds": random.randrange(0, 60),
        "wastePercentage": random.randrange(0, 101),
        "isProctored": random.random() < 0.8,
        "metadata": _carried(record, random) if kind == "born_old" else _own_metadata(record, random),
        "proctoredResult": random.choice(("passed", "failed", "under_review")),
        "recordingStartedAtTime": _utc_or_none(record["recording_started_at"]),
        "recordingEndedAtTime": _utc_or_none(record["recording_ended_at"]),
        "recordingS3Key": random.choice((None, f"recordings/{record['id']}.webm")),
        "webcamEnabled": random.random() < 0.9,
        "reviewState": random.choice((None, {"by": "älpha", "rounds": 2})),
    }
    for name in ("toolId", "isProctored", "proctoredResult", "recordingS3Key", "webcamEnabled", "reviewState"):
        if random.random() < 0.2:
            del session[name]
    return session


def _duration(start: str, end: str) -> int:
    begun, ended = read_instant(start, _UTC), read_instant(end, _UTC)
    return ended[0] - begun[0] - (1 if ended[1] < begun[1] else 0)


def _utc_or_none(text: str | None) -> str | None:
    return None if text is None else utc_text(text)


def _carried(record: Mapping[str, Any], random: Random) -> dict[str, Any]:
    kept = {name: value for name, value in record.items() if name not in ("id", "exam_id")}
    metadata: dict[str, Any] = {CARRIED_KEY: kept}
    if random.random() < 0.5:
        metadata["course"] = {"code": "WIS-101", "groups": [1, 2]}
    return metadata


def _own_metadata(record: Mapping[str, Any], random: Random) -> dict[str, Any] | None:
    known = {name: record[name] for name in ("email", "name", "student_id", "external_id")}
    return random.choice((None, {}, {"source": "launch"}, known, {**known, "attemptNumber": 1}))


FIRST_EXAM_ID = 17
KINDS = ("born_old", "born_new", "live")


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
        """The record of the student sessions interface."""
        return student_session(self.record, self._random("student session"))

    @cached_property
    def paginated_session(self) -> dict[str, Any]:
        """The session of the paginated sessions interface."""
        random = self._random("paginated session")
        return paginated_session(self.record, self.exam.kind, self.exam.application_id, random)

    @cached_property
    def record_text(self) -> bytes:
        """The legacy record as JSON."""
        return _text(self.record)

    @cached_property
    def student_session_text(self) -> bytes:
        """The student session as JSON, escaped to ASCII for one in four."""
        return _text(self.student_session, escaped=self.record["id"] % 4 == 0)

    @cached_property
    def paginated_session_text(self) -> bytes:
        """The paginated session as JSON."""
        return _text(self.paginated_session)

    def _random(self, purpose: str) -> Random:
        return Random(f"{self.seed} {purpose} {self.record['id']}")


def _text(value: Any, *, escaped: bool = False) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=escaped).encode()


class EmailTakenError(Exception):
    """An email address is in that exam already."""


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
        """The exam of that number."""
        return next((exam for exam in self.exams if exam.id == id), None)

    def entries(self, exam_id: int | None = None) -> list[Entry]:
        """All entries, or those of one exam."""
        with self._lock:
            entries = list(self._entries.values())
        return entries if exam_id is None else [entry for entry in entries if entry.exam.id == exam_id]

    def entries_with_session(self) -> list[Entry]:
        """The entries that have a paginated session."""
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
        """The entry of that legacy id."""
        with self._lock:
            return self._entries.get(id)

    def add(self, exam: Exam, record: Mapping[str, Any]) -> Entry:
        """Add a record under the next id; EmailTakenError if the exam has that email address."""
        with self._lock:
            self._refuse_taken(exam.id, record["email"], None)
            values = {name: self._next_id if name == "id" else value for name, value in record.items()}
            self._next_id += 1
            return self._keep(Entry(values, exam, None, self.seed))

    def change(self, id: int, values: Mapping[str, Any]) -> Entry | None:
        """Change values of a record; None if there is no such record, EmailTakenError as for ``add``."""
        with self._lock:
            entry = self._entries.get(id)
            if entry is None:
                return None
            if "email" in values:
                self._refuse_taken(entry.exam.id, values["email"], id)
            return self._keep(Entry({**entry.record, **values}, entry.exam, entry.user_id, self.seed))

    def remove(self, id: int, exam_id: int | None = None) -> bool:
        """Remove a record, of that exam if one is given; whether there was one."""
        with self._lock:
            entry = self._entries.get(id)
            if entry is None or exam_id not in (None, entry.exam.id):
                return False
            del self._entries[id]
            self._with_session = None
            return True

    def _keep(self, entry: Entry) -> Entry:
        self._entries[entry.record["id"]] = entry
        self._with_session = None
        return entry

    def _refuse_taken(self, exam_id: int, email: str, id: int | None) -> None:
        if any(entry.record["email"] == email and entry.record["id"] != id for entry in self.entries(exam_id)):
            raise EmailTakenError(email)


def generate(students: int = 120, exams: int = 3, seed: int = 2018, first_exam: int = FIRST_EXAM_ID) -> Dataset:
    """The data set of that many records over that many exams; the same seed gives the same data."""
    if students < 0 or exams < 1:
        raise ValueError("A data set needs at least one exam and no fewer than 0 students.")
    random = Random(seed)
    made_exams = tuple(_make_exam(first_exam, number, random) for number in range(exams))
    sizes = [students // exams + (1 if number < students % exams else 0) for number in range(exams)]
    roster = make_roster(max(sizes) + max(3, students // 4), random)
    order = [number for number, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(order)
    # Each exam meets its people in the roster's order, so a reading user by user finds the same order.
    people = [iter(_in_order(roster, size, random)) for size in sizes]
    statuses = [cycle_statuses(random) for _ in sizes]
    ids = random.sample(range(1001, 1101 + students * 9), students)
    entries = []
    for legacy_id, number in zip(ids, order, strict=True):
        exam, person = made_exams[number], next(people[number])
        record = make_record(legacy_id, exam.id, exam.kind, next(statuses[number]), person, random)
        entries.append(Entry(record, exam, person.user_id, seed))
    return Dataset(made_exams, roster, entries, seed)


def _make_exam(first: int, number: int, random: Random) -> Exam:
    application_id = uuid.UUID(int=random.getrandbits(128), version=4)
    return Exam(first + number, str(application_id), KINDS[number % len(KINDS)])


def _in_order(roster: tuple[RosterRow, ...], size: int, random: Random) -> list[RosterRow]:
    return [roster[position] for position in sorted(random.sample(range(len(roster)), size))]
