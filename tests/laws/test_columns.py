"""Pages by column beside their records one by one: the same ids, the same values, the same selection (law 5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timezone
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.core.plan import Plan
from compat.errors import UpstreamError
from compat.legacy.parameters import Parameters
from compat.legacy.query import parse_query
from compat.mapping.fast import SessionColumns, TimeColumns, Times
from compat.mapping.fast.scanner import extension
from compat.mapping.fast.time_columns import _looked_up
from compat.schemas import COLUMNS
from compat.testing.strategies import instant_texts, json_values, legacy_records, queries, sessions
from compat.text import instants
from compat.text.json import dumps
from compat.upstream import paginated_sessions, student_sessions
from compat.upstream.base import Capability, LegacySettings, PushdownIgnored, Row
from compat.upstream.records import Codec, columns_of
from compat.upstream.session_codec import SessionCodec, _values
from compat.upstream.student_codec import StudentCodec
from compat.upstream.transport import Reply

pytestmark = pytest.mark.usefixtures("reader")

EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11", 18: "0f0f0f0f-3c1e-4c86-9d0e-0f6c3c1d2a12"}
SETTINGS = LegacySettings(ZoneInfo("Europe/Amsterdam"))
NAMES = st.lists(st.sampled_from([n for n, c in COLUMNS.items() if c.comparable]), max_size=4, unique=True)
PERSON = st.sampled_from([{}, {"name": "Ann", "email": "ann@example.com", "student_id": 5, "external_id": "x"}])

USUAL = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
NONSENSE = st.sampled_from(
    [
        "",
        "2018-11-17T16:09:39.373",
        "2018-02-30T16:09:39.373Z",
        "2018-11-17T24:09:39.373Z",
        "2018-11-17T16:60:39.373Z",
        "2018-11-17T16:09:60.373Z",
        "0000-11-17T16:09:39.373Z",
        "0001-01-01T00:00:00.000+01:00",
        "9999-12-31T23:59:59.5-01:00",
    ]
)
TIMES = st.one_of(USUAL, USUAL, instant_texts(), NONSENSE)


def told(act: Any, *given_: Any) -> Any:
    try:
        return act(*given_)
    except UpstreamError as error:
        return str(error)
    except (ValueError, PushdownIgnored):
        return "refused"


def same_columns(codec: Codec, rows: Sequence[bytes], names: Sequence[str], person: dict[str, Any]) -> None:
    by_column = told(codec.columns, rows, 17, names, person)
    one_by_one = told(lambda: columns_of(codec.scan(rows, 17, names, person), 17, names))
    if isinstance(by_column, str) or isinstance(one_by_one, str):
        assert by_column == one_by_one
        return
    for one, other in zip(by_column, one_by_one, strict=True):
        assert (one if isinstance(one, dict) else list(one)) == (other if isinstance(other, dict) else list(other))
    shown = [list(map(type, column)) for column in by_column.values.values()]
    assert shown == [list(map(type, column)) for column in one_by_one.values.values()]


@given(st.lists(sessions(EXAMS), max_size=5), NAMES, PERSON)
def test_sessions_by_column(page: list[dict[str, Any]], names: list[str], person: dict[str, Any]) -> None:
    same_columns(SessionCodec(EXAMS, SETTINGS), [dumps(session).encode() for session in page], names, person)


ODD = st.dictionaries(st.sampled_from([*COLUMNS, "start_time", "name", "attempt"]), json_values(2), max_size=1)


@given(st.lists(st.tuples(legacy_records([17, 18]), ODD), max_size=4), NAMES)
def test_student_sessions_by_column(page: list[tuple[dict[str, Any], dict[str, Any]]], names: list[str]) -> None:
    rows = [dumps(record | odd).encode() for record, odd in page]
    same_columns(StudentCodec(SETTINGS), rows, names, {})


@pytest.mark.parametrize("names", [("in_setup", "current_exam_mode"), ("current_exam_mode", "in_setup")])
def test_the_first_record_that_is_wrong_is_named(names: tuple[str, str]) -> None:
    """Not the first column of which any record is wrong: otherwise the order of a filter would change the message."""
    records = [{"id": 1, "exam_id": 17, "current_exam_mode": {}}, {"id": 2, "exam_id": 17, "in_setup": {}}]
    rows = [json.dumps(record).encode() for record in records]
    with pytest.raises(UpstreamError, match="student session 1 has no string in 'current_exam_mode'"):
        StudentCodec(SETTINGS).columns(rows, 17, names, {})


def wanted(plan: Plan, row: Row) -> bool:
    """Whether a record matches, by what a condition means for one value."""
    query = plan.query
    capability: Capability = "exam"
    matches = row.exam_id == query.exam_id
    if matches and query.status is not None:
        capability, matches = "status", row.values["status"] == query.status
    if matches:
        capability, matches = "filter", all(each.holds(row.values[each.column]) for each in query.conditions)
    if not matches and capability in plan.pushed:
        raise PushdownIgnored(capability)
    return matches


@given(st.data())
def test_a_page_is_selected_as_its_records_are(data: st.DataObject) -> None:
    records = data.draw(st.lists(legacy_records([17, 17, 18]), max_size=5))
    parameters = Parameters({**data.draw(queries(records)), "id": "17"}, {})
    pushed = data.draw(st.sets(st.sampled_from(["exam", "status", "filter", "sort"])))
    plan = Plan(parse_query(parameters, SETTINGS.zone), frozenset(pushed), direct=False)
    codec, rows = StudentCodec(SETTINGS), [dumps(record).encode() for record in records]

    def one_by_one() -> list[Any]:
        return [row.record for row in codec.scan(rows, 17, plan.columns, {}) if wanted(plan, row)]

    def by_column() -> list[Any]:
        page = plan.select(codec.columns(rows, 17, plan.columns, {}))
        assert {len(column) for column in page.values.values()} <= {len(page.places)}
        return [rows[place] for place in page.places]

    assert told(by_column) == told(one_by_one)


@given(st.lists(st.one_of(st.none(), TIMES), max_size=6))
def test_a_column_of_times_is_its_instants(texts: list[str | None]) -> None:
    columns = TimeColumns(Times(SETTINGS.zone))

    def plainly() -> list[str | None]:
        return [None if text is None else instants.sortable(instants.read(text, SETTINGS.zone)) for text in texts]

    for _ in range(2):  # the second time, from what is remembered
        assert told(columns.sortable, texts) == told(plainly)


FAR = st.one_of(st.integers(-(10**12), 10**12), st.integers(-(10**30), 10**30), st.integers(-(2**20000), 2**20000))
INSTANTS = st.tuples(FAR, st.text("0123456789", max_size=5).map(lambda digits: digits.rstrip("0")))


@given(INSTANTS, INSTANTS)
def test_sortable_times_sort_as_instants_do(one: instants.Instant, other: instants.Instant) -> None:
    assert (instants.sortable(one) < instants.sortable(other)) == (one < other)
    assert (instants.sortable(one) == instants.sortable(other)) == (one == other)


@pytest.mark.parametrize("seconds", [-62135596800, 253402300799, 0])
def test_sortable_times_at_the_ends_of_the_years(seconds: int) -> None:
    near = [(seconds + step, digits) for step in (-1, 0, 1) for digits in ("", "0001", "5")]
    texts = [instants.sortable(instant) for instant in near]
    assert texts == sorted(texts)
    assert len(set(texts)) == len(near)


def test_the_fast_form_is_used_where_it_can_be() -> None:
    """Otherwise the comparisons above would hold for nothing."""
    session = {"id": "5", "applicationId": EXAMS[17], "metadata": {"name": "Ann", "exam_student": {"attempt": 2}}}
    session |= {"startedAtTime": "2018-11-17T16:09:39.370Z", "endedAtTime": "2018-11-17T17:10:39.373+01:00"}
    names = ("name", "attempt", "start_time", "end_time", "updated_at", "status")
    columns = SessionColumns(names, TimeColumns(Times(timezone.utc)))
    codec = SessionCodec(EXAMS, LegacySettings())
    decoded = codec._look(names).decode(json.dumps([session]).encode())
    wanted = {
        "name": ["Ann"],
        "attempt": [2],
        "start_time": ["2018-11-17T16:09:39.370"],
        "end_time": ["2018-11-17T16:10:39.373"],
        "updated_at": ["2018-11-17T16:10:39.373"],
        "status": ["exam_finished"],
    }
    assert columns.of(partial(_values, decoded), 1, {}, 17) == wanted
    scanned = codec._scanner.columns([json.dumps(session).encode()], names)
    assert (scanned is None) == (extension() is None)
    if scanned is not None:
        assert columns.of(scanned.__getitem__, 1, {}, 17) == wanted


@given(st.lists(sessions(EXAMS), max_size=5), NAMES, PERSON)
def test_sessions_are_read_with_their_page_as_they_are_alone(
    page: list[dict[str, Any]], names: list[str], person: dict[str, Any]
) -> None:
    codec, texts = SessionCodec(EXAMS, SETTINGS), [dumps(session).encode() for session in page]
    body = b'{"limit":300,"offset":0,"sessions":[%b],"total":%d}' % (b",".join(texts), len(texts))
    read = codec.walk_page(names) or paginated_sessions.raw_page
    rows = told(lambda: paginated_sessions.read_chunk(Reply(200, {}, body), 0, read).rows)
    assert list(map(bytes, rows)) == texts
    assert told(codec.columns, rows, 17, names, person) == told(codec.columns, texts, 17, names, person)


@given(st.lists(legacy_records([17, 18], complete=True), max_size=4), NAMES)
def test_student_sessions_are_read_with_their_page_as_they_are_alone(
    page: list[dict[str, Any]], names: list[str]
) -> None:
    codec, texts = StudentCodec(SETTINGS), [dumps(record).encode() for record in page]
    read = codec.walk_page(names) or student_sessions.raw_page
    body, headers = (
        b'{"students":[%b]}' % b",".join(texts),
        {"X-Pagination-Item-Count": "0", "X-Pagination-Limit": "300"},
    )
    rows = student_sessions.read_chunk(Reply(200, headers, body), 0, read).rows
    assert list(map(bytes, rows)) == texts
    assert told(codec.columns, rows, 17, names, {}) == told(codec.columns, texts, 17, names, {})


class Forgotten(dict[int, int]):
    """A table that another thread clears right after it was looked whether a key is there."""

    def __contains__(self, key: object) -> bool:
        return True


def test_a_table_that_is_cleared_meanwhile_is_looked_up_anew() -> None:
    assert _looked_up(Forgotten(), [1, 2, 1], lambda key: 10 * key) == [10, 20, 10]
