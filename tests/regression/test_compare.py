"""Comparing, beside the faults: other routes, odd bodies, and that nothing is found only where nothing differs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timezone
from typing import Any

import pytest
from answers_of import AT, Page, body_of, call_of, pair_of
from faults import WHOLE
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.legacy.routes import SHOW_STUDENT, LegacyCall
from compat.regression.comparing.compare import change_of_value, compare
from compat.regression.comparing.pairs import Answered, Pair

SHOW = LegacyCall(SHOW_STUDENT, "17", "student_session_id=5")


def one(record: Any, status: int = 200) -> Answered:
    return Answered(status, {"Content-Type": "application/json"}, json.dumps({"student": record}).encode())


def found(call: LegacyCall, old: Answered, new: Answered) -> list[tuple[str, str | None, str | None]]:
    return [(each.kind, each.record, each.field) for each in compare(Pair(call, None, AT, old, new, "legacy"))]


def test_one_student_is_compared_as_a_list_of_one_is() -> None:
    record = WHOLE[0]
    key = str(record["id"])
    assert not found(SHOW, one(record), one(dict(record)))
    assert found(SHOW, one(record), one({**record, "attempt": 9})) == [("number", key, "attempt")]
    assert set(found(SHOW, one(record), one({**record, "id": 1}))) == {
        ("record missing", key, None),
        ("record added", "1", None),
    }
    assert found(SHOW, one(record), Page.of([record]).answered())[-1][0] == "body shape"


def test_an_answer_without_a_body_is_compared_by_its_headers() -> None:
    call = replace(call_of({"limit": 10}), method="HEAD")
    old = replace(Page.of(WHOLE).answered(), body=b"")
    assert not found(call, old, old)
    assert found(call, old, replace(old, headers={**old.headers, "X-Pagination-Item-Count": "1"})) == [
        ("header value", None, "x-pagination-item-count")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"students": []}', '{ "students" : [ ] }'),
        ('{"students": [{"id": 1, "name": "Zoë"}]}', '{"students":[{"id":1,"name":"Zo\\u00eb"}]}'),
        ('{"students": [{"id": 1, "name": "a/b"}]}', '{"students": [{"id": 1, "name": "a\\/b"}]}'),
        ('{"students": [{"id": 1, "incidents": [1, 2]}]}', '{"students": [{"id": 1, "incidents": [1,2]}]}'),
        ("{}", "{ }"),
    ],
)
def test_what_reads_the_same_is_the_same(old: str, new: str) -> None:
    assert not found(call_of({"limit": 10}), Answered(200, {}, old.encode()), Answered(200, {}, new.encode()))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"\xff", b"{", b'{"students": 5}', b'{"students": [5]}', b"[" * 5000]
)
def test_no_body_is_too_odd_to_be_compared(body: bytes) -> None:
    old = Page.of(WHOLE).answered()
    odd = replace(old, body=body)
    assert found(call_of({"limit": 10}), old, odd)
    assert found(call_of({"limit": 10}), odd, old)
    assert not found(call_of({"limit": 10}), odd, odd)


def test_a_record_that_both_lists_have_twice_is_compared_with_its_like() -> None:
    first, second = {"id": 1, "name": "a"}, {"id": 1, "name": "b"}
    old = Page.of([first, second])
    assert not found(
        call_of({"limit": 10}), old.answered(), replace(old.answered(), body=body_of([first, second], indent=1))
    )
    once = Page.of([first]).answered()
    assert ("record once", "1", None) in found(call_of({"limit": 10}), old.answered(), once)


def test_nothing_is_shown_of_a_difference_but_where_it_is() -> None:
    new = Page.of([{**WHOLE[0], "name": "Secret Name"}]).answered()
    [difference] = compare(pair_of(call_of({"limit": 10}), Page.of(WHOLE[:1]).answered(), new))
    assert repr(difference) == f"<Difference 'text' record={WHOLE[0]['id']} field=name>"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
RECORDS = st.dictionaries(st.sampled_from(["name", "start_time", "attempt", "incidents", "other"]), VALUES, max_size=4)
LISTS = st.lists(RECORDS, max_size=5).map(lambda listed: [{"id": key, **each} for key, each in enumerate(listed)])


def strictly(value: Any) -> str:
    """JSON text that tells 1, 1.0 and true apart, with fields in their order."""
    return json.dumps(value)


@settings(max_examples=50)
@given(LISTS, LISTS)
def test_something_is_found_where_and_only_where_lists_differ(old: list[Any], new: list[Any]) -> None:
    pair = pair_of(call_of({"limit": 10}), Page.of(old).answered(), Page.of(new).answered())
    pair = replace(pair, new=replace(pair.new, headers=pair.old.headers, body=body_of(new, indent=1)))
    assert bool(compare(pair)) == (strictly(old) != strictly(new))


@settings(max_examples=30)
@given(LISTS, st.randoms(use_true_random=False))
def test_another_order_is_one_difference(listed: list[Any], random: Any) -> None:
    shuffled = random.sample(listed, len(listed))
    differences = compare(pair_of(call_of({"limit": 10}), Page.of(listed).answered(), Page.of(shuffled).answered()))
    assert [each.kind for each in differences] == ([] if shuffled == listed else ["order"])


@pytest.mark.parametrize(("old", "new"), [([True], [1]), ([1.0], [1]), ({"a": True}, {"a": 1}), ([[], 1], [1, []])])
def test_what_python_takes_for_equal_is_told_apart(old: Any, new: Any) -> None:
    kind = change_of_value("incidents", json.dumps(old).encode(), json.dumps(new).encode(), timezone.utc)
    assert kind in ("items", "items order")


@given(st.sampled_from(["name", "start_time", "attempt"]), VALUES, VALUES)
def test_the_kind_of_a_change_is_there_where_and_only_where_values_differ(field: str, old: Any, new: Any) -> None:
    kind = change_of_value(field, json.dumps(old).encode(), json.dumps(new, ensure_ascii=False).encode(), timezone.utc)
    assert (kind is None) == (strictly(old) == strictly(new))
