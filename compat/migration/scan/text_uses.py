"""Uses of the old interface in any language, by the text of their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compat.migration.scan.rules import ACTIONS, ROUTE_RULES

__all__ = ["mentions", "route_in"]

_ACTIONS = "|".join(ACTIONS)
_ROUTE = re.compile(rf"\bexams\b.{{0,200}}?[/\"'`}}]({_ACTIONS})\b(?!\s*\()", re.DOTALL)
_LIST = re.compile(r"(?<![\w.>:])[/\"'`]?(index_students)\b(?!\s*\()")


def route_in(text: str) -> re.Match[str] | None:
    """Where a text names a deprecated route, its action as the first group; None where it does not.

    ``index_students`` alone is told by its name; the others are words that any program may use, and need the exams'
    part of the path before them.
    """
    return _ROUTE.search(text) or _LIST.search(text)


def mentions(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Line, column, the rule's id and the sending library of each line that names a deprecated route."""
    for number, line in enumerate(text.splitlines(), 1):
        found = route_in(line)
        if found is not None:
            library = "curl" if re.search(r"\bcurl\b", line) else ""
            yield number, found.start(1) + 1, ROUTE_RULES[found[1]].id, library
