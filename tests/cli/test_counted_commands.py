"""``exam-compat callers``, ``brownouts`` and ``due``: what was counted, at a time that the tests set."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from compat._version import __version__
from compat.deprecation import REGISTRY, due
from compat.migration.inventory.calls import Inventory
from compat.stores.ledger import CallRecord, open_ledger
from compat.testing.sandbox import Sandbox

from .conftest import Invoke

CONFIG = """
[upstream]
kind = "student_sessions"
base_url = "http://127.0.0.1:1"
api_token = "up-token"
secret_key = "up-key"

[legacy]
time_zone = "Europe/Amsterdam"
sunset = 2027-06-30

[store]
url = "sqlite:///{folder}/calls.db"

[[callers]]
name = "nightly"
api_token = "t1"
secret_key = "k1"

[[callers]]
name = "portal"
api_token = "t2"
secret_key = "k2"
"""
WINDOWS = """
[[migration.brownouts]]
starts = 2027-03-01T09:00:00
ends = 2027-03-01T09:30:00
every = "week"
until = 2027-03-31

[[migration.brownouts]]
starts = 2027-02-01T09:00:00
ends = 2027-02-01T09:30:00

[[migration.brownouts]]
starts = 2027-03-02T20:00:00
ends = 2027-03-02T21:00:00
callers = ["portal"]

