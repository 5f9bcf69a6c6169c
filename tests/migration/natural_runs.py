"""How natural scripts are run: seven kinds of answer, the old endpoint switched off, and what a run leaves."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from natural_scripts import FOLDER, NaturalScript

import compat.errors
from compat.testing.sandbox import Sandbox
from compat.testing.sandbox.messages import Incoming, json_answer
from compat.testing.sandbox.sandbox import Outcome

KINDS = ("usual", "empty list", "last page", "403", "404", "422", "502")
FAILING = KINDS[3:]
_REFUSALS = {
    "404": json_answer(404, {"error": "Couldn't find Student Session with 'id'='5'", "errors": {}}),
    "422": json_answer(422, {"error": "Must be a number.", "errors": {"id": ["Must be a number."]}}),
    "502": json_answer(502, {"error": "The sandbox was told to fail with 502.", "errors": {}}),
}
_GONE = json_answer(410, {"error": "The old endpoint is switched off.", "errors": {}})
_OLD_PATH = re.compile(r"/api/v3/exams/[^/]+/(index_students|show_student|add_student|delete_student)/?")
_OWN_ERROR = re.compile(r"compat\.errors\.(\w+)\b")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class World:
    """A sandbox of one run's own, and the status of each of its answers, oldest first."""

    sandbox: Sandbox
    statuses: list[int]


@contextmanager
def world(kind: str, *, old_endpoint: bool = True) -> Iterator[World]:
    """A sandbox that gives a kind of answer, on the old endpoint and on the new one alike.

    Args:
        kind: one of ``KINDS``. "last page": the students of an exam are a multiple of every page size in use. "403"
            comes of a wrong secret, which :func:`account` gives.
        old_endpoint: whether the old endpoint is there.
    """
    sandbox = Sandbox(students=300 if kind == "last page" else 120, exams=3, clamp=100)
    if kind == "empty list":
        for entry in sandbox.dataset.entries():
            sandbox.dataset.remove(entry.record["id"])
    statuses: list[int] = []
    handle = sandbox._handle

    def stand_in(incoming: Incoming) -> Outcome:
        is_gone = not old_endpoint and _OLD_PATH.fullmatch(incoming.path)
        refused = _GONE if is_gone else _REFUSALS.get(kind)
        outcome = handle(incoming) if refused is None else Outcome(refused, None)
        statuses.append(outcome.answer.status)
        return outcome

    sandbox._handle = stand_in  # type: ignore[method-assign]
    with sandbox:
        yield World(sandbox, statuses)


def account(sandbox: Sandbox, kind: str) -> dict[str, str]:
    """What is filled into a script's arguments, environment, files and input."""
    students = [each for each in sandbox.dataset.students if each["exam_id"] == 17]
    first, second = (students or [{"id": 5, "email": "a@example.org"}] * 2)[:2]
    return {
        "url": sandbox.base_url,
        "token": sandbox.api_token,
        "secret": sandbox.secret_key + ("x" if kind == "403" else ""),
        "first": str(first["id"]),
        "first_email": first["email"],
        "second": str(second["id"]),
    }


@dataclass(frozen=True)
class Ended:
    """What a run left, without what differs from run to run.

    Attributes:
        status: its exit status.
        printed: its standard output.
        complained: its standard error, up to a traceback.
        crash: the last line of its traceback; empty where there is none.
        files: its working directory, path to content.
        students: who is in which exam afterwards.
        refused: the status of the last answer that it got.
    """

    status: int
    printed: str
    complained: str
    crash: str
    files: Mapping[str, str]
    students: tuple[tuple[int, str, str], ...]
    refused: int


@dataclass(frozen=True)
class Seen:
    """A deprecated call that a run made.

    Attributes:
        route: its action.
        lines: the lines of the scripts that were being executed, file and number, the innermost first.
    """

    route: str
    lines: tuple[tuple[str, int], ...]


def differences(before: Ended, after: Ended) -> list[str]:
    """What a rewritten script does otherwise than the old one; empty where it does the same.

    A script that ended in a traceback because its call was refused may end in one of the client's own errors, if that
    is of the very status that the endpoint gave, or names it: both say so, and neither goes on.
    """
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in _COMPARED}
    if _is_own_refusal(before, after):
        del pairs["crash"]
    return [f"{name}: {_shown(was, became)}" for name, (was, became) in pairs.items() if was != became]


_COMPARED = ("status", "printed", "complained", "crash", "files", "students")


