"""What shadow and canary have shown so far, at the address for operators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
from gateways import settings_for, written
from serving import serving, until

from compat.config.file import read_config
from compat.config.settings import Configuration
from compat.gateway.admin import AdminApplication, LiveReport, NoReport, Readiness, serving_admin
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.migration.modes.background import BackgroundQueue
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.recordings.traffic import TrafficRecorder
from compat.testing.sandbox import Sandbox

UPSTREAM = {"kind": "student_sessions", "base_url": "https://n.example", "api_token": "t", "secret_key": "a secret key"}


def _configuration(folder: Path, **regression: Any) -> Configuration:
    given = {"record": "pairs", **regression}
    return read_config({"upstream": UPSTREAM, "regression": given, "store": {"url": "memory://"}}, folder)


def _pair(new: str = "exam_finished") -> Pair:
    old, other = (
        Answered(200, {}, json.dumps({"students": [{"id": 1, "name": "Ann de Vries", "status": status}]}).encode(), 0.1)
        for status in ("exam_finished", new)
    )
    return Pair(LegacyCall(INDEX_STUDENTS, "17"), "registrar", 1.5e9, old, other, "legacy")


def _recorded(configuration: Configuration, *pairs: Pair) -> None:
    queue = BackgroundQueue()
    recorder = TrafficRecorder(configuration, queue.later, lambda: queue.dropped)
    for pair in pairs:
        recorder(pair)
    recorder.close()


@contextmanager
def _pages(report: LiveReport) -> Iterator[str]:
    application = AdminApplication(lambda: Readiness(True, {}), lambda: b"", None, report)
    with serving_admin(application, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


def test_it_says_what_was_recorded_and_what_came_since(tmp_path: Path) -> None:
    configuration = _configuration(tmp_path)
    _recorded(configuration, _pair(), _pair())
    with _pages(LiveReport(configuration, fresh=0, first_wait=60)) as base:
        page = requests.get(f"{base}/report", timeout=60)
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert '<dd data-number="calls">2</dd>' in page.text
        assert "Ann de Vries" not in page.text
        _recorded(configuration, _pair("exam_started"))

        def unexplained() -> int:
            found: int = requests.get(f"{base}/report.json", timeout=60).json()["result"]["all"]["unexplained"]
            return found

        # The report before is shown while the next one is made.
        until(lambda: unexplained() == 1)


def test_a_recording_that_has_not_grown_is_not_read_again(tmp_path: Path) -> None:
    configuration = _configuration(tmp_path)
    _recorded(configuration, _pair())
    report = LiveReport(configuration, first_wait=60)
    report.html()
    (known,) = report._read.values()
    report._made = replace(report._made, at=0.0)  # type: ignore[type-var]
    report.html()
    until(lambda: report._making is None)
    assert report._read.popitem()[1] is known


@pytest.mark.parametrize(
    ("regression", "message"),
    [
        (None, "[regression] record names no folder: there is nothing to check."),
        ({}, "pairs: no such file"),
        ({"known": "absent.toml"}, "absent.toml"),
    ],
)
def test_why_there_is_none(tmp_path: Path, regression: dict[str, Any] | None, message: str) -> None:
    configuration = _configuration(tmp_path, **(regression or {}))
    if regression is None:
        configuration = replace(configuration, regression={})
    with _pages(LiveReport(configuration, first_wait=60)) as base:
        answer = requests.get(f"{base}/report", timeout=60)
    assert answer.status_code == 404
    assert message in answer.json()["error"]


def test_a_recording_that_is_damaged_later_is_said_and_not_hidden_by_the_report_before(tmp_path: Path) -> None:
    configuration = _configuration(tmp_path)
    _recorded(configuration, _pair())
    report = LiveReport(configuration, fresh=0, first_wait=60)
    report.html()
    (path,) = (tmp_path / "pairs").iterdir()
    path.write_bytes(path.read_bytes() + b"no frame")

    def said() -> str:
        try:
            report.html()
        except NoReport as error:
            return str(error)
        return ""

    until(lambda: "damaged" in said())


def test_a_long_check_is_waited_for_only_so_long(tmp_path: Path) -> None:
    configuration = _configuration(tmp_path)
    _recorded(configuration, _pair())
    report = LiveReport(configuration, first_wait=0)
    with pytest.raises(NoReport, match="is being made") as caught:
        report.json()
    assert caught.value.status == HTTPStatus.SERVICE_UNAVAILABLE
    until(lambda: report._making is None)
    assert json.loads(report.json())["result"]["all"]["calls"] == 1


def test_a_gateway_in_shadow_shows_its_own_traffic(tmp_path: Path) -> None:
    with Sandbox(students=30, exams=1) as sandbox:
        caller = {"name": "registrar", "api_token": sandbox.api_token, "secret_key": sandbox.secret_key}
        settings = settings_for(sandbox, regression={"record": "pairs"}, store={"url": "sqlite:///kept.db"})
        config = written(tmp_path, settings, [caller | {"mode": "shadow"}])
        with serving(config) as gateway:
            for page in ("1", "2", "3"):
                signed = sandbox.signed({"page": page, "limit": "10"}, {"id": "17"})
                answer = requests.get(gateway.url(), params=signed, headers=sandbox.headers, timeout=60)
                assert answer.headers["X-Compat-Answered-By"] == "legacy"

            def compared() -> Any:
                found = requests.get(f"{gateway.admin}/report.json", timeout=60)
                return found.ok and found.json()["result"]["all"]["calls"] == 3 and found.json()

            def page() -> str:
                return requests.get(f"{gateway.admin}/report", timeout=60).text

            until(compared, gateway, within=100)
            told = compared()
            assert told["result"]["all"]["unexplained"] == 0
            assert told["judgement"]["callers"][0]["name"] == "registrar"
            # The inventory is written behind the calls, and a page is shown for half a minute.
            until(lambda: "Callers left" in page(), gateway, within=100)
            assert page().count('<li data-name="registrar"><strong>') == 1
