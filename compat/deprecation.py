"""What is deprecated: since when, until when, what to use instead, and a warning at the caller's own line.

Python forgets what it has shown whenever a filter changes, and ``warnings.catch_warnings`` changes filters: a loop
with one in it would warn at each turn. So what was shown is remembered here.

The ``deprecation`` package words the docstrings and decides, from the versions, whether a name is deprecated or due
for removal. The warning is shown by :mod:`compat.deprecation`: it has to point at the user's own line, however
many frames of ours, of libraries and of threads lie between.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import deprecation
from packaging.version import Version

from compat._version import __version__
from compat.call_site import CallSite, call_site
from compat.legacy.routes import ROUTES
from exam_compat_libraries import say
from exam_compat_uncaught import caught

__all__ = [
    "ACTIONS",
    "REGISTRY",
    "VARIABLE",
    "Deprecation",
    "LegacyApiWarning",
    "deprecated",
    "deprecated_call",
    "due",
    "forget_shown",
    "show",
    "warn_of",
]

VARIABLE = "EXAM_COMPAT_WARNINGS"
ACTIONS = ("error", "ignore", "always", "once", "default")

_REMEMBERED = 4096
"""Lines that are remembered; code made at run time would add some for ever."""
_EVERYTHING = ("always", None, Warning, None, 0)
"""The filter of ``pytest.warns`` and of ``unittest``'s ``assertWarns``: they want to see."""

_IN_THREAD = "A thread made this call; with thread_origins = true in [migration] the line that started it is named."

_shown: dict[tuple[Any, ...], object] = {}


def show(warning: Warning, name: str, site: CallSite) -> None:
    """Warn of a name at a line, unless that was done or nobody wants to see it.

    Raises:
        Warning: where a filter, or the variable, makes an error of it.
    """
    over_all = _over_all()
    action = over_all or _by_the_filters(warning, site)
    if action == "ignore" or (action in _KEYS and _shown_before(_KEYS[action](name, site))):
        return
    if over_all is None:
        warnings.warn_explicit(warning, type(warning), site.filename, site.line, site.module)
    elif action == "error":
        raise warning
    else:
        warnings.showwarning(warning, type(warning), site.filename, site.line)


def forget_shown() -> None:
    """Show everything anew."""
    _shown.clear()


def _over_all() -> str | None:
    action = os.environ.get(VARIABLE)
    if not action:
        return None
    if action not in ACTIONS:
        say(f"{VARIABLE}={action}: must be one of {', '.join(ACTIONS)}; Python's own filters count")
        return None
    if warnings.filters[:1] == [_EVERYTHING] and "always" not in sys.warnoptions:
        return None
    return action


def _by_the_filters(warning: Warning, site: CallSite) -> str:
    for action, message, category, module, line in warnings.filters:
        if (
            issubclass(type(warning), category)
            and line in (0, site.line)
            and (module is None or _fits(module, site.module))
            and (message is None or _fits(message, str(warning)))
        ):
            return action
    return "default"


def _fits(pattern: Any, text: str) -> bool:
    """Filters that Python itself makes hold a text, all others a compiled expression."""
    return bool(pattern == text if isinstance(pattern, str) else pattern.match(text))


_KEYS: Mapping[str, Callable[[str, CallSite], tuple[Any, ...]]] = {
    "default": lambda name, site: (site.filename, site.line, name),
    "module": lambda name, site: (site.module, name),
    "once": lambda name, _: (name,),
}
"""What is shown once, by the action."""


def _shown_before(key: tuple[Any, ...]) -> bool:
    mine = object()
    # One step, so that of two threads at the same line one shows it.
    if _shown.setdefault(key, mine) is not mine:
        return True
    while len(_shown) > _REMEMBERED:
        _shown.pop(next(iter(_shown)), None)
    return False


if TYPE_CHECKING:
    from typing_extensions import deprecated
else:

    def deprecated(message: str, /, **_: Any) -> Callable[[Any], Any]:
        """PEP 702, as far as it concerns type checkers: they read the decorator, and nothing warns twice."""

        def mark(function: Any) -> Any:
            function.__deprecated__ = message
            return function

        return mark


_P = ParamSpec("_P")
_T = TypeVar("_T")

_GUIDE = "MIGRATION.md"
_SINCE = "0.1.0"
_UNTIL = "2.0.0"


class LegacyApiWarning(deprecation.DeprecatedWarning):  # type: ignore[misc]  # its module is untyped
    """A deprecated call was made; names what to call instead, and points at the line that made it."""


@dataclass(frozen=True)
class Deprecation:
    """Why and until when a name is deprecated: from one version of ours to the one that no longer has it.

    Attributes:
        instead: what to use.
        codemod: what ``exam-compat migrate`` calls its rewrite from one to the other.
    """

    name: str
    since: str
    removed_in: str
    instead: str
    codemod: str

    @property
    def details(self) -> str:
        """The sentence that docstrings and warnings end with."""
        return f"Use {self.instead} instead: see {_GUIDE}."


_NAMES = (
    *((f"ExamStudentsClient.{route.action}", route.successor_method, route) for route in ROUTES),
    *((f"{route.methods[0]} exams/:id/{route.action}", route.successor, route) for route in ROUTES),
)
REGISTRY = {name: Deprecation(name, _SINCE, _UNTIL, instead, route.action) for name, instead, route in _NAMES}
"""Every deprecated name, of ours and of the old interface, by name."""


def due(version: str = __version__) -> list[Deprecation]:
    """What ought to be gone by a version of ours."""
    return [entry for entry in REGISTRY.values() if Version(version) >= Version(entry.removed_in)]


@functools.cache
def _is_due(removed_in: str) -> bool:
    return Version(__version__) >= Version(removed_in)


def warn_of(name: str, sunset: date | None = None) -> None:
    """Warn that a registered name was used, at the user's own line that led to it.

    Args:
        name: its key in :data:`REGISTRY`.
        sunset: the day on which the old interface ends; None where our version counts.

    Raises:
        LegacyApiWarning: where a filter, or ``EXAM_COMPAT_WARNINGS``, makes an error of it.
    """
    entry = REGISTRY[name]
    caught()
    kind = deprecation.UnsupportedWarning if _is_due(entry.removed_in) else LegacyApiWarning
    site = call_site()
    details = entry.details if site.exact else f"{entry.details} {_IN_THREAD}"
    warning = kind(entry.name, entry.since, sunset or entry.removed_in, details)
    show(warning, name, site)


def deprecated_call(name: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Decorate a function of :data:`REGISTRY`: its docstring says so, and each call warns once per calling line."""
    entry = REGISTRY[name]

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        note = deprecation.deprecated(entry.since, entry.removed_in, __version__, entry.details)
        note(function)  # writes the docstring; its own warning would point at us

        @functools.wraps(function)
        def warned(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            warn_of(name, getattr(args[0], "_sunset", None) if args else None)
            return function(*args, **kwargs)

        return warned

    return decorate
