"""Where a deprecated call comes from: the innermost line of the user's own that leads to it.

A user's decorator, wrapper class or session subclass is the user's own code, and so is a notebook's cell. Installed
packages, the standard library and this one are not: the line lies behind them. In a thread that was given nothing of
the user's to run, such as ``pool.submit(requests.get, url)``, it is the line that handed the work over
(:mod:`compat.migration.handovers`).
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from types import FrameType
from typing import NamedTuple

import deprecation
import requests
import urllib3

from compat.migration.handovers import handed_over

__all__ = ["CallSite", "call_site"]

_KNOWN_FILES = 4096
"""Files whose kind is remembered: code made at run time has a name of its own each time."""


class CallSite(NamedTuple):
    """A line of code.

    Attributes:
        filename: the file, as Python names it; of code that has none a name in angle brackets.
        line: its number, from 1.
        module: the module's ``__name__``.
        function: the function that the line is in.
    """

    filename: str
    line: int
    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"


def call_site() -> CallSite:
    """The user's line that leads to the caller of this function.

    Where there is none on the way, it is the line that handed the work to this thread, else the innermost line of an
    installed package, else the first line of the script that runs.
    """
    frame: FrameType | None = sys._getframe(1)
    within: FrameType | None = None
    installed: FrameType | None = None
    outermost = frame
    while frame is not None:
        kind = _kind(frame.f_code.co_filename)
        if kind == "user" and not _starts_a_child(frame, within):
            return _site(frame)
        if kind == "installed" and installed is None:
            installed = frame
        outermost, within, frame = frame, frame, frame.f_back
    handed = handed_over(sys._getframe(1))
    if handed is not None:
        return CallSite(*handed)
    return _site(installed) if installed is not None else _script(outermost)


def _site(frame: FrameType) -> CallSite:
    code = frame.f_code
    return CallSite(code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "<unknown>"), code.co_name)


def _script(outermost: FrameType | None) -> CallSite:
    """A worker process that unpickles what it runs has nothing but its script's name."""
    named = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(named, str) and _kind(named) == "user":
        return CallSite(named, 1, "__main__", "<module>")
    if outermost is None:
        return CallSite("<unknown>", 1, "<unknown>", "<unknown>")
    return _site(outermost)


def _starts_a_child(frame: FrameType, within: FrameType | None) -> bool:
    """Whether a line is the command by which multiprocessing starts a Python."""
    return (
        frame.f_code.co_filename == "<string>"
        and within is not None
        and within.f_code.co_filename.startswith(_MULTIPROCESSING)
    )


def _folders(*paths: str | None) -> tuple[str, ...]:
    return tuple({path.rstrip(os.sep) + os.sep for path in paths if path})


def _folder_of(file: str | None) -> str:
    return os.path.dirname(file or "")


_OURS = (
    *_folders(os.path.dirname(_folder_of(__file__)), _folder_of(requests.__file__), _folder_of(urllib3.__file__)),
    deprecation.__file__,
)
_EXAMPLE = os.path.join(os.path.dirname(_folder_of(__file__)), "cli", "example") + os.sep
"""The one script that is shipped with the package: it is a user's in all but its place."""
_STANDARD_LIBRARY = _folders(sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
_MULTIPROCESSING = tuple(f"{folder}multiprocessing{os.sep}" for folder in _STANDARD_LIBRARY)
# A script there is the generated start of an installed command.
_INSTALLED = _folders(*(sysconfig.get_path(name) for name in ("purelib", "platlib", "scripts")))
_PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


@functools.lru_cache(maxsize=_KNOWN_FILES)
def _kind(filename: str) -> str:
    if filename.startswith(_OURS):
        return "user" if filename.startswith(_EXAMPLE) else "ours"
    if filename.startswith(_INSTALLED) or any(part in filename for part in _PACKAGES):
        return "installed"
    return "standard" if filename.startswith((*_STANDARD_LIBRARY, "<frozen ")) else "user"
