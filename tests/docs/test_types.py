"""What README.md shows passes the type checkers that people use, at their strictest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The Python blocks of the document as one script, in a folder of its own."""
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "script.py"
    path.write_text("\n".join(blocks), encoding="utf-8")
    assert "legacy_base_url" in path.read_text(encoding="utf-8")
    return path


def checked(script: Path, *command: str) -> str:
    """What a checker says of it, and of a call that is wrong on purpose."""
    sound = subprocess.run([*command, script.name], cwd=script.parent, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    # What it cannot see it takes for Any, and finds nothing to say.
    script.write_text("import requests\nimport compat\ncompat.mount(requests.Session(), 17, None)\n", encoding="utf-8")
    wrong = subprocess.run([*command, script.name], cwd=script.parent, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    return wrong.stdout


def test_mypy(script: Path) -> None:
    pytest.importorskip("mypy", reason="the extra typing is not installed")
    told = checked(script, sys.executable, "-m", "mypy", "--strict", "--python-executable", sys.executable)
    assert "Found 2 errors" in told


def test_pyright(script: Path) -> None:
    """Both forms of it bring a JavaScript engine of sixty megabytes, so that no extra asks for them."""
    name = next((name for name in ("pyright", "basedpyright") if find_spec(name) and shutil.which(name)), None)
    if name is None:
        pytest.skip("no pyright here: pip install basedpyright")
    # One of them fails for warnings too, of which "the result is not used" is one.
    script.with_name("pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}', encoding="utf-8")
    told = checked(script, name, "--pythonpath", sys.executable)
    assert "2 errors" in told
