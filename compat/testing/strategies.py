"""hypothesis strategies for legacy records, sessions and queries, read off the declarations.

Each strategy gives what its side can hold, not only what it usually holds: unknown keys, null and absent, times
with any offset and any number of digits, integers above 2^53, emoji, texts of 10,000 characters, empty metadata.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from marshmallow import Schema

from compat.legacy.query import STATUSES, operators_of
from compat.schemas import COLUMNS, SessionOutputSchema, StudentSchema
from compat.schemas.fields import Typed
from compat.schemas.rules import FIRST_SURROGATE
from compat.schemas.student import CARRIED_KEY, check_declaration, exact_rules

__all__ = ["edits", "exams", "instant_texts", "json_values", "legacy_records", "queries", "sessions"]

# Naive on purpose: each text gets an offset of its own.
_EARLIEST = datetime(1950, 1, 1)  # noqa: DTZ001
_LATEST = datetime(2100, 1, 1)  # noqa: DTZ001
_ALPHABET = st.characters(exclude_categories=["Cs"])
_LONG = st.builds(lambda start, times: start * times, st.sampled_from(["ä", "学", "🎓", "x"]), st.just(10_000))
_TEXTS = st.text(_ALPHABET, max_size=20)
_INTEGERS = st.one_of(st.integers(-10, 10), st.integers(-(2**70), 2**70))
_UNKNOWN_KEYS = st.text(_ALPHABET, min_size=1, max_size=8).filter(lambda name: name not in COLUMNS)


def json_values(leaves: int = 5) -> st.SearchStrategy[Any]:
    """Any JSON value, nested up to some leaves."""
    scalars = st.one_of(st.none(), st.booleans(), _INTEGERS, st.floats(allow_nan=False, allow_infinity=False), _TEXTS)
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
        max_leaves=leaves,
    )


@st.composite
def instant_texts(draw: st.DrawFn, *, offset_needed: bool = False) -> str:
    """A time as the interfaces write it: any offset, any number of digits after the point."""
    moment = draw(st.datetimes(_EARLIEST, _LATEST))
    text = moment.replace(microsecond=0).isoformat()
    digits = draw(st.one_of(st.just("373"), st.text("0123456789", max_size=12)))
    text += f".{digits}" if digits else ""
    offsets = ["Z", "+01:00", "+02:00", "-05:00", "+05:30", "-00:00", "+14:00"]
    return text + draw(st.sampled_from(offsets if offset_needed else [*offsets, ""]))


@st.composite
def exams(draw: st.DrawFn) -> dict[int, str]:
    """Exam ids tied to applicationIds."""
    ids = draw(st.lists(st.integers(1, 10_000), min_size=1, max_size=4, unique=True))
    return {exam_id: str(draw(st.uuids())) for exam_id in ids}


_TYPED: Mapping[str, st.SearchStrategy[Any]] = {
    "integer": _INTEGERS,
    "boolean": st.booleans(),
    "string": _TEXTS,
    "array": st.lists(json_values(3), max_size=2),
}


def column_values(column: Typed) -> st.SearchStrategy[Any]:
    """A value of a legacy column, null among them."""
    return st.one_of(st.none(), instant_texts() if column.is_time else _TYPED[column.json])


@st.composite
def _spans(draw: st.DrawFn) -> tuple[str, str]:
    """A start and an end that does not lie before it, each in a form of its own."""
    start = draw(st.datetimes(_EARLIEST, _LATEST))
    end = start + timedelta(seconds=draw(st.integers(0, 100_000)))
    offsets = st.sampled_from(["Z", "+01:00", "-05:00", "+05:30"])
    long = st.text("0123456789", min_size=7, max_size=12)
    digits = draw(st.one_of(st.sampled_from(["", "3", "373", "123456"]), long))
    return _shown(start, draw(offsets), digits), _shown(end, draw(offsets), digits)


def _shown(moment: datetime, offset: str, digits: str) -> str:
    zone = datetime.strptime(offset, "%z").tzinfo
    local = moment.replace(microsecond=0, tzinfo=timezone.utc).astimezone(zone).replace(tzinfo=None)
    return local.isoformat() + (f".{digits}" if digits else "") + offset


@functools.cache
def _declared(student: type[Schema]) -> tuple[st.SearchStrategy[dict[str, Any]], list[str]]:
    """Values of every declared field, and the names of those that a session does not need."""
    columns = COLUMNS if student is StudentSchema else check_declaration(student, SessionOutputSchema)
    values = st.fixed_dictionaries({name: column_values(column) for name, column in columns.items()})
    return values, [name for name, column in columns.items() if name not in exact_rules(columns)]


_JSON = json_values()
_EXTRAS = st.dictionaries(_UNKNOWN_KEYS, _JSON, max_size=2)


@st.composite
def legacy_records(
    draw: st.DrawFn, exam_ids: Sequence[int], *, complete: bool = True, student: type[Schema] = StudentSchema
) -> dict[str, Any]:
    """A legacy record that a session can hold.

    Args:
        draw: hypothesis's own.
        exam_ids: the exams that an applicationId is known of.
        complete: all declared fields are there; else some that a session does not need are absent.
        student: the declaration, the shim's own or one that adds fields.
    """
    values, optional = _declared(student)
    record = draw(values)
    record["id"] = draw(st.one_of(st.integers(1, 10_000), st.integers(1, FIRST_SURROGATE - 1)))
    record["exam_id"] = draw(st.sampled_from(list(exam_ids)))
    record["start_time"], record["end_time"] = draw(_spans())
    if draw(st.booleans()):
        record[draw(st.sampled_from(optional))] = draw(st.one_of(_JSON, _LONG))
    record |= draw(_EXTRAS)
    if not complete:
        for name in draw(st.lists(st.sampled_from(optional), max_size=5, unique=True)):
            del record[name]
    return record


@st.composite
def edits(draw: st.DrawFn, exam_ids: Sequence[int]) -> dict[str, Any]:
    """Changes to a legacy view that a session can hold."""
    whole = draw(legacy_records(exam_ids))
    names = draw(st.lists(st.sampled_from(sorted(whole)), min_size=1, max_size=6, unique=True))
    chosen = {name: whole[name] for name in names}
    if {"start_time", "end_time"} & set(chosen):
        # One without the other could lie on the wrong side of what is there already.
        chosen |= {name: whole[name] for name in ("start_time", "end_time")}
    return chosen


_SESSION_IDS = st.one_of(
    st.integers(1, FIRST_SURROGATE - 1).map(str),
    st.uuids().map(str),
    st.sampled_from(["0", "05", str(FIRST_SURROGATE), "", "-1", "１２"]),
    _TEXTS,
)


@st.composite
def sessions(draw: st.DrawFn, applications: Mapping[int, str]) -> dict[str, Any]:
    """A session as the platform may list it: born new, or born old with carried values, or both in part."""
    start, end = draw(_spans())
    session = {
        "applicationId": draw(st.sampled_from(sorted(applications.values()))),
        "durationInSeconds": draw(st.integers(0, 10**6)),
        "endedAtTime": end,
        "id": draw(_SESSION_IDS),
        "startedAtTime": start,
        "wasteDurationInSeconds": draw(st.integers(0, 10)),
        "wastePercentage": draw(st.integers(0, 100)),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "toolId": st.one_of(st.just(session["applicationId"]), st.uuids().map(str)),
        "isProctored": st.booleans(),
        "proctoredResult": _TEXTS,
        "webcamEnabled": st.booleans(),
        "recordingS3Key": st.one_of(st.none(), _TEXTS),
        "recordingStartedAtTime": st.one_of(st.none(), instant_texts(offset_needed=True)),
        "recordingEndedAtTime": st.one_of(st.none(), instant_texts(offset_needed=True)),
        "metadata": st.one_of(st.none(), metadata(session)),
    }
    session |= draw(st.fixed_dictionaries({}, optional=optional))
    unknown = _UNKNOWN_KEYS.filter(lambda name: name not in SessionOutputSchema._declared_fields)
    return session | draw(st.dictionaries(unknown, json_values(), max_size=2))


@st.composite
def metadata(draw: st.DrawFn, session: Mapping[str, Any]) -> dict[str, Any]:
    """A session's metadata: keys of its own, carried values, what others put there."""
    own = draw(st.dictionaries(st.sampled_from(["email", "name", "student_id", "external_id", "x"]), json_values()))
    kind = draw(st.sampled_from(["none", "carried", "foreign"]))
    if kind == "foreign":
        own[CARRIED_KEY] = draw(json_values())
    if kind == "carried":
        names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), max_size=8, unique=True))
        carried = {name: draw(column_values(COLUMNS[name])) for name in names}
        if draw(st.booleans()):
            carried["start_time"] = session["startedAtTime"]
        own[CARRIED_KEY] = carried | draw(st.dictionaries(_UNKNOWN_KEYS, json_values(), max_size=2))
    return own


