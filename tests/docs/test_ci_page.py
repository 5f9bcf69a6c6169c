"""docs/ci.md: its files are what the pipelines read, and their commands pass without old calls and fail with one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
OLD_CALL = (
    'import requests\n\nrequests.get("https://acme.proctorexam.com/api/v3/exams/17/index_students", timeout=30)\n'
)


def _block(heading: str) -> str:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    (found,) = re.findall(r"^```(?:yaml|groovy)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def _github() -> list[str]:
    workflow = yaml.safe_load(_block("GitHub Actions"))
    # YAML 1.1 reads the key `on` as true.
    assert set(workflow) == {"name", True, "jobs"}
    (job,) = workflow["jobs"].values()
    assert job["runs-on"]
    assert job["permissions"]["security-events"] == "write"
    steps: list[dict[str, Any]] = job["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert steps[-1]["with"]["sarif_file"] == "scan.sarif"
    return [step["run"] for step in steps if "run" in step]


def _gitlab() -> list[str]:
    (job,) = yaml.safe_load(_block("GitLab CI")).values()
    assert set(job) == {"image", "script"}
    return list(job["script"])


def _jenkins() -> list[str]:
    pipeline = _block("Jenkins")
    assert pipeline.count("{") == pipeline.count("}")
    return re.findall(r'^\s+sh "(.+)"$', pipeline, flags=re.MULTILINE)


@pytest.mark.parametrize("commands", [_github, _gitlab, _jenkins])
def test_the_commands_of_the_job_find_an_old_call(commands: Any, tmp_path: Path) -> None:
    install, *checks = commands()
    assert install == "pip install 'exam-students-compat[migration]'"
    assert {check.split()[1] for check in checks} >= {"scan", "due"}
    (tmp_path / "src").mkdir()
    script = tmp_path / "src" / "report.py"
    script.write_text("print('nothing old here')\n")
    for check in checks:
        assert _status(check, tmp_path) == 0, check
    script.write_text(OLD_CALL)
    statuses = {check: _status(check, tmp_path) for check in checks}
    assert statuses == {check: int(check != "exam-compat due") for check in checks}


def _status(command: str, folder: Path) -> int:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, env=environment, capture_output=True, timeout=120, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode
