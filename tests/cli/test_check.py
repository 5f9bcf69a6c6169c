"""``exam-compat check``: recordings against a sandbox whose new endpoint does well, fails, or moves."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import Result

from compat.testing import Sandbox
from compat.testing.sandbox.messages import SandboxAnswer, SandboxRequest

from .conftest import Invoke

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

CONFIG = "exam-compat.toml"


@pytest.fixture
def own() -> Iterator[Sandbox]:
    """A sandbox of its own, whose answers are tampered with."""
    with Sandbox(students=60, exams=2, seed=5) as served:
        yield served


@pytest.fixture
def recorded(own: Sandbox, invoke: Invoke, tmp_path: Path) -> Path:
    """Calls of the old endpoint, recorded."""
    (tmp_path / CONFIG).write_text(own.toml("student_sessions"), encoding="utf-8")
    assert invoke("record", "old.ndjson.gz", "--exam", 17, "--exam", 18, "--limit", 5).exit_code == 0
    return tmp_path / "old.ndjson.gz"


def too_early(request: SandboxRequest, answer: SandboxAnswer) -> SandboxAnswer:
    """A new endpoint that takes the last status for the one before."""
    body = answer.body.replace(b'"exam_finished"', b'"exam_started"')
    return dataclasses.replace(answer, body=body)


def unfolded(result: Result) -> str:
    """What it wrote, without the ends of lines and the frames of tables."""
    return re.sub(r"[\s│]+", " ", result.output)


def test_a_clean_recording_lacks_evidence_until_it_is_enough(recorded: Path, invoke: Invoke) -> None:
    result = invoke("check", recorded)
    assert result.exit_code == 3, result.output
    assert re.match(
        r"NOT ENOUGH EVIDENCE. Not yet: (\d+) more calls that ask something new are needed; of (\d+) calls compared, ",
        unfolded(result),
    )
    enough = invoke("check", recorded, "--max-unexplained", 0.4)
    assert enough.exit_code == 0
    assert enough.output.startswith("READY. Yes: of ")


def test_a_fault_is_found_shown_and_can_be_repeated(
    recorded: Path, invoke: Invoke, own: Sandbox, tmp_path: Path
) -> None:
    own.intercept = too_early
    result = invoke("check", recorded)
    assert result.exit_code == 1, result.output
    assert result.output.startswith("NOT READY. No: 1 field is wrong in ")
    # A command and a place are one line, however long.
    places = re.findall(r"^.*old\.ndjson\.gz:(\d+):1: index_students of exam .*$", result.output, re.MULTILINE)
    long = re.compile(r"  |.*old\.ndjson\.gz:")
    assert max(len(line) for line in result.output.splitlines() if not long.match(line)) <= 80
    assert result.output.index("1. text in status: unexplained, ") < result.output.index("exam-compat get")
    assert result.output.index("exam-compat get") < result.output.index("Questions")
    # The first line of a recording is its head.
    content = gzip.decompress(recorded.read_bytes()).splitlines()
    assert len(places) == 3
    assert all(b'"line":"call"' in content[int(number) - 1] for number in places)
    assert all(b'"exam_finished"' in content[int(number) - 1] for number in places)
    row = re.search(r'│ text +│ (\d+) +│ status +│ "exam_finished" +│ "exam_started" +│', result.output)
    assert row is not None, result.output
    command = re.search(r"^  (exam-compat get .*)$", result.output, re.MULTILINE)
    assert command is not None
    again = invoke(*command[1].split()[1:], "--json")
    assert int(row[1]) in [record["id"] for record in json.loads(again.stdout)["students"]]


def test_the_line_for_curl_signs_anew_and_holds_no_secret(recorded: Path, invoke: Invoke, own: Sandbox) -> None:
    own.intercept = too_early
    command = re.search(r"^  (curl .*)$", invoke("check", recorded).output, re.MULTILINE)
    assert command is not None
    names = {"URL": own.base_url, "TOKEN": own.api_token, "SECRET": own.secret_key}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | {f"EXAM_STUDENTS_{name}": text for name, text in names.items()}
    run = subprocess.run(
        ["bash", "-c", command[1]], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert len(json.loads(run.stdout)["students"]) == 5
    assert not [text for text in names.values() if text in command[1]]


def test_json_has_the_verdict_and_every_count(recorded: Path, invoke: Invoke, own: Sandbox) -> None:
    own.intercept = too_early
    told = json.loads(invoke("check", recorded, "--json").stdout)
    judged, result = told["judgement"], told["result"]
    assert judged["verdict"] == "not ready"
    assert judged["all"]["calls"] == result["all"]["calls"] == result["recordings"][0]["calls"]
    assert {(each["kind"], each["field"], each["by"]) for each in result["differences"]} == {("text", "status", None)}
    assert own.secret_key not in json.dumps(told)


def test_a_known_difference_is_accepted_until_it_expires(
    recorded: Path, invoke: Invoke, own: Sandbox, tmp_path: Path
) -> None:
    own.intercept = too_early
    rule = '[[known]]\nreason = "a late status is fine"\nexpires = 2999-12-31\nfield = "status"\n'
    (tmp_path / "known.toml").write_text(rule)
    result = invoke("check", recorded, "--known", "known.toml")
    assert result.exit_code == 3
    assert "a late status is fine" in unfolded(result)
    (tmp_path / "known.toml").write_text(rule.replace("2999", "2019"))
    expired = invoke("check", recorded, "--known", "known.toml")
    assert expired.exit_code == 1
    assert "a rule expired on 2019-12-31" in expired.output


def test_data_that_moved_since_it_was_recorded_is_drift(recorded: Path, invoke: Invoke, own: Sandbox) -> None:
    changed = own.dataset.entries(17)[0]
    own.dataset.change(changed.record["id"], {"name": "Somebody Else"})
    result = invoke("check", recorded, "--json")
    told = json.loads(result.stdout)["result"]
    assert {each["by"] for each in told["differences"]} == {"drift"}
    assert (told["all"]["unexplained"], told["reread"]) == (0, 1)
    assert "Somebody" not in result.output
    # What moved is no fault, and costs none of the calls that may be made again in vain.
    own.dataset.change(own.dataset.entries(18)[0].record["id"], {"name": "Somebody Else"})
    several = json.loads(invoke("check", recorded, "--json", "--rereads", "1").stdout)["result"]
    assert (several["all"]["unexplained"], several["reread"], several["not_reread"]) == (0, 2, 0)


def test_a_fault_of_all_calls_is_asked_about_in_some(recorded: Path, invoke: Invoke, own: Sandbox) -> None:
    own.intercept = too_early
    told = json.loads(invoke("check", recorded, "--json").stdout)
    faulty = told["result"]["reread"]
    assert (told["result"]["all"]["unexplained"], told["result"]["not_reread"]) == (faulty, 0)
    assert faulty > 2
    few = json.loads(invoke("check", recorded, "--json", "--rereads", "2").stdout)
    assert (few["result"]["reread"], few["result"]["not_reread"]) == (2, faulty - 2)
    assert few["result"]["all"] == told["result"]["all"]
    note = f"Note: {faulty - 2} calls not made again: the differences of enough others stayed (--rereads)."
    assert note in invoke("check", recorded, "--rereads", "2").output


def test_nobody_is_asked_offline(recorded: Path, invoke: Invoke, own: Sandbox) -> None:
    own.clear_calls()
    result = invoke("check", recorded, "--offline")
    assert result.exit_code == 3
    assert own.calls == []
    assert "calls (the other endpoint was not asked, and cannot be now)" in unfolded(result)
    assert "a recording proved nothing: old.ndjson.gz" in result.output


def test_pairs_are_checked_without_a_configuration_in_several_processes(
    recorded: Path, invoke: Invoke, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        assert invoke("record", f"pairs/{name}.ndjson.gz", "--exam", 17, "--limit", 5, "--ask", "both").exit_code == 0
    (tmp_path / CONFIG).unlink()
    one = json.loads(invoke("check", "pairs", "--json").stdout)
    several = json.loads(invoke("check", "pairs", "--json", "--jobs", 2).stdout)
    for told in (one, several):
        told["result"].pop("checked_at")
    assert one == several
    assert one["result"]["all"]["calls"] == one["result"]["identical"] > 10


def test_what_is_recorded_live_is_checked_while_it_is_written(
    own: Sandbox, invoke: Invoke, recorded: Path, tmp_path: Path
) -> None:
    config = own.toml("student_sessions") + '\n[regression]\nrecord = "kept"\nmax_unexplained = 0.4\n'
    (tmp_path / CONFIG).write_text(config, encoding="utf-8")
    assert invoke("record", "kept/one.ndjson.gz", "--exam", 17, "--limit", 5, "--ask", "both").exit_code == 0
    # As long as its writer lives, a file has no end.
    whole = (tmp_path / "kept/one.ndjson.gz").read_bytes()
    (tmp_path / "kept/one.ndjson.gz").write_bytes(whole[:-10])
    assert invoke("check", "kept").exit_code == 1
    assert invoke("check", "--live").exit_code == 0


def test_a_filter_by_a_name_is_made_again_with_the_key(
    own: Sandbox, invoke: Invoke, recorded: Path, tmp_path: Path
) -> None:
    name = own.dataset.entries(17)[0].record["name"]
    query = json.dumps({"exam": 17, "filter": {"name": {"eq": name}}})
    assert invoke("record", "named.ndjson.gz", "--queries", "-", input=query).exit_code == 0
    told = json.loads(invoke("check", "named.ndjson.gz", "--json").stdout)
    assert (told["result"]["all"]["calls"], told["result"]["identical"]) == (1, 1)
    own.intercept = too_early
    found = invoke("check", "named.ndjson.gz").output
    assert name not in found
    another = {"EXAM_COMPAT_RECORDING_KEY": "another key, which has made nothing"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*next(iter(another.items())))
        assert "made with another key of pseudonyms" in invoke("check", "named.ndjson.gz").output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "Say what to check"),
        (("nowhere.ndjson.gz",), 2, "nowhere.ndjson.gz: no such file"),
        (("--live",), 2, "[regression] record names no folder"),
        (("old.ndjson.gz", "--max-age", "soon"), 2, "must be days or hours"),
        (("old.ndjson.gz", "--max-age", "0h"), 1, "days old; --max-age allows 0"),
        (("old.ndjson.gz", "--known", "nowhere.toml"), 2, "nowhere.toml"),
    ],
)
def test_what_cannot_be_checked_is_said(
    arguments: tuple[str, ...], status: int, message: str, recorded: Path, invoke: Invoke
) -> None:
    result = invoke("check", *arguments)
    assert (result.exit_code, message in result.output) == (status, True), result.output


def test_a_caller_has_one_score_of_inventory_rewrite_and_verdict(
    own: Sandbox, invoke: Invoke, recorded: Path, tmp_path: Path
) -> None:
    script = tmp_path / "jobs" / "export.py"
    script.parent.mkdir()
    script.write_text(f'import requests\n\nrequests.get("{own.base_url}/api/v3/exams/17/index_students", timeout=5)\n')
    ran = subprocess.run([sys.executable, "-m", "compat.cli", "run", script], cwd=tmp_path, check=False, timeout=60)
    assert ran.returncode == 0
    result = invoke("check", recorded, "--callers", "--scripts", "jobs")
    line = r"^\S+/jobs/export.py:3:1: left: .* a day, 1 of 1 place by hand, not checked$"
    assert re.search(line, result.output, re.MULTILINE), result.output
    assert "1 caller is left, with 1.0 calls a day." in result.output
    told = json.loads(invoke("check", recorded, "--callers", "--json").stdout)
    assert told["callers_left"][0]["rewritable"] == "script not seen"
    assert invoke("check", recorded, "--offline", "--callers", "--config", "nowhere.toml").exit_code == 2


def test_reports_are_written_and_the_verdict_stays(
    recorded: Path, invoke: Invoke, own: Sandbox, tmp_path: Path
) -> None:
    own.intercept = too_early
    files = {form: tmp_path / f"check.{form}" for form in ("html", "markdown", "junit")}
    options = [word for form, path in files.items() for word in (f"--{form}", path)]
    result = invoke("check", recorded, *options, "--json")
    assert result.exit_code == 1, result.output
    calls = json.loads(result.stdout)["result"]["all"]["calls"]
    page, text, xml = (path.read_text(encoding="utf-8") for path in files.values())
    assert f'<dd data-number="calls">{calls}</dd>' in page
    assert f"| Calls compared | {calls} |" in text
    failure = ElementTree.fromstring(xml).find(".//failure")  # noqa: S314 - our own
    assert failure is not None
    assert f"of {calls} calls." in failure.attrib["message"]
    assert "compat.regression.replay index_students" in page
    for written in (page, text, xml):
        assert own.secret_key not in written


def test_a_report_that_cannot_be_written_is_said(recorded: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("check", recorded, "--html", tmp_path / "no such folder" / "check.html")
    assert result.exit_code == 2
    assert "no such folder" in result.output