def _is_own_refusal(before: Ended, after: Ended) -> bool:
    own = _OWN_ERROR.match(after.crash)
    if not (before.crash and own):
        return False
    return getattr(compat.errors, own[1]).status == before.refused or str(before.refused) in after.crash


def _shown(was: Any, became: Any) -> str:
    return f"was {str(was)[-600:]!r}, is {str(became)[-600:]!r}"


class Runner:
    """A process that runs scripts; one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("natural_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUTF8": "1"},
        )

    def __call__(self, job: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Runners:
    """Some of them, lent to whoever has a script to run."""

    def __init__(self, number: int) -> None:
        self._all = [Runner() for _ in range(number)]
        self._free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        for each in self._all:
            self._free.put(each)

    def __enter__(self) -> Runners:
        return self

    def __exit__(self, *ended: object) -> None:
        for each in self._all:
            each.close()

    def run(
        self, script: NaturalScript, kind: str, folder: Path, *, source: Path = FOLDER, old_endpoint: bool = True
    ) -> tuple[Ended, list[Seen]]:
        """Run a script to its end, and say which deprecated calls it made.

        Args:
            script: which.
            kind: of answer.
            folder: empty; for its files and what it says.
            source: where the script is, if not where it came from.
            old_endpoint: whether the old endpoint is there.
        """
        with world(kind, old_endpoint=old_endpoint) as around:
            given = account(around.sandbox, kind)
            work = folder / "work"
            work.mkdir(parents=True)
            for name, text in script.files.items():
                (work / name).write_text(_filled(text, given), encoding="utf-8")
            started = _source(script, source, folder, given)
            job = {
                "script": str(started / script.name),
                "root": str(started),
                "arguments": [_filled(each, given) for each in script.arguments],
                "folder": str(work),
                "environment": _environment(script, given),
                **{name: str(folder / name) for name in ("stdin", "stdout", "stderr", "calls")},
            }
            (folder / "stdin").write_text(_filled(script.input, given), encoding="utf-8")
            for name in ("stdout", "stderr", "calls"):
                (folder / name).touch()
            runner = self._free.get()
            try:
                status = runner(job)
            finally:
                self._free.put(runner)
            return _ended(status, around, folder), _seen(folder / "calls")


def _source(script: NaturalScript, source: Path, folder: Path, given: Mapping[str, str]) -> Path:
    """Where to start a script: a copy with an account of its own, if that is written into it."""
    if not script.account:
        return source
    text = (source / script.name).read_text(encoding="utf-8")
    for was, becomes in script.account.items():
        text = text.replace(was, _filled(becomes, given))
    (folder / script.name).write_text(text, encoding="utf-8")
    return folder


def _environment(script: NaturalScript, given: Mapping[str, str]) -> dict[str, str]:
    accounts = {
        f"{name}_{key.upper()}": given[key] for name in ("PE", "PROCTOREXAM") for key in ("url", "token", "secret")
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PYTHONUTF8": "1", **accounts, **script.environment}


def _filled(text: str, given: Mapping[str, str]) -> str:
    return Template(text).substitute(given)


def _ended(status: int, around: World, folder: Path) -> Ended:
    def steady(path: Path) -> str:
        return _steady(path.read_text(encoding="utf-8", errors="surrogateescape"), around.sandbox)

    work = folder / "work"
    complained, _, traceback = steady(folder / "stderr").partition(_TRACEBACK)
    students = sorted((each["exam_id"], each["email"], each["name"]) for each in around.sandbox.dataset.students)
    return Ended(
        status,
        steady(folder / "stdout"),
        complained,
        traceback.rstrip().rpartition("\n")[2],
        {path.relative_to(work).as_posix(): steady(path) for path in sorted(work.rglob("*")) if path.is_file()},
        tuple(students),
        around.statuses[-1] if around.statuses else 0,
    )


def _steady(text: str, sandbox: Sandbox) -> str:
    """A text without what no two runs have in common: addresses of calls, the account, the present time."""
    for value, name in ((sandbox.api_token, "<token>"), (sandbox.secret_key, "<secret>")):
        text = text.replace(value, name)
    text = re.sub(rf"for url: {re.escape(sandbox.base_url)}\S*", "for url: <url>", text)
    text = re.sub(rf"(?<=url '){re.escape(sandbox.base_url)}[^']*", "<url>", text)
    text = text.replace(sandbox.base_url, "<server>")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return re.sub(rf"{today}T[0-9:.]+(Z|[+-][0-9:]+)?", "<now>", text)


def _seen(path: Path) -> list[Seen]:
    calls = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Seen(each["route"], tuple((file, line) for file, line in each["lines"])) for each in calls]
