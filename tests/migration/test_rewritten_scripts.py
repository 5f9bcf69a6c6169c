"""The old scripts rewritten: they print the same without the shim, or the report says exactly what is left."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tokenize
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from old_scripts import FOLDER, SCRIPTS, OldScript, configured, expected_of, named, old_world, run, texts_of

FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".ipynb"))
WHOLE = [script for script in SCRIPTS if script.name in FILES and script.name != "attendance.py"]
"""All but the one that calls the old interface through a module beside it alone."""


@dataclass(frozen=True)
class Rewritten:
    """A copy of the old scripts after ``exam-compat migrate --write``.

    Attributes:
        folder: where it is.
        report: what the command said of each file, by its name.
    """

    folder: Path
    report: dict[str, Any]

    def needed(self, name: str) -> list[dict[str, Any]]:
        """What is left to do by hand in a file."""
        return [each for each in self.report[name]["left"] if each["needed"]]


def migrate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "compat.cli", "migrate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=False)


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Rewritten:
    folder = tmp_path_factory.mktemp("rewritten") / "legacy"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    # A client that is made of the configuration is rewritten where that is of student sessions.
    with old_world() as sandbox:
        done = migrate("--config", configured(sandbox, folder.parent), "--write", "--json", folder)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["problems"] == []
    return Rewritten(folder, {Path(each["path"]).name: each for each in report["files"]})


@pytest.mark.parametrize("script", WHOLE, ids=named)
def test_a_rewritten_script_prints_the_same_from_the_new_endpoint_alone(
    script: OldScript, rewritten: Rewritten, tmp_path: Path
) -> None:
    assert rewritten.report[script.name]["changed"]
    assert rewritten.needed(script.name) == []
    expected = expected_of(script, tmp_path)
    with old_world() as sandbox:
        configured(sandbox, tmp_path)
        ended = run(script, sandbox, tmp_path, source=rewritten.folder / script.name)
        assert (ended.status, ended.printed) == (expected.ended.status, expected.ended.printed), ended.complained
        assert {call.interface for call in sandbox.calls} == {"student_sessions"}
    assert ended.warned == []


def test_nothing_is_left_to_do_by_hand(rewritten: Rewritten) -> None:
    assert {name: rewritten.needed(name) for name in rewritten.report if rewritten.needed(name)} == {}


@pytest.mark.parametrize("name", FILES)
def test_every_comment_stays(name: str, rewritten: Rewritten) -> None:
    before, after = (comments(folder / name) for folder in (FOLDER, rewritten.folder))
    assert before - after == Counter()


def test_twice_is_once(rewritten: Rewritten) -> None:
    before = {path.name: path.read_bytes() for path in rewritten.folder.iterdir() if path.is_file()}
    done = migrate("--config", rewritten.folder.parent / "exam-compat.toml", "--write", rewritten.folder)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert {path.name: path.read_bytes() for path in rewritten.folder.iterdir() if path.is_file()} == before


def line_at(place: str) -> str:
    """The original's line at a place of the report, such as ``enrol.py:31`` or ``incidents.ipynb:cell 3:8``."""
    name, _, rest = Path(place).name.partition(":")
    if not rest.startswith("cell "):
        return texts_of(FOLDER / name)[int(rest) - 1]
    cell, _, line = rest.removeprefix("cell ").partition(":")
    source = json.loads((FOLDER / name).read_text(encoding="utf-8"))["cells"][int(cell) - 1]["source"]
    return "".join(source).splitlines()[int(line) - 1]


def comments(path: Path) -> Counter[str]:
    text = "\n".join(texts_of(path)) + "\n"
    return Counter(
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT
    )
