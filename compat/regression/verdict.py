"""The old path of :mod:`compat.regression.evidence.verdict`, which documents named."""

from compat.regression.evidence.verdict import (
    Judgement,
    Latency,
    PartVerdict,
    Quantiles,
    Score,
    Thresholds,
    Verdict,
    judge,
    score,
    seen_once_often,
)

__all__ = [
    "Judgement",
    "Latency",
    "PartVerdict",
    "Quantiles",
    "Score",
    "Thresholds",
    "Verdict",
    "judge",
    "score",
    "seen_once_often",
]
