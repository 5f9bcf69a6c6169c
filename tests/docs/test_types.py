"""What the pages for Python programs show passes the type checkers that people use, at their strictest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/python.md")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with each Python block of the pages as a script: a reader may paste it alone."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)):
            (tmp_path / f"{Path(page).stem.lower()}_{number}.py").write_text(block, encoding="utf-8")
    assert any("legacy_base_url" in each.read_text(encoding="utf-8") for each in tmp_path.iterdir())
    return tmp_path


def checked(scripts: Path, *command: str) -> str:
    """What a checker says of a call that is wrong on purpose, after it found the scripts to be right."""
    names = sorted(each.name for each in scripts.glob("*.py"))
    sound = subprocess.run([*command, *names], cwd=scripts, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    # What it cannot see it takes for Any, and finds nothing to say.
    wrong = scripts / "wrong.py"
    wrong.write_text("import requests\nimport compat\ncompat.mount(requests.Session(), 17, None)\n", encoding="utf-8")
    told = subprocess.run([*command, wrong.name], cwd=scripts, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    return told.stdout


def test_mypy(scripts: Path) -> None:
    pytest.importorskip("mypy", reason="the extra typing is not installed")
    told = checked(scripts, sys.executable, "-m", "mypy", "--strict", "--python-executable", sys.executable)
    assert "Found 2 errors" in told


def test_pyright(scripts: Path) -> None:
    """Both forms of it bring a JavaScript engine of sixty megabytes, so that no extra asks for them."""
    name = next((name for name in ("pyright", "basedpyright") if find_spec(name) and shutil.which(name)), None)
    if name is None:
        pytest.skip("no pyright here: pip install basedpyright")
    # One of them fails for warnings too. What a page asserts after a loop is unbound where nothing was looped over.
    settings = {"typeCheckingMode": "standard", "reportPossiblyUnboundVariable": False}
    (scripts / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    told = checked(scripts, name, "--pythonpath", sys.executable)
    assert "2 errors" in told
