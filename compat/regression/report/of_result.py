"""From what a check found to what a report says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from compat._version import __version__
from compat.regression.comparing.known import KINDS
from compat.regression.evidence.headline import fold, grounds, headline, next_step, remedy
from compat.regression.evidence.result import (
    CheckResult,
    Count,
    DifferenceCount,
    Sample,
    ShownDifference,
    Times,
    quantile,
)
from compat.regression.evidence.verdict import Judgement, Score
from compat.regression.replay import command_of
from compat.regression.report.content import (
    Bound,
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
from compat.text.json import several

__all__ = ["content_of"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_UNKNOWN = "not known"


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
        next_step=next_step(judgement),
        bound=Bound(judgement.all.at_most, judgement.thresholds.max_unexplained, grounds(judgement)),
        made_at=time.time() if made_at is None else made_at,
        version=__version__,
        sources=[each.name for each in result.recordings] or ["calls as they came"],
        began_at=result.began_at,
        ended_at=result.ended_at,
        totals=_totals(result, judgement),
        reasons=_reasons(judgement),
        groups=_groups(judgement),
        buckets=[_bucket(day, result.days[day]) for day in days],
        confidence=confidence,
        latency=[
            LatencyShown(each.route, each.verdict, _quantiles(result.times[each.route], confidence), each.too_slow)
            for each in judgement.latency
        ],
        callers_left=callers_left,
        differences=shown,
        differences_in_all=sum(each.differences for each in result.differences),
        notices=judgement.notes,
        not_comparable=[(reason, calls, remedy(reason)) for reason, calls in judgement.not_comparable.items()],
    )


def _totals(result: CheckResult, judgement: Judgement) -> list[tuple[str, str, int]]:
    counted = result.all
    return [
        ("Calls compared", "calls", counted.calls),
        ("Identical", "identical", result.identical),
        ("Explained", "explained", counted.explained),
        ("Unexplained", "unexplained", counted.unexplained),
        ("Made again", "reread", result.reread),
        ("Not comparable", "not_comparable", counted.not_comparable),
        ("Different questions", "questions", judgement.all.questions),
        ("Differed once, and not again", "once", judgement.all.once),
    ]


def _reasons(judgement: Judgement) -> list[str]:
    parts = {"route": judgement.routes, "caller": judgement.callers}
    # What "not yet" means, the headline says already.
    said = list(judgement.gaps) if judgement.verdict == "not ready" else []
    said += [
        f"{what} {each.name or _UNKNOWN}: {each.unexplained:,} unexplained in {several(each.calls, 'call')}"
        for what, scores in parts.items()
        for each in scores
        if each.verdict == "not ready"
    ]
    return said + [f"route {each.route}: too slow" for each in judgement.latency if each.too_slow]


def _groups(judgement: Judgement) -> list[Group]:
    return [
        _group("By route", "Calls of each route", "Route", judgement.routes),
        _group("By caller", "Calls of each caller", "Caller", judgement.callers),
        _group("By aspect", "What of the answers differed", "Aspect", judgement.aspects, folds=True),
        _group("By field", "Questions whose answers had records with the field", "Field", judgement.fields, folds=True),
    ]


def _group(title: str, caption: str, column: str, scores: Sequence[Score], *, folds: bool = False) -> Group:
    shown, alike, not_compared = (_rows(each) for each in fold(scores, alike=folds))
    return Group(title, caption, column, shown, alike, not_compared, counts_calls=not folds)


def _rows(scores: Sequence[Score]) -> list[Row]:
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
        for each in scores
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
        state="seen once" if each.once else "unexplained",
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
