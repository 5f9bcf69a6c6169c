"""What a session holds and a legacy record cannot (contract, section 5, law 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["NOTHING_LEFT", "Remainder", "copied", "same"]


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


# Neither of these calls itself: newer Pythons read JSON that is nested deeper than their functions may be.


def copied(value: Any) -> Any:
    """A copy of a JSON value that has no array or object in common with it."""
    whole = [value]
    waiting: list[Any] = [whole]
    while waiting:
        container = waiting.pop()
        for place, item in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(item, dict | list):
                container[place] = item.copy()
                waiting.append(container[place])
    return whole[0]


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1, 1.0 and true are three, and the order of keys says nothing."""
    waiting = [(one, other)]
    while waiting:
        left, right = waiting.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, dict):
            if left.keys() != right.keys():
                return False
            waiting.extend((item, right[key]) for key, item in left.items())
        elif isinstance(left, list):
            if len(left) != len(right):
                return False
            waiting.extend(zip(left, right, strict=True))
        elif repr(left) != repr(right) if isinstance(left, float) else left != right:
            return False
    return True
