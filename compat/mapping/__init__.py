"""Old field ⇄ new field: the lens, what it loses, and its compiled form (contract, section 5)."""

from compat.mapping.bulk import BulkLens
from compat.mapping.lens import SessionLens, Translation
from compat.mapping.losses import Loss, losses_of_record, losses_of_session, stand_ins
from compat.mapping.remainder import NOTHING_LEFT, Remainder

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
