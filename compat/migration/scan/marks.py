"""Marks in a file: ``exam-compat: ignore`` in a comment lets the find of its line pass."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["Marks"]

_MARK = re.compile(
    r"(?:\#|//|/\*|--|;|<!--|<%--|<%\#|\{\#|\{\{!(?:--)?|@\*|\(\*|%|'|::|\brem\b)[ \t]*"
    r"exam-compat:[ \t]*ignore\b(?![-\w])(?P<reason>.*)",
    re.IGNORECASE,
)
_ENDS = ("*/", "-->", "--%>", "%>", "#}", "--}}", "}}", "*@", "*)")


class Marks:
    """The marks of a text, and which of them let something pass."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Find the marks.

        Args:
            lines: of the text.
        """
        self._reasons: dict[int, str] = {}
        self._alone: set[int] = set()
        self._used: set[int] = set()
        for number, line in enumerate(lines, 1):
            match = _MARK.search(line)
            if match:
                self._reasons[number] = _reason(match["reason"])
                if not line[: match.start()].strip():
                    self._alone.add(number)

    def over(self, first: int, last: int) -> str | None:
        """The reason of the mark for some lines, perhaps none; None where they have no mark.

        A mark stands behind one of the lines, or alone in the line above.
        """
        for number in range(first, last + 1):
            if number in self._reasons and number not in self._alone:
                return self._take(number)
        return self._take(first - 1) if first - 1 in self._alone else None

    def unused(self) -> list[int]:
        """The lines of marks that let nothing pass."""
        return sorted(self._reasons.keys() - self._used)

    def _take(self, number: int) -> str:
        self._used.add(number)
        return self._reasons[number]


def _reason(text: str) -> str:
    for end in _ENDS:
        text = text.strip().removesuffix(end)
    return text.strip(" \t:-,()")
