"""``exam-compat demo``: an old script, unedited, answered by the old endpoint and by each successor."""

from __future__ import annotations

import io
import os
import re
import runpy
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import requests

from compat.cli.console import cell, note, plain, say, show_table
from compat.cli.get import columns_of
from compat.config.file import read_config
from compat.deprecation import LegacyApiWarning
from compat.entrances.install import install, uninstall
from compat.mapping.tables import SUMMARY_COLUMNS
from compat.testing.sandbox import Sandbox
from compat.text.json import dumps, loads

LEGACY_REPORT = Path(__file__).with_name("legacy_report.py")
"""The old script that is run: the very file of ``examples/``, so that an installed demo has it."""
_PAGINATION = "x-pagination-"


class ScriptFailedError(Exception):
    """The script ended with an error; the text says which."""


@dataclass(frozen=True)
class ScriptAnswer:
    """An answer that the script got, as far as two are to be equal: the body's JSON is written in one way."""

    status: int
    pagination: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class ScriptRun:
    """What a run of a script showed: its output, the answers, the last one's headers, each warning with its line."""

    printed: str
    answers: Sequence[ScriptAnswer]
    headers: Mapping[str, str]
    warned: Sequence[str]


def run_script(script: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> ScriptRun:
    """Run a script as ``python script arguments`` would, but in this process, with further environment variables.

    Raises:
        ScriptFailedError: it ended with an error or with a status other than 0.
    """
    printed = io.StringIO()
    with (
        _surroundings([str(script), *arguments], environment),
        _answers_kept() as kept,
        warnings.catch_warnings(record=True) as caught,
        redirect_stdout(printed),
    ):
        warnings.simplefilter("always", LegacyApiWarning)
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            if end.code not in (None, 0):
                raise ScriptFailedError(f"{script.name} ended with {end.code}") from None
        except requests.RequestException as error:
            # Its text may hold the signed URL; the kind of failure and the status say enough.
            status = "" if error.response is None else f", status {error.response.status_code}"
            raise ScriptFailedError(f"{script.name} failed: {type(error).__name__}{status}") from None
    warned = [f"{Path(each.filename).name}:{each.lineno}: {each.category.__name__}: {each.message}" for each in caught]
    headers = dict(kept[-1].headers) if kept else {}
    return ScriptRun(printed.getvalue(), [_answer(each) for each in kept], headers, list(dict.fromkeys(warned)))


def _answer(response: requests.Response) -> ScriptAnswer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    pagination = {name: value for name, value in headers.items() if name.startswith(_PAGINATION)}
    # Written anew, since blanks and escapes are no part of what an answer says; order and digits are.
    return ScriptAnswer(response.status_code, pagination, dumps(loads(response.content)))


@contextmanager
def _answers_kept() -> Iterator[list[requests.Response]]:
    """Keep what ``requests`` gives to anyone in this process meanwhile, but not what the shim asks upstream.

    The script is not to be edited, so its answers are seen where it gets them.
    """
    kept: list[requests.Response] = []
    original = requests.api.request

    def request(*arguments: Any, **options: Any) -> requests.Response:
        response = original(*arguments, **options)
        kept.append(response)
        return response

    requests.api.request = request
    try:
        yield kept
    finally:
        requests.api.request = original


@contextmanager
def _surroundings(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    arguments_before = sys.argv
    before = {name: os.environ[name] for name in environment if name in os.environ}
    sys.argv = list(arguments)
    os.environ.update(environment)
    try:
        yield
    finally:
        sys.argv = arguments_before
        for name in environment:
            os.environ.pop(name, None)
        os.environ.update(before)


_SHOWN = 3
_UPSTREAMS: Mapping[str, Mapping[str, Any]] = {
    "student sessions": {"kind": "student_sessions"},
    "paginated sessions": {"kind": "paginated_sessions"},
    "paginated sessions, user by user from a roster": {"kind": "paginated_sessions", "fan_out": True},
}
"""Each successor, and how the sandbox's configuration for it is asked for."""


@click.command(short_help="See an old script answered from each successor.")
@click.option("--students", type=click.IntRange(min=0), default=120, show_default=True,
              help="How many students, in three exams.")  # fmt: skip
@click.option("--seed", type=int, default=2018, show_default=True, help="Another seed gives other data.")
def demo(students: int, seed: int) -> int:
    """Run an old script twice: against the old endpoint, then, unedited, through the shim.

    The demo needs no configuration. A sandbox on this machine serves the old endpoint and both successors over HTTP.

    For each successor the demo shows the calls, the answers that the script got, and the warnings. It then says whether
    the answers equal those of the old endpoint.

    \b
    Exit status:
      0  all answers are equal
      1  an answer differs, or the script failed
      2  wrong usage

    \b
    Examples:
      exam-compat demo
      exam-compat demo --students 3000 --seed 7
    """
    with Sandbox(students=students, seed=seed) as sandbox:
        exam = str(sandbox.dataset.exams[0].id)
        say(f"A sandbox serves {students} students at {sandbox.base_url}: the old endpoint and its successors.")
        say(f"The old script: {LEGACY_REPORT}\n")
        try:
            return _compare(sandbox, exam)
        except ScriptFailedError as error:
            raise click.ClickException(str(error)) from None


def _compare(sandbox: Sandbox, exam: str) -> int:
    say("== The old endpoint, without the shim")
    old = _run(sandbox, exam)
    _show_calls(sandbox)
    say("The script printed:")
    say("\n".join(f"    {plain(line)}" for line in old.printed.splitlines()))
    _show_records(old)
    unequal = 0
    for title, asked_for in _UPSTREAMS.items():
        say(f"\n== Through the shim, from {title}")
        install(sandbox.base_url, read_config(sandbox.settings(**asked_for)))
        try:
            new = _run(sandbox, exam)
        finally:
            uninstall()
        _show_calls(sandbox)
        _show_answer(new)
        _show_records(new)
        unequal += _judge(old, new, title)
    if unequal:
        note(f"Error: {unequal} of {len(_UPSTREAMS)} successors gave other answers than the old endpoint.")
        return 1
    say("\nThe same script, unedited, got the old endpoint's answers from every successor.")
    return 0


def _run(sandbox: Sandbox, exam: str) -> ScriptRun:
    sandbox.clear_calls()
    environment = {
        "PROCTOREXAM_URL": sandbox.base_url,
        "PROCTOREXAM_TOKEN": sandbox.api_token,
        "PROCTOREXAM_SECRET": sandbox.secret_key,
        # The sandbox is on this machine, where no proxy would find it.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    return run_script(LEGACY_REPORT, [exam], environment)


def _show_calls(sandbox: Sandbox) -> None:
    say("Calls received:")
    calls = [(each.method, re.sub("/users/[^/]+/", "/users/{user_id}/", each.target)) for each in sandbox.calls]
    for (method, target), count in Counter(calls).items():
        say(f"    {count:>4} x {method} {target}")


def _show_answer(run: ScriptRun) -> None:
    say("The last answer's headers:")
    for name, value in run.headers.items():
        if name.lower().startswith((_PAGINATION, "x-compat-")):
            say(f"    {name}: {value}")
    say("Warned:")
    for text in run.warned:
        say(f"    {plain(text)}")


def _show_records(run: ScriptRun) -> None:
    records = [record for answer in run.answers for record in loads(answer.body)["students"]]
    rows = [[cell(record.get(name)) for name in SUMMARY_COLUMNS] for record in records[:_SHOWN]]
    say(f"The first {len(rows)} of {len(records)} records:")
    show_table(columns_of(SUMMARY_COLUMNS), rows)


def _judge(old: ScriptRun, new: ScriptRun, title: str) -> bool:
    """Say whether two runs were answered alike; true where they were not."""
    differences = _differences(old, new)
    if differences:
        say(f"NOT EQUAL to the old endpoint's, from {title}: {'; '.join(differences)}.")
        return True
    pages = len(new.answers)
    say(f"Equal: {pages} answers, bodies and X-Pagination headers, are the old endpoint's; so is what was printed.")
    return False


def _differences(old: ScriptRun, new: ScriptRun) -> Sequence[str]:
    if len(old.answers) != len(new.answers):
        return [f"{len(new.answers)} answers instead of {len(old.answers)}"]
    found = []
    for number, (one, other) in enumerate(zip(old.answers, new.answers, strict=True), 1):
        parts = ("status", "pagination", "body")
        found += [f"{part} of answer {number}" for part in parts if getattr(one, part) != getattr(other, part)]
    return found + (["what was printed"] if old.printed != new.printed else [])
