"""What a session holds and a legacy record cannot (contract, section 5, law 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["NOTHING_LEFT", "Remainder", "same"]


@dataclass(frozen=True)
class Remainder:
    """The rest of a session beside its legacy record; only what a session made from the record would not have.

    Attributes:
        session: session keys to values, of the session's own and of unknown keys.
        exact: session keys to their text, where the same value made anew would read otherwise.
        absent: session keys that a made session has and this one has not.
        metadata: the metadata but for the carried values, as a list of one; empty where a made session's would do.
        carried: the legacy fields that the session carries and the record shows.
        stale: carried values that the record does not show, because the live session says otherwise.
    """

    session: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    metadata: tuple[Any, ...] = ()
    carried: tuple[str, ...] = ()
    stale: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Remainder:
        """Read what :meth:`as_dict` gave, also after a way through JSON."""
        parts: dict[str, Any] = {
            name: tuple(part) if isinstance(part, list) else part for name, part in content.items()
        }
        return cls(**parts)


NOTHING_LEFT = Remainder()
"""The remainder of a session that was made from a legacy record."""


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1, 1.0 and true are three, and the order of keys says nothing."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)
