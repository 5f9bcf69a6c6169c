"""The old path of :mod:`compat.regression.evidence.result`, which documents named."""

from compat.regression.evidence.result import (
    MOST_SAMPLES,
    CheckResult,
    Count,
    DifferenceCount,
    RecordingUse,
    RuleUse,
    Sample,
    ShownDifference,
    Times,
    smallest,
)

__all__ = [
    "MOST_SAMPLES",
    "CheckResult",
    "Count",
    "DifferenceCount",
    "RecordingUse",
    "RuleUse",
    "Sample",
    "ShownDifference",
    "Times",
    "smallest",
]