_COMPARABLE = [name for name, column in COLUMNS.items() if column.comparable]


@st.composite
def queries(draw: st.DrawFn, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Parameters of a legacy list call over some records: every operator, every column type, nulls, any page."""
    parameters: dict[str, str] = {}
    if draw(st.integers(0, 3)) == 0:
        parameters["status"] = draw(st.sampled_from(STATUSES))
    if draw(st.booleans()):
        columns = draw(st.lists(st.sampled_from(_COMPARABLE), min_size=1, max_size=2, unique=True))
        compared = {name: draw(_comparisons(name, records)) for name in columns}
        parameters["filter"] = json.dumps(compared, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        orders = st.sampled_from(["asc", "desc", "ASC", "Desc"])
        keys = st.dictionaries(st.sampled_from(_COMPARABLE), orders, max_size=2)
        parameters["sort"] = json.dumps(draw(st.lists(keys, max_size=3)))
    if draw(st.booleans()):
        parameters["limit"] = str(draw(st.one_of(st.integers(1, 40), st.sampled_from([100, 299, 300, 301, 5000]))))
    if draw(st.booleans()):
        parameters["page"] = str(draw(st.one_of(st.integers(1, 8), st.sampled_from([50, 10**6]))))
    return parameters


@st.composite
def _comparisons(draw: st.DrawFn, name: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = _filter_values(COLUMNS[name], [record.get(name) for record in records])
    fitting = {each.name: each.many for each in operators_of(COLUMNS[name])}
    chosen = draw(st.lists(st.sampled_from(sorted(fitting)), min_size=1, max_size=2, unique=True))
    return {operator: draw(st.lists(values, max_size=4) if fitting[operator] else values) for operator in chosen}


def _filter_values(column: Typed, present: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Values that hit and values that miss, in every form that the column's type reads."""
    there = st.sampled_from([value for value in present if value is None or column.accepts(value)] or [None])
    if column.json == "integer":
        return st.one_of(there, there.map(lambda value: value if value is None else str(value)), st.integers(0, 10**6))
    if column.json == "boolean":
        return st.one_of(st.none(), st.sampled_from([True, False, 1, 0, "true", "False", "TRUE", "0", "1"]))
    if column.is_time:
        dates = st.dates(date(2018, 1, 1), date(2020, 1, 1)).map(str)
        milliseconds = st.integers(1_500_000_000_000, 1_600_000_000_000)
        return st.one_of(there, dates, milliseconds, milliseconds.map(str), instant_texts())
    return st.one_of(there, _TEXTS, st.integers(0, 100), st.sampled_from([1.5, 70.0]))
