"""Brownouts: whose calls fail and when, what they are told, and that they can be paused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from gateways import HEADERS_OF, running_gateway, settings_for, written
from support import OLD, listed, mounted

import compat
from compat.config.file import read_config
from compat.config.settings import Configuration
from compat.errors import ConfigurationError
from compat.legacy.signature import signed
from compat.migration.modes.brownouts import PAUSED, Brownout, Brownouts
from compat.stores.ledger import open_ledger
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
UTC = timezone.utc
START = datetime(2027, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """A time that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment.timestamp()


def settings(sandbox: Sandbox, **migration: Any) -> dict[str, Any]:
    found: dict[str, Any] = settings_for(sandbox, legacy={"time_zone": "Europe/Amsterdam"})
    found["callers"] = [{"name": name, "api_token": name, "secret_key": name} for name in ("one", "two")]
    found["migration"] = migration
    return found


def configured(sandbox: Sandbox, **migration: Any) -> Configuration:
    return read_config(settings(sandbox, **migration))


def brownouts_of(configuration: Configuration, clock: Callable[[], float]) -> Brownouts:
    found = Brownouts.of(configuration)
    assert found is not None
    found._clock = clock
    return found


def test_whose_calls_fail(shared: Sandbox) -> None:
    windows = [
        {"starts": START, "ends": START + HOUR, "callers": ["one"]},
        {"starts": START + HOUR, "ends": START + 2 * HOUR},
    ]
    clock = Clock(START - timedelta(seconds=1))
    brownouts = brownouts_of(configured(shared, brownouts=windows), clock)
    seen = []
    for _ in range(4):
        seen.append([brownouts.now(caller, "17") is not None for caller in ("one", "two", None)])
        clock.moment += HOUR
    assert seen == [[False] * 3, [True, False, False], [True] * 3, [False] * 3]


def test_exam_days_are_spared(shared: Sandbox) -> None:
    clock = Clock(START)
    windows = [{"starts": START, "ends": START + 3 * HOUR}]
    blackouts = [
        {"starts": START, "ends": START + HOUR, "exams": [17]},
        {"starts": START + HOUR, "ends": START + 2 * HOUR},
    ]
    brownouts = brownouts_of(configured(shared, brownouts=windows, blackouts=blackouts), clock)
    seen = []
    for _ in range(3):
        seen.append([brownouts.now(None, exam) is not None for exam in ("17", "0017", "18", "x")])
        clock.moment += HOUR
    assert seen == [[False, False, True, True], [False] * 4, [True] * 4]


def test_what_a_call_is_told(shared: Sandbox) -> None:
    clock = Clock(START + timedelta(minutes=59, seconds=58.5))
    windows = [{"starts": START.replace(tzinfo=None) + HOUR, "ends": START.replace(tzinfo=None) + 2 * HOUR}]
    brownout = brownouts_of(configured(shared, brownouts=windows), clock).now("one", "17")
    assert brownout is not None
    assert (brownout.status, brownout.headers) == (410, {"Retry-After": "2"})
    assert brownout.message == (
        "The deprecated exam students interface is switched off on purpose until 2027-03-01T11:00:00+01:00, "
        "to show who still depends on it. Use GET /api/v3/student_sessions instead."
    )
    again = pickle.loads(pickle.dumps(brownout))  # noqa: S301 - our own
    assert (again.message, again.until, again.headers) == (brownout.message, brownout.until, brownout.headers)


def test_paused_and_resumed(shared: Sandbox, tmp_path: Path) -> None:
    content = settings(shared, brownouts=[{"starts": START, "ends": START + HOUR}])
    content["store"] = {"url": f"sqlite:///{tmp_path}/calls.db"}
    ledger = open_ledger(content["store"]["url"])
    ledger.set_switch(PAUSED, "2027-03-01T09:00:00Z")
    assert brownouts_of(read_config(content), Clock(START)).now("one", "17") is None
    ledger.set_switch(PAUSED, None)
    assert brownouts_of(read_config(content), Clock(START)).now("one", "17") is not None
    ledger.close()


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([{"starts": START}], r"^\[\[migration.brownouts\]\] 1: ends: "),
        ([{"starts": START, "ends": START, "every": "hour"}], r"1: every: Must be day or week"),
        (
            [{"starts": START, "ends": START + HOUR, "callers": ["three"]}],
            r"1: callers: \[\[callers\]\] has no 'three'",
        ),
        ([{"starts": START, "ends": START + HOUR, "caller": ["one"]}], "1: caller: no such key; the nearest known"),
    ],
)
def test_what_is_no_brownout(shared: Sandbox, windows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Brownouts.of(configured(shared, brownouts=windows))


def _now() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"starts": now - HOUR, "ends": now + HOUR}


def test_at_the_adapter_and_the_client(sandbox: Sandbox) -> None:
    configuration = configured(sandbox, brownouts=[_now()])
    response = listed(mounted(configuration, OLD))
    assert response.status_code == 410
    assert response.json()["errors"] == {}
    assert 3500 < int(response.headers["Retry-After"]) <= 3600
    with pytest.raises(Brownout, match="switched off on purpose"):
        compat.ExamStudentsClient(configuration).index_students(17)
    assert sandbox.calls == []
    only_two = configured(sandbox, brownouts=[{**_now(), "callers": ["two"]}])
    session = mounted(only_two, OLD)
    assert listed(session).status_code == 200
    session.headers["Authorization"] = "Token token=two"
    assert listed(session).status_code == 410
    assert compat.ExamStudentsClient(only_two).index_students(17).students


def test_at_the_gateway(sandbox: Sandbox, tmp_path: Path) -> None:
    window = _now()
    lines = f"\n[[migration.brownouts]]\nstarts = {window['starts'].isoformat()}\nends = {window['ends'].isoformat()}\n"
    content = settings_for(sandbox, store={"url": f"sqlite:///{tmp_path}/calls.db"})
    config = written(tmp_path, content)
    config.write_text(config.read_text() + lines + 'callers = ["registrar"]\n')
    ledger = open_ledger(content["store"]["url"])
    with running_gateway(config) as base:

        def ask(who: str) -> requests.Response:
            headers, key = HEADERS_OF[who]
            parameters = signed({}, key, {"id": "17"})
            return requests.get(
                f"{base}/api/v3/exams/17/index_students", params=parameters, headers=headers, timeout=30
            )

        refused = ask("registrar")
        assert refused.status_code == 410
        assert set(json.loads(refused.content)) == {"error", "errors"}
        assert int(refused.headers["Retry-After"]) > 3000
        assert ask("LMS of seconds").status_code == 200
        ledger.set_switch(PAUSED, "now")
        until(lambda: ask("registrar").status_code == 200)
        ledger.set_switch(PAUSED, None)
        until(lambda: ask("registrar").status_code == 410)
    ledger.close()


def until(holds: Callable[[], bool]) -> None:
    import time

    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)
