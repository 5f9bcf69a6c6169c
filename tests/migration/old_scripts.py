"""The old scripts of examples/legacy: how each is called, and the ways in which tests run them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import program

from compat.testing.sandbox import Dataset, Sandbox
from compat.testing.sandbox.sandbox import as_toml

FOLDER = Path(__file__).parents[2] / "examples" / "legacy"
WITHIN = 120
"""Seconds that a script may take on a busy machine."""


@dataclass(frozen=True)
class Line:
    """A line of a script's source, by a part of its text that occurs once; of a notebook, the line of its cell."""

    file: str
    text: str

    def __str__(self) -> str:
        path = FOLDER / self.file
        for lines in _cells(path) if path.suffix == ".ipynb" else [path.read_text(encoding="utf-8").splitlines()]:
            found = [number for number, line in enumerate(lines, 1) if self.text in line]
            if found:
                (number,) = found
                return f"{self.file}:{number}"
        raise AssertionError(f"{self.file} has no line with {self.text}")


@dataclass(frozen=True)
class OldScript:
    """An old script, and how it is called.

    Attributes:
        name: its file.
        arguments: what stands behind its name.
        input: its standard input.
        status: what it ends with.
        calls: the lines that make deprecated calls, each as often as routes are called there.
        same_as: the script whose output on the old endpoint is to be its own, where it is nothing without us.
    """

    name: str
    arguments: tuple[str, ...] = ()
    input: str = ""
    status: int = 0
    calls: tuple[Line, ...] = ()
    same_as: str = ""

    @property
    def path(self) -> Path:
        """Its file."""
        return FOLDER / self.name

    @property
    def is_caught(self) -> bool:
        """Whether the shim can answer in the script's own process; the others need the gateway."""
        return self.name != "score_sheet.mjs"


def _script(name: str, *arguments: str, calls: Sequence[str | Line] = (), **more: Any) -> OldScript:
    lines = tuple(call if isinstance(call, Line) else Line(name, call) for call in calls)
    return OldScript(name, arguments, calls=lines, **more)


SCRIPTS = (
    _script("finished_emails.py", "17", "18", calls=["r = requests.get("]),
    _script("registrar_session.py", "18", calls=["return super().request("]),
    _script("attendance.py", "17", calls=[Line("proctorexam_api.py", "response = requests.get(")] * 2),
    _script("async_overview.py", "17", "18", "19", calls=["response = requests.get("]),
    _script("parallel_minutes.py", "17", "18", "19", calls=["response = requests.get("]),
    _script("incidents.ipynb", calls=["return requests.get("]),
    _script("watch_exam.py", "17", calls=["response = http.get("]),
    _script("export_csv.py", "18", calls=["return requests.get("]),
    _script("all_pages.py", "17", calls=["response = session.get("]),
    _script("late_starters.py", "18", calls=["response = requests.get("]),
    _script("late_starters_client.py", "18", calls=["page = client.index_students("], same_as="late_starters.py"),
    _script("sturdy_report.py", "19", calls=["response = session.get("]),
    _script("enrol.py", "18", calls=["return requests.post(", "return requests.get(", "return requests.delete("]),
    _script("nightly_counts.py", "17", "19", calls=["response = get("]),
    _script(
        "missing_students.py",
        "17",
        input="student2@example.com\nnobody@example.org\nSTUDENT33@example.com\n",
        status=3,
        calls=["response = s.send("],
    ),
    _script("score_sheet.mjs", "17"),
    _script("lookup_urllib.py", "17", "smith", calls=["with urlopen(request"]),
)
BY_NAME = {script.name: script for script in SCRIPTS}


@dataclass(frozen=True)
class Ended:
    """What a run of a script left.

    Attributes:
        status: its exit status.
        printed: its standard output; of a notebook what its cells show.
        complained: its standard error, that of a notebook's cells with it.
    """

    status: int
    printed: str
    complained: str

    @property
    def warned(self) -> list[str]:
        """Where it was warned of deprecated calls: file and line, sorted."""
        found = re.findall(r"^(.+):(\d+): LegacyApiWarning", self.complained, flags=re.MULTILINE)
        # A kernel names the files of cells by numbers of its own.
        names = (("incidents.ipynb" if "ipykernel" in path else Path(path).name, line) for path, line in found)
        return sorted(f"{name}:{line}" for name, line in names)


@dataclass(frozen=True)
class Expected:
    """What a script does on the old endpoint, with nothing of ours.

    Attributes:
        ended: what it leaves.
        writes: its writes, by method.
    """

    ended: Ended
    writes: Counter[str]


def named(script: OldScript) -> str:
    """What a test calls a script."""
    return script.name


def account(sandbox: Sandbox) -> dict[str, str]:
    """The environment that the old scripts read."""
    return {
        "PROCTOREXAM_URL": sandbox.base_url,
        "PROCTOREXAM_TOKEN": sandbox.api_token,
        "PROCTOREXAM_SECRET": sandbox.secret_key,
        "PROCTOREXAM_POLL": "0.05",
    }


