"""deploy/Dockerfile: its steps run, and what comes out of them serves as a container would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT, environment, sources
from image_steps import instructions

from compat import __version__

FOLDER = ROOT / "deploy"
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--fork")


def _may_have_namespaces() -> bool:
    """Whether this process may mount an overlay where nobody else sees it."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


def test_the_image_serves(tmp_path: Path) -> None:
    if not _may_have_namespaces():
        pytest.skip("the steps need root and Linux: they run in namespaces of their own")
    packages = environment(tmp_path / "packages")
    packages.link(["setuptools"])
    work = tmp_path / "work"
    work.mkdir()
    files = [FOLDER / "Dockerfile", sources(tmp_path / "context"), work, packages.packages, FOLDER / "exam-compat.toml"]
    nowhere = {"UPSTREAM_URL": "http://127.0.0.1:9", "STORE_URL": "redis://127.0.0.1:9/0"}
    secrets = {name: name for name in ("UPSTREAM_TOKEN", "UPSTREAM_SECRET", "REGISTRAR_TOKEN", "REGISTRAR_SECRET")}
    done = subprocess.run(
        [
            *NAMESPACES,
            "--kill-child",
            sys.executable,
            str(Path(__file__).with_name("image_steps.py")),
            *map(str, files),
        ],
        capture_output=True,
        env={**os.environ, **nowhere, **secrets, "PYTHONPATH": str(ROOT / "tests")},
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["base"] == "python:3.13-slim"
    assert (said["before"], said["healthy"], said["exit"]) == (1, 0, 0), said["log"]
    assert said["user"] == 10001
    assert sorted(said["listens"]) == sorted(said["EXPOSE"]) == [8080, 8081]
    assert said["status"] == 403
    assert said["answer"]["error"] == "You are not authorized to access this page."
    assert said["version"].startswith(f"exam-compat {__version__}\n")
    # What the test cannot run is one step, which asks for a compiler and nothing else.
    assert said["left_out"] == ["apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev"]
    assert not [secret for secret in secrets if secret in said["log"]]


def test_the_context_is_what_the_wheel_is_built_from(tmp_path: Path) -> None:
    lines = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[0] != "#"]
    assert lines[0] == "*"
    admitted = [line[1:] for line in lines if line.startswith("!")]
    for path in sources(tmp_path / "source").iterdir():
        assert any(path.match(each) for each in admitted), path.name
    assert all((ROOT / each).exists() for each in admitted if "*" not in each)
    assert [line for line in lines[1:] if line[0] != "!"] == ["**/__pycache__", "**/*.so"]


def test_instructions_are_read_with_their_continuations() -> None:
    text = "# Why.\nFROM a AS b\nRUN one \\\n    two\n\n# Again.\nUSER 5\n"
    assert instructions(text) == [("FROM", "a AS b"), ("RUN", "one      two"), ("USER", "5")]
