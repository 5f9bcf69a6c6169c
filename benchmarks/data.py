"""The bodies that the benchmarks work on: made of the sandbox's records, the same at each run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from compat.schemas import COLUMNS, STUDENT_FIELDS
from compat.schemas.fields import Time
from compat.testing.sandbox import Dataset, generate
from compat.testing.sandbox.dataset import paginated_session
from compat.upstream.base import LegacySettings

__all__ = [
    "APPLICATION",
    "EXAM",
    "EXAMS",
    "RECORDS",
    "SETTINGS",
    "compact",
    "legacy_fields_of",
    "legacy_records",
    "session_rows",
    "sessions",
    "sessions_page",
    "student_sessions",
    "student_sessions_page",
]

RECORDS = 300
EXAM = 17
APPLICATION = "675cc5fb-0716-48ef-a09e-a975887d09df"
EXAMS = {EXAM: APPLICATION}
SETTINGS = LegacySettings(zone=ZoneInfo("Europe/Amsterdam"))

_SEED = 2018
_FRACTION = re.compile(r"(:\d\d)(?:\.(\d+))?([+-]\d\d:\d\d)$")


class _SessionsPage(msgspec.Struct):
    sessions: list[msgspec.Raw]


_sessions_page = msgspec.json.Decoder(_SessionsPage)


@lru_cache
def _dataset(exams: int = 3, records: int = RECORDS) -> Dataset:
    return generate(records, exams, _SEED)


@lru_cache
def student_sessions() -> tuple[dict[str, Any], ...]:
    """Student sessions in the documented order of fields, every field there and the newer ones after them."""
    found = []
    for entry in _dataset().entries():
        record = entry.student_session
        newer = {name: value for name, value in record.items() if name not in COLUMNS}
        found.append({name: record.get(name) for name in STUDENT_FIELDS} | newer)
    return tuple(found)


def student_sessions_page(shuffled: bool = False) -> bytes:
    """A page of student sessions.

    Args:
        shuffled: as the sandbox writes it, with the fields of each record in an order of its own, some absent and some
            texts escaped; else in the documented order.
    """
    if shuffled:
        return b'{"students":[' + b",".join(entry.student_session_text for entry in _dataset().entries()) + b"]}"
    return compact({"students": student_sessions()})


@lru_cache
def legacy_records(count: int = RECORDS) -> tuple[dict[str, Any], ...]:
    """Legacy records of an exam that everybody finished and that was recorded; times have three digits."""
    # One exam alone is of the sandbox's first kind, where every record has a start and an end.
    return tuple(_usual(record) for record in _dataset(1, count).students)


def _usual(record: dict[str, Any]) -> dict[str, Any]:
    usual = {
        name: _milliseconds(value) if value is not None and isinstance(COLUMNS[name], Time) else value
        for name, value in record.items()
    }
    recorded = {"recording_started_at": usual["start_time"], "recording_ended_at": usual["end_time"]}
    return {**usual, **recorded, "exam_id": EXAM}


def _milliseconds(text: str) -> str:
    return _FRACTION.sub(lambda match: f"{match[1]}.{(match[2] or '')[:3].ljust(3, '0')}{match[3]}", text)


@lru_cache
def sessions(born_old: bool, count: int = RECORDS) -> tuple[dict[str, Any], ...]:
    """Sessions with recordings and with times of milliseconds in UTC.

    Args:
        born_old: made from legacy records, which they carry; else their metadata knows the person alone.
        count: how many.
    """
    random = Random(_SEED)
    made = []
    for record in legacy_records(count):
        session = paginated_session(record, "born_old" if born_old else "born_new", APPLICATION, random)
        if not born_old:
            person = {name: record[name] for name in ("email", "name", "student_id", "external_id")}
            session["metadata"] = {**person, "attemptNumber": 1}
        made.append(session)
    return tuple(made)


def sessions_page(born_old: bool) -> bytes:
    """A page of paginated sessions."""
    return compact({"limit": RECORDS, "offset": 0, "total": RECORDS, "sessions": sessions(born_old)})


def session_rows(body: bytes) -> Sequence[Any]:
    """The sessions of a page, each as its text."""
    return _sessions_page.decode(body).sessions


def compact(value: Any) -> bytes:
    """JSON without blanks, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def legacy_fields_of(record: dict[str, Any], names: Iterable[str] = STUDENT_FIELDS) -> dict[str, Any]:
    """The legacy record of a student session, by hand: what a right answer has to equal."""
    return {name: record.get(name) for name in names}
