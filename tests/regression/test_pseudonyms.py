"""Pseudonyms select and sort as the values do that they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone, tzinfo
from fractions import Fraction
from random import Random
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.pseudonyms import (
    Exhausted,
    Labels,
    OrderedNames,
    PseudonymKey,
    RecordedNames,
    identity,
)
from compat.regression.recordings.redact import CallRedactor, _GivenParameters, pseudonymous
from compat.schemas import COLUMNS
from compat.schemas.fields import Array, Boolean, Integer, String, Time
from compat.testing.sandbox.reference import filtered, ordered, read_filter, read_sort
from compat.testing.strategies import queries

KEY = PseudonymKey(b"sixteen bytes or more")
ZONES = (timezone.utc, ZoneInfo("Europe/Amsterdam"))


@dataclass(frozen=True)
class Row:
    """A record, and where it stood."""

    record: Mapping[str, Any]
    place: int


TEXTS = ("", " ", "-", "_", "0", "5", "70.0", "Ann", "ann", "Ann B", "Zoë", "ß", "王", "🎓", "\x7f", "\0", "x" * 1000)
NUMBERS = (0, 1, -1, 5, 17, 10**6, 2**53 + 1, 2**70, -(2**70))
TIMES = (
    "2018-11-17",
    "2018-11-17T17:09:39.373+01:00",
    "2018-11-17T16:09:39.373Z",
    "2018-10-28T02:30:00",
    "2018-10-28T02:30:00+01:00",
    "2019-01-01T00:00:00.123456789-05:00",
)


def pool(name: str) -> tuple[Any, ...]:
    """Values of a column; of one that keeps words, such words and what sorts close to them."""
    column = COLUMNS[name]
    near = (
        [word[:-1] + more for word in column.kept for more in (word[-1], word[-1] + "-", word[-1] + "_", "", "é")]
        if (isinstance(column.kept, tuple))
        else []
    )
    by_type: dict[type[Any], tuple[Any, ...]] = {
        String: (*TEXTS, *near, *near),
        Integer: NUMBERS,
        Time: TIMES,
        Boolean: (True, False),
        Array: ([], [1, 2], ["x"], [{"comment": "Ann"}]),
    }
    return (None, *by_type[type(column)])


POOLS = {name: pool(name) for name in COLUMNS}


def some_records(size: int, seed: int) -> list[dict[str, Any]]:
    """Records of values that meet: drawn by a number alone, since hypothesis takes long over thousands of choices."""
    random = Random(seed)
    return [{name: random.choice(values) for name, values in POOLS.items()} for _ in range(size)]


RECORDS = st.builds(some_records, st.integers(1, 6), st.integers(0, 2**32))


def selected(records: list[Mapping[str, Any]], parameters: Mapping[str, str], zone: tzinfo) -> list[int]:
    """The places of the records that a query selects, in its order, by the plain reference."""
    rows = [Row(record, place) for place, record in enumerate(records)]
    if "status" in parameters:
        rows = [row for row in rows if row.record["status"] == parameters["status"]]
    rows = filtered(rows, read_filter(parameters.get("filter", "{}"), zone), zone)
    return [row.place for row in ordered(rows, read_sort(parameters.get("sort", "[]")), zone)]


def listing(parameters: Mapping[str, str]) -> LegacyCall:
    return LegacyCall(INDEX_STUDENTS, "17", urlencode(parameters))


def page(records: list[Any]) -> Answered:
    return Answered(200, {}, json.dumps({"students": records}).encode())


@settings(max_examples=150, deadline=None)
@given(RECORDS.flatmap(lambda records: st.tuples(st.just(records), queries(records))), st.sampled_from(ZONES))
def test_a_query_selects_the_same_among_pseudonyms(
    given_: tuple[list[dict[str, Any]], dict[str, str]], zone: tzinfo
) -> None:
    records, parameters = given_
    kept = CallRedactor(KEY, zone).call(listing(parameters), old=page(records))
    assert kept.old is not None
    hidden = json.loads(bytes(kept.old.body))["students"]
    assert selected(hidden, kept.parameters, zone) == selected(records, parameters, zone)
    assert set(kept.parameters) == set(parameters)
    assert [list(record) for record in hidden] == [list(record) for record in records]
    for record, original in zip(hidden, records, strict=True):
        for name, value in original.items():
            assert (record[name] is None) == (value is None)
            assert (record[name] == "") == (value == "")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_the_values_of_every_column_sort_as_before_whatever_comes_first(seed: int, size: int) -> None:
    random = Random(seed)
    shuffled = {name: random.sample(values, len(values)) for name, values in POOLS.items()}
    length = max(map(len, shuffled.values()))
    records = [{name: values[row % len(values)] for name, values in shuffled.items()} for row in range(length)]
    redactor = CallRedactor(KEY, timezone.utc)
    hidden: list[dict[str, Any]] = []
    for start in range(0, length, size):
        body = bytes(redactor.answer(page(records[start : start + size])).body)
        hidden += json.loads(body)["students"]
    for name, column in COLUMNS.items():
        if pseudonymous(column):
            pairs = [(record[name], other[name]) for record, other in zip(records, hidden, strict=True)]
            there = sorted({pair for pair in pairs if pair[0] is not None})
            assert [other for _, other in there] == sorted({other for _, other in there}), name
            assert len({value for value, _ in there}) == len(there), name


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=3), max_size=8), max_size=20))
def test_places_lie_in_the_order_of_the_values_whenever_these_come(batches: list[list[str]]) -> None:
    labels, there = Labels(), set()
    for batch in batches:
        assert labels.assign(batch) == sorted(set(batch) - there)
        there |= set(batch)
        numbers = [labels[value] for value in sorted(there)]
        assert numbers == sorted(set(numbers))
        assert all(0 < number < 2**80 for number in numbers)


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("between", [False, True])
def test_places_suffice_for_values_that_come_in_their_order(size: int, between: bool) -> None:
    labels = Labels()
    if between:
        labels.assign([-1, 10_000])
    for start in range(0, 3_000, size):
        labels.assign(range(start, start + size))
    assert len(labels) == 3_000 + 2 * between


def test_where_no_place_is_left_that_is_said() -> None:
    labels = Labels()
    low, high = Fraction(0), Fraction(1)
    labels.assign([low, high])

    def halve(times: int) -> None:
        nonlocal low, high
        for time in range(times):
            labels.assign([middle := (low + high) / 2])
            low, high = (middle, high) if time % 2 else (low, middle)

    halve(20)
    with pytest.raises(Exhausted):
        halve(1000)


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(min_size=1, max_size=4)), min_size=1, max_size=6), st.data())
def test_what_two_recordings_have_in_common_is_told_by_identity(names: list[str], data: st.DataObject) -> None:
    one, other = OrderedNames(KEY), OrderedNames(KEY)
    one.assign("name", names)
    for name in data.draw(st.permutations(names)):
        other.assign("name", [name])
    identities = [identity(one.of("name", name)) for name in names]
    assert identities == [identity(other.of("name", name)) for name in names]
    assert len(set(identities)) == len(set(names))


def test_another_column_and_another_key_give_another_digest() -> None:
    def digest(key: PseudonymKey, column: str, value: Any) -> bytes | None:
        names = OrderedNames(key)
        names.assign(column, [value])
        return identity(names.of(column, value))

    other = PseudonymKey(b"another key of sixteen bytes")
    given_ = {
        digest(KEY, "name", "Ann"),
        digest(KEY, "email", "Ann"),
        digest(other, "name", "Ann"),
        digest(KEY, "student_id", 5),
        digest(KEY, "proctor_id", 5),
        digest(KEY, "name", "5"),
    }
    assert None not in given_
    assert len(given_) == 6
    assert KEY.id != other.id


@settings(max_examples=50, deadline=None)
@given(RECORDS, st.data())
def test_an_answer_of_today_is_equal_to_the_recorded_one_where_the_values_are(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    recorded = CallRedactor(KEY, timezone.utc).answer(page(records))
    names = RecordedNames(KEY, json.loads(bytes(recorded.body))["students"])
    assert CallRedactor(KEY, timezone.utc, names).answer(page(records)) == recorded
    place = data.draw(st.integers(0, len(records) - 1))
    field = data.draw(st.sampled_from(sorted(COLUMNS)))
    value = data.draw(st.sampled_from(POOLS[field]))
    changed = [*records[:place], {**records[place], field: value}, *records[place + 1 :]]
    again = CallRedactor(KEY, timezone.utc, names).answer(page(changed))
    assert (again == recorded) == (value == records[place][field] and type(value) is type(records[place][field]))


def test_a_key_is_not_shown() -> None:
    assert "sixteen" not in repr(KEY)
    with pytest.raises(ValueError, match="16 bytes"):
        PseudonymKey(b"short")


def test_nothing_personal_stands_in_what_a_traceback_shows() -> None:
    call = listing({"filter": '{"email": {"eq": "ann@example.org"}}', "status": "ann@example.org", "limit": "5"})
    given = _GivenParameters.of(call, timezone.utc)
    assert "limit" in repr(given)
    assert "ann@" not in repr(given)
