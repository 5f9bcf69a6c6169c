"""A sandbox over real HTTP, its configurations, and the command in this process and in one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from compat.cli.program import program
from compat.testing import Sandbox

COMMAND = (sys.executable, "-W", "error", "-m", "compat.cli")

Invoke = Callable[..., Result]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(autouse=True, scope="package")
def interruptible() -> Iterator[None]:
    """A suite that a shell started in the background ignores SIGINT, and so would every command it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(students=90, seed=11) as served:
        yield served


@pytest.fixture(scope="package", params=["student_sessions", "paginated_sessions"])
def config(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "exam-compat.toml"
    path.write_text(sandbox.toml(request.param), encoding="utf-8")
    return path


@pytest.fixture(scope="package")
def paginated(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "paginated.toml"
    path.write_text(sandbox.toml("paginated_sessions"), encoding="utf-8")
    return path


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXAM_COMPAT_CONFIG", raising=False)

    def run(*arguments: Any, input: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(program, [str(each) for each in arguments], input=input)
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "EXAM_COMPAT_CONFIG"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run the command in a process of its own, where every warning is an error."""

    def started(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment,
            timeout=120,
            check=False,
            **options,
        )

    return started
