"""What the columns of a check's tables say, and which rows fold into one line; for every form of report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from compat.plural import several
from compat.regression.verdict import Score

__all__ = ["DIFFERENCES", "NOT_COMPARABLE", "SCORES", "Folded", "explained", "fold"]

SCORES: Mapping[str, str] = {
    "Verdict": "ready, not ready, seen once (a difference that was gone when asked again), no difference seen (too few "
    "questions for a verdict of its own), or not compared",
    "Calls": "that were compared",
    "Explained": "calls whose differences all have an explanation",
    "Unexplained": "calls with a difference that has none",
    "Questions": "different questions that these calls asked",
    "At most": "the share of such questions that may differ, at most",
}
DIFFERENCES: Mapping[str, str] = {
    "Differences": "how many",
    "Calls": "in how many calls",
    "Kind": "what differs",
    "Field": "of the record, or the header",
    "Why": "what explains them, or UNEXPLAINED",
}
NOT_COMPARABLE: Mapping[str, str] = {
    "Calls": "with which nothing could be compared, so that they count for nothing",
    "Reason": "what is odd about the old endpoint's answer",
    "What to do": "so that such calls can be compared",
}


def explained(columns: Mapping[str, str], *shown: str) -> str:
    """What columns say, in a line below or above their table.

    Args:
        columns: heading to what it says.
        shown: the headings that are there; all where none is named.
    """
    return "; ".join(f"{name}: {says}" for name, says in columns.items() if not shown or name in shown) + "."


_NAMED = 12


class Folded(NamedTuple):
    """The rows of a table.

    Attributes:
        shown: those that stand there one by one, the worst first.
        alike: those without any difference, where they fold.
        not_compared: those of which nothing was compared.
    """

    shown: Sequence[Score]
    alike: Sequence[Score]
    not_compared: Sequence[Score]

    def in_words(self, thing: str) -> list[str]:
        """A line for the rows that fold, such as "54 fields alike", and one for those that were not compared.

        Args:
            thing: what a row is, such as "field".
        """
        said = [f"{several(len(self.alike), thing)} alike."] if self.alike else []
        if self.not_compared:
            # Of very many the number is enough.
            names = [each.name or "not known" for each in self.not_compared] if len(self.not_compared) <= _NAMED else []
            said.append(f"{several(len(self.not_compared), thing)} not compared{': ' * bool(names)}{', '.join(names)}.")
        return said


_WORST_FIRST = ("not ready", "seen once", "no difference seen", "ready", "not compared")


def fold(scores: Sequence[Score], *, alike: bool) -> Folded:
    """The rows of a table, apart from those that say nothing.

    Args:
        scores: one a row.
        alike: whether those without any difference fold too.
    """
    ordered = sorted(scores, key=lambda each: (_WORST_FIRST.index(each.verdict), -each.unexplained, -each.explained))
    compared = [each for each in ordered if each.verdict != "not compared"]
    same = [each for each in compared if alike and not (each.unexplained or each.explained or each.wrong)]
    return Folded(
        [each for each in compared if each not in same],
        same,
        [each for each in ordered if each.verdict == "not compared"],
    )
