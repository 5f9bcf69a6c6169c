"""Where the start-up file lies that lets ``EXAM_COMPAT`` be seen by a Python."""

from __future__ import annotations

import site
import sysconfig
from pathlib import Path

__all__ = ["STARTUP_NAME", "startup_file"]

STARTUP_NAME = "exam-students-compat.pth"


def startup_file() -> Path | None:
    """The start-up file that this Python reads when it starts, or None where there is none.

    There is none where the package is found by ``PYTHONPATH`` alone, or was installed by ``pip --target``.
    """
    folders = [*site.getsitepackages(), sysconfig.get_path("purelib")]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    paths = (Path(folder, STARTUP_NAME) for folder in dict.fromkeys(folders))
    return next((path for path in paths if path.is_file()), None)
