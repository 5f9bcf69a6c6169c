"""The start-up file: where it lies, what it costs, and what says that it is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from compat.cli.run import STARTUP_NAME, startup_file
from compat.testing.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
SITE_PACKAGES = sysconfig.get_path("purelib")
WITHOUT_OURS = {name: text for name, text in os.environ.items() if not name.startswith(("EXAM_COMPAT", "PYTHON"))}


def output(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, env={**WITHOUT_OURS, **environment}, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_this_installation_has_it() -> None:
    found = startup_file()
    assert found is not None, "install anew: pip install -e ."
    assert found.read_text() == (ROOT / STARTUP_NAME).read_text()


def test_a_python_that_is_not_asked_imports_nothing_of_ours() -> None:
    code = "import sys; found = sys.modules; print('exam_compat_startup' in found, 'compat' in found, *sys.meta_path)"
    assert output(sys.executable, "-c", code).startswith("False False ")
    assert output(sys.executable, "-c", code, EXAM_COMPAT="no").startswith("True False ")
    assert output(sys.executable, "-c", code, EXAM_COMPAT="1").startswith(
        "True False <exam_compat_libraries._AfterImports"
    )


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="needs a Python beside this environment's")
def test_where_only_pythonpath_leads_to_the_package_it_is_missed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('ran')\n")
    base = str(Path(sys.base_prefix, "bin", "python" + sysconfig.get_config_var("VERSION")))
    done = subprocess.run(
        [base, "-m", "compat.cli", "run", str(tmp_path / "script.py")],
        env={**WITHOUT_OURS, "PYTHONPATH": os.pathsep.join([str(ROOT), SITE_PACKAGES])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "ran\n"
    assert done.stderr.startswith("exam-compat: the start-up file is not where this Python reads it")


@pytest.mark.soak
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_an_installation_brings_it_and_takes_it_away(tmp_path: Path, editable: bool) -> None:
    """Builds as pip does, with setuptools from the package index."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    libraries = Path(output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # What we depend on comes from this environment; a folder named in a .pth has its own .pth files left alone.
    (libraries / "dependencies.pth").write_text(f"{SITE_PACKAGES}\n")
    source = ["-e", str(ROOT)] if editable else [str(ROOT)]
    output(python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", *source)
    with Sandbox(students=20) as sandbox:
        (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
        url = f"{sandbox.base_url}/api/v3/exams/17/index_students"
        code = f"import requests; print(requests.get({url!r}, timeout=30).headers.get('X-Compat-Answered-By'))"
        settings = {"EXAM_COMPAT": "1", "EXAM_COMPAT_CONFIG": str(tmp_path / "exam-compat.toml")}
        assert output(python, "-c", code, **settings) == "new\n"
    output(python, "-m", "pip", "uninstall", "--quiet", "--yes", "exam-students-compat")
    assert not (libraries / STARTUP_NAME).exists()
    assert "compat" not in output(python, "-c", "import sys; print(*sys.modules)", EXAM_COMPAT="1")
