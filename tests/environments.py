"""Environments that hold the built wheel and the packages that its metadata asks for, and nothing else.

What the wheel depends on is linked from the environment of the tests, so that an environment takes a second and no
network; which packages those are is read off the metadata, as pip reads it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
DISTRIBUTION = "exam-students-compat"
_SOURCES = ("compat", "README.md", "LICENSE", "MANIFEST.in", "pyproject.toml", "setup.cfg", "setup.py")
_STARTUP = ("exam-students-compat.pth", *(path.name for path in ROOT.glob("exam_compat_*.py")))
_IGNORED = shutil.ignore_patterns("__pycache__", "*.so")


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(self, *command: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment, from a folder that holds nothing of ours."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("EXAM_COMPAT", "PYTHON"))}
        return subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            cwd=cwd or self.folder,
            env={**kept, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def install(self, *what: str) -> None:
        """Install by pip, without dependencies and without an index."""
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*pip, "--no-build-isolation", *what], check=True, timeout=300)

    def link(self, names: Iterable[str]) -> None:
        """Link distributions of the tests' environment."""
        for name in names:
            found = metadata.distribution(name)
            for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
                place = self.packages / top
                if not place.exists():
                    place.symlink_to(Path(str(found.locate_file(top))).resolve())


def environment(folder: Path) -> Environment:
    """An empty environment."""
    venv.create(folder, with_pip=False, symlinks=True)
    return Environment(folder)


def sources(folder: Path) -> Path:
    """A copy of what the wheel is built from: a build leaves files beside its sources."""
    folder.mkdir()
    for name in (*_SOURCES, *_STARTUP):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=_IGNORED)
        else:
            shutil.copy(path, folder / name)
    return folder


def built_wheel(folder: Path) -> Path:
    """The wheel, built from a copy of the sources."""
    folder.mkdir(exist_ok=True)
    source = sources(folder / "source")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(source)], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


def needed_by(packages: Path, extras: Iterable[str]) -> set[str]:
    """The distributions that the installed wheel asks for with some extras, theirs included."""
    (ours,) = (each for each in metadata.distributions(path=[str(packages)]) if each.name == DISTRIBUTION)
    found: dict[str, set[str]] = {}
    waiting = [(text, {"", *extras}) for text in ours.requires or ()]
    while waiting:
        text, asked = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": each}) for each in asked):
            continue
        name = canonicalize_name(requirement.name)
        theirs = {"", *requirement.extras}
        known = found.setdefault(name, set())
        if theirs <= known:
            continue
        known |= theirs
        requires = ours.requires if name == DISTRIBUTION else metadata.requires(name)
        waiting += [(each, theirs) for each in requires or ()]
    return found.keys() - {DISTRIBUTION}
