"""Natural scripts, as they are and rewritten: what ``migrate`` changes does the same, whatever the endpoint answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from forked import needs_fork
from natural_runs import FAILING, KINDS, Ended, Runners, Seen, differences
from natural_scripts import FOLDER, SCRIPTS, NaturalScript

pytestmark = needs_fork

WHOLE_AT_LEAST = 0.95
"""The share of scripts that are rewritten whole and do the same. The goal is 0.85: whoever gets nearer raises it."""
CALLS_AT_LEAST = 0.95
"""The share of the lines with deprecated calls that make none once rewritten. The goal is 0.95."""

BROKEN: Mapping[str, tuple[tuple[str, ...], str]] = {}
"""Script to what a rewrite breaks, on which kinds of answer; an entry that holds no more fails, and goes."""


@dataclass(frozen=True)
class Rewrite:
    """A copy of the corpus after ``exam-compat migrate --write``.

    Attributes:
        folder: where it is.
        changed: the files that were changed, by their name below it.
        left: how many places are left to do by hand, by file.
    """

    folder: Path
    changed: frozenset[str]
    left: Mapping[str, int]

    def is_changed(self, script: NaturalScript) -> bool:
        """Whether any module of a script was."""
        return any(_belongs(name, script) for name in self.changed)

    def is_whole(self, script: NaturalScript) -> bool:
        """Whether nothing of a script is left to do."""
        return self.is_changed(script) and not any(_belongs(name, script) for name in self.left)


def _belongs(name: str, script: NaturalScript) -> bool:
    folder, slash, _ = script.name.partition("/")
    return name.startswith(folder + slash) if slash else name == script.name


def _migrated(folder: Path) -> Rewrite:
    command = [sys.executable, "-W", "error", "-m", "compat.cli", "migrate", "--write", "--json", folder]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=280, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["problems"] == []
    files = {Path(each["path"]).relative_to(folder).as_posix(): each for each in report["files"]}
    left = {name: sum(each["needed"] for each in file["left"]) for name, file in files.items()}
    changed = frozenset(name for name, file in files.items() if file["changed"])
    return Rewrite(folder, changed, {name: number for name, number in left.items() if number})


@pytest.fixture(scope="module")
def rewrite(tmp_path_factory: pytest.TempPathFactory) -> Rewrite:
    folder = tmp_path_factory.mktemp("migrated") / "natural"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return _migrated(folder)


Run = Callable[..., tuple[Ended, list[Seen]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a script; what is asked twice is run once."""
    folder, numbers, known = tmp_path_factory.mktemp("runs"), count(), dict[object, tuple[Ended, list[Seen]]]()
    with Runners(1) as runners:

        def run(script: NaturalScript, kind: str, source: Path = FOLDER, *, old_endpoint: bool = True):  # type: ignore[no-untyped-def]
            if not script.can_run:
                pytest.skip(f"{script} imports what is not installed here")
            asked = (script.name, kind, source, old_endpoint)
            if asked not in known:
                place = folder / str(next(numbers))
                known[asked] = runners.run(script, kind, place, source=source, old_endpoint=old_endpoint)
            return known[asked]

        yield run


def _pairs(*, soak: bool) -> list[object]:
    """Each script with the usual answer and one of the failing ones in turn; the soak has the other pairs."""
    made = []
    for number, script in enumerate(SCRIPTS):
        for kind in KINDS:
            in_suite = kind in ("usual", FAILING[number % len(FAILING)])
            if in_suite == soak:
                continue
            kinds, reason = BROKEN.get(script.name, ((), ""))
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if kind in kinds else []
            made.append(pytest.param(script, kind, id=f"{script.name}-{kind}", marks=marks))
    return made


def _assert_same(script: NaturalScript, kind: str, run: Run, rewrite: Rewrite) -> None:
    """A script that was changed does the same; one that was rewritten whole does it without the old endpoint."""
    if not rewrite.is_changed(script):
        return
    before, _ = run(script, kind)
    after, _ = run(script, kind, rewrite.folder, old_endpoint=not rewrite.is_whole(script))
    assert differences(before, after) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_script_runs_on_the_old_endpoint(script: NaturalScript, run: Run) -> None:
    ended, seen = run(script, "usual")
    assert (ended.status, ended.crash) == (script.status, "")
    assert seen
    assert ended.printed or ended.complained


@pytest.mark.parametrize(("script", "kind"), _pairs(soak=False))
def test_a_rewritten_script_does_the_same(script: NaturalScript, kind: str, run: Run, rewrite: Rewrite) -> None:
    _assert_same(script, kind, run, rewrite)


@pytest.mark.soak
@pytest.mark.parametrize(("script", "kind"), _pairs(soak=True))
def test_a_rewritten_script_does_the_same_on_every_kind_of_answer(
    script: NaturalScript, kind: str, run: Run, rewrite: Rewrite
) -> None:
    _assert_same(script, kind, run, rewrite)


def test_a_second_run_changes_nothing(rewrite: Rewrite, tmp_path: Path) -> None:
    again = tmp_path / "natural"
    shutil.copytree(rewrite.folder, again, ignore=shutil.ignore_patterns("__pycache__"))
    assert _migrated(again).changed == frozenset()


def test_most_scripts_are_rewritten_whole_and_most_calls(run: Run, rewrite: Rewrite) -> None:
    whole, calls, left = 0, 0, 0
    scripts = [script for script in SCRIPTS if script.can_run]
    for script in scripts:
        sound = rewrite.is_changed(script) and script.name not in BROKEN
        before = _calling(run(script, "usual"))
        after = _calling(run(script, "usual", rewrite.folder)) if sound else before
        whole += sound and rewrite.is_whole(script)
        calls, left = calls + len(before), left + len(after)
    told = f"{whole} of {len(scripts)} scripts whole, {calls - left} of {calls} calls"
    assert whole / len(scripts) >= WHOLE_AT_LEAST, told
    assert 1 - left / calls >= CALLS_AT_LEAST, told
    # Nobody forgets to raise them.
    assert whole / len(scripts) < WHOLE_AT_LEAST + 0.05, told
    assert 1 - left / calls < CALLS_AT_LEAST + 0.05, told


def _calling(ran: tuple[Ended, list[Seen]]) -> set[object]:
    """The lines that made deprecated calls, each as often as routes are called there."""
    return {(seen.route, *seen.lines[:1]) for seen in ran[1]}
