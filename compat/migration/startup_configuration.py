"""The configuration of a process that was started with ``EXAM_COMPAT``, by nobody who looked at it.

A script of a crontab runs in whatever folder it runs in. So a file is taken only if nobody but this user and root could
have put it there (docs/run.md), and where Python was told to leave environment or working directory alone, so is this.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from compat.config import Configuration
from compat.config_file import CONFIG_NAME, config_of_file, content_of
from compat.errors import ConfigurationError
from compat.migration.trusted_files import judge_file, read_trusted
from exam_compat_startup import DIRECTORY_VARIABLE

__all__ = ["startup_configuration"]

_CONFIG_VARIABLE = "EXAM_COMPAT_CONFIG"
_READ_LATER = ("key_file", "known")


def startup_configuration() -> Configuration:
    """The configuration that ``EXAM_COMPAT_CONFIG`` names, else the one in which the first Python was started.

    Raises:
        ConfigurationError: there is none, it must be left alone, or a value in it cannot be used.
    """
    if sys.flags.isolated or sys.flags.ignore_environment:
        raise ConfigurationError("this Python was told by -I or -E to leave the environment alone, EXAM_COMPAT too")
    path = _path()
    try:
        content = content_of(path, partial(read_trusted, path))
    except ConfigurationError:
        if os.path.lexists(path):
            raise
        raise ConfigurationError(_nothing_at(path)) from None
    configuration = config_of_file(path, content, judge_file)
    for name in _READ_LATER:
        if name in configuration.regression:
            judge_file(configuration.regression[name])
    return configuration


def _path() -> Path:
    named = os.environ.get(_CONFIG_VARIABLE)
    if named:
        return Path(named)
    found = Path(os.environ.get(DIRECTORY_VARIABLE) or Path.cwd(), CONFIG_NAME)
    reason = None
    if getattr(sys.flags, "safe_path", False):
        reason = "this Python was told by -P to look for nothing there"
    elif os.name == "nt":
        reason = "on Windows nothing tells who could have written it"
    if reason is None or not os.path.lexists(found):
        return found
    raise ConfigurationError(f"{found} was left alone: {reason}; name it by {_CONFIG_VARIABLE}")


def _nothing_at(path: Path) -> str:
    if os.environ.get(_CONFIG_VARIABLE):
        return f"no configuration: {_CONFIG_VARIABLE} names {path}, which is no file"
    return f"no configuration: no {path.name} in {path.parent}; name one by --config or {_CONFIG_VARIABLE}"
