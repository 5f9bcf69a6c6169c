"""One registry of what is deprecated: since when, until when, and what to use instead.

The ``deprecation`` package words the docstrings and decides, from the versions, whether a name is deprecated or due
for removal. The warning is our own: it has to point at the caller's line, however many frames of ours, of
``requests`` or of the standard library lie between.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import deprecation
from packaging.version import Version

from compat._version import __version__

if TYPE_CHECKING:
    from typing_extensions import deprecated
else:

    def deprecated(message: str, /, **_: Any) -> Callable[[Any], Any]:
        """PEP 702, as far as it concerns type checkers: they read the decorator, and nothing warns twice."""

        def mark(function: Any) -> Any:
            function.__deprecated__ = message
            return function

        return mark


__all__ = [
    "REGISTRY",
    "Deprecation",
    "LegacyApiWarning",
    "deprecated",
    "deprecated_call",
    "due",
    "warn_of",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_GUIDE = "MIGRATION.md"
_BETWEEN = {"compat", "requests", "urllib3", "deprecation"}
_STANDARD_LIBRARY = tuple({sysconfig.get_path("stdlib") + "/", sysconfig.get_path("platstdlib") + "/", "<frozen "})
_INSTALLED = ("site-packages", "dist-packages")


class LegacyApiWarning(deprecation.DeprecatedWarning):  # type: ignore[misc]  # its module is untyped
    """A deprecated call was made; names what to call instead, and points at the line that made it."""


@dataclass(frozen=True)
class Deprecation:
    """Why and until when a name is deprecated.

    Attributes:
        name: the name, as people write it.
        since: our first version that says so.
        removed_in: our version that will no longer have it.
        instead: what to use.
        codemod: the rewrite that moves a script from one to the other; empty until there is one.
    """

    name: str
    since: str
    removed_in: str
    instead: str
    codemod: str = ""

    @property
    def details(self) -> str:
        """The sentence that docstrings and warnings end with."""
        return f"Use {self.instead} instead: see {_GUIDE}."


def _entries(*entries: Deprecation) -> dict[str, Deprecation]:
    return {entry.name: entry for entry in entries}


REGISTRY = _entries(
    Deprecation("ExamStudentsClient.index_students", "0.1.0", "2.0.0", "StudentSessionsClient.sessions"),
    Deprecation("ExamStudentsClient.show_student", "0.1.0", "2.0.0", "StudentSessionsClient.get"),
    Deprecation("ExamStudentsClient.add_student", "0.1.0", "2.0.0", "StudentSessionsClient.create"),
    Deprecation("ExamStudentsClient.delete_student", "0.1.0", "2.0.0", "StudentSessionsClient.delete"),
    Deprecation("GET exams/:id/index_students", "0.1.0", "2.0.0", "GET student_sessions"),
    Deprecation("GET exams/:id/show_student", "0.1.0", "2.0.0", "GET student_sessions/:id"),
    Deprecation("POST exams/:id/add_student", "0.1.0", "2.0.0", "POST exams/:exam_id/student_sessions"),
    Deprecation("DELETE exams/:id/delete_student", "0.1.0", "2.0.0", "DELETE student_sessions/:id"),
)
"""Every deprecated name, of ours and of the old interface, by name."""


def due(version: str = __version__) -> list[Deprecation]:
    """What ought to be gone by a version of ours."""
    return [entry for entry in REGISTRY.values() if Version(version) >= Version(entry.removed_in)]


@functools.cache
def _is_due(removed_in: str) -> bool:
    return Version(__version__) >= Version(removed_in)


def warn_of(name: str) -> None:
    """Warn that a registered name was used, at the line of the code that is neither ours nor a library's.

    Raises:
        LegacyApiWarning: where the warnings filter makes an error of it.
    """
    entry = REGISTRY[name]
    kind = deprecation.UnsupportedWarning if _is_due(entry.removed_in) else LegacyApiWarning
    message = kind(entry.name, entry.since, entry.removed_in, entry.details)
    frame = _callers_frame(sys._getframe(1))
    warnings.warn_explicit(
        message,
        kind,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__", "<unknown>"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _callers_frame(start: FrameType) -> FrameType:
    """The nearest frame of the caller's own; where there is none, the nearest that is not ours."""
    own: FrameType | None = None
    frame: FrameType | None = start
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in _BETWEEN:
            own = own or frame
            if not _of_the_standard_library(frame.f_code.co_filename):
                return frame
        frame = frame.f_back
    return own or start


def _of_the_standard_library(filename: str) -> bool:
    return filename.startswith(_STANDARD_LIBRARY) and not any(part in filename for part in _INSTALLED)


def deprecated_call(name: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Decorate a registered function: its docstring says so, and each call warns once per calling line.

    Args:
        name: its key in :data:`REGISTRY`.
    """
    entry = REGISTRY[name]

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        note = deprecation.deprecated(entry.since, entry.removed_in, __version__, entry.details)
        note(function)  # writes the docstring; its own warning would point at us

        @functools.wraps(function)
        def warned(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            warn_of(name)
            return function(*args, **kwargs)

        return warned

    return decorate
