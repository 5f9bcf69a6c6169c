"""What a client chooses when it signs, and the choices that differ from the documented one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compat.doctor.drafts import Draft, Evidence

__all__ = ["Choice", "Deviation"]


@dataclass(frozen=True)
class Deviation:
    """One choice that is not the documented one.

    Attributes:
        name: what programs call it.
        did: what the client did, to follow "The client".
        fix: the smallest change that helps.
        apply: the draft with that choice made; the same draft where it makes no difference.
    """

    name: str
    did: str
    fix: str
    apply: Callable[[Draft, Evidence], Draft]


@dataclass(frozen=True)
class Choice:
    """Deviations of which a client has at most one.

    Attributes:
        about: what is chosen.
        deviations: the wrong ways, the likelier the earlier.
    """

    about: str
    deviations: tuple[Deviation, ...]
