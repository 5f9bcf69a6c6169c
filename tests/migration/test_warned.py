"""A warning is shown once a line, and as EXAM_COMPAT_WARNINGS says, whatever Python's own filters do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import compat
from compat import deprecation as warned
from compat.deprecation import REGISTRY, warn_of

NAME = "GET exams/:id/index_students"
OTHER = "GET exams/:id/show_student"


@pytest.fixture(autouse=True)
def _nothing_shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(warned.VARIABLE, raising=False)
    warned.forget_shown()
    yield
    warned.forget_shown()


@pytest.fixture
def shown() -> Iterator[list[warnings.WarningMessage]]:
    """What is shown under a filter that shows each line once."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        yield found


def call(name: str = NAME) -> None:
    warn_of(name)


def elsewhere(name: str = NAME) -> None:
    warn_of(name)


def test_once_a_line_though_filters_change_between(shown: list[warnings.WarningMessage]) -> None:
    for _ in range(3):
        with warnings.catch_warnings():
            call()
    call(OTHER)
    elsewhere()
    assert len(shown) == 3


def test_once_a_line_from_many_threads(shown: list[warnings.WarningMessage]) -> None:
    barrier = threading.Barrier(8)

    def act() -> None:
        barrier.wait()
        call()

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shown) == 1


def test_lines_of_code_made_at_run_time_are_forgotten_again(shown: list[warnings.WarningMessage]) -> None:
    for number in range(warned._REMEMBERED + 5):
        exec(compile("warn_of(name)", f"<made {number}>", "exec"), {"warn_of": warn_of, "name": NAME})  # noqa: S102
    assert len(warned._shown) <= warned._REMEMBERED
    assert len(shown) == warned._REMEMBERED + 5


@pytest.mark.parametrize(
    ("python", "variable", "expected"),
    [
        ("default", None, 2),
        ("once", None, 1),
        ("module", None, 1),
        ("ignore", None, 0),
        ("ignore", "always", 4),
        ("ignore", "default", 2),
        ("error", "once", 1),
        ("error", "ignore", 0),
        ("default", "", 2),
    ],
)
def test_actions(python: Any, variable: str | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable is not None:
        monkeypatch.setenv(warned.VARIABLE, variable)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter(python)
        for _ in range(2):
            call()
            elsewhere()
    assert len(found) == expected


def test_an_error_whatever_the_filters_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(warned.VARIABLE, "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            with pytest.raises(compat.LegacyApiWarning):
                call()
    # A test that expects the warning still sees it.
    with pytest.warns(compat.LegacyApiWarning):
        call()


def test_filters_by_category_message_module_and_line() -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message="GET exams/:id/show", category=compat.LegacyApiWarning)
        warnings.filterwarnings("ignore", module="nobody", category=compat.LegacyApiWarning)
        warnings.filterwarnings("ignore", lineno=1, category=compat.LegacyApiWarning)
        call()
        call(OTHER)
        assert len(found) == 1
        warnings.filterwarnings("ignore", module=__name__, category=compat.LegacyApiWarning)
        call()
    assert len(found) == 1


def test_a_value_that_is_none_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(warned.VARIABLE, "loudly")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()
        call()
    assert capsys.readouterr().err == (
        "exam-compat: EXAM_COMPAT_WARNINGS=loudly: must be one of error, ignore, always, once, default; "
        "Python's own filters count\n"
    )


def test_every_entry_says_which_rewrite_moves_a_script() -> None:
    assert all(entry.codemod for entry in REGISTRY.values())


SUITE = """
import pytest
from compat.deprecation import warn_of

def call():
    warn_of("GET exams/:id/index_students")

def test_that_calls():
    call()

def test_that_expects_it():
    import compat
    with pytest.warns(compat.LegacyApiWarning):
        call()
"""


def test_a_users_suite_finds_the_rest(tmp_path: Path) -> None:
    (tmp_path / "test_old.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_old.py"]
    without_plugins = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def failed(*more: str, **environment: str) -> list[str]:
        settings = {**without_plugins, **environment}
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
        )
        return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED")]

    assert failed("-W", "error::compat.LegacyApiWarning") == ["test_old.py::test_that_calls"]
    assert failed(EXAM_COMPAT_WARNINGS="error") == ["test_old.py::test_that_calls"]
