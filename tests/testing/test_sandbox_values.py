"""How the sandbox's reference reads values and compares them, on records small enough to see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from compat.testing.sandbox.reference import (
    FIELDS,
    STATUSES,
    Number,
    amsterdam_text,
    filtered,
    find_zone,
    one_page,
    ordered,
    page_count,
    read_boolean,
    read_filter,
    read_instant,
    read_integer,
    read_sort,
    read_strict_json,
    read_string,
    read_time,
    utc_text,
)  # fmt: skip

UTC = timezone.utc
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
BLANK: dict[str, Any] = dict.fromkeys(FIELDS)


@dataclass(frozen=True)
class Row:
    record: dict[str, Any]


def rows(column: str, values: list[Any]) -> list[Row]:
    return [Row({**BLANK, "id": position, column: value}) for position, value in enumerate(values)]


def kept(column: str, values: list[Any], operators: dict[str, Any]) -> list[Any]:
    conditions = read_filter(json.dumps({column: operators}), UTC)
    return [row.record[column] for row in filtered(rows(column, values), conditions, UTC)]


def test_the_record_has_57_fields_and_there_are_eleven_statuses() -> None:
    assert len(FIELDS) == len(set(FIELDS)) == 57
    assert (FIELDS[0], FIELDS[-1]) == ("id", "incidents")
    assert len(STATUSES) == 11


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Number("5"), 5),
        (Number("5.0"), 5),
        (Number("1e2"), 100),
        (Number("-0"), 0),
        (Number("0e99999"), 0),
        (Number("9007199254740993.0"), 2**53 + 1),
        ("-17", -17),
        ("007", 7),
        (Number("1e399"), 10**399),
    ],
)
def test_integers(value: object, expected: int) -> None:
    assert read_integer(value, UTC) == expected


@pytest.mark.parametrize(
    "value",
    [
        Number("5.5"), Number("1e400"), Number("1e999999999"), Number("1e99999999999999999999"),
        Number("1e-9"), "+5", "5.0", "1e2", " 5", "٥", "", True, [], "9" * 401,
    ],
)  # fmt: skip
def test_values_that_are_no_integers(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_integer(value, UTC)


@pytest.mark.parametrize("value", [True, Number("1"), "1", "true", "True", "TRUE"])
def test_values_that_are_true(value: object) -> None:
    assert read_boolean(value, UTC) is True


@pytest.mark.parametrize("value", [False, Number("0"), "0", "false", "False"])
def test_values_that_are_false(value: object) -> None:
    assert read_boolean(value, UTC) is False


@pytest.mark.parametrize("value", [Number("1.0"), Number("2"), "yes", "", []])
def test_values_that_are_no_booleans(value: object) -> None:
    with pytest.raises(ValueError, match="Must be one of: true, false, 1, 0"):
        read_boolean(value, UTC)


def test_strings_take_a_number_by_its_own_text() -> None:
    assert read_string(Number("70.0"), UTC) == "70.0"
    assert read_string("", UTC) == ""
    with pytest.raises(ValueError, match="text"):
        read_string(True, UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-01", (0, "")),
        ("1970-01-01T00:01", (60, "")),
        ("1970-01-01T00:00:01.50", (1, "5")),
        ("1970-01-01T00:00:01,123456789012345678", (1, "123456789012345678")),
        ("1970-01-01T01:00:00+01:00", (0, "")),
        ("1970-01-01T00:00:00-01", (3600, "")),
        ("1969-12-31T23:59:59.9Z", (-1, "9")),
        (Number("1500"), (1, "5")),
        (Number("-1"), (-1, "999")),
        (Number("1.5e3"), (1, "5")),
        ("1542470979373", (1542470979, "373")),
        ("-10000000001", (-10000001, "999")),
        ("0001-01-01T00:00+23:59", (-62135596800 - 86340, "")),
    ],
)
def test_times(value: object, expected: tuple[int, str]) -> None:
    assert read_time(value, UTC) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2018", "20181117", "2018-11", "2018-W46-6", "2018-321", "2018-11-17 10:00", "2018-11-17t10:00",
        "2018-11-17T10:00z", "2018-11-17T24:00", "2018-11-17T10:60", "2018-11-17T23:59:60", "2018-11-17T10",
        "2018-11-17T10:00:00.", "2018-11-17T1000", "2018-11-17T10:00+0100", "2018-11-17T10:00+24:00",
        "2018-11-17T10:00+01:60", "2018-02-29", "0000-01-01", "2018-11-17Z", "1234567890", "12345678901234",
        " 2018-11-17", "2018-11-17\n", "٢٠١٨-11-17", "", Number("1.5"), Number("1e30"), True, [],
    ],
)  # fmt: skip
def test_values_that_are_no_times(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_time(value, UTC)


def test_a_time_without_offset_is_one_of_the_zone() -> None:
    assert read_instant("2018-07-01", AMSTERDAM) == read_instant("2018-06-30T22:00Z", UTC)
    # The clock shows 02:30 twice that night; the first time counts.
    assert read_instant("2018-10-28T02:30", AMSTERDAM) == read_instant("2018-10-28T00:30Z", UTC)
    # The clock never shows 02:30 that night; it is read by the offset of before.
    assert read_instant("2018-03-25T02:30", AMSTERDAM) == read_instant("2018-03-25T01:30Z", UTC)
    for edge in ("0001-01-01", "9999-12-31T23:59:59.999"):
        assert read_instant(edge, AMSTERDAM)


def test_writing_times_keeps_every_digit() -> None:
    assert utc_text("2018-11-17T17:09:39.3730+01:00") == "2018-11-17T16:09:39.3730Z"
    assert utc_text("2018-11-17T17:09:39+01:00") == "2018-11-17T16:09:39Z"
    for seconds in (1540688399, 1540688400, 1521939599, 1521939600):
        assert read_instant(amsterdam_text(seconds, ".1"), UTC) == (seconds, "1")
        assert amsterdam_text(seconds) == amsterdam_text(seconds)[:-6] + _offset(seconds)


def _offset(seconds: int) -> str:
    return "+02:00" if 1521939600 <= seconds < 1540688400 else "+01:00"


def test_unknown_zones_are_refused() -> None:
    with pytest.raises(ValueError, match="Mars/Olympus"):
        find_zone("Mars/Olympus")


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '[{"a":{"b":1,"b":1}}]', "NaN", "[Infinity]", "{", "[" * 100_000])
def test_json_that_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_strict_json(text)


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ({"eq": 2}, [2]),
        ({"ne": 2}, [1, 3]),
        ({"gt": 2}, [3]),
        ({"gte": 2}, [2, 3]),
        ({"lt": 2}, [1]),
        ({"lte": 2}, [1, 2]),
        ({"in": [1, "3", 9]}, [1, 3]),
        ({"nin": [1, 3]}, [2]),
        ({"gt": 1, "lt": 3}, [2]),
        ({}, [1, None, 2, 3]),
        ({"eq": None}, [None]),
        ({"ne": None}, [1, 2, 3]),
        ({"gt": None}, []),
        ({"gte": None}, []),
        ({"lt": None}, []),
        ({"lte": None}, []),
        ({"in": []}, []),
        ({"nin": []}, [1, None, 2, 3]),
        ({"in": [None]}, [None]),
        ({"in": [None, 2]}, [None, 2]),
        ({"nin": [None]}, [1, 2, 3]),
        ({"nin": [None, 2]}, [1, 3]),
    ],
)
def test_each_operator_with_and_without_nulls(operators: dict[str, Any], expected: list[Any]) -> None:
    assert kept("student_id", [1, None, 2, 3], operators) == expected


def test_false_is_less_than_true() -> None:
    assert kept("archived", [True, False, None], {"lt": True}) == [False]
    assert kept("archived", [True, False, None], {"gte": "0"}) == [True, False]


def test_strings_compare_by_code_point() -> None:
    values = ["a", "B", "é", "z", "\uffff", "😀"]
    assert kept("name", values, {"lt": "a"}) == ["B"]
    assert kept("name", values, {"gt": "\uffff"}) == ["😀"]
    assert kept("name", values, {"eq": "A"}) == []


def test_times_compare_as_instants() -> None:
    values = [
        "2018-10-28T02:30:00.000+02:00",
        "2018-10-28T02:10:00.000+01:00",
        "2018-10-28T02:30:00.0004+02:00",
    ]
    assert kept("start_time", values, {"gt": "2018-10-28T00:30:00Z"}) == values[1:]
    assert kept("start_time", values, {"eq": "2018-10-28T00:30:00.0000Z"}) == values[:1]
    result = ordered(rows("start_time", values), read_sort('[{"start_time":"asc"}]'), UTC)
    assert [row.record["start_time"] for row in result] == [values[0], values[2], values[1]]


def test_nulls_sort_last_ascending_and_first_descending_and_ties_keep_their_order() -> None:
    given = rows("time_slot", [2, None, 1, 2, None])
    ascending = ordered(given, read_sort('[{"time_slot":"ASC"}]'), UTC)
    descending = ordered(given, read_sort('[{"time_slot":"Desc"}]'), UTC)
    assert [row.record["id"] for row in ascending] == [2, 0, 3, 1, 4]
    assert [row.record["id"] for row in descending] == [1, 4, 0, 3, 2]


def test_several_keys_count_in_their_order_in_one_object_or_in_many() -> None:
    given = [Row({**BLANK, "id": 1, "attempt": 0}), Row({**BLANK, "id": 2, "attempt": 1})]
    given += [Row({**BLANK, "id": 3, "attempt": 0})]
    for text in ('[{"attempt":"asc","id":"desc"}]', '[{"attempt":"asc"},{"id":"desc"}]'):
        assert [row.record["id"] for row in ordered(given, read_sort(text), UTC)] == [3, 1, 2]


@pytest.mark.parametrize("text", ["[]", "[{}]"])
def test_a_sort_without_keys_changes_nothing(text: str) -> None:
    assert read_sort(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "[]", "null", "1", '"x"', "{", '{"name":1}', '{"name":null}', '{"name":[]}', '{"nam":{}}',
        '{"Name":{"eq":"x"}}', '{"incidents":{}}', '{"rtc_session_ids":{"eq":null}}', '{"name":{"EQ":"x"}}',
        '{"name":{"like":"x"}}', '{"name":{"in":"x"}}', '{"name":{"in":null}}', '{"name":{"eq":["x"]}}',
        '{"name":{"eq":true}}', '{"id":{"eq":"x"}}', '{"archived":{"in":[2]}}',
        '{"start_time":{"gt":"soon"}}', '{"name":{"eq":NaN}}', '{"name":{},"name":{}}',
        '{"name":{"eq":"x","eq":"y"}}',
    ],
)  # fmt: skip
def test_filters_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_filter(text, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "{}", "null", "name", '["name"]', '[{"name":1}]', '[{"name":null}]', '[{"name":"up"}]',
        '[{"nam":"asc"}]', '[{"Name":"asc"}]', '[{"incidents":"asc"}]', '[{"name":"asc","name":"asc"}]',
        '[null]',
    ],
)  # fmt: skip
def test_sorts_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_sort(text)


def test_pages() -> None:
    given = rows("id", list(range(5)))
    assert [len(one_page(given, page, 2)) for page in (1, 2, 3, 4)] == [2, 2, 1, 0]
    assert [page_count(size, 2) for size in (0, 1, 2, 3)] == [0, 1, 1, 2]
