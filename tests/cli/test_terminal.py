"""What a person sees at a terminal: tables that fit, colours, a bar, and one line after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from compat.cli.program import program
from compat.testing import Sandbox

from .conftest import COMMAND, Run
from .terminals import AtTerminal, at_terminal, command, lines_of, own_environment
from .test_check import too_early
from .test_counted_commands import CONFIG, NOW, WINDOWS, count_calls
from .test_doctor import CONFIG as CALLERS
from .test_doctor import curl
from .test_scan import LEFT, OLD

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them"),
    pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning"),
]

WIDTHS = (60, 80, 140)
SIGNED = datetime.now(timezone.utc).isoformat()
CHOSEN = "id,name,email,status,start_time,end_time,created_at,updated_at,attempt"
COMMANDS: Mapping[str, list[str]] = {
    "get": ["get", "17", "--limit", "5"],
    "get --columns": ["get", "17", "--limit", "3", "--columns", CHOSEN],
    "fields": ["fields"],
    "demo": ["demo", "--students", "9"],
    "mode": ["mode"],
    "callers": ["callers", "--config", "counted.toml", "--now", NOW],
    "brownouts": ["brownouts", "--dry-run", "--config", "counted.toml", "--now", NOW],
    "due": ["due", "--config", "counted.toml", "--now", NOW],
    # Sent when it was signed, however long ago that is by now.
    "doctor": ["doctor", "--config", "callers.toml", "--at", SIGNED, curl(with_id=False)],
    "check": ["check", "old.ndjson.gz"],
    "check --more": ["check", "old.ndjson.gz", "--more"],
    "translate": ["translate", "sessions.json", "--to", "legacy", "--output", "out.ndjson"],
    "scan": ["scan", "jobs"],
    "migrate": ["migrate", "jobs"],
}


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    """A sandbox whose new endpoint answers wrongly."""
    with Sandbox(students=30, exams=2, seed=5) as served:
        yield served


@pytest.fixture(scope="module")
def folder(own: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that the commands need."""
    made = tmp_path_factory.mktemp("terminal")
    (made / "exam-compat.toml").write_text(own.toml("student_sessions"), encoding="utf-8")
    (made / "callers.toml").write_text(CALLERS, encoding="utf-8")
    (made / "counted.toml").write_text((CONFIG + WINDOWS).format(folder=made), encoding="utf-8")
    count_calls(made)
    (made / "jobs").mkdir()
    (made / "jobs" / "old.py").write_text(OLD, encoding="utf-8")
    (made / "jobs" / "left.py").write_text(LEFT, encoding="utf-8")
    sessions = own.dataset.sessions[:9]
    (made / "sessions.json").write_text(json.dumps(sessions), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        done = CliRunner().invoke(program, ["record", "old.ndjson.gz", "--exam", "17", "--exam", "18", "--limit", "5"])
    assert done.exit_code == 0, done.output
    own.intercept = too_early
    return made


@pytest.fixture(scope="module")
def shown(folder: Path) -> Mapping[int, Mapping[str, str]]:
    """What each command shows at each width."""
    commands = list(COMMANDS.values())
    return {width: dict(zip(COMMANDS, at_terminal(commands, width, cwd=folder), strict=True)) for width in WIDTHS}


@pytest.fixture(scope="module")
def piped(folder: Path) -> Mapping[str, str]:
    """What each command writes where nobody reads along."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, words in COMMANDS.items():
            found[name] = CliRunner().invoke(program, words).output
    return found


TABLES = [name for name in COMMANDS if name not in ("scan", "migrate")]


def table_lines(text: str) -> list[str]:
    return [line for line in lines_of(text) if line[:1] in "┏┃┡│└" and line]


def headings(text: str) -> list[list[str]]:
    """The headings of each table; one may be folded."""
    found = []
    for header in re.findall(r"^┏.*\n((?:┃.*\n)+)", "\n".join(lines_of(text)), re.MULTILINE):
        rows = [[cell.strip() for cell in line.split("┃")[1:-1]] for line in header.splitlines()]
        found.append([" ".join(filter(None, cells)) for cells in zip(*rows, strict=True)])
    return found


def numbers(lines: list[str]) -> set[str]:
    return {token for line in lines for token in re.findall(r"\d(?:[\d.,:T+-]*\d)?", line)}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_and_breaks_no_number(
    shown: Mapping[int, Mapping[str, str]], piped: Mapping[str, str], name: str, width: int
) -> None:
    text = shown[width][name]
    drawn = table_lines(text)
    assert drawn or name == "get --columns", text
    assert max((cell_len(line) for line in drawn), default=0) <= width, text
    assert numbers(drawn) <= numbers(lines_of(piped[name])), text


@pytest.mark.parametrize("name", TABLES)
def test_a_wider_terminal_shows_more_columns_and_says_what_a_narrow_one_lacks(
    shown: Mapping[int, Mapping[str, str]], piped: Mapping[str, str], name: str
) -> None:
    whole = headings(piped[name])
    for width in WIDTHS:
        narrow = headings(shown[width][name])
        if name == "get --columns":
            assert not narrow
            continue
        text = " ".join(lines_of(shown[width][name]))
        lacking = [names.split(", ") for names in re.findall(r"since the terminal is narrow: (.*?)\.", text)]
        short = [(all_of, some) for all_of, some in zip(whole, narrow, strict=True) if len(some) < len(all_of)]
        assert [[each for each in all_of if each not in some] for all_of, some in short] == lacking
    columns = [sum(map(len, headings(shown[width][name]))) for width in WIDTHS]
    assert columns == sorted(columns)


def test_most_tables_gain_columns(shown: Mapping[int, Mapping[str, str]]) -> None:
    def count(name: str, width: int) -> int:
        return sum(map(len, headings(shown[width][name])))

    for name in ("get", "fields", "callers", "due", "check"):
        assert count(name, 60) < count(name, 140), name


def test_columns_that_were_chosen_are_all_there_in_blocks(shown: Mapping[int, Mapping[str, str]]) -> None:
    for width in WIDTHS:
        lines = lines_of(shown[width]["get --columns"])
        assert [line.split()[0] for line in lines if line.startswith(tuple(CHOSEN.split(",")))] == CHOSEN.split(",") * 3
        assert max(map(cell_len, lines)) <= width
        whole = re.compile(r"start_time +2018-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\S+ *")
        assert len(list(filter(whole.fullmatch, lines))) == 3


@pytest.mark.parametrize("name", ["scan", "migrate", "check"])
def test_a_find_is_a_place_that_editors_follow(
    folder: Path, shown: Mapping[int, Mapping[str, str]], piped: Mapping[str, str], name: str
) -> None:
    place = re.compile(r"^([^\s:]+):(\d+):(\d+): \S", re.MULTILINE)
    for text in (piped[name], "\n".join(lines_of(shown[60][name]))):
        found = place.findall(text)
        assert len(found) == {"scan": 2, "migrate": 1, "check": 3}[name], text
        for path, line, column in found:
            assert (folder / path).is_file()
            if path.endswith(".py"):
                assert len((folder / path).read_text().splitlines()[int(line) - 1]) >= int(column)


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_colours_are_where_a_person_wants_them(folder: Path, env: dict[str, str], coloured: bool) -> None:
    names = ("fields", "scan", "migrate", "check", "callers")
    found = at_terminal([COMMANDS[name] for name in names], 80, cwd=folder, env=env)
    for name, text in zip(names, found, strict=True):
        # What a bar does to the cursor is no colour.
        assert bool(re.search(r"\x1b\[[0-9;]+m", text)) == coloured, (name, text)
    # As diffs are: headings cyan, and what stays has no colour.
    lines = found[names.index("migrate")].splitlines()
    assert any(line.startswith("\x1b[36m@@ ") for line in lines) == coloured, lines
    assert any(line.startswith(" ") for line in lines), lines


def test_a_pipe_gets_no_escape(piped: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    assert not [name for name, text in piped.items() if "\x1b" in text]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert b"\x1b" not in run("fields").stdout


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the configuration of a sandbox that takes its time."""
    folder = tmp_path_factory.mktemp("slow")
    with Sandbox(students=60, exams=1, latency=0.5, clamp=5) as served:
        (folder / "exam-compat.toml").write_text(served.toml("student_sessions"), encoding="utf-8")
        yield folder


ALL = ["get", "17", "--all", "--limit", "5", "--json"]


def test_a_bar_says_the_pace_and_what_is_left(slow: Path) -> None:
    with (slow / "out.json").open("wb") as out:
        running = AtTerminal(command(ALL), 80, cwd=slow, stdout=out.fileno())
        assert running.end() == 0
    bars = [line for line in lines_of(running.shown) if "━" in line]
    # The first page takes the whole list, page by page of the upstream.
    assert re.search(r"Reading [━╺╸]+ [1-9]\d?/12 pages, \d+/s, 0:0\d left", "\n".join(bars)), running.shown
    assert max(map(cell_len, bars)) <= 80
    # Nothing of it is left, neither here nor there.
    assert lines_of(running.shown)[-2:] == ["60 of 60 students; page 12 of 12, 5 a page.", ""]
    assert len(json.loads((slow / "out.json").read_bytes())["students"]) == 60


def test_no_bar_is_drawn_elsewhere(slow: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = run(*ALL, "--config", slow / "exam-compat.toml")
    assert done.stderr == b"60 of 60 students; page 12 of 12, 5 a page.\n"
    (dumb,) = at_terminal([ALL, ["--version"]], 80, cwd=slow, env={"TERM": "dumb"})[:1]
    assert "━" not in dumb


@pytest.mark.parametrize("after", [0.6, 0.9, 1.2])
def test_ctrl_c_leaves_one_line(slow: Path, after: float) -> None:
    running = AtTerminal(command(["get", "17", "--all", "--limit", "5"]), 80, cwd=slow)
    time.sleep(after)
    running.press("\x03")
    assert running.end() == 130
    assert said(running.shown) == ["Interrupted."]


def said(shown: str) -> list[str]:
    """The lines that stay: a bar goes, and the terminal itself writes ^C."""
    return [line for line in lines_of(shown) if line not in ("", "^C") and "━" not in line]


@pytest.fixture
def checking(slow: Path) -> AtTerminal:
    """A check of two files at once, in processes of their own, which takes its time."""
    for name in ("a", "b"):
        words = ["record", f"{name}.ndjson.gz", "--exam", "17", "--limit", "20"]
        if not (slow / words[1]).exists():
            subprocess.run(
                [*COMMAND, *words], cwd=slow, env=own_environment(), check=True, timeout=60, stdout=subprocess.DEVNULL
            )
    running = AtTerminal(command(["check", "a.ndjson.gz", "b.ndjson.gz", "--jobs", "2"]), 80, cwd=slow)
    running.wait_until(lambda: len(workers(running)) == 2)
    return running


def workers(running: AtTerminal) -> list[int]:
    """The processes that it has started for files."""
    words = ["pgrep", "-P", str(running.process.pid), "-f", "spawn_main"]
    return [int(pid) for pid in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()]


def test_ctrl_c_ends_every_process_of_a_check(checking: AtTerminal) -> None:
    left = workers(checking)
    checking.press("\x03")
    assert checking.end() == 130
    assert said(checking.shown) == ["Interrupted."]
    checking.wait_until(lambda: not any(map(runs, left)))


def runs(pid: int) -> bool:
    """Whether a process is there, and is no more than a name that nobody has asked after yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_a_process_of_a_check_that_is_killed_is_told(checking: AtTerminal) -> None:
    os.kill(workers(checking)[0], signal.SIGKILL)
    assert checking.end() == 1
    assert said(checking.shown) == ["Error: a process that checked a file was ended from outside: try fewer --jobs"]


def test_ctrl_c_ends_a_sandbox(tmp_path: Path) -> None:
    running = AtTerminal(command(["sandbox", "--port", "0", "--students", "6"]), 60, cwd=tmp_path)
    running.wait_for("secret_key")
    running.press("\x03")
    assert running.end() == 130
    assert lines_of(running.shown)[-3:] == ["^C", "Interrupted.", ""]
    drawn = table_lines(running.shown)
    assert max(map(cell_len, drawn)) <= 60
    assert re.search(r"│ +17 │ [0-9a-f]{8}-[0-9a-f-]{27} │ +\d+ │", "\n".join(drawn))
