"""What ``record`` of ``[regression]`` asks for: pairs of shadow and canary, written where the configuration says."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from gateways import running_gateway, settings_for, written
from support import signed_url

import compat
from compat.config.file import read_config
from compat.config.settings import Configuration
from compat.errors import ConfigurationError
from compat.legacy.routes import ADD_STUDENT, INDEX_STUDENTS, LegacyCall
from compat.migration.modes.background import BackgroundQueue, Bounds
from compat.migration.modes.router import ModeRouter
from compat.regression.check import check_recordings
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.recordings.reader import open_recording
from compat.regression.recordings.traffic import TrafficRecorder
from compat.testing import Sandbox

DROPPED = "they were dropped, or could not be written"

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


def configuration(folder: Path, **changes: Any) -> Configuration:
    content = {
        "upstream": {
            "kind": "student_sessions",
            "base_url": "https://new.example",
            "api_token": "upstream-token",
            "secret_key": "upstream-secret",
        },
        "legacy": {"time_zone": "Europe/Amsterdam"},
        "callers": [{"name": "registrar", "api_token": "registrar-token", "secret_key": "registrar-secret"}],
        "regression": {"record": "pairs", **changes},
    }
    return read_config(content, folder)


def pair(status: str = "exam_finished", call: LegacyCall | None = None) -> Pair:
    body = json.dumps({"students": [{"id": 1, "name": "Ann de Vries", "status": status}]}).encode()
    answer = Answered(200, {}, body, 0.1)
    return Pair(call or LegacyCall(INDEX_STUDENTS, "17"), "registrar", 1.0, answer, answer, "legacy")


def recorder_of(given: Configuration) -> TrafficRecorder:
    queue = BackgroundQueue()
    return TrafficRecorder(given, queue.later, lambda: queue.dropped)


def test_pairs_are_written_beside_the_configuration(tmp_path: Path) -> None:
    sink = recorder_of(configuration(tmp_path))
    assert not (tmp_path / "pairs").exists()
    for _ in range(3):
        sink(pair())
    sink(pair(call=LegacyCall(ADD_STUDENT, "17", method="POST")))
    sink.close()
    sink.close()
    recording = open_recording(tmp_path / "pairs")
    calls = list(recording)
    assert [(call.caller, call.served) for call in calls] == [("registrar", "legacy")] * 3
    (head,) = recording.heads()
    assert (head.zone, head.upstream, head.source) == ("Europe/Amsterdam", "student_sessions", "traffic")


@pytest.mark.parametrize(
    "secret", ["upstream-token", "upstream-secret", "registrar-token", "registrar-secret", "a key"]
)
def test_every_secret_of_the_configuration_is_looked_for(tmp_path: Path, secret: str) -> None:
    given = configuration(tmp_path, key="a key of sixteen bytes")
    assert any(secret in each for each in given.secrets)
    assert secret not in repr(given)


def test_a_secret_costs_its_pair_and_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = configuration(tmp_path, key="exam_finished and more")
    object.__setattr__(given, "secrets", ("exam_finished",))
    sink = recorder_of(given)
    with caplog.at_level(logging.ERROR, "compat.regression"):
        sink(pair())
    sink(pair("registered"))
    sink.close()
    assert "a secret stood in a call to be recorded" in caplog.text
    assert "exam_finished" not in caplog.text
    recording = open_recording(tmp_path / "pairs")
    assert len(list(recording)) == 1
    assert recording.files[0].lost == 1


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = recorder_of(configuration(tmp_path))
    (tmp_path / "pairs").touch()
    with caplog.at_level(logging.ERROR, "compat.regression"):
        for _ in range(3):
            sink(pair())
    assert len(caplog.records) == 1
    assert "until it can be written again" in caplog.text
    (tmp_path / "pairs").unlink()
    sink(pair())
    sink.close()
    assert len(list(open_recording(tmp_path / "pairs"))) == 1


def test_a_key_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent/key: No such file or directory"):
        recorder_of(configuration(tmp_path, key_file="absent/key"))


def test_a_folder_takes_no_more_than_it_may(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compat.regression.recordings.traffic._BETWEEN_LOOKS", 1)
    (tmp_path / "pairs").mkdir()
    old = tmp_path / "pairs" / "before.ndjson.gz"
    old.write_bytes(b"\0" * 5000)
    sink = recorder_of(configuration(tmp_path, record_max=5000))
    with caplog.at_level(logging.ERROR, "compat.regression"):
        sink(pair())
        sink(pair())
    assert len(caplog.records) == 1
    assert "pairs: holds the 5000 bytes that record_max lets it" in caplog.text
    old.unlink()
    sink(pair())
    sink.close()
    recording = open_recording(tmp_path / "pairs")
    assert len(list(recording)) == 1
    assert recording.files[0].lost == 2


def test_each_day_has_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = recorder_of(configuration(tmp_path))
    sink(pair())
    sink(pair())
    monkeypatch.setattr("compat.regression.recordings.traffic._LONGEST_FILE", 0.0)
    sink(pair())
    sink.close()
    recording = open_recording(tmp_path / "pairs")
    assert len(list(recording)) == 3
    assert sorted(file.calls for file in recording.files) == [1, 2]
    assert all(file.finished for file in recording.files)


def test_comparisons_that_were_dropped_are_lost_calls_of_the_recording(tmp_path: Path) -> None:
    given = configuration(tmp_path)
    router = ModeRouter(legacy=True, configuration=given, bounds=Bounds(threads=1, waiting=2))
    begun, held = threading.Event(), threading.Event()

    def wait() -> Answered:
        begun.set()
        assert held.wait(30)
        return pair().old

    call = pair().call
    router.compare(call, "registrar", 1.0, "legacy", wait, lambda: pair().new, 0)
    assert begun.wait(30)
    for _ in range(5):
        router.compare(call, "registrar", 1.0, "legacy", lambda: pair().old, lambda: pair().new, 0)
    assert router.dropped == 3
    held.set()
    router.close(30)
    result = check_recordings([tmp_path / "pairs"])
    assert (result.all.calls, result.not_comparable) == (3, {DROPPED: 3})


@pytest.mark.parametrize("mode", ["shadow", "canary:100"])
def test_what_shadow_and_canary_compare_is_recorded(shared: Sandbox, tmp_path: Path, mode: str) -> None:
    content = {**shared.settings("student_sessions"), "migration": {"mode": mode}, "store": {"url": "memory://"}}
    given = read_config({**content, "regression": {"record": "pairs"}}, tmp_path)
    session = requests.Session()
    adapter = compat.mount(session, shared.base_url, given)
    for page in ("1", "2"):
        url = signed_url(shared, shared.base_url, "index_students", limit="10", page=page)
        answer = session.get(url, headers=shared.headers, timeout=20)
        assert answer.status_code == 200
    # The last comparison may still be under way.
    adapter.router.close(30)
    calls = sorted(open_recording(tmp_path / "pairs"), key=lambda call: call.parameters["page"])
    assert [call.parameters for call in calls] == [{"limit": "10", "page": "1"}, {"limit": "10", "page": "2"}]
    for call in calls:
        assert call.served == ("legacy" if mode == "shadow" else "new")
        assert call.old is not None
        assert call.new is not None
        assert bytes(call.old.body) == bytes(call.new.body)
        assert b"@" not in bytes(call.old.body)


def test_a_gateway_leaves_a_finished_recording_without_a_secret_or_a_name(shared: Sandbox, tmp_path: Path) -> None:
    account = {"name": "registrar", "api_token": shared.api_token, "secret_key": shared.secret_key, "mode": "shadow"}
    shared.clear_calls()
    config = written(tmp_path, settings_for(shared, regression={"record": "pairs"}), [account])
    with running_gateway(config) as base:
        for page in range(1, 4):
            url = signed_url(shared, base, "index_students", limit="10", page=str(page))
            answer = requests.get(url, headers=shared.headers, timeout=20)
            assert (answer.status_code, answer.headers["X-Compat-Answered-By"]) == (200, "legacy")
        # What is compared behind the last call has a moment when the gateway ends, and a busy machine may need longer.
        until = time.monotonic() + 60
        while sum(call.interface == "student_sessions" for call in shared.calls) < 3 and time.monotonic() < until:
            time.sleep(0.05)
    calls = list(open_recording(tmp_path / "pairs"))
    assert sorted(call.parameters["page"] for call in calls) == ["1", "2", "3"]
    assert {call.caller for call in calls} == {"registrar"}
    (file,) = (tmp_path / "pairs").iterdir()
    text = gzip.decompress(file.read_bytes())
    for told in (shared.api_token, shared.secret_key, *(person["email"] for person in shared.dataset.students)):
        assert told.encode() not in text


def test_a_pair_that_no_other_follows_can_be_read_soon(tmp_path: Path) -> None:
    sink = recorder_of(configuration(tmp_path))
    sink(pair())
    ends = time.monotonic() + 60
    while not list(open_recording(tmp_path / "pairs", unfinished="accept")):
        assert time.monotonic() < ends
        time.sleep(0.05)
    sink(pair())
    sink.close()
    assert len(list(open_recording(tmp_path / "pairs"))) == 2
