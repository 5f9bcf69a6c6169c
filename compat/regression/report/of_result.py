"""From what a check found to what a report says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from compat._version import __version__
from compat.plural import several
from compat.regression.differences import KINDS
from compat.regression.headline import headline
from compat.regression.repeat import command_of
from compat.regression.report.content import (
    Bucket,
    CallerLeft,
    Content,
    DifferenceShown,
    Group,
    Interval,
    LatencyShown,
    QuantileShown,
    Row,
)
from compat.regression.result import CheckResult, Count, DifferenceCount, Sample, ShownDifference, Times
from compat.regression.sketches import quantile
from compat.regression.verdict import Judgement, Score

__all__ = ["content_of"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_UNKNOWN = "not known"
_VERDICTS = ("not ready", "not compared", "no difference seen", "ready")


def content_of(
    result: CheckResult, judgement: Judgement, callers_left: Sequence[CallerLeft] = (), made_at: float | None = None
) -> Content:
    """What a report says.

    Args:
        result: what the check found.
        judgement: what that means.
        callers_left: who still calls, by the inventory.
        made_at: seconds since the epoch; None for now.
    """
    shown = [*_samples(result.samples), *_explained(result.differences)]
    days = sorted(result.days)
    confidence = judgement.thresholds.confidence
    return Content(
        verdict=judgement.verdict,
        sentence=headline(judgement),
        made_at=time.time() if made_at is None else made_at,
        version=__version__,
        sources=[each.name for each in result.recordings] or ["calls as they came"],
        began_at=_start_of(days[0]) if days else None,
        ended_at=_start_of(days[-1]) if days else None,
        totals=_totals(result),
        reasons=_reasons(judgement),
        groups=_groups(judgement),
        buckets=[_bucket(day, result.days[day]) for day in days],
        confidence=confidence,
        latency=[
            LatencyShown(each.route, each.verdict, _quantiles(result.times[each.route], confidence))
            for each in judgement.latency
        ],
        callers_left=callers_left,
        differences=shown,
        differences_in_all=sum(each.differences for each in result.differences),
        notices=judgement.notes,
    )


def _totals(result: CheckResult) -> list[tuple[str, str, int]]:
    counted = result.all
    return [
        ("Calls compared", "calls", counted.calls),
        ("Identical", "identical", result.identical),
        ("Explained", "explained", counted.explained),
        ("Unexplained", "unexplained", counted.unexplained),
        ("Made again", "reread", result.reread),
        ("Not comparable", "not_comparable", counted.not_comparable),
        ("Different questions", "questions", result.distinct_questions),
    ]


def _reasons(judgement: Judgement) -> list[str]:
    parts = {"route": judgement.routes, "caller": judgement.callers}
    said = list(judgement.gaps)
    said += [
        f"{what} {each.name or _UNKNOWN}: {each.unexplained:,} unexplained in {several(each.calls, 'call')}"
        for what, scores in parts.items()
        for each in scores
        if each.verdict == "not ready"
    ]
    return said + [f"route {each.route}: too slow" for each in judgement.latency if each.too_slow]


def _groups(judgement: Judgement) -> list[Group]:
    with_records = "Different questions whose answers had records in which the field could be compared"
    return [
        Group("By route", "Calls of each route", "Route", "Calls", _rows(judgement.routes)),
        Group("By caller", "Calls of each caller", "Caller", "Calls", _rows(judgement.callers)),
        Group("By aspect", "What of the answers differed", "Aspect", "Calls", _rows(judgement.aspects)),
        Group("By field", with_records, "Field", "Calls", _rows(judgement.fields)),
    ]


def _rows(scores: Sequence[Score]) -> list[Row]:
    """The worst first."""
    ordered = sorted(scores, key=lambda each: (_VERDICTS.index(each.verdict), -each.unexplained, -each.explained))
    return [
        Row(
            each.name or _UNKNOWN,
            each.verdict,
            each.calls,
            each.explained,
            each.unexplained,
            each.at_most,
            each.questions,
        )
        for each in ordered
    ]


def _bucket(day: str, count: Count) -> Bucket:
    equal = count.calls - count.explained - count.unexplained
    return Bucket(_start_of(day), equal, count.explained, count.unexplained)


def _start_of(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp()


def _quantiles(times: Times, confidence: float) -> list[QuantileShown]:
    return [
        QuantileShown(part, _interval(times.old, part, confidence), _interval(times.new, part, confidence))
        for part in _QUANTILES
    ]


def _interval(times: Mapping[int, int], part: float, confidence: float) -> Interval:
    value, low, high = (1000 * seconds for seconds in quantile(times, part, confidence))
    return Interval(value, low, high)


def _samples(samples: Sequence[Sample]) -> list[DifferenceShown]:
    return [_unexplained(sample, each) for sample in samples for each in sample.differences]


def _unexplained(sample: Sample, each: ShownDifference) -> DifferenceShown:
    asked = " ".join(f"{name}={value}" for name, value in sample.parameters.items())
    where = [f"exam {sample.exam}", f"record {each.record}" if each.record else "", asked]
    return DifferenceShown(
        kind=each.kind,
        state="unexplained",
        route=sample.route,
        caller=sample.caller or _UNKNOWN,
        field=each.field or "",
        aspect=KINDS[each.kind],
        place=", ".join(part for part in where if part),
        old=each.old,
        new=each.new,
        repeat=command_of(sample.route, sample.exam, sample.parameters) if sample.repeatable else "",
    )


def _explained(counts: Sequence[DifferenceCount]) -> list[DifferenceShown]:
    """The explained ones together, by place and explanation: who explained them wants to know how many they are."""
    return [
        DifferenceShown(
            kind=each.kind,
            state="drift" if each.by == "drift" else "explained",
            route=each.route,
            caller=each.caller or _UNKNOWN,
            field=each.field or "",
            aspect=each.aspect,
            place=f"{each.differences:,} in {several(each.calls, 'call')}",
            old="",
            new="",
            reason=each.reason,
        )
        for each in counts
        if each.by is not None
    ]