[[migration.blackouts]]
starts = 2027-03-08
ends = 2027-03-09
"""
NOW = "2027-03-01T08:00"
DAY = 86400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "counted.toml"
    path.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    return path


@pytest.fixture
def counted(tmp_path: Path, config: Path) -> Path:
    count_calls(tmp_path)
    return config


def count_calls(folder: Path) -> None:
    """What four weeks of calls have left: a nightly job, one that stopped, a new script, and a stranger."""
    # Kept by the hour only as long as the clock of whoever counts says.
    inventory = Inventory(f"sqlite:///{folder}/calls.db", clock=lambda: at("2027-03-01T08:00"))

    def note(moment: float, **more: Any) -> None:
        given = {"entrance": "gateway", "route": "index_students", "status": 200, **more}
        inventory.note(CallRecord(at=moment, **given))

    for day in range(28):
        # At nine in Amsterdam.
        note(at("2027-02-01T08:10") + day * DAY, caller="nightly", user_agent="curl/8", parameters=("limit", "page"))
    for day in range(5):
        note(at("2027-02-01T12:00") + day * DAY, entrance="adapter", call_site="/srv/=old.py:3", answered_by="legacy")
    note(at("2027-02-28T19:00"), entrance="client", call_site="/srv/new.py:7", route="show_student", fields=("name",))
    note(at("2027-02-28T19:00"), caller="unknown", answered_by="gateway", status=403)
    assert inventory.flush()
    inventory.end()


def rows_of(output: str) -> dict[str, list[str]]:
    """The rows of a table, by their first cell."""
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]
    return {row[0]: row[1:] for row in cells}


def test_who_calls(invoke: Invoke, counted: Path) -> None:
    result = invoke("callers", "--config", counted, "--now", NOW)
    assert result.exit_code == 0, result.output
    assert rows_of(result.output) == {
        "nightly": ["active", "28", "0.9", "2027-02-01", "2027-02-28", "new 28", "index_students", "limit, page"],
        "/srv/new.py:7": ["new", "1", "0.5", "2027-02-28", "2027-02-28", "new 1", "show_student", ""],
        "/srv/=old.py:3": ["quiet", "5", "0.0", "2027-02-01", "2027-02-05", "legacy 5", "index_students", ""],
        "unknown": ["new", "1", "0.5", "2027-02-28", "2027-02-28", "gateway 1", "index_students", ""],
        "portal": ["never", "0", "0.0", "", "", "", "", ""],
    }
    assert "3 of 5 callers are left, 121 days before the sunset on 2027-06-30." in result.output


def test_who_calls_for_programs(invoke: Invoke, counted: Path) -> None:
    given = json.loads(invoke("callers", "--config", counted, "--now", NOW, "--json").stdout)
    assert (given["sunset"], given["days_left"], given["dropped"]) == ("2027-06-30", 121, 0)
    by_name = {each["name"]: each for each in given["callers"]}
    assert by_name["nightly"]["last"] == "2027-02-28T09:10:00+01:00"
    assert (by_name["nightly"]["user_agents"], by_name["nightly"]["kind"]) == (["curl/8"], "caller")
    assert (by_name["/srv/new.py:7"]["fields"], by_name["portal"]["left"]) == (["name"], False)
    table = list(csv.DictReader(io.StringIO(invoke("callers", "--config", counted, "--now", NOW, "--csv").stdout)))
    assert {row["name"] for row in table} == set(by_name)
    (nightly,) = [row for row in table if row["name"] == "nightly"]
    assert (nightly["calls"], nightly["parameters"], nightly["statuses"]) == ("28", "limit | page", "200=28")


def test_filters_and_thresholds(invoke: Invoke, counted: Path) -> None:
    def names(*options: str) -> dict[str, tuple[str, int]]:
        given = json.loads(invoke("callers", "--config", counted, "--now", NOW, "--json", *options).stdout)
        return {each["name"]: (each["state"], each["calls"]) for each in given["callers"]}

    assert names("--caller", "nightly") == {"nightly": ("active", 28)}
    assert set(names("--left")) == {"nightly", "/srv/new.py:7", "unknown"}
    assert names("--since", "2027-02-27")["nightly"] == ("new", 2)
    assert "/srv/=old.py:3" not in names("--since", "2027-02-27")
    assert names("--new-days", "60")["nightly"] == ("new", 28)
    # A day without its nightly call is no silence yet, three are.
    later = names("--now", "2027-03-03T20:00")
    assert later["nightly"][0] == "quiet"
    assert names("--quiet-days", "0.5")["nightly"][0] == "quiet"


def test_nothing_counted_yet(invoke: Invoke, config: Path, tmp_path: Path) -> None:
    result = invoke("callers", "--config", config)
    assert result.exit_code == 0
    assert result.output.startswith("No deprecated call has been counted yet.")
    assert "EXAM_COMPAT_STORE" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["counted.toml"]
    config.write_text(config.read_text().replace("sqlite:///", "memory://"), encoding="utf-8")
    assert "each process's own" in invoke("callers", "--config", config).stderr


def test_dropped_calls_are_said(invoke: Invoke, config: Path, tmp_path: Path) -> None:
    inventory = Inventory(f"sqlite:///{tmp_path}/calls.db", most_waiting=0)
    inventory.note(CallRecord(at("2027-02-01T08:10"), "adapter", "index_students"))
    assert inventory.flush()
    assert "1 more calls were seen and not counted" in invoke("callers", "--config", config).stderr


@pytest.fixture
def windows(counted: Path) -> Path:
    counted.write_text(counted.read_text() + WINDOWS, encoding="utf-8")
    return counted


def test_brownouts_and_their_states(invoke: Invoke, windows: Path) -> None:
    result = invoke("brownouts", "--config", windows, "--now", NOW)
    table = [line for line in result.output.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in table] == ["planned", "over", "planned"]
    assert "2027-03-01 09:00+01:00" in table[0]
    assert "portal" in table[2]
    assert "No call for its exams fails from 2027-03-08 00:00+01:00 to 2027-03-09 00:00+01:00." in result.output
    given = json.loads(invoke("brownouts", "--config", windows, "--now", "2027-03-29T09:10", "--json").stdout)
    assert [each["state"] for each in given["brownouts"]] == ["now", "over", "over"]
    assert given["brownouts"][0]["starts"] == "2027-03-29T09:00:00+02:00"


def test_who_would_fail(invoke: Invoke, windows: Path) -> None:
    given = json.loads(invoke("brownouts", "--config", windows, "--now", NOW, "--dry-run", "--json").stdout)
    assert [each["would_fail"] for each in given["brownouts"]] == [
        [{"name": "nightly", "kind": "caller", "calls": 4, "weeks": 4}],
        [],
        [],
    ]
    told = invoke("brownouts", "--config", windows, "--now", NOW, "--dry-run").output
    assert "2027-03-01 09:00+01:00 to 2027-03-01 09:30+01:00: 1 would fail." in told
    assert "2027-03-02 20:00+01:00 to 2027-03-02 21:00+01:00: 0 would fail." in told
    assert "Told from who called at that weekday and those hours in the last 4 weeks" in told


def test_pause_and_resume(invoke: Invoke, windows: Path, tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/calls.db")
    assert "All brownouts are paused." in invoke("brownouts", "--config", windows, "--now", NOW, "pause").stderr
    assert dict(ledger.switches()) == {"brownouts paused": "2027-03-01T07:00:00+00:00"}
    assert "paused already" in invoke("brownouts", "--config", windows, "pause").stderr
    shown = invoke("brownouts", "--config", windows, "--now", NOW)
    assert "paused since 2027-03-01T07:00:00+00:00" in shown.stderr
    assert "Brownouts happen again." in invoke("brownouts", "--config", windows, "resume").stderr
    assert dict(ledger.switches()) == {}
    assert "not paused" in invoke("brownouts", "--config", windows, "resume").stderr
    ledger.close()


def test_no_brownouts(invoke: Invoke, config: Path) -> None:
    assert invoke("brownouts", "--config", config).output.startswith("No brownout is planned.")


def test_nothing_of_this_version_is_due(invoke: Invoke) -> None:
    """The release that makes a name due fails here, until the name is gone."""
    assert due(__version__) == []
    result = invoke("due", "--now", "2024-01-01")
    assert result.exit_code == 0
    assert set(rows_of(result.output)) == set(REGISTRY)


@pytest.mark.parametrize(
    ("options", "status", "verdict"),
    [
        (("--today", "2027-05-30"), 0, "later"),
        (("--today", "2027-05-31"), 0, "soon"),
        (("--today", "2027-05-31", "--strict"), 1, "soon"),
        (("--today", "2027-05-31", "--days", "29"), 0, "later"),
        (("--today", "2027-06-30"), 1, "due"),
        (("--today", "2027-06-29T23:00:00+00:00"), 0, "soon"),
    ],
)
def test_the_sunset(invoke: Invoke, config: Path, options: tuple[str, ...], status: int, verdict: str) -> None:
    result = invoke("due", "--config", config, *options)
    assert (result.exit_code, rows_of(result.output)["the old interface"][1]) == (status, verdict)
    assert ("Warning: the old interface goes on 2027-06-30" in result.stderr) == (verdict == "soon")
    given = json.loads(invoke("due", "--config", config, *options, "--json").stdout)
    assert (given["removals"][0]["verdict"], given["fails"]) == (verdict, bool(status))


def test_a_version_that_has_the_names_no_more(invoke: Invoke, counted: Path) -> None:
    result = invoke("due", "--config", counted, "--today", NOW, "--against", "2.0.0")
    assert result.exit_code == 1
    rows = rows_of(result.output)
    assert {name: row[1] for name, row in rows.items() if name in REGISTRY} == dict.fromkeys(REGISTRY, "due")
    assert rows["ExamStudentsClient.show_student"][2:4] == ["1", "2027-02-28"]
    assert rows["GET exams/:id/index_students"][2:4] == ["34", "2027-02-28"]
    assert rows["POST exams/:id/add_student"][2:4] == ["0", ""]
    assert invoke("due", "--against", "1.9.9", "--today", NOW).exit_code == 0
    assert invoke("due", "--against", "x").exit_code == 2


def test_what_was_not_looked_at_is_no_number(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("due", "--json")
    assert result.exit_code == 0
    assert "No configuration: only the names were looked at" in result.stderr
    assert {each["calls"] for each in json.loads(result.stdout)["removals"]} == {None}
    assert "?" in invoke("due").stdout


@pytest.mark.parametrize(
    ("makes", "told"),
    [
        (
            lambda folder: (folder / "a.db-migration").write_text("garbage" * 200),
            "a.db-migration cannot be used: ",
        ),
        (lambda folder: None, "There is no folder"),
    ],
)
def test_a_store_that_nothing_can_be_counted_in_is_named(
    invoke: Invoke, tmp_path: Path, makes: Callable[[Path], object], told: str
) -> None:
    makes(tmp_path)
    name = "a.db" if list(tmp_path.iterdir()) else "nowhere/a.db"
    with Sandbox(students=3) as sandbox:
        content = sandbox.toml("student_sessions") + f'\n[store]\nurl = "sqlite:///{name}"\n'
    (tmp_path / "exam-compat.toml").write_text(content, encoding="utf-8")
    result = invoke("callers")
    assert (result.exit_code, told in " ".join(result.stderr.split())) == (1, True), result.output


def test_the_clock_by_the_environment(invoke: Invoke, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAM_COMPAT_NOW", "2030-01-01")
    assert invoke("due", "--config", config).exit_code == 1
    monkeypatch.setenv("EXAM_COMPAT_NOW", "soon")
    assert invoke("due", "--config", config).exit_code == 2
