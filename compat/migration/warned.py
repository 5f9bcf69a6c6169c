"""How a warning of ours is shown: once a line, and as ``EXAM_COMPAT_WARNINGS`` says where it says anything.

Python forgets what it has shown whenever a filter changes, and ``warnings.catch_warnings`` changes filters: a loop
with one in it would warn at each turn. So what was shown is remembered here.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from compat.migration.call_sites import CallSite
from exam_compat_startup import say

__all__ = ["ACTIONS", "VARIABLE", "forget_shown", "show"]

VARIABLE = "EXAM_COMPAT_WARNINGS"
ACTIONS = ("error", "ignore", "always", "once", "default")

_REMEMBERED = 4096
"""Lines that are remembered; code made at run time would add some for ever."""
_EVERYTHING = ("always", None, Warning, None, 0)
"""The filter of ``pytest.warns`` and of ``unittest``'s ``assertWarns``: they want to see."""

_shown: dict[tuple[Any, ...], object] = {}


def show(warning: Warning, name: str, site: CallSite) -> None:
    """Warn of a name at a line, unless that was done or nobody wants to see it.

    Raises:
        Warning: where a filter, or the variable, makes an error of it.
    """
    over_all = _over_all()
    action = over_all or _by_the_filters(warning, site)
    if action == "ignore" or (action in _KEYS and _shown_before(_key(action, name, site))):
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
            and _fits(module, site.module)
            and (message is None or _fits(message, str(warning)))
        ):
            return action
    return "default"


def _fits(pattern: Any, text: str) -> bool:
    """Filters that Python itself makes hold a text, all others a compiled expression."""
    if pattern is None:
        return True
    return bool(pattern == text if isinstance(pattern, str) else pattern.match(text))


_KEYS = ("default", "module", "once")


def _key(action: str, name: str, site: CallSite) -> tuple[Any, ...]:
    if action == "once":
        return (name,)
    return (site.module, name) if action == "module" else (site.filename, site.line, name)


def _shown_before(key: tuple[Any, ...]) -> bool:
    mine = object()
    # One step, so that of two threads at the same line one shows it.
    if _shown.setdefault(key, mine) is not mine:
        return True
    while len(_shown) > _REMEMBERED:
        _shown.pop(next(iter(_shown)), None)
    return False
