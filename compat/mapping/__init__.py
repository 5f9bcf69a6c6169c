"""Old field ⇄ new field: the lens, what it loses, and its compiled form (contract, section 5)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compat.mapping.lens import SessionLens, Translation
    from compat.mapping.losses import BulkLens, Loss, losses_of_record, losses_of_session, stand_ins
    from compat.mapping.remainder import NOTHING_LEFT, Remainder
else:
    from compat.lazy import on_first_use

    # Student sessions need the types of the compiled form, and nothing else from here.
    __getattr__ = on_first_use(
        __name__,
        {
            "NOTHING_LEFT": "compat.mapping.remainder",
            "BulkLens": "compat.mapping.losses",
            "Loss": "compat.mapping.losses",
            "Remainder": "compat.mapping.remainder",
            "SessionLens": "compat.mapping.lens",
            "Translation": "compat.mapping.lens",
            "losses_of_record": "compat.mapping.losses",
            "losses_of_session": "compat.mapping.losses",
            "stand_ins": "compat.mapping.losses",
        },
    )

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
