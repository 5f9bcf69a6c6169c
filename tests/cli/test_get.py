"""``get`` in all its outputs, against a sandbox over HTTP."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from compat.cli.console import plain
from compat.schemas import STUDENT_FIELDS
from compat.testing import Fault, Sandbox
from compat.testing.sandbox import SandboxAnswer

from .conftest import Invoke, Run

SORT = '[{"start_time": "desc"}, {"id": "asc"}]'


def old_answer(sandbox: Sandbox, **parameters: str) -> requests.Response:
    signed = sandbox.signed(parameters, {"id": "17"})
    url = f"{sandbox.base_url}/api/v3/exams/17/index_students"
    response = requests.get(url, params=signed, headers=sandbox.headers, timeout=10)
    response.raise_for_status()
    return response


def old_students(sandbox: Sandbox, **parameters: str) -> list[dict[str, Any]]:
    students: list[dict[str, Any]] = old_answer(sandbox, **parameters).json()["students"]
    return students


def test_json_is_the_old_body(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    result = invoke("get", "17", "--json", "--sort", SORT, "--limit", "7", "--page", "2", "--config", config)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == old_answer(sandbox, sort=SORT, limit="7", page="2").json()
    assert result.stderr == "7 of 30 students; page 2 of 5, 7 a page.\n"


def test_ndjson_is_a_record_a_line(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    filter_ = '{"email": {"ne": null}}'
    result = invoke("get", "17", "--ndjson", "--sort", SORT, "--filter", filter_, "--config", config)
    records = [json.loads(line) for line in result.stdout_bytes.decode().splitlines()]
    assert records == old_students(sandbox, sort=SORT, filter=filter_)


def test_csv_has_every_field_in_order(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    result = invoke("get", "17", "--csv", "--sort", SORT, "--all", "--limit", "4", "--config", config)
    heading, *rows = csv.reader(io.StringIO(result.stdout_bytes.decode(), newline=""))
    assert heading == list(STUDENT_FIELDS)
    for row, record in zip(rows, old_students(sandbox, sort=SORT), strict=True):
        for text, value in zip(row, record.values(), strict=True):
            if value is None:
                assert text == ""
            else:
                assert (text if isinstance(value, str) else json.loads(text)) == value


def test_all_joins_the_pages(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    result = invoke("get", "17", "--all", "--json", "--limit", "4", "--sort", SORT, "--config", config)
    assert json.loads(result.stdout)["students"] == old_students(sandbox, sort=SORT)
    assert result.stderr == "30 of 30 students; page 8 of 8, 4 a page.\n"


def test_all_is_one_reading(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    sandbox.clear_calls()
    assert invoke("get", "17", "--all", "--limit", "4", "--sort", SORT, "--config", config).exit_code == 0
    assert sum(call.interface != "token" for call in sandbox.calls) == 1


@pytest.mark.parametrize("form", ["--json", "--ndjson", "--csv"])
def test_no_match_is_an_empty_list(invoke: Invoke, config: Path, form: str) -> None:
    result = invoke("get", "17", form, "--all", "--filter", '{"id": {"eq": 0}}', "--config", config)
    empty = {"--json": '{"students":[]}\n', "--ndjson": "", "--csv": ",".join(STUDENT_FIELDS) + "\n"}
    assert (result.exit_code, result.stdout) == (0, empty[form])
    assert result.stderr == "0 of 0 students; page 1 of 0, 300 a page.\n"


def test_the_table_for_people(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    result = invoke("get", "17", "--status", "exam_finished", "--config", config)
    assert result.exit_code == 0
    for record in old_students(sandbox, status="exam_finished"):
        assert str(record["id"]) in result.stdout
        assert plain(record["name"]) in result.stdout
    assert "exam_started" not in result.stdout


def test_chosen_columns(invoke: Invoke, config: Path) -> None:
    result = invoke("get", "17", "--csv", "--columns", "attempt, id", "--limit", "1", "--config", config)
    assert result.stdout.splitlines()[0] == "attempt,id"
    table = invoke("get", "17", "--columns", "incidents,priority", "--config", config)
    assert "incidents" in table.stdout
    assert "email" not in table.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["17", "--page", "0"], "page=0: Must be at least 1."),
        (["17", "--limit", "ten"], "limit=ten: Must be a number."),
        (["abc"], "abc"),
        (["17", "--status", "done"], "status=done"),
        (["17", "--sort", "name"], "sort=name"),
        (["17", "--filter", '{"nam": {"eq": 1}}'], "nam"),
        (["17", "--columns", "emial"], "the nearest is email"),
        (["17", "--page", "2", "--all"], "--page and --all"),
        (["17", "--columns", "id", "--json"], "--columns says nothing with --json"),
    ],
)
def test_wrong_use_is_named(invoke: Invoke, config: Path, arguments: list[str], said: str) -> None:
    result = invoke("get", *arguments, "--config", config)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_an_upstream_that_refuses(invoke: Invoke, tmp_path: Path, sandbox: Sandbox) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(sandbox.toml("student_sessions").replace(sandbox.secret_key, "another"), encoding="utf-8")
    result = invoke("get", "17", "--config", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: You are not authorized to access this page.\n"


def test_an_upstream_that_fails(invoke: Invoke, tmp_path: Path) -> None:
    with Sandbox(students=3, faults=[Fault("500", 1.0)]) as failing:
        path = tmp_path / "failing.toml"
        path.write_text(failing.toml("student_sessions"), encoding="utf-8")
        result = invoke("get", "17", "--json", "--config", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: The upstream answered with status 500.\n"


def test_an_unsettled_reading_is_said(invoke: Invoke, tmp_path: Path) -> None:
    with Sandbox(students=30, exams=1, clamp=10) as moving:

        def one_less(request: Any, answer: SandboxAnswer) -> SandboxAnswer:
            total = "31" if request.parameters["page"] == "1" else "30"
            return replace(answer, headers={**answer.headers, "X-Pagination-Item-Count": total})

        moving.intercept = one_less
        path = tmp_path / "moving.toml"
        path.write_text(moving.toml("student_sessions"), encoding="utf-8")
        result = invoke("get", "17", "--all", "--ndjson", "--config", path)
    assert result.exit_code == 0
    assert "Unsettled: " in result.stderr


def test_our_own_calls_warn_nobody(run: Run, config: Path) -> None:
    done = run("get", "17", "--all", "--limit", "5", "--config", config)
    assert done.returncode == 0
    assert b"Warning" not in done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Łukasz الزهراء 👩‍👧", "Łukasz الزهراء 👩‍👧"),
        ("a\x1b[2Jb\r\n\x07\u202e", "a\\u001b[2Jb\\r\\n\\u0007\\u202e"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_no_name_commands_the_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown
