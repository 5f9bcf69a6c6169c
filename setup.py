"""Adds the start-up file, the extension in C and the description to what is installed; all else is said in setup.cfg.

A ``.pth`` file has to lie in site-packages itself, for which setuptools has no key. coverage.py brings its own in this
way too. The extension is optional: where no compiler is found, all is installed without it and works.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

SITE = "https://exam-students-compat.readthedocs.io/en/stable/"
"""Where the documents are published, as in ``project_urls``."""

STARTUP = "exam-students-compat.pth"

ABI = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Whether this Python has the stable ABI: free-threaded ones have none."""

PAGESCAN = Extension(
    "compat.mapping.fast._pagescan",
    ["compat/mapping/fast/_pagescan.c"],
    extra_compile_args=[] if sys.platform == "win32" else ["-std=c11", "-O3"],
    py_limited_api=True,
    optional=True,
)


class BuildWithStartup(build_py):
    """Builds the modules, and lays the start-up file beside them."""

    def run(self) -> None:
        """Build, from nothing: what an older build left would be taken for a part of this one."""
        if not self.editable_mode:
            built = Path(self.build_lib).resolve()
            if Path(self.get_finalized_command("build").build_base).resolve() in built.parents:
                shutil.rmtree(built, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            self.copy_file(STARTUP, str(Path(self.build_lib, STARTUP)))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What is built, the start-up file included."""
        built: list[str] = super().get_outputs(include_bytecode)
        return built if self.editable_mode else [*built, str(Path(self.build_lib, STARTUP))]


class EditableWithStartup(editable_wheel):
    """Makes the wheel of an editable installation, which build_py has no part in, and adds the start-up file."""

    def run(self) -> None:
        """Build."""
        super().run()
        (wheel,) = Path(self.dist_dir).glob("*editable*.whl")
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.write(STARTUP)


def described() -> str:
    """README.md as a package index shows it: apart from the repository, so its links name the published documents."""
    text = Path("README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\((?![a-z]+:|#)([^)#]+)\.md(#[^)]*)?\)", rf"]({SITE}\1.html\2)", text)


setup(
    long_description=described(),
    long_description_content_type="text/markdown",
    cmdclass={"build_py": BuildWithStartup, "editable_wheel": EditableWithStartup},
    ext_modules=[PAGESCAN] if ABI else [],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if ABI else {},
)
