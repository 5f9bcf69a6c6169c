"""Numbers of things, as a message says them."""

from __future__ import annotations

__all__ = ["several"]


def several(number: int, thing: str) -> str:
    """A number and what it counts: ``1 call``, ``1,900 calls``.

    Args:
        number: how many.
        thing: one of them.
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
