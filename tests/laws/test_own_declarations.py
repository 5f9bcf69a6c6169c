"""The laws over a declaration that adds fields to the 57, and over payloads of one's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat import SessionLens
from compat.schemas import StudentSchema
from compat.schemas.fields import Array, Integer, String
from compat.schemas.rules import Constant, Default, LookedUp
from compat.testing import laws
from compat.testing.strategies import legacy_records, sessions

EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"}
SESSION = {
    "id": "5",
    "applicationId": EXAMS[17],
    "startedAtTime": "2018-11-17T16:09:39Z",
    "endedAtTime": "2018-11-17T17:09:39Z",
    "metadata": {"pin_code": "0815", "email": "ada@example.org"},
}


class Grown(StudentSchema):
    """With fields that were seen in answers and stand in no seed."""

    pin_code = String(LookedUp("pin_code"))
    incidents_count = Integer(Default(0))
    pod_names = Array(Default([]))


LENS = SessionLens(EXAMS, student=Grown)


@given(st.data())
def test_law_1_holds_for_added_fields(data: st.DataObject) -> None:
    record = data.draw(legacy_records([17], complete=data.draw(st.booleans()), student=Grown))
    laws.record_comes_back(LENS, record)
    assert laws.hold(LENS, records=[record]) == 1


@given(sessions(EXAMS))
def test_laws_2_and_4_hold_for_added_fields(session: dict[str, Any]) -> None:
    assert laws.hold(LENS, sessions=[session]) == 1


def test_an_added_field_is_read_and_carried() -> None:
    view = LENS.to_legacy(SESSION)
    assert (view.record["pin_code"], view.record["incidents_count"]) == ("0815", 0)
    made = LENS.to_session(view.record | {"incidents_count": 3}, view.remainder)
    assert made["metadata"]["exam_student"] == {"incidents_count": 3}
    assert "pin_code" not in SessionLens(EXAMS).to_legacy(SESSION).record


def test_an_added_field_that_says_the_wrong_thing_fails_at_once() -> None:
    class Wrong(StudentSchema):
        pin_code = String(Constant(True))

    with pytest.raises(TypeError, match=r"Wrong\.pin_code: True is not a string"):
        SessionLens(EXAMS, student=Wrong)


class _Forgets(SessionLens):
    def to_session(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super().to_session(*args, **kwargs) | {"metadata": None}


def test_every_payload_that_breaks_a_law_is_named_and_none_of_its_values() -> None:
    record = LENS.to_legacy(SESSION).record
    unmapped = record | {"exam_id": 4}
    with pytest.raises(AssertionError) as caught:
        laws.hold(_Forgets(EXAMS), records=[record, unmapped], sessions=[SESSION])
    first, second, *others = str(caught.value).splitlines()
    assert first.startswith("record 1: law 1: ")
    assert "email" in first
    assert second == "record 2: exam_id: Must be an exam id that [exams] ties to an applicationId."
    assert others[0].startswith("session 1: law 2: ")
    assert "ada@" not in str(caught.value)
    assert "0815" not in str(caught.value)


def test_no_payload_shows_nothing() -> None:
    with pytest.raises(ValueError, match="no payload was given"):
        laws.hold(LENS)
