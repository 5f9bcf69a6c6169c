"""The declarations as typed decoders and encoders: what the schemas check, at the speed of parsing (law 5)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compat.mapping.fast.columns import SessionColumns
    from compat.mapping.fast.pages import LegacyPages
    from compat.mapping.fast.scanner import REFUSED, Declined
    from compat.mapping.fast.time_columns import TimeColumns
    from compat.mapping.fast.times import Times
    from compat.mapping.fast.to_legacy import LegacyView, joined, one_each
    from compat.mapping.fast.to_session import SessionPages
    from compat.mapping.fast.types import OddFields, looked_up_names, student_type
else:
    from compat.lazy import on_first_use

    # Each direction is compiled for those who go it.
    __getattr__ = on_first_use(
        __name__,
        {
            "REFUSED": "compat.mapping.fast.scanner",
            "Declined": "compat.mapping.fast.scanner",
            "LegacyPages": "compat.mapping.fast.pages",
            "LegacyView": "compat.mapping.fast.to_legacy",
            "OddFields": "compat.mapping.fast.types",
            "SessionColumns": "compat.mapping.fast.columns",
            "SessionPages": "compat.mapping.fast.to_session",
            "TimeColumns": "compat.mapping.fast.time_columns",
            "Times": "compat.mapping.fast.times",
            "joined": "compat.mapping.fast.to_legacy",
            "looked_up_names": "compat.mapping.fast.types",
            "one_each": "compat.mapping.fast.to_legacy",
            "student_type": "compat.mapping.fast.types",
        },
    )

__all__ = [
    "REFUSED",
    "Declined",
    "LegacyPages",
    "LegacyView",
    "OddFields",
    "SessionColumns",
    "SessionPages",
    "TimeColumns",
    "Times",
    "joined",
    "looked_up_names",
    "one_each",
    "student_type",
]
