"""Runs scripts one after the other, each in a fork of a process that has imported what most of them import.

A line of standard input is a run as JSON; a line of standard output is the exit status. A script ends as it would under
``python``, but for the frames of a traceback above its own. Short waits in place of long ones: a script that waits
between its tries does not hold up the suite.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import runpy
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests  # noqa: F401 - imported once, for all

import compat

LONGEST = 100
"""Seconds after which a script that hangs is ended by the kernel, and so has failed."""
LONGEST_WAIT = 0.02
OLD = re.compile(r"/exams/[^/]+/(index_students|show_student|add_student|delete_student)/?$")


def main() -> None:
    # It is imported when it is asked for.
    assert compat.StudentSessionsClient
    if importlib.util.find_spec("httpx"):
        import httpx  # noqa: F401 - likewise
    for line in iter(sys.stdin.buffer.raw.readline, b""):  # type: ignore[attr-defined]
        job = json.loads(line)
        if os.fork() == 0:
            run(job)
            return
        _, status = os.wait()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def run(job: dict[str, Any]) -> None:
    """Be the script."""
    signal.alarm(LONGEST)
    _redirect(job)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.dont_write_bytecode = True
    script = job["script"]
    sys.argv = [script, *job["arguments"]]
    sys.path[0] = str(Path(script).parent)
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, LONGEST_WAIT))
    record_calls(job["root"], Path(job["calls"]))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        _unlike_a_module(end)
        raise


def _unlike_a_module(end: SystemExit) -> None:
    # What ended it is not shown as having come while something else was handled.
    end.__context__ = None


def _redirect(job: dict[str, Any]) -> None:
    for number, (path, flags) in enumerate(
        [(job["stdin"], os.O_RDONLY), (job["stdout"], os.O_WRONLY), (job["stderr"], os.O_WRONLY)]
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def record_calls(root: str, path: Path) -> None:
    """Write down from which lines of the files below a folder deprecated calls are made: the innermost first."""

    def seen(target: str) -> None:
        match = OLD.search(urlsplit(target).path)
        if match is None:
            return
        frame, lines = sys._getframe(2), []
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(root + os.sep):
                lines.append([os.path.relpath(file, root), frame.f_lineno])
            frame = frame.f_back  # type: ignore[assignment]
        with path.open("a", encoding="utf-8") as record:
            record.write(json.dumps({"route": match[1], "lines": lines}) + "\n")

    _spied(http.client.HTTPConnection, "putrequest", lambda connection, method, url, *more, **named: seen(url))
    httpx = sys.modules.get("httpx")
    if httpx is not None:
        _spied(httpx.Client, "send", lambda client, request, *more, **named: seen(str(request.url)))
        _spied(httpx.AsyncClient, "send", lambda client, request, *more, **named: seen(str(request.url)))


def _spied(owner: Any, name: str, spy: Callable[..., None]) -> None:
    plain = getattr(owner, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:
        spy(*arguments, **named)
        return plain(*arguments, **named)

    setattr(owner, name, wrapper)


if __name__ == "__main__":
    main()
