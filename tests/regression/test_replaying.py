"""Recorded calls asked again: under the recording's pseudonyms, equal answers are equal byte by byte."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from support import KINDS

from compat.config.file import read_config
from compat.config.settings import Configuration
from compat.legacy.routes import SHOW_STUDENT, LegacyCall
from compat.legacy.signature import Caller
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.recordings.call_lists import NewEndpoint, OldEndpoint, listing
from compat.regression.recordings.format import RecordedAnswer, RecordedCall
from compat.regression.recordings.pseudonyms import PseudonymKey
from compat.regression.recordings.reader import open_recording
from compat.regression.recordings.writer import Recorder
from compat.regression.replay import Endpoints, RecordedAgain, Replay
from compat.testing import Sandbox

KEY = PseudonymKey(b"sixteen bytes or more")


def configured(sandbox: Sandbox, kind: str) -> Configuration:
    settings = {**sandbox.settings(kind), "store": {"url": "memory://"}}
    account = {"name": "us", "api_token": sandbox.api_token, "secret_key": sandbox.secret_key}
    return read_config({**settings, "callers": [account]})


def calls(people: list[dict[str, Any]]) -> list[LegacyCall]:
    """Of exam 17: plain ones, refused ones, and such that name persons."""
    named = sorted(person["name"] for person in people)
    number = next(person["student_id"] for person in people if person["student_id"] is not None)
    return [
        listing("17", {}),
        listing("17", {"limit": "7", "page": "2", "sort": [{"name": "asc"}, {"id": "desc"}]}),
        listing("17", {"status": "exam_finished"}),
        listing("17", {"page": "0"}),
        listing("17", {"filter": {"email": {"eq": people[3]["email"]}}}),
        listing("17", {"filter": {"name": {"gte": named[2], "lt": named[-2]}}, "sort": [{"name": "desc"}]}),
        listing("17", {"filter": {"student_id": {"in": [number, 5, None]}}}),
        listing("17", {"filter": {"name": {"nin": [named[0], "Nobody", ""]}}}),
        listing("17", {"filter": {"name": {"ne": "Nobody"}, "attempt": {"gt": 0}}}),
        LegacyCall(SHOW_STUDENT, "17", f"student_session_id={people[0]['id']}"),
        LegacyCall(SHOW_STUDENT, "17", "student_session_id=5"),
    ]


def recorded(given: Configuration, asked: list[LegacyCall], folder: Path) -> list[RecordedCall]:
    assert given.legacy_base_url is not None
    old = OldEndpoint(given.legacy_base_url, given.callers[0].caller)
    with Recorder(folder, KEY, sought=given.secrets) as recorder:
        for call in asked:
            recorder.keep(call, old=old(call))
    return list(open_recording(folder))


def bodies(pair: Pair | None) -> tuple[bytes, bytes]:
    assert pair is not None
    return pair.old.body, pair.new.body


@pytest.mark.parametrize("kind", KINDS)
def test_equal_answers_are_equal_byte_by_byte(shared: Sandbox, tmp_path: Path, kind: str) -> None:
    given = configured(shared, kind)
    people = [record for record in shared.dataset.students if record["exam_id"] == 17]
    found = recorded(given, calls(people), tmp_path)
    assert [call.exact for call in found].count(False) == 5
    replay = Replay(Endpoints(KEY, NewEndpoint(given)), timezone.utc)
    for call in found:
        pair = replay.pair(call)
        old, new = bodies(pair)
        assert pair is not None
        assert pair.old.status == pair.new.status
        if pair.old.status == 200:
            assert old == new, call.parameters
    assert replay.unasked == 0


def test_what_differs_differs_in_that_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    given = configured(sandbox, "student_sessions")
    (found,) = recorded(given, [listing("17", {})], tmp_path)
    endpoint = NewEndpoint(given)

    def changed(call: LegacyCall) -> Answered:
        answered = endpoint(call)
        content = json.loads(answered.body)
        content["students"][4]["name"] += "!"
        return Answered(answered.status, answered.headers, json.dumps(content).encode(), answered.seconds)

    old, new = (
        json.loads(body)["students"] for body in bodies(Replay(Endpoints(KEY, changed), timezone.utc).pair(found))
    )
    differing = [
        (place, name) for place, record in enumerate(old) for name in record if record[name] != new[place][name]
    ]
    assert differing == [(4, "name")]


@pytest.mark.parametrize(
    "parameters",
    [
        {"filter": {"name": {"gt": "Nobody at all"}}},
        {"status": "Ann"},
        {"filter": '{"name": '},
    ],
)
def test_what_is_not_known_any_more_is_not_asked(shared: Sandbox, tmp_path: Path, parameters: dict[str, Any]) -> None:
    given = configured(shared, "student_sessions")
    (found,) = recorded(given, [listing("17", parameters)], tmp_path)
    replay = Replay(Endpoints(KEY, NewEndpoint(given)), timezone.utc)
    assert replay.pair(found) is None
    assert replay.unasked == 1


def test_without_a_recorded_answer_there_is_no_pair(shared: Sandbox) -> None:
    replay = Replay(Endpoints(KEY, NewEndpoint(configured(shared, "student_sessions"))), timezone.utc)
    assert replay.pair(RecordedCall(route="index_students", exam_id="17")) is None
    assert replay.unasked == 0


@pytest.mark.parametrize(
    ("caller", "ours", "asked"),
    [
        ("registrar", False, ["registrar", "registrar"]),
        ("somebody else", False, []),
        (None, False, []),
        (None, True, ["ours", "ours"]),
    ],
)
def test_the_old_endpoint_is_asked_again_with_the_callers_own_account_or_not_at_all(
    shared: Sandbox, caller: str | None, ours: bool, asked: list[str]
) -> None:
    used: list[str] = []

    def asker(account: str) -> Callable[[LegacyCall], Answered]:
        def ask(call: LegacyCall) -> Answered:
            used.append(account)
            return Answered(200, {}, b'{"students":[]}')

        return ask

    new = NewEndpoint(configured(shared, "student_sessions"))
    endpoints = Endpoints(KEY, new, {None: asker("ours"), "registrar": asker("registrar")})
    call = RecordedCall(route="index_students", exam_id="17", caller=caller, old=RecordedAnswer(status=200))
    again = RecordedAgain(call, Replay(endpoints, timezone.utc), ours=ours)
    answers = [again.old(call.call()) for _ in range(2)]
    assert used == asked
    assert all((each is not None) == bool(asked) for each in answers)


def test_an_endpoint_is_let_go_of_with_its_last_name() -> None:
    gc.disable()
    try:
        old = OldEndpoint("https://old.example.org", Caller("a", "b", "c"))
        gone = weakref.ref(old)
        del old
        assert gone() is None
    finally:
        gc.enable()
