"""The declarations as typed decoders and encoders: what the schemas check, at the speed of parsing (law 5)."""

from compat.mapping.compiled.pages import LegacyPages
from compat.mapping.compiled.times import Times
from compat.mapping.compiled.to_legacy import REFUSED, LegacyView, joined
from compat.mapping.compiled.to_session import SessionPages
from compat.mapping.compiled.types import looked_up_names, student_type
from compat.mapping.compiled.written_times import WrittenTimes

__all__ = [
    "REFUSED",
    "LegacyPages",
    "LegacyView",
    "SessionPages",
    "Times",
    "WrittenTimes",
    "joined",
    "looked_up_names",
    "student_type",
]
