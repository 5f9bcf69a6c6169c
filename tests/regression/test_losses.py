"""The losses that the mapping declares are explained, and nothing that only looks like one."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from answers_of import Page, call_of, pair_of, records

from compat.config.file import read_config
from compat.core.call import Shim
from compat.errors import LegacyError
from compat.legacy.routes import Answer, LegacyCall, failure
from compat.regression.check import check_pairs
from compat.regression.comparing.compare import compare
from compat.regression.comparing.known import DeclaredLosses
from compat.regression.comparing.pairs import Answered, Pair
from compat.testing import Sandbox


def answered(answer: Answer) -> Answered:
    return Answered(answer.status, answer.headers, answer.body, 0.01)


def asked(shim: Shim, call: LegacyCall) -> Answered:
    try:
        return answered(shim.answer(call))
    except LegacyError as error:
        return answered(failure(error))


def asked_of_old(sandbox: Sandbox, call: LegacyCall) -> Answered:
    parameters = dict(part.split("=", 1) for part in call.query.split("&")) if call.query else {}
    signed = sandbox.signed(parameters, {"id": call.exam_id})
    url = f"{sandbox.base_url}/api/v3/exams/{call.exam_id}/index_students"
    response = requests.get(url, params=signed, headers=sandbox.headers, timeout=10)
    return Answered(response.status_code, dict(response.headers), response.content, response.elapsed.total_seconds())


@pytest.mark.parametrize("kind", ["student_sessions", "paginated_sessions"])
def test_old_and_new_endpoint_of_a_sandbox_differ_in_declared_losses_alone(kind: str) -> None:
    with Sandbox(students=90, exams=3) as sandbox:
        shim = Shim(read_config(sandbox.settings(kind)).upstream)
        # The third is still under way: sessions have other ids, and only those who took part.
        exams = [str(exam.id) for exam in sandbox.dataset.exams[:2]]
        pages = (1, 2, 3, 9, "x", "0")
        calls = [call_of({"page": page, "limit": 7}, exam) for exam in exams for page in pages]
        pairs = [pair_of(call, asked_of_old(sandbox, call), asked(shim, call)) for call in calls]
    result = check_pairs(pairs, upstream=kind)
    assert [(each.kind, each.field) for each in result.differences if each.by is None] == []
    assert result.all.calls == len(calls)
    stand_ins = {each.field for each in result.differences if each.kind == "stand-in"}
    assert len(stand_ins) > 15 if kind == "paginated_sessions" else not result.differences


def compared(field: str, old: Any, new: Any) -> list[tuple[str, str | None]]:
    """Kind, and the declared reason, of a change of a field as paginated sessions may make it."""
    [record] = records(1)
    losses = DeclaredLosses("paginated_sessions")
    before = Page.of([{**record, field: old}]).answered()
    after = Page.of([{**record, field: new}]).answered()
    return [
        (each.kind, losses.reason(each))
        for each in compare(pair_of(call_of({"limit": 10}), before, after), losses=losses)
    ]


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("browser", "Chrome", None),
        ("mobile_check", "passed", "not_started"),
        ("status", "registered", "exam_finished"),
        ("email", "a@b.example", None),
        ("created_at", "2018-11-17T17:09:39.373+01:00", "2018-11-18T10:00:00.000+01:00"),
        ("start_time", "2018-11-17T17:09:39.373+01:00", "2018-11-17T16:09:39.373+00:00"),
        ("rtc_session_ids", [1, 2], []),
        ("session_id", "abc", "17"),
    ],
)
def test_what_stands_in_is_a_declared_loss(field: str, old: Any, new: Any) -> None:
    [(kind, reason)] = compared(field, old, new)
    assert kind == "stand-in"
    assert reason


@pytest.mark.parametrize(
    ("field", "old", "new", "kind"),
    [
        ("browser", "Chrome", "Firefox", "text"),
        ("browser", "Chrome", "", "text"),
        ("mobile_check", "passed", None, "became null"),
        ("status", "registered", "exam_started", "text"),
        ("entered_room", True, False, "boolean"),
        ("email", "a@b.example", "c@d.example", "text"),
        ("created_at", "2018-11-17T17:09:39.373+01:00", None, "became null"),
        ("created_at", "2018-11-17T17:09:39.373+01:00", "2018-11-17", "instant"),
        ("start_time", "2018-11-17T17:09:39.373+01:00", "2018-11-17T17:09:39.373+00:00", "instant"),
        ("start_time", "2018-11-17T17:09:39.373+00:00", "2018-11-17T17:09:39.373", "time text"),
        ("recording_ended_at", None, "2018-11-17T17:09:39.373+00:00", "was null"),
        ("exam_id", 17, 18, "number"),
    ],
)
def test_what_only_looks_like_a_loss_is_none(field: str, old: Any, new: Any, kind: str) -> None:
    assert compared(field, old, new) == [(kind, None)]


def test_a_list_that_is_empty_since_it_is_filtered_by_a_lost_field_is_not_explained() -> None:
    whole = records(5)
    call = call_of({"filter": '{"browser": {"eq": "Chrome"}}', "limit": 10})
    pair = Pair(call, None, 0.0, Page.of(whole).answered(), Page.of([]).answered(), "legacy")
    assert check_pairs([pair], upstream="paginated_sessions").all.unexplained == 1


def test_a_field_beyond_the_documented_ones_is_withheld() -> None:
    whole = records(5)
    old = Page.of([{**record, "newer": 1} for record in whole]).answered()
    pair = pair_of(call_of({"limit": 10}), old, Page.of(whole).answered())
    result = check_pairs([pair], upstream="student_sessions")
    assert [(each.kind, each.field, each.by) for each in result.differences] == [("field missing", "newer", "loss")]
