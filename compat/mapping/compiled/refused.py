"""How the compiled form says that a record is the lens's."""

from __future__ import annotations

import msgspec

from compat.errors import CompatError

__all__ = ["REFUSED", "Declined"]

REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
"""What the compiled form raises where the lens has to decide."""


class Declined(CompatError, ValueError):
    """The compiled form leaves a record to the lens."""
