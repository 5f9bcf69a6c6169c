"""Old field ⇄ new field: the lens, what it loses, and its compiled form (contract, section 5)."""

from typing import TYPE_CHECKING

__all__ = [
    "NOTHING_LEFT",
    "BulkLens",
    "Loss",
    "Remainder",
    "SessionLens",
    "Translation",
    "losses_of_record",
    "losses_of_session",
    "stand_ins",
]

if TYPE_CHECKING:
    from compat.mapping.lens import (
        NOTHING_LEFT,
        BulkLens,
        Loss,
        Remainder,
        SessionLens,
        Translation,
        losses_of_record,
        losses_of_session,
        stand_ins,
    )
else:
    from compat.lazy import on_first_use

    # Student sessions need the types of the compiled form, and nothing else from here.
    __getattr__ = on_first_use(__name__, dict.fromkeys(__all__, "compat.mapping.lens"))
