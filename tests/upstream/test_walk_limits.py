"""Upstreams whose lists have no end, or whose pages hold next to nothing: a walk fails by a limit, or goes slowly."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support import FAST, KINDS, RawServer, Received, http, listed, mounted, upstream_of

import compat
from compat.testing.sandbox import Sandbox
from compat.upstream.limits import RateLimit, WalkSettings
from compat.upstream.retries import Deadline

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

SORT = '[{"id":"asc"}]'


def pages(total: Callable[[int], int], length: int, padding: int = 0) -> Callable[[int, Received, Any], bytes]:
    """Answers student sessions by pages of a length, under a total that may depend on how many were asked for."""

    def answer(number: int, received: Received, connection: Any) -> bytes:
        asked = parse_qs(urlsplit(received.head.split()[1]).query)
        begin = (int(asked["page"][0]) - 1) * length
        stated = total(number)
        students = [
            {"id": record, "exam_id": 17, "name": "x" * padding}
            for record in range(begin + 1, min(begin + length, stated) + 1)
        ]
        headers = {"X-Pagination-Item-Count": str(stated), "X-Pagination-Limit": str(length)}
        return http(200, json.dumps({"students": students}).encode(), headers)

    return answer


def upstream_at(base_url: str, **changes: Any) -> compat.StudentSessions:
    return compat.StudentSessions(base_url, **{"api_token": "t", "secret_key": "s", "retries": FAST, **changes})


def test_a_total_that_no_list_has_is_refused_before_it_is_read() -> None:
    with RawServer(pages(lambda number: 10**14, 300)) as server:
        answer = listed(mounted(upstream_at(server.base_url)), sort=SORT)
        assert answer.status_code == 502
        assert answer.json()["error"] == ("The upstream's list is too long: a walk may read walk_pages = 200000 pages.")
        assert len(server.received) == 1


def test_a_total_that_grows_for_ever_ends_at_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with RawServer(pages(lambda number: 600 + 300 * number, 300)) as server:
        answer = listed(mounted(upstream_at(server.base_url, walk_pages=20)), sort=SORT)
        assert (answer.status_code, "walk_pages = 20" in answer.json()["error"]) == (502, True)
        # Some pages are asked for ahead of those that are counted.
        assert 10 <= len(server.received) <= 40
    assert list(tmp_path.iterdir()) == []


def test_bytes_of_all_readings_together() -> None:
    with RawServer(pages(lambda number: 3000, 100, padding=1000)) as server:
        answer = listed(mounted(upstream_at(server.base_url, walk_bytes=1_000_000)), sort=SORT)
        assert (answer.status_code, "walk_bytes = 1000000" in answer.json()["error"]) == (502, True)
        assert len(server.received) < 25
    with RawServer(pages(lambda number: 500, 100, padding=1000)) as server:
        assert listed(mounted(upstream_at(server.base_url, walk_bytes=1_000_000)), sort=SORT).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_just_so_many_pages(kind: str) -> None:
    with Sandbox(students=24, exams=1, clamp=2) as sandbox:

        def status(**changes: Any) -> int:
            sandbox.clear_calls()
            return listed(mounted(upstream_of(sandbox, kind, **changes)), sort=SORT).status_code

        assert status() == 200
        read = len([call for call in sandbox.calls if call.interface == kind])
        assert read > 4
        assert [status(walk_pages=most) for most in (read, read - 1)] == [200, 502]


@pytest.mark.parametrize("kind", KINDS)
def test_small_pages_wait_for_their_turn_and_full_ones_do_not(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    lock = threading.Lock()

    def wait(self: RateLimit, deadline: Deadline) -> None:
        with lock:
            waited.append(deadline.at)

    monkeypatch.setattr(RateLimit, "wait", wait)
    for clamp, expected in ((300, 0), (1, None)):
        with Sandbox(students=60, exams=1, clamp=clamp) as sandbox:
            assert listed(mounted(upstream_of(sandbox, kind)), sort=SORT).status_code == 200
            calls = len([call for call in sandbox.calls if call.interface == kind])
        assert (len(waited) == expected) if expected is not None else (0 < len(waited) < calls)


def test_a_pace_lets_so_many_begin_and_makes_up_for_one_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [1000.0], list[float]()
    monkeypatch.setattr("compat.upstream.limits.time.monotonic", lambda: now[0])
    monkeypatch.setattr("compat.upstream.limits.time.sleep", slept.append)
    pace, deadline = RateLimit(4), Deadline(5000.0, "test")
    for _ in range(7):
        pace.wait(deadline)
    # Four are made up for, and one is its turn now.
    assert slept == [pytest.approx(0.25), pytest.approx(0.5)]
    with pytest.raises(compat.UpstreamTimeout):
        pace.wait(Deadline(999.0, "test"))


def test_a_million_records_are_within_the_limits() -> None:
    settings = WalkSettings()
    # Three readings of 1,500 bytes a record in pages of 300, as an honest list that changes meanwhile takes.
    assert settings.pages > 3 * 1_000_000 / 300 * 10
    assert settings.bytes > 3 * 1_500_000_000
    assert settings.rate * settings.deadline > 1_000_000 / 25


@pytest.mark.parametrize(
    ("key", "value"),
    [("walk_pages", 0), ("walk_pages", 1.5), ("walk_bytes", True), ("walk_rate", 0), ("walk_rate", float("inf"))],
)
def test_a_limit_that_is_none_is_named(key: str, value: Any) -> None:
    with pytest.raises(compat.ConfigurationError, match=f"{key} = {value!r}: must be"):
        upstream_at("http://h", **{key: value})


def test_the_limits_are_keys_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "exam-compat.toml"
    table = '[upstream]\nkind = "student_sessions"\nbase_url = "http://h"\napi_token = "a"\nsecret_key = "b"\n'
    path.write_text(table + "walk_pages = 7\nwalk_bytes = 8\nwalk_rate = 2.5\n", encoding="utf-8")
    assert compat.load_config(path).upstream.walk == WalkSettings(pages=7, bytes=8, rate=2.5)
    path.write_text(table + "walk_page = 7\n", encoding="utf-8")
    with pytest.raises(compat.ConfigurationError, match="walk_pages"):
        compat.load_config(path)
