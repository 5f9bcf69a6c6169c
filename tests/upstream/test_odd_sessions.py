"""Values of another type than declared in what sessions carry, or in their metadata's own keys (contract 2 and 5)."""

from __future__ import annotations

from typing import Any

import pytest

from compat.drift import DRIFT
from compat.errors import UpstreamError
from compat.text.json import dumps, loads
from compat.upstream import paginated_sessions as session_pages
from compat.upstream.base import LegacySettings
from compat.upstream.session_codec import SessionCodec
from compat.upstream.transport import Reply

EXAM = 17
EXAMS = {EXAM: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11", 18: "0f0f0f0f-3c1e-4c86-9d0e-0f6c3c1d2a12"}
OWN = [
    ("name", b"5"),
    ("student_id", b'"x"'),
    ("student_id", b"-0"),
    ("email", b'{"a":\n1}'),
    ("name", b'"\\ud800"'),
    ("external_id", b"[]"),
]
CARRIED = [("attempt", b'"two"'), ("attempt", b"-0"), ("archived", b"0"), ("incidents", b'{"a":1,"a":2}')]
CARRIED += [("created_at", b"5"), ("name", b"1.10"), ("time_slot", b"1e400"), ("individual_info", b'"\\udc00"')]


def session(number: int, own: bytes = b'"email":null', exam: int = EXAM) -> bytes:
    return (
        b'{"id":"%d","applicationId":"%s","startedAtTime":"2018-11-17T16:09:39.373Z",'
        b'"endedAtTime":"2018-11-17T16:10:39.373Z","metadata":{%s}}'
    ) % (number, EXAMS[exam].encode(), own)


def carrying(number: int, name: str, text: bytes, exam: int = EXAM) -> bytes:
    return session(number, b'"exam_student":{"browser":"x","%s":%s}' % (name.encode(), text), exam)


def having(number: int, name: str, text: bytes, exam: int = EXAM) -> bytes:
    return session(number, b'"%s":%s' % (name.encode(), text), exam)


def page(rows: list[bytes]) -> Reply:
    whole = b'{"limit":100,"offset":0,"total":%d,"sessions":[%s]}' % (len(rows), b",".join(rows))
    return Reply(200, {}, whole)


def shown(codec: SessionCodec, rows: list[bytes]) -> bytes:
    chunk = session_pages.read_chunk(page(rows), 0, codec.page)
    return codec.body(chunk.rows, [{}] * len(chunk.rows))


def walked(codec: SessionCodec, rows: list[bytes]) -> bytes:
    chunk = session_pages.read_chunk(page(rows), 0)
    found = codec.columns(chunk.rows, EXAM, (), {})
    return codec.body([bytes(chunk.rows[at]) for at in found.places], [{}] * len(found.places))


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> SessionCodec:
    """A codec whose plain reader is not to be asked."""

    def dear(self: SessionCodec, text: Any, person: Any = None) -> bytes:
        raise AssertionError("the plain reader was asked")

    monkeypatch.setattr(SessionCodec, "plain", dear)
    return SessionCodec(EXAMS, LegacySettings())


@pytest.mark.parametrize("way", [shown, walked])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(
    ("make", "name", "text"), [*((having, *one) for one in OWN), *((carrying, *one) for one in CARRIED)]
)
def test_an_odd_value_is_passed_on_the_fast_way(
    codec: SessionCodec, make: Any, name: str, text: bytes, mixed: bool, way: Any
) -> None:
    others = [having(1, "name", b'"A"'), carrying(3, "attempt", b"3")] if mixed else [make(1, name, b"null")]
    rows = [others[0], make(2, name, text), *others[1:]]
    for _ in range(2):
        answer = loads(way(codec, rows))["students"]
        assert [each["id"] for each in answer] == [1, 2, 3][: len(rows)]
        assert dumps(answer[1][name]) == dumps(loads(text))
        assert all(len(each) == 57 for each in answer)


@pytest.mark.parametrize("text", [b"5", b"null", b'"\\ud800"', b'"yesterday"', b"{}"])
def test_a_carried_time_that_is_none_gives_way_to_the_live_one(codec: SessionCodec, text: bytes) -> None:
    for _ in range(2):
        for way in (shown, walked):
            assert loads(way(codec, [carrying(1, "start_time", text)]))["students"][0]["start_time"] == (
                "2018-11-17T16:09:39.373+00:00"
            )


def test_drift_of_sessions_is_said_once_and_by_the_legacy_field(
    codec: SessionCodec, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        shown(codec, [having(1, "name", b"5"), carrying(2, "attempt", b'"two"'), carrying(3, "archived", b"0")])
    assert DRIFT.seen() == {"name": "a number", "attempt": "a string", "archived": "a number"}
    assert len([each for each in caplog.records if each.name == "compat.drift"]) == 3


@pytest.mark.parametrize(
    ("make", "name", "text"),
    [(having, "name", b"5"), (carrying, "attempt", b'"x"'), (carrying, "created_at", b"5")],
)
def test_a_column_that_is_needed_is_refused_by_name_where_its_session_is_wanted(
    make: Any, name: str, text: bytes
) -> None:
    codec = SessionCodec(EXAMS, LegacySettings())
    for _ in range(2):
        with pytest.raises(UpstreamError, match=f"session 2 has no .* in '{name}'"):
            codec.columns([having(1, "name", b'"A"'), make(2, name, text)], EXAM, (name,), {})
        found = codec.columns([having(1, "name", b'"A"'), make(2, name, text, 18)], EXAM, (name,), {})
        assert found.places == [0]


def test_columns_read_what_is_kept_as_text(codec: SessionCodec) -> None:
    shown(codec, [having(1, "name", b"5"), carrying(2, "attempt", b'"two"'), carrying(3, "created_at", b"5")])
    rows = [having(1, "name", b'"b\\ud800"'), carrying(2, "attempt", b"7"), carrying(3, "name", b"null")]
    values = codec.columns(rows, EXAM, ("name", "attempt", "created_at"), {}).values
    assert values["name"] == ["b\ud800", None, None]
    assert values["attempt"] == [0, 7, 0]
    assert len(set(values["created_at"])) == 1
