"""Laws 1 to 5 of the contract, by hypothesis, in both directions."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat import SessionLens
from compat.errors import MappingError
from compat.mapping.lens import Remainder
from compat.testing import laws
from compat.testing.strategies import edits, exams, json_values, legacy_records, sessions
from compat.text.json import dumps
from compat.upstream.base import LegacySettings
from compat.upstream.session_codec import SessionCodec
from compat.upstream.student_codec import StudentCodec

ZONES = st.sampled_from(["UTC", "Europe/Amsterdam", "Asia/Kolkata", "America/New_York"]).map(ZoneInfo)
PEOPLE = st.fixed_dictionaries(
    {},
    optional={"name": st.text(max_size=5), "email": st.none(), "student_id": st.integers(), "external_id": st.text()},
)
EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11", 18: "0f0f0f0f-3c1e-4c86-9d0e-0f6c3c1d2a12"}


@given(st.data(), exams(), ZONES)
def test_law_1_a_record_comes_back(data: st.DataObject, applications: dict[int, str], zone: ZoneInfo) -> None:
    record = data.draw(legacy_records(list(applications), complete=data.draw(st.booleans())))
    laws.record_comes_back(SessionLens(applications, zone), record)


@given(st.data(), exams(), ZONES, PEOPLE)
def test_law_2_a_session_comes_back(
    data: st.DataObject, applications: dict[int, str], zone: ZoneInfo, person: dict[str, object]
) -> None:
    laws.session_comes_back(SessionLens(applications, zone), data.draw(sessions(applications)), person)


@given(sessions(EXAMS))
def test_law_2_holds_when_the_remainder_went_through_json(session: dict[str, object]) -> None:
    lens = SessionLens(EXAMS)
    view = lens.to_legacy(session)
    remainder = Remainder.from_dict(json.loads(json.dumps(view.remainder.as_dict())))
    assert lens.to_session(view.record, remainder) == session


@given(st.data(), exams(), ZONES, PEOPLE)
def test_law_3_an_edit_survives(
    data: st.DataObject, applications: dict[int, str], zone: ZoneInfo, person: dict[str, object]
) -> None:
    session = data.draw(sessions(applications))
    laws.edit_survives(SessionLens(applications, zone), session, data.draw(edits(list(applications))), person)


@given(st.data(), exams(), ZONES, PEOPLE)
def test_law_4_every_loss_is_listed(
    data: st.DataObject, applications: dict[int, str], zone: ZoneInfo, person: dict[str, object]
) -> None:
    laws.losses_are_listed(SessionLens(applications, zone), data.draw(sessions(applications)), person)


def test_law_4_takes_a_key_with_a_dot_for_a_key() -> None:
    session = {"id": "1", "applicationId": EXAMS[17], ".": None, "metadata": {"a.b": 1}, "c.d": 2}
    session |= {"startedAtTime": "2000-01-01T00:00:00Z", "endedAtTime": "2000-01-01T00:00:00Z"}
    laws.losses_are_listed(SessionLens(EXAMS), session)


def _mutated(data: st.DataObject, record: dict[str, object]) -> bytes:
    """A record's text as it is, or with a value of another type, cut off, or with a byte changed."""
    kind = data.draw(st.sampled_from(["whole", "drift", "cut", "byte", "absent"]))
    if kind == "drift":
        record = record | {data.draw(st.sampled_from(sorted(record))): data.draw(json_values())}
    if kind == "absent":
        gone = data.draw(st.sampled_from(sorted(record)))
        record = {name: value for name, value in record.items() if name != gone}
    text = dumps(record).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    if kind == "cut":
        text = text[:place]
    if kind == "byte":
        text = text[:place] + bytes([data.draw(st.integers(0, 127))]) + text[place + 1 :]
    try:
        text.decode()
    except UnicodeDecodeError:
        # The page as a whole is refused before: see the tests of the upstreams.
        return b"{}"
    return text


