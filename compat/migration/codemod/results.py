"""What a rewrite did, and what it left, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Change", "Left", "Rewritten"]


@dataclass(frozen=True, order=True)
class Change:
    """A place that was rewritten.

    Attributes:
        line: from 1, before the rewrite.
        what: what became of it.
    """

    line: int
    what: str


@dataclass(frozen=True, order=True)
class Left:
    """A place that was left as it is.

    Attributes:
        line: from 1, before the rewrite.
        reason: why it is not certain what to write.
        by_hand: what to do instead.
        needed: whether the old interface is still used there; else the script is done, and this only tidies it.
        last: the last line of the place.
        way: how the route comes there, an expression a line.
        snippet: the code to write there, as far as it can be told.
    """

    line: int
    reason: str
    by_hand: str
    needed: bool = True
    last: int = 0
    way: tuple[str, ...] = ()
    snippet: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "line": self.line,
            "reason": self.reason,
            "by_hand": self.by_hand,
            "needed": self.needed,
            "way": list(self.way),
            "snippet": self.snippet,
        }


@dataclass(frozen=True)
class Rewritten:
    """A module after the rewrite.

    Attributes:
        code: its text.
        changes: what was rewritten, in the order of the lines.
        left: what was not.
    """

    code: str
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()
