"""The declarations as typed decoders and encoders: what the schemas check, at the speed of parsing (law 5)."""

from typing import TYPE_CHECKING

from compat.mapping.compiled.refused import REFUSED

if TYPE_CHECKING:
    from compat.mapping.compiled.odd_fields import OddFields
    from compat.mapping.compiled.pages import LegacyPages
    from compat.mapping.compiled.session_columns import SessionColumns
    from compat.mapping.compiled.time_columns import TimeColumns
    from compat.mapping.compiled.times import Times
    from compat.mapping.compiled.to_legacy import LegacyView, joined, one_each
    from compat.mapping.compiled.to_session import SessionPages
    from compat.mapping.compiled.types import looked_up_names, student_type
    from compat.mapping.compiled.written_times import WrittenTimes
else:
    from compat.lazy import on_first_use

    # Each direction is compiled for those who go it.
    __getattr__ = on_first_use(
        __name__,
        {
            "LegacyPages": "compat.mapping.compiled.pages",
            "LegacyView": "compat.mapping.compiled.to_legacy",
            "OddFields": "compat.mapping.compiled.odd_fields",
            "SessionColumns": "compat.mapping.compiled.session_columns",
            "SessionPages": "compat.mapping.compiled.to_session",
            "TimeColumns": "compat.mapping.compiled.time_columns",
            "Times": "compat.mapping.compiled.times",
            "WrittenTimes": "compat.mapping.compiled.written_times",
            "joined": "compat.mapping.compiled.to_legacy",
            "looked_up_names": "compat.mapping.compiled.types",
            "one_each": "compat.mapping.compiled.to_legacy",
            "student_type": "compat.mapping.compiled.types",
        },
    )

__all__ = [
    "REFUSED",
    "LegacyPages",
    "LegacyView",
    "OddFields",
    "SessionColumns",
    "SessionPages",
    "TimeColumns",
    "Times",
    "WrittenTimes",
    "joined",
    "looked_up_names",
    "one_each",
    "student_type",
]