@contextmanager
def old_world() -> Iterator[Sandbox]:
    """A sandbox of one run's own: always the same data, whatever another script has added."""
    with Sandbox(students=120, exams=3, clamp=25) as sandbox:
        yield sandbox


def configured(sandbox: Sandbox, folder: Path, **tables: Mapping[str, Any]) -> Path:
    """A configuration of the shim over a sandbox; tables are added to the sandbox's own."""
    caller = {"name": "the old scripts", "api_token": sandbox.api_token, "secret_key": sandbox.secret_key}
    settings = {**sandbox.settings("student_sessions"), "store": {"url": "memory://"}, **tables, "[callers]": caller}
    path = folder / "exam-compat.toml"
    path.write_text(as_toml(settings), encoding="utf-8")
    return path


def run(
    script: OldScript,
    sandbox: Sandbox,
    folder: Path,
    *,
    source: Path | None = None,
    environment: Mapping[str, str] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Ended:
    """Run a script to its end.

    Args:
        script: which.
        sandbox: the old endpoint, and the new one, whose account it gets.
        folder: the working directory.
        source: another file than the script's own.
        environment: variables beside its account.
        meanwhile: done between two rounds of the service, which is the one script that lives long enough.
    """
    variables = {**os.environ, "PYTHONUTF8": "1", **account(sandbox), **(environment or {})}
    shown = folder / f"{script.path.stem}-shown.ipynb"
    process = subprocess.Popen(
        _command(script, source or script.path, shown),
        stdin=subprocess.PIPE if script.input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=variables,
        cwd=folder,
    )
    try:
        if script.name == "watch_exam.py":
            return _live_through(process, sandbox.dataset, meanwhile)
        printed, complained = process.communicate(script.input or None, timeout=WITHIN)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if shown.exists():
        printed, complained = _streams(shown, "stdout"), complained + _streams(shown, "stderr")
    return Ended(process.returncode, printed, complained)


def expected_of(script: OldScript, folder: Path) -> Expected:
    """Run a script on the old endpoint, with nothing of ours."""
    with old_world() as sandbox:
        ended = run(BY_NAME[script.same_as or script.name], sandbox, folder)
        assert {call.interface for call in sandbox.calls} == {"legacy"}
        assert ended.status == script.status, ended.complained
        assert ended.printed
        # What runs a notebook reports as it goes.
        assert ended.complained == "" or script.name.endswith(".ipynb")
        return Expected(ended, writes(sandbox))


def writes(sandbox: Sandbox) -> Counter[str]:
    """How often a sandbox was written to, by method."""
    return Counter(call.method for call in sandbox.calls if call.method != "GET")


def texts_of(path: Path) -> list[str]:
    """The lines of a file; of a notebook those of its cells of code, one cell below the other."""
    if path.suffix == ".ipynb":
        return [line for cell in _cells(path) for line in cell]
    return path.read_text(encoding="utf-8").splitlines()


def _command(script: OldScript, source: Path, shown: Path) -> list[str]:
    if script.name.endswith(".mjs"):
        return [program("node"), str(source), *script.arguments]
    if script.name.endswith(".ipynb"):
        return [
            sys.executable,
            str(Path(sys.executable).with_name("jupyter-execute")),
            str(source),
            f"--output={shown}",
        ]
    return [sys.executable, str(source), *script.arguments]


def _cells(notebook: Path) -> list[list[str]]:
    """The lines of each cell of code."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]).splitlines() for cell in cells if cell["cell_type"] == "code"]


def _streams(notebook: Path, stream: str) -> str:
    """What the cells wrote to a stream; what they ended with belongs to the standard output."""
    texts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream" and output["name"] == stream:
                texts.append("".join(output["text"]))
            elif output["output_type"] == "execute_result" and stream == "stdout":
                texts.append("".join(output["data"]["text/plain"]) + "\n")
    return "".join(texts)


def _live_through(process: subprocess.Popen[str], dataset: Dataset, meanwhile: Callable[[], object]) -> Ended:
    """Let somebody join and leave while the service watches, then end it as systemd would."""
    assert process.stdout is not None
    assert process.stderr is not None
    complaints: list[str] = []
    reader = threading.Thread(target=complaints.extend, args=(process.stderr,))
    reader.start()
    late = threading.Timer(WITHIN, process.kill)
    late.start()
    printed = []
    try:
        printed.append(process.stdout.readline())
        meanwhile()
        joined = dataset.add(dataset.exams[0], _late_applicant(dataset))
        printed.append(process.stdout.readline())
        dataset.remove(joined.record["id"])
        printed.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        printed += process.stdout.readlines()
        process.wait(WITHIN)
    finally:
        late.cancel()
        process.kill()
        reader.join()
        process.stdout.close()
        process.stderr.close()
    return Ended(process.returncode, "".join(printed), "".join(complaints))


def _late_applicant(dataset: Dataset) -> dict[str, Any]:
    return {**dataset.entries(dataset.exams[0].id)[0].record, "name": "Late, Applicant", "email": "late@example.org"}