SETTINGS = st.builds(
    LegacySettings, ZONES, st.one_of(st.just("all"), st.just(()), st.just(("pin_code", "name", "pod_names")))
)


@given(st.data(), SETTINGS)
def test_law_5_for_student_sessions(data: st.DataObject, shown: LegacySettings) -> None:
    record = data.draw(legacy_records([17], complete=data.draw(st.booleans())))
    laws.compiled_agrees(StudentCodec(shown), _mutated(data, record | {"pin_code": data.draw(json_values())}))


@given(st.data(), SETTINGS, PEOPLE)
def test_law_5_for_paginated_sessions(data: st.DataObject, shown: LegacySettings, person: dict[str, object]) -> None:
    session = data.draw(sessions(EXAMS))
    laws.compiled_agrees(SessionCodec(EXAMS, shown), _mutated(data, session), person)


@given(st.data())
def test_law_5_for_born_old_sessions(data: st.DataObject) -> None:
    session = SessionLens(EXAMS).to_session(data.draw(legacy_records([17, 18])))
    laws.compiled_agrees(SessionCodec(EXAMS, LegacySettings()), _mutated(data, session))


INNER = {
    "metadata": '"metadata":{}',
    "metadata.name": '"metadata":{"name":{}}',
    "metadata.exam_student": '"metadata":{"exam_student":{}}',
    "carried.incidents": '"metadata":{"exam_student":{"incidents":{}}}',
    "carried.name": '"metadata":{"exam_student":{"name":{}}}',
    "id": '"id":{}',
    "unknown": '"unknown":{}',
}
AWKWARD = [
    *("1.10", "-0", "1e400", "9" * 400, "9" * 5000, "1E5", "-1.0e-7", "[1.10, -0]", '{"a":1.10}', "true"),
    *("NaN", "Infinity", "01", "1.", '"\t"', '"\x00"', '"\\u0000"', '"\\ud800"', '"\\ud800\\udc00"'),
    *('{"a":1,"a":2}', "[" * 2000 + "]" * 2000),
]


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("name", ["name", "student_id", "incidents", "start_time", "id", "exam_id", "unknown"])
def test_law_5_for_awkward_values_of_a_record(name: str, value: str) -> None:
    text = f'{{"id":1,"exam_id":17,"{name}":{value}}}'.encode()
    laws.compiled_agrees(StudentCodec(LegacySettings()), text)


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("place", INNER)
def test_law_5_for_awkward_values_of_a_session(place: str, value: str) -> None:
    inner = INNER[place].replace("{}", value, 1)
    text = (
        f'{{"id":"1","applicationId":"{EXAMS[17]}","startedAtTime":"2018-11-17T16:09:39.373Z",'
        f'"endedAtTime":"2018-11-17T17:09:39.373Z",{inner}}}'
    ).encode()
    laws.compiled_agrees(SessionCodec(EXAMS, LegacySettings()), text)


def test_a_record_that_cannot_be_mapped_is_refused_by_name() -> None:
    lens = SessionLens(EXAMS)
    good = {"id": 1, "exam_id": 17, "start_time": "2018-11-17T17:09:39Z", "end_time": "2018-11-17T17:10:19Z"}
    refusals = [
        ({"id": 0}, "id"),
        ({"id": 2**52}, "id"),
        ({"id": "1"}, "id"),
        ({"id": None}, "id"),
        ({"id": True}, "id"),
        ({"exam_id": 99}, "exam_id"),
        ({"exam_id": "17"}, "exam_id"),
        ({"start_time": None}, "start_time"),
        ({"end_time": None}, "end_time"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"end_time": 5}, "end_time"),
        ({"end_time": "2018-11-17T17:09:38.999Z"}, "end_time"),
        ({"recording_started_at": "x"}, "recording_started_at"),
    ]
    for change, field in refusals:
        with pytest.raises(MappingError) as refused:
            lens.to_session(good | change)
        assert refused.value.field == field
        assert str(refused.value).startswith(f"{field}: ")
