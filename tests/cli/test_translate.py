"""``translate``: both ways, every form, and nothing dropped silently or left half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compat.testing import Sandbox

from .conftest import COMMAND, Invoke, Run

EXAM = ("--exam", "17=5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11")
APPLICATION = EXAM[1].partition("=")[2]
START, END = "2018-11-17T17:09:39.373+01:00", "2018-11-17T18:09:39.373+01:00"


def session(number: int = 5, **values: Any) -> dict[str, Any]:
    return {
        "applicationId": APPLICATION,
        "durationInSeconds": 3600,
        "endedAtTime": "2018-11-17T17:09:39.373Z",
        "id": str(number),
        "startedAtTime": "2018-11-17T16:09:39.373Z",
        "wasteDurationInSeconds": 0,
        "wastePercentage": 0,
        **values,
    }


def student(number: int = 5, **values: Any) -> dict[str, Any]:
    return {"id": number, "exam_id": 17, "start_time": START, "end_time": END, **values}


def lines(records: Sequence[Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def finished(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [record for record in sandbox.dataset.students if record["start_time"] and record["end_time"]]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def left_behind(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".exam-compat-")]


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_old_to_new_and_back_is_the_input(
    invoke: Invoke, sandbox: Sandbox, paginated: Path, tmp_path: Path, form: str
) -> None:
    students = finished(sandbox)
    (tmp_path / "old.json").write_text(json.dumps({"students": students}), encoding="utf-8")
    there = invoke(
        "translate", "old.json", "--to", "sessions", "--output", "new", "--format", form, "--config", paginated
    )
    assert there.exit_code == 0, there.stderr
    assert there.stderr == f"{len(students)} translated, nothing lost; 0 refused.\n"
    back = invoke("translate", "new", "--to", "legacy", "--output", "back.ndjson", "--config", paginated)
    assert back.exit_code == 0, back.stderr
    assert read_lines(tmp_path / "back.ndjson") == students
    assert [list(record) for record in read_lines(tmp_path / "back.ndjson")] == [list(record) for record in students]


def test_sessions_made_here_come_back_the_same(invoke: Invoke, sandbox: Sandbox, paginated: Path) -> None:
    sessions = invoke(
        "translate", "-", "--to", "sessions", "--config", paginated, input=lines(finished(sandbox))
    ).stdout_bytes
    students = invoke("translate", "-", "--to", "legacy", "--config", paginated, input=sessions).stdout_bytes
    again = invoke("translate", "-", "--to", "sessions", "--config", paginated, input=students).stdout_bytes
    assert again == sessions


def test_the_output_of_get_goes_in(run: Run, sandbox: Sandbox, paginated: Path) -> None:
    got = run("get", "17", "--all", "--ndjson", "--config", paginated).stdout
    new = run("translate", "-", "--to", "sessions", "--config", paginated, input=got)
    assert new.returncode == 0, new.stderr.decode()
    assert run("translate", "-", "--to", "legacy", "--config", paginated, input=new.stdout).stdout == got


def test_numbers_and_texts_keep_their_text(invoke: Invoke) -> None:
    odd = '"bandwidth_speed":"a","offset":1.10,"large":123456789012345678901234567890,"e":1E5,"half":"\\ud83d"'
    text = f'{{"id":5,"exam_id":17,"start_time":"{START}","end_time":"{END}",{odd},"name":"\U0001f600"}}'
    sessions = invoke("translate", "-", "--to", "sessions", *EXAM, input=text).stdout
    back = invoke("translate", "-", "--to", "legacy", *EXAM, input=sessions).stdout
    for kept in ('"offset":1.10', "123456789012345678901234567890", '"e":1E5', '"half":"\\ud83d"', "\U0001f600"):
        assert kept in sessions
        assert kept in back


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("[]", 0),
        (' \n[ {"a": 1} ]\n', 1),
        ('{"sessions": [], "total": 0}', 0),
        ('{\n "total": 2,\n "sessions": [{"a": 1},\n{"a": 2}], "limit": 5}', 2),
        ('{"limit": 5, "students": [{"a": [1, {"b": "]"}]}]}', 1),
        ('{\n "a": 1\n}', 1),
        ('{"a": 1}\n\n{"a": 2}\r\n', 2),
        ('{"a": 1}', 1),
        ('\ufeff{"a": 1}\n{"a": 2}', 2),
        ('\ufeff[{"a": 1}]', 1),
    ],
)
def test_every_shape_is_read(invoke: Invoke, text: str, count: int) -> None:
    result = invoke("translate", "-", "--to", "sessions", *EXAM, input=text.encode())
    # Not one of them is a student: what counts is that each is found, and none is dropped.
    assert result.stderr.splitlines()[-1] == f"0 translated, nothing lost; {count} refused."
    assert result.exit_code == (1 if count else 0)


def test_a_document_larger_than_what_is_read_at_once(invoke: Invoke, tmp_path: Path) -> None:
    students = [student(number, name="ü" * (number % 7) * 9999, individual_info='[{}]\\"') for number in range(1, 60)]
    text = json.dumps({"total": 60, "students": students}, ensure_ascii=False, indent=1)
    assert len(text) > 1 << 20
    (tmp_path / "large.json").write_text(text, encoding="utf-8")
    result = invoke("translate", "large.json", "--to", "sessions", *EXAM)
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout_bytes.splitlines()] == [str(n) for n in range(1, 60)]


def test_refused_records_are_listed_and_kept(invoke: Invoke, tmp_path: Path) -> None:
    entries = [student(1), student(2, start_time=None), "{broken", "7", student(2**52), student(3)]
    text = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in entries)
    (tmp_path / "mixed.ndjson").write_text(text + "\n" + '{"id":4,"id":5}\n', encoding="utf-8")
    arguments = ("translate", "mixed.ndjson", "--to", "sessions", *EXAM)
    result = invoke(*arguments, "--output", "out.ndjson", "--refused", "refused.ndjson")
    assert result.exit_code == 1
    assert [record["id"] for record in read_lines(tmp_path / "out.ndjson")] == ["1", "3"]
    listed = result.stderr.splitlines()
    assert listed[0] == "mixed.ndjson:2: start_time: Must be there: a session has a start and an end."
    assert listed[1].startswith("mixed.ndjson:3: Must be JSON: ")
    assert listed[2] == "mixed.ndjson:4: Must be a JSON object."
    assert listed[3] == "mixed.ndjson:5: id: Must be an integer from 1 to 2^52-1."
    assert listed[4] == "mixed.ndjson:8: id: Must stand in the record once."
    assert listed[-1] == "2 translated, 53 kinds of loss; 5 refused, kept in refused.ndjson."
    kept = read_lines(tmp_path / "refused.ndjson")
    assert [entry["line"] for entry in kept] == [2, 3, 4, 5, 8]
    assert kept[0]["field"] == "start_time"
    assert kept[0]["record"] == entries[1]
    assert kept[1]["text"] == "{broken"


def test_places_in_a_document_are_indexes(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps([student(1), student(2, exam_id=18)]), encoding="utf-8")
    result = invoke("translate", "old.json", "--to", "sessions", *EXAM)
    assert result.exit_code == 1
    assert result.stderr.startswith("old.json[1]: exam_id: Must be an exam id that [exams] ties")


def test_what_is_not_utf8_is_refused_and_kept(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "latin.ndjson").write_bytes(lines([student(1)]).encode() + b'{"name":"J\xfcrgen"}\n')
    result = invoke("translate", "latin.ndjson", "--to", "sessions", *EXAM, "--refused", "refused.ndjson")
    assert result.exit_code == 1
    assert "latin.ndjson:2: Must be UTF-8." in result.stderr
    text = read_lines(tmp_path / "refused.ndjson")[0]["text"]
    assert text.encode(errors="surrogateescape") == b'{"name":"J\xfcrgen"}'


def test_losses_are_summed_up(invoke: Invoke) -> None:
    sessions = [session(1, recordingS3Key="a"), session(2, recordingS3Key="b"), session(3, metadata={"x": 1})]
    result = invoke("translate", "-", "--to", "legacy", *EXAM, input=lines(sessions))
    assert result.exit_code == 0
    rows = {
        row[0]: row[1:]
        for line in result.stderr.splitlines()
        if len(row := [*map(str.strip, line.split("│")[1:-1])]) == 3
    }
    assert rows["recordingS3Key"] == ["the value, for which a legacy record has no field", "2"]
    assert rows["metadata.x"][1] == "1"
    assert rows["toolId"] == ["that it was absent", "3"]
    assert result.stderr.splitlines()[-1].startswith("3 translated, ")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([student(1), student(2)])[:-1],
        json.dumps([student(1), student(2)])[:-20],
        json.dumps([student(1)]) + "]",
        json.dumps({"students": [student(1)]})[:-1],
        "[" + json.dumps(student(1)) + " " + json.dumps(student(2)) + "]",
        "[" * 100_000,
    ],
)
def test_a_broken_document_replaces_nothing(invoke: Invoke, tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.json").write_text(text, encoding="utf-8")
    (tmp_path / "out.ndjson").write_text("as it was", encoding="utf-8")
    (tmp_path / "refused.ndjson").write_text("as it was", encoding="utf-8")
    arguments = ("translate", "broken.json", "--to", "sessions", *EXAM)
    result = invoke(*arguments, "--output", "out.ndjson", "--refused", "refused.ndjson")
    assert result.exit_code == 1
    assert "broken.json: no JSON document: " in result.stderr
    assert (tmp_path / "out.ndjson").read_text(encoding="utf-8") == "as it was"
    assert (tmp_path / "refused.ndjson").read_text(encoding="utf-8") == "as it was"
    assert left_behind(tmp_path) == []


def test_a_replaced_file_keeps_its_mode_and_its_link(invoke: Invoke, tmp_path: Path) -> None:
    target, link = tmp_path / "real.ndjson", tmp_path / "link.ndjson"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o640)
    link.symlink_to(target)
    result = invoke("translate", "-", "--to", "sessions", *EXAM, "--output", "link.ndjson", input=lines([student()]))
    assert result.exit_code == 0
    assert link.is_symlink()
    assert read_lines(target)[0]["id"] == "5"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_file_may_replace_itself(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    path.write_text(lines([student(number) for number in range(1, 50)]), encoding="utf-8")
    assert invoke("translate", path, "--to", "sessions", *EXAM, "--output", path).exit_code == 0
    assert len(read_lines(path)) == 49


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("option", ["--output", "--refused"])
def test_a_full_disk_replaces_nothing(invoke: Invoke, tmp_path: Path, option: str) -> None:
    other = tmp_path / "other.ndjson"
    other.write_text("as it was", encoding="utf-8")
    arguments = {"--output": other, "--refused": other, option: "/dev/full"}
    flat = [str(part) for pair in arguments.items() for part in pair]
    records = lines([student(1), student(2, end_time=None)] * 50)
    result = invoke("translate", "-", "--to", "sessions", *EXAM, *flat, input=records)
    assert result.exit_code == 1
    assert "/dev/full: " in result.stderr
    assert other.read_text(encoding="utf-8") == "as it was"
    assert left_behind(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output(run: Run) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("translate", "-", "--to", "sessions", *EXAM, input=lines([student()]).encode(), stdout=full)
    assert done.returncode == 1
    assert b"the standard output: " in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    (tmp_path / "out.ndjson").write_text("as it was", encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, "translate", "-", "--to", "sessions", *EXAM, "--output", "out.ndjson"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(lines([student()]).encode())
    process.stdin.flush()
    ends = time.monotonic() + 60
    while not left_behind(tmp_path) and time.monotonic() < ends:
        time.sleep(0.02)
    # Until it waits for the next line: of an interrupt within an import Python itself says that it was passed over.
    time.sleep(1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"Interrupted.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.ndjson"]
    assert (tmp_path / "out.ndjson").read_text(encoding="utf-8") == "as it was"


def test_the_time_zone_counts_for_times_without_an_offset(invoke: Invoke) -> None:
    record = lines([student(start_time="2018-11-17T17:00:00", end_time="2018-11-17T18:00:00")])
    utc = invoke("translate", "-", "--to", "sessions", *EXAM, input=record)
    assert json.loads(utc.stdout)["startedAtTime"] == "2018-11-17T17:00:00.000Z"
    there = invoke("translate", "-", "--to", "sessions", *EXAM, "--time-zone", "Europe/Amsterdam", input=record)
    assert json.loads(there.stdout)["startedAtTime"] == "2018-11-17T16:00:00.000Z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--exam", "17"), "'17': write the exam id in digits"),
        (("--exam", "x=y"), "'x=y': write the exam id in digits"),
        (("--exam", "17=a", "--exam", "17=b"), "exam 17 is tied to a already"),
        (("--exam", "17=a", "--exam", "18=A"), "they go one to one"),
        ((*EXAM, "--time-zone", "Europe/Amsterdm"), "no such zone here"),
        ((*EXAM, "--output", "x", "--refused", "x"), "x is the output too"),
        ((), "no configuration"),
    ],
)
def test_wrong_use_is_named(invoke: Invoke, arguments: tuple[str, ...], said: str) -> None:
    result = invoke("translate", "-", "--to", "sessions", *arguments, input="")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_configuration_without_exams_says_the_way_out(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    content = sandbox.toml("student_sessions").partition("[exams]")[0]
    (tmp_path / "exam-compat.toml").write_text(content, encoding="utf-8")
    result = invoke("translate", "-", "--to", "sessions", input="")
    assert result.exit_code == 2
    assert "--exam ID=APPLICATION" in result.stderr


def test_an_absent_file_is_a_usage_error(invoke: Invoke) -> None:
    result = invoke("translate", "absent.json", "--to", "sessions", *EXAM)
    assert result.exit_code == 2
    assert "absent.json" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_memory_stays_flat(run: Run, tmp_path: Path, form: str) -> None:
    record = json.dumps(student(individual_info="x" * 25_000))
    count = 1_700
    path = tmp_path / f"large.{form}"
    with path.open("w", encoding="utf-8") as file:
        file.write("[" if form == "json" else "")
        for number in range(count):
            separator = "," if form == "json" and number else ""
            file.write(f"{separator}{record}\n")
        file.write("]" if form == "json" else "")
    code = (
        "import re, sys, atexit; from compat.cli import main;"
        "peak = lambda: re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1];"
        "atexit.register(lambda: print(peak(), file=sys.stderr));"
        f"sys.argv[1:] = ['translate', {str(path)!r}, '--to', 'sessions', *{EXAM!r}, '--output', 'out.ndjson']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    peak = int(done.stderr.split()[-1]) * 1024
    assert path.stat().st_size > 40_000_000
    assert peak < 110_000_000
