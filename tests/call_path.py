"""The way of one call through the package: which of its files and functions run, in which order.

``python tests/call_path.py`` lists both ways that ``test_call_path.py`` holds::

    a plain list of an exam, through the adapter, from student sessions
    a list that is selected and sorted here, from paginated sessions of several pages

A call is traced once the same one has been made before, so that what a process does once is left out. Comprehensions
are no functions: newer Pythons run them in place.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from support import listed, mounted, upstream_of

import compat
from compat.testing.sandbox import Sandbox

__all__ = ["WAYS", "Way"]

PACKAGE = Path(compat.__file__).parent
SANDBOX = PACKAGE / "testing"
PAGES = "exam-compat-page"
"""The name of the threads that read pages; whatever else runs in a thread is the sandbox."""
COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


class Way(NamedTuple):
    """What a call ran through: ``file`` and ``(file, function)``, in the order in which each was entered first."""

    files: list[str]
    functions: list[tuple[str, str]]


@contextmanager
def traced() -> Iterator[list[tuple[str, str]]]:
    """Every function of the package that is entered meanwhile, by this thread or one that reads pages for it."""
    entered: dict[tuple[str, str], None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        ours = PACKAGE in path.parents and SANDBOX not in path.parents
        if event == "call" and ours and code.co_name not in COMPREHENSIONS:
            entered[path.relative_to(PACKAGE).as_posix(), f"{code.co_name}:{code.co_firstlineno}"] = None

    def note_pages(frame: FrameType, event: str, argument: Any) -> None:
        if threading.current_thread().name == PAGES:
            note(frame, event, argument)

    found: list[tuple[str, str]] = []
    threading.setprofile(note_pages)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # its stubs leave out the way to end it
        found += entered


def way_of(kind: str, settings: dict[str, Any], parameters: dict[str, str]) -> Way:
    """What the second of two equal calls runs through."""
    with Sandbox(students=900, exams=1) as sandbox, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mounted(upstream_of(sandbox, kind, **settings)) as session:
            listed(session, **parameters).raise_for_status()
            with traced() as functions:
                answer = listed(session, **parameters)
            answer.raise_for_status()
            assert answer.json()["students"], "an empty list leaves out half of the way"
    return Way(list(dict.fromkeys(file for file, _ in functions)), functions)


WAYS = {
    "plain": lambda: way_of("student_sessions", {"scope": "exam"}, {}),
    "selected": lambda: way_of(
        "paginated_sessions", {}, {"filter": '{"attempt": {"gte": 1}}', "sort": '[{"name": "desc"}]', "limit": "50"}
    ),
}
"""Each way by its name: how to find it."""


if __name__ == "__main__":
    for name, find in WAYS.items():
        way = find()
        sys.stdout.write(f"{name}: {len(way.files)} files, {len(way.functions)} functions\n")
        for file, function in way.functions:
            sys.stdout.write(f"    {file}: {function}\n")
