"""Values of another type than declared: their text is kept, and the plain reader is not needed (contract 2)."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.drift import DRIFT
from compat.errors import LegacyError, UpstreamError
from compat.schemas import COLUMNS, STUDENT_FIELDS
from compat.testing.strategies import json_values
from compat.text.json import dumps, loads
from compat.upstream import student_sessions as student_pages
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec
from compat.upstream.transport import Reply

pytestmark = pytest.mark.usefixtures("reader")

EXAM = 17
HEADERS = {"X-Pagination-Item-Count": "3", "X-Pagination-Limit": "300"}
ODD = {
    "attempt": [b'"two"', b"1.0", b"1e3", b"1e400", b"true", b"{}", b"[1.10]", b'"\\ud800"', b'{"a":1,"a":2}'],
    "name": [b"5", b"-0", b"1.10", b"false", b'{"a":\n[-0]}', b"[]", b'"a\\ud800b"', b'"\\udc00\\ud800"'],
    "archived": [b"0", b"1", b'"false"', b"[]"],
    "updated_at": [b"1542470979373", b"1.5e12", b"{}"],
    "incidents": [b'"none"', b"0", b'{"a":{"a":1,"a":-0}}', b'["\\ud800"]'],
    "time_slot": [b"-0", b"9" * 25, b"-" + b"9" * 25, b"9" * 5000],
}
MEMBERS = [(name, text) for name, texts in ODD.items() for text in texts]


def record(number: int, **texts: bytes) -> bytes:
    members = {"id": b"%d" % number, "exam_id": b"%d" % EXAM, "attempt": b"0", "name": b'"N"', **texts}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), text) for name, text in members.items()) + b"}"


def shown(codec: StudentCodec, records: list[bytes]) -> bytes:
    """The page as the direct way gives it."""
    body = b'{"students":[' + b",".join(records) + b"]}"
    chunk = student_pages.read_chunk(Reply(200, HEADERS, body), 0, codec.page)
    at_once = codec.whole_page(chunk.rows, {"exam_id": EXAM})
    return at_once or codec.body(chunk.rows, [{}] * len(chunk.rows))


def walked(codec: StudentCodec, records: list[bytes]) -> bytes:
    """The page as a walk gives it."""
    body = b'{"students":[' + b",".join(records) + b"]}"
    rows = student_pages.read_chunk(Reply(200, HEADERS, body), 0).rows
    kept = codec.columns(rows, EXAM, ("id",), {}).places
    return codec.body([bytes(rows[at]) for at in kept], [{}] * len(kept))


def single(codec: StudentCodec, text: bytes, envelope: str = "student", status: int = 200) -> bytes:
    """The record as show and add give it."""
    body = b'{"%s":%s}' % (envelope.encode(), text)
    return codec.single(student_pages.read_row(Reply(status, {}, body), codec))


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> StudentCodec:
    """A codec whose plain reader, 30 times as dear, is not to be asked."""

    def dear(self: StudentCodec, text: Any, person: Any = None) -> bytes:
        raise AssertionError("the plain reader was asked")

    monkeypatch.setattr(StudentCodec, "plain", dear)
    return StudentCodec(LegacySettings())


@pytest.mark.parametrize("way", [shown, walked])
@pytest.mark.parametrize(("name", "text"), MEMBERS)
def test_an_odd_value_keeps_its_text_and_its_page_the_fast_way(
    codec: StudentCodec, name: str, text: bytes, way: Any
) -> None:
    page = [record(1), record(2, **{name: text}), record(3)]
    for _ in range(2):
        answer = way(codec, page)
        assert b'"%s":%s' % (name.encode(), text) in answer
        assert [list(each) for each in loads(answer)["students"]] == [list(STUDENT_FIELDS)] * 3


def test_odd_values_of_many_fields_of_one_page(codec: StudentCodec) -> None:
    page = [record(number, **{name: texts[0]}) for number, (name, texts) in enumerate(ODD.items())]
    page.append(record(99, **{name: texts[-1] for name, texts in ODD.items()}))
    for _ in range(2):
        students = loads(shown(codec, page))["students"]
        assert students[0]["attempt"] == "two"
        assert students[1]["name"] == 5
        assert students[-1]["incidents"] == ["\ud800"]
    assert DRIFT.seen().keys() == {"attempt", "name", "archived", "updated_at", "incidents"}


@pytest.mark.parametrize(("name", "text", "found"), [
    ("attempt", b'"two"', "a string"), ("attempt", b"1.0", "a number"), ("name", b"5", "a number"),
    ("incidents", b"{}", "an object"), ("time_slot", b"-0", None), ("time_slot", b"9" * 5000, None),
    ("name", b'"\\ud800"', None), ("name", b"null", None),
])  # fmt: skip
def test_drift_is_said_once(
    codec: StudentCodec, name: str, text: bytes, found: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "compat.drift"):
        for _ in range(2):
            shown(codec, [record(1), record(2, **{name: text})])
    assert DRIFT.seen() == ({} if found is None else {name: found})
    assert len(caplog.records) == len(DRIFT.seen())


def test_drift_is_said_after_a_value_that_is_only_long(codec: StudentCodec) -> None:
    shown(codec, [record(1, time_slot=b"9" * 5000)])
    shown(codec, [record(1, time_slot=b'"soon"')])
    assert DRIFT.seen() == {"time_slot": "a string"}


@pytest.mark.parametrize("name", ["id", "exam_id"])
@pytest.mark.parametrize("text", [b"null", b'"5"', b"5.5", b"true", b"[]"])
def test_an_id_has_to_be_an_integer(name: str, text: bytes) -> None:
    codec = StudentCodec(LegacySettings())
    for way in (shown, walked):
        with pytest.raises(UpstreamError, match=f"no integer in '{name}'"):
            way(codec, [record(1), record(2, **{name: text})])


@pytest.mark.parametrize(("name", "text"), [
    ("attempt", b'"two"'), ("name", b"5"), ("archived", b"0"), ("updated_at", b"5"), ("time_slot", b"1.0"),
])  # fmt: skip
def test_a_column_that_is_needed_is_refused_by_name_where_its_record_is_wanted(name: str, text: bytes) -> None:
    codec = StudentCodec(LegacySettings())
    page = [record(1), record(2, **{name: text}), record(3)]
    rows = [page[0], page[1], page[2]]
    for _ in range(2):
        with pytest.raises(UpstreamError, match=f"student session 2 has no .* in '{name}'"):
            codec.columns(rows, EXAM, (name,), {})
    rows[1] = record(2, **{name: text, "exam_id": b"18"})
    assert codec.columns(rows, EXAM, (name,), {}).places == [0, 2]


def test_columns_read_what_is_kept_as_text(codec: StudentCodec) -> None:
    shown(codec, [record(1, time_slot=b"-0", name=b"5", updated_at=b"{}")])
    rows = [
        record(1, time_slot=b"-0", name=b'"b\\ud800"', updated_at=b'"2018-11-17T17:09:39.373+01:00"'),
        record(2, time_slot=b"9" * 25, name=b'"\\u00e9"', updated_at=b"null"),
        record(3),
    ]
    values = codec.columns(rows, EXAM, ("time_slot", "name", "updated_at"), {}).values
    assert values["time_slot"] == [0, int("9" * 25), None]
    assert values["name"] == ["b\ud800", "é", "N"]
    assert values["updated_at"] == ["2018-11-17T16:09:39.373", None, None]


_TEXTS = st.one_of(
    st.sampled_from([text for texts in ODD.values() for text in texts] + [b"NaN", b"01", b'"\x01"', b"[" * 3000]),
    json_values(3).map(lambda value: json.dumps(value).encode()),
    st.text(max_size=6).map(lambda text: json.dumps(text + "\ud83c").encode()),
)
_RECORDS = st.dictionaries(st.sampled_from([*COLUMNS, "unknown", "pod_names"]), _TEXTS, max_size=4)


@given(_RECORDS)
def test_list_show_and_add_give_one_text_for_any_record(texts: dict[str, bytes]) -> None:
    text, codec = record(5, **texts), StudentCodec(LegacySettings())

    def outcome(act: Any) -> str:
        try:
            answer: bytes = act()
        except LegacyError as error:
            return str(error)
        # Which escapes stand for a character is nobody's business; a list leaves out another exam's record.
        return dumps(loads(answer)) if answer else "of another exam"

    found = {
        outcome(lambda: shown(codec, [text])[len(b'{"students":[') : -len(b"]}")]),
        outcome(lambda: walked(codec, [text])[len(b'{"students":[') : -len(b"]}")]),
        outcome(lambda: single(codec, text)),
        outcome(lambda: single(codec, text, "student_session", 201)),
        outcome(lambda: single(StudentCodec(LegacySettings()), text)),
    }
    if texts.get("exam_id", b"17") == b"%d" % EXAM:
        assert len(found) == 1
