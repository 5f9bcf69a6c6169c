"""Payloads that no later version may read or write differently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from compat import SessionLens
from compat.legacy.query import STATUSES
from compat.legacy.signature import base_string, sign
from compat.schemas import STUDENT_FIELDS, StudentSchema
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec

APPLICATION = "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"
FOLDER = Path(__file__).parent
RECORD: dict[str, Any] = json.loads((FOLDER / "seed_002_record.json").read_text())
LENS = SessionLens({1: APPLICATION}, ZoneInfo("Europe/Amsterdam"))

# The session that the seed's record becomes, letter by letter.
BORN_OLD: dict[str, Any] = json.loads((FOLDER / "session_born_old.json").read_text())
BORN_NEW: dict[str, Any] = json.loads((FOLDER / "session_born_new.json").read_text())
BORN_NEW_RECORD: dict[str, Any] = json.loads((FOLDER / "record_born_new.json").read_text())


def test_the_schema_has_the_seeds_57_fields_in_the_seeds_order() -> None:
    assert list(StudentSchema().fields) == list(RECORD) == list(STUDENT_FIELDS)
    assert len(RECORD) == 57
    assert StudentSchema().validate(RECORD) == {}


def test_the_seeds_record_comes_out_of_student_sessions_byte_for_byte() -> None:
    text = json.dumps(RECORD, separators=(",", ":")).encode()
    codec = StudentCodec(LegacySettings())
    shuffled = json.dumps(dict(sorted(RECORD.items())), separators=(",", ":")).encode()
    for sent in (text, shuffled):
        assert codec.render([sent], [{}]) == b"[" + text + b"]"


def test_statuses() -> None:
    assert STATUSES == (
        "registered",
        "before_check_req_mail",
        "email_bounced",
        "email_sent",
        "after_check_req_mail",
        "before_check_req",
        "after_check_req",
        "in_setup",
        "exam_not_started",
        "exam_started",
        "exam_finished",
    )


@pytest.mark.parametrize(
    ("parameters", "base", "signature"),
    [
        (
            {"id": "17", "timestamp": "1527500365052", "nonce": "1527500365"},
            "id=17?nonce=1527500365?timestamp=1527500365052",
            "3edbc3fab3c0299bcde0c151abb6a47c4b4743dd93f2d208a159134296f3fa81",
        ),
        (
            {"timestamp": "1527500365052", "exam_id": "17", "nonce": "1527500365", "signature": "not signed"},
            "exam_id=17?nonce=1527500365?timestamp=1527500365052",
            "2764f50148c5a521438c45bd6efa03ca808f40d1c972f1ce249ac03c7a153cdf",
        ),
        (
            {"page": "1", "timestamp": "1527500365052", "nonce": "1527500365"},
            "nonce=1527500365?page=1?timestamp=1527500365052",
            "2d6681798e4fedd3eece97b2223b9d0db8f53a669e83d26814dcbe722de32e8c",
        ),
    ],
)
def test_signature_vectors(parameters: dict[str, str], base: str, signature: str) -> None:
    assert base_string(parameters) == base
    assert sign(base, "secret") == signature


def test_a_record_becomes_the_frozen_session() -> None:
    assert LENS.to_session(RECORD) == BORN_OLD


def test_the_frozen_session_shows_the_record_again() -> None:
    shown = LENS.to_legacy(BORN_OLD).record
    assert shown == RECORD
    assert list(shown) == list(RECORD)


def test_an_exact_field_comes_from_the_live_session_and_not_from_the_carried_text() -> None:
    moved = {**BORN_OLD, "endedAtTime": "2018-11-17T16:11:00.000Z"}
    assert LENS.to_legacy(moved).record == {**RECORD, "end_time": "2018-11-17T17:11:00.000+01:00"}


def test_the_frozen_session_that_was_born_new() -> None:
    translation = LENS.to_legacy(BORN_NEW)
    assert translation.record == BORN_NEW_RECORD
    assert list(translation.record) == list(STUDENT_FIELDS)
    assert LENS.to_session(translation.record, translation.remainder) == BORN_NEW
