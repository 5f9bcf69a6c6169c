"""``demo``: the old script, unedited, answered alike by every upstream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from compat.cli.demo import LEGACY_REPORT, ScriptFailedError, run_script
from compat.testing import Sandbox
from compat.testing.sandbox import SandboxAnswer

from .conftest import Invoke, Run

EXAMPLE = Path(__file__).parents[2] / "examples" / "legacy_report.py"


def test_the_demo_says_equal_three_times(run: Run) -> None:
    done = run("demo")
    shown = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    assert len(re.findall("^Equal: 2 answers", shown, re.MULTILINE)) == 3
    assert "NOT EQUAL" not in shown
    for endpoint in (
        "GET /api/v3/exams/17/index_students",
        "GET /api/v3/student_sessions",
        "POST /auth/1.0/token",
        "GET /insights/1.0/sessions",
        "GET /insights/1.0/users/{user_id}/sessions",
    ):
        assert re.search(rf"^ +\d+ x {re.escape(endpoint)}$", shown, re.MULTILINE), endpoint
    assert shown.count("X-Compat-Answered-By: new") == 3


def test_the_warning_points_at_the_script(run: Run) -> None:
    shown = run("demo").stdout.decode()
    line = next(
        number
        for number, text in enumerate(LEGACY_REPORT.read_text(encoding="utf-8").splitlines(), 1)
        if "requests.get(" in text
    )
    assert shown.count(f"legacy_report.py:{line}: LegacyApiWarning: ") == 3


@pytest.mark.parametrize("arguments", [("--students", "0"), ("--students", "1500", "--seed", "5")])
def test_any_data_will_do(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    result = invoke("demo", *arguments)
    assert result.exit_code == 0, result.stderr
    assert len(re.findall("^Equal: ", result.stdout, re.MULTILINE)) == 3


def test_a_difference_is_said_and_fails(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Sandbox.start

    def other_names(request: Any, answer: SandboxAnswer) -> SandboxAnswer:
        return SandboxAnswer(answer.status, answer.headers, answer.body.replace(b"example.com", b"example.org"))

    def start_differently(sandbox: Sandbox) -> None:
        start(sandbox)
        sandbox.intercept = other_names

    monkeypatch.setattr(Sandbox, "start", start_differently)
    result = invoke("demo")
    assert result.exit_code == 1
    assert result.stdout.count("NOT EQUAL") == 3
    assert "body of answer 1" in result.stdout
    assert "3 of 3 successors" in result.stderr


def test_the_example_for_readers_is_the_one_that_runs() -> None:
    assert EXAMPLE.read_bytes() == LEGACY_REPORT.read_bytes()


def test_the_script_knows_nothing_of_the_shim() -> None:
    code = LEGACY_REPORT.read_text(encoding="utf-8").partition('"""\n\nimport')[2]
    assert code
    assert "compat" not in code


def test_a_failing_script_is_said_without_its_url(tmp_path: Path) -> None:
    with Sandbox(students=3) as sandbox:
        surroundings = {
            "PROCTOREXAM_URL": sandbox.base_url,
            "PROCTOREXAM_TOKEN": "another",
            "PROCTOREXAM_SECRET": sandbox.secret_key,
        }
        with pytest.raises(ScriptFailedError) as caught:
            run_script(LEGACY_REPORT, ["17"], surroundings)
    assert str(caught.value) == "legacy_report.py failed: HTTPError, status 403"
