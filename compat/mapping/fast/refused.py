"""How the compiled form says that a record is the lens's."""

from __future__ import annotations

import msgspec

from compat.errors import CompatError
from compat.text.instants import NotATime

__all__ = ["REFUSED", "Declined"]


class Declined(CompatError, ValueError):
    """The compiled form leaves a record to the lens."""


REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError, NotATime, Declined)
"""What the compiled form raises where the lens has to decide. Any other ValueError is a fault of ours, and surfaces."""
