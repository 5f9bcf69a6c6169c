"""What is to be done with one call, and the two endpoints as an entrance asks them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from compat.migration.modes import Mode, share_of
from compat.regression.pairs import Answered

__all__ = ["ONLY_NEW", "Asker", "Endpoint", "Identity", "Side", "Turn", "turn_of"]

_T = TypeVar("_T")

Endpoint = Literal["legacy", "new"]

Asker = Callable[[], Answered]
"""Gives what an endpoint answered, or asks it; a failure is an answer too."""


@dataclass(frozen=True)
class Turn:
    """What is to be done with one call.

    Attributes:
        served: the endpoint that answers.
        compared: whether the other one is asked behind it.
        falls_back: whether the old one answers where the new one fails.
    """

    served: Endpoint
    compared: bool = False
    falls_back: bool = False


ONLY_NEW = Turn("new")
"""What is done with most calls in the end."""
_ONLY_OLD = Turn("legacy")
_OLD_COMPARED, _NEW_COMPARED = Turn("legacy", compared=True), Turn("new", compared=True)
_NEW_OR_OLD = Turn("new", falls_back=True)


@dataclass(frozen=True)
class Identity:
    """Whose call it is.

    Attributes:
        caller: the name in the configuration, or None.
        key: tells callers apart, the same in every process: the name, or a digest of the token.
    """

    caller: str | None
    key: str


class Side(Protocol[_T]):
    """One endpoint, as an entrance asks it for one call."""

    def ask(self) -> _T:
        """The answer for the caller.

        Raises:
            LegacyError: of the new one.
            Exception: of the old one, as the caller would have met it.
        """

    def behind(self) -> Asker:
        """Asks where nobody waits for the answer; all that the call was is taken down now."""

    def watch(self, given: _T, then: Callable[[Answered], object]) -> None:
        """Tell of the answer that :meth:`ask` gave, when the caller has read it to its end."""

    def failed(self, error: Exception) -> Answered:
        """What is kept of a failure of :meth:`ask`."""


def turn_of(mode: Mode, who: Identity, *, reads: bool) -> Turn:
    """What a mode makes of a call.

    Args:
        mode: the mode.
        who: whose call it is.
        reads: whether it only reads; a write goes to one endpoint, and is never repeated at another.
    """
    if mode.name == "new":
        return ONLY_NEW
    if mode.name == "legacy":
        return _ONLY_OLD
    if mode.name == "new+fallback":
        return _NEW_OR_OLD if reads else ONLY_NEW
    if mode.name == "canary" and share_of(who.key) < mode.percent:
        return _NEW_COMPARED if reads else ONLY_NEW
    return _OLD_COMPARED if reads else _ONLY_OLD
