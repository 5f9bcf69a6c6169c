"""The scan as a gate: grades that fail it, marks and a baseline that let finds pass, and what is wrong usage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Invoke

URL = "https://acme.proctorexam.com/api/v3/exams/17/index_students"
SECRET = "Token token=9f8e7d6c5b4a"


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/a.sh").write_text(f"#!/bin/sh\ncurl -H '{SECRET}' {URL}\ncurl {URL}\n")
    (tmp_path / "jobs/b.yml").write_text("action: index_students\n")
    (tmp_path / "jobs/c.md").write_text(f"The list was at {URL} once.\n")
    return tmp_path / "jobs"


@pytest.mark.parametrize(
    ("left", "least", "status"),
    [
        ("a.sh", "certain", 1),
        ("b.yml", "certain", 0),
        ("b.yml", "likely", 1),
        ("c.md", "likely", 0),
        ("c.md", "mention", 1),
    ],
)
def test_the_status_is_that_of_the_grade(invoke: Invoke, jobs: Path, left: str, least: str, status: int) -> None:
    assert invoke("scan", jobs / left, "--fail-on", least).exit_code == status
    if least == "likely":
        assert invoke("scan", jobs / left).exit_code == status


def test_grade_in_every_form(invoke: Invoke, jobs: Path) -> None:
    finds = json.loads(invoke("scan", "jobs", "--json").stdout)["finds"]
    assert [(each["grade"], each["level"]) for each in finds] == [
        ("certain", "error"),
        ("certain", "error"),
        ("likely", "warning"),
        ("mention", "note"),
    ]
    results = json.loads(invoke("scan", "jobs", "--sarif").stdout)["runs"][0]["results"]
    assert [(each["level"], each["properties"]["grade"]) for each in results] == [
        ("error", "certain"),
        ("error", "certain"),
        ("warning", "likely"),
        ("note", "mention"),
    ]
    told = invoke("scan", "jobs").stdout
    assert told.count(": certain: ") == 2
    assert told.endswith(
        "3 uses of the old interface in 2 files (and 1 find below --fail-on); exam-compat migrate rewrites 0 of them.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("scan", "none.py"),
        ("scan", "jobs", "none.py"),
        ("scan", "jobs", "--baseline", "none.json"),
        ("scan", "jobs", "--write-baseline"),
        ("scan", "jobs", "--fail-on", "none"),
        ("scan", "jobs", "--baseline", "jobs/c.md"),
        ("scan",),
    ],
)
def test_wrong_usage(invoke: Invoke, jobs: Path, words: tuple[str, ...]) -> None:
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert next((word for word in words if "none" in word or word.endswith(".md")), "") in result.stderr


def test_what_was_not_read_is_said(invoke: Invoke, jobs: Path) -> None:
    (jobs / "d.png").write_bytes(b"\x89PNG\0")
    result = invoke("scan", "jobs/d.png")
    assert result.stderr == "1 file was not read: 1 binary.\n"
    assert result.stdout == "No use of the old interface in 0 files read.\n"
    told = json.loads(invoke("scan", "jobs", "--json").stdout)
    assert (told["not_read"], told["files_read"]) == ([{"path": "jobs/d.png", "reason": "binary"}], 3)
    notes = json.loads(invoke("scan", "jobs", "--sarif").stdout)["runs"][0]["invocations"][0]
    assert [each["message"]["text"] for each in notes["toolExecutionNotifications"]] == [
        "1 file was not read: 1 binary."
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.sh", f"curl {URL}  # exam-compat: ignore until the gateway is up"),
        ("a.sh", f"# exam-compat: ignore until the gateway is up\ncurl {URL}"),
        ("a.js", f"fetch('{URL}') // exam-compat: ignore until the gateway is up"),
        ("a.c", f'get("{URL}"); /* exam-compat: ignore: until the gateway is up */'),
        ("a.sql", f"SELECT '{URL}' -- exam-compat: ignore - until the gateway is up"),
        ("a.html", f"<a href='{URL}'> <!-- exam-compat: ignore until the gateway is up -->"),
        ("a.vb", f'Get("{URL}") \' exam-compat:ignore until the gateway is up'),
        ("a.bat", f"rem exam-compat: ignore until the gateway is up\r\ncurl {URL}"),
        ("a.ini", f"; exam-compat: ignore until the gateway is up\nurl={URL}"),
        ("a.j2", f"{URL} {{# exam-compat: ignore until the gateway is up #}}"),
        ("a.py", f"get('{URL}')  # exam-compat: ignore until the gateway is up"),
        ("a.py", f"get(\n    '{URL}'\n    '?page=1',  # exam-compat: ignore until the gateway is up\n)"),
        ("crontab", f"# exam-compat: ignore (until the gateway is up)\n0 3 * * * curl {URL}"),
    ],
)
def test_a_mark_in_every_comment(invoke: Invoke, tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(line + "\n")
    result = invoke("scan", name, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["finds"], told["problems"]) == ([], [])
    assert [each["reason"] for each in told["marked"]] == ["until the gateway is up"]
    (tmp_path / name).write_text(line.replace("ignore", "ignored") + "\n")
    assert invoke("scan", name).exit_code == 1


def test_a_mark_is_for_its_line_alone(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text(f"curl {URL} # exam-compat: ignore\ncurl {URL}\n# exam-compat: ignore\ntrue\n")
    result = invoke("scan", "a.sh")
    assert result.exit_code == 1
    assert "1 use of the old interface in 1 file (and 1 marked)" in result.stdout
    assert result.stderr == "a.sh:3:1: the mark exam-compat: ignore lets nothing pass; remove it\n"


def test_a_baseline_survives_moved_lines_and_keeps_no_text(invoke: Invoke, jobs: Path, tmp_path: Path) -> None:
    written = invoke("scan", "jobs", "--baseline", "known.json", "--write-baseline")
    assert (written.exit_code, written.stdout) == (0, "3 finds written to known.json.\n")
    text = (tmp_path / "known.json").read_text()
    assert "9f8e7d" not in text
    assert "acme" not in text
    again = invoke("scan", ".", "--baseline", "known.json")
    assert again.exit_code == 0
    assert "(and 1 find below --fail-on, 3 of the baseline)" in again.stdout
    before = (jobs / "a.sh").read_text()
    (jobs / "a.sh").write_bytes(("# moved\n\n" + before.replace("curl", "  curl")).replace("\n", "\r\n").encode())
    assert invoke("scan", "jobs", "--baseline", "known.json").exit_code == 0
    (jobs / "a.sh").write_text(before + f"curl {URL}\n")
    more = invoke("scan", "jobs", "--baseline", "known.json", "--json")
    assert more.exit_code == 1
    assert [(each["line"], each["grade"]) for each in json.loads(more.stdout)["finds"]] == [
        (4, "certain"),
        (1, "mention"),
    ]


def test_a_find_that_is_gone_is_said(invoke: Invoke, jobs: Path, tmp_path: Path) -> None:
    invoke("scan", "jobs", "--baseline", "known.json", "--write-baseline")
    (jobs / "a.sh").write_text(f"curl {URL}\n")
    told = "a find of the baseline (index-students-route) is gone: write the file anew with --write-baseline\n"
    result = invoke("scan", "jobs", "--baseline", "known.json")
    assert (result.exit_code, result.stderr) == (0, f"jobs/a.sh: {told}")
    (jobs / "b.yml").unlink()
    assert invoke("scan", ".", "--baseline", "known.json").stderr == f"jobs/a.sh: {told}jobs/b.yml: {told}"
    # What was not looked at is not gone, and stays in a baseline that is written anew.
    assert invoke("scan", "jobs/c.md", "--baseline", "known.json").stderr == ""
    assert invoke("scan", "jobs/c.md", "--baseline", "known.json", "--write-baseline").exit_code == 0
    assert invoke("scan", "jobs", "--baseline", "known.json").exit_code == 0


def test_a_surer_find_is_a_new_one(invoke: Invoke, jobs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(f"/*\nget('{URL}')\n*/\n")
    invoke("scan", "a.js", "--baseline", "known.json", "--write-baseline", "--fail-on", "mention")
    assert invoke("scan", "a.js", "--baseline", "known.json", "--fail-on", "mention").exit_code == 0
    (tmp_path / "a.js").write_text(f"get('{URL}')\n")
    assert invoke("scan", "a.js", "--baseline", "known.json").exit_code == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2, "finds": []}', '{"version": 1, "finds": [{}]}', "\xff"]
)
def test_what_is_no_baseline_is_refused(invoke: Invoke, jobs: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "known.json").write_text(text, encoding="latin-1")
    result = invoke("scan", "jobs", "--baseline", "known.json")
    assert result.exit_code == 2
    assert "The baseline known.json cannot be used" in result.stderr


def test_a_name_that_is_no_text_is_shown(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\x1b.sh")).write_text(f"curl {URL}\n")
    for form in ("--json", "--sarif", "--fail-on=likely"):
        result = invoke("scan", ".", form)
        assert result.exit_code == 1
        result.stdout.encode()
    assert invoke("scan", ".", "--baseline", "a.json", "--write-baseline").exit_code == 0
    assert invoke("scan", ".", "--baseline", "a.json").exit_code == 0
