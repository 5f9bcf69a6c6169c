"""What a report says, in the order in which people read it, whatever form it has."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from msgspec.structs import replace

from compat._version import __version__
from compat.processes import cached_property
from compat.regression.comparing.known import KINDS
from compat.regression.evidence.headline import CallerLeft, grounds, headline, next_step, remedy, what_to_do
from compat.regression.evidence.result import CheckResult, Count, DifferenceCount, Sample
from compat.regression.evidence.verdict import Judgement, Latency, Score, quantiles
from compat.regression.replay import command_of
from compat.text.json import several

__all__ = ["Bound", "Bucket", "Content", "DifferenceShown", "Group", "Largest", "content_of"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_UNKNOWN = "not known"
_WORST_FIRST = ("not ready", "seen once", "no difference seen", "ready", "not compared")
_FEW = 3
"""So many rows without a difference are shown one by one, and so many differences are told first."""
_MOST_LEFT = 5
"""So many callers that are left are shown one by one."""


@dataclass(frozen=True)
class Group:
    """A table of scores: by route, by caller, by aspect, by field.

    Attributes:
        caption: what it counts, in a sentence.
        column: the heading of the names: Field, Route, Caller or Aspect.
        folds: whether rows without any difference always fold; else where there are many.
        counts_calls: whether it is known how many calls could show it; of a field or an aspect the questions are.
    """

    title: str
    caption: str
    column: str
    scores: Sequence[Score]
    folds: bool = False
    counts_calls: bool = True

    @cached_property
    def compared(self) -> list[Score]:
        """Those of which something was compared, the worst first."""
        found = [each for each in self.scores if each.verdict != "not compared"]
        return sorted(found, key=lambda each: (_WORST_FIRST.index(each.verdict), -each.unexplained, -each.explained))

    @property
    def rows(self) -> list[Score]:
        """Those that stand there one by one."""
        return [each for each in self.compared if each not in self.alike]

    @cached_property
    def alike(self) -> list[Score]:
        """Those that fold."""
        found = [each for each in self.compared if not (each.unexplained or each.explained or each.wrong)]
        return found if self.folds or len(found) > _FEW else []

    @property
    def not_compared(self) -> list[Score]:
        """Those of which nothing was compared."""
        return [each for each in self.scores if each.verdict == "not compared"]

    @property
    def most(self) -> int:
        """The greatest number of calls with a difference, for bars."""
        return max((max(row.explained, row.unexplained) for row in self.rows), default=0)

    @property
    def alike_in_words(self) -> str:
        """How many rows fold, such as "57 fields alike", and how many of them are too few questions for more."""
        unsure = sum(each.verdict == "no difference seen" for each in self.alike)
        told = f"{several(len(self.alike), self.column.lower())} alike"
        return f"{told} ({unsure:,} with too few questions for a verdict of their own)" if unsure else told

    @property
    def not_compared_in_words(self) -> str:
        """How many rows nothing is known of, such as "2 aspects not compared"."""
        return f"{several(len(self.not_compared), self.column.lower())} not compared"


@dataclass(frozen=True)
class Bucket:
    """Calls of a span of time, which starts at seconds since the epoch."""

    starts: float
    equal: int
    explained: int
    unexplained: int

    @property
    def calls(self) -> int:
        """All that were compared."""
        return self.equal + self.explained + self.unexplained


@dataclass(frozen=True)
class DifferenceShown:
    """One of the first differences, or explained ones together; values of people are shapes or pseudonyms.

    Attributes:
        state: "unexplained", "seen once" (not when the call was made again), "explained" or "drift".
        place: exam, record and what else says where.
        repeat: a command that repeats the call, or empty.
    """

    kind: str
    state: str
    route: str
    caller: str
    field: str
    aspect: str
    place: str
    old: str
    new: str
    reason: str = ""
    repeat: str = ""


@dataclass(frozen=True)
class Largest:
    """A kind of difference, such as "text in status", of all routes and callers together."""

    what: str
    state: str
    differences: int
    calls: int
    reason: str
    to_do: str


@dataclass(frozen=True)
class Bound:
    """What share of the questions may differ, at most, beside what is allowed; from 0 to 1, and in a sentence."""

    at_most: float
    allowed: float
    sentence: str


@dataclass(frozen=True)
class Content:
    """All of it.

    Attributes:
        sentence: the verdict in plain words.
        bound: what the verdict rests on.
        made_at: seconds since the epoch, as are ``began_at`` and ``ended_at``, the first and the last call.
        totals: label, name in the JSON report, and number.
        reasons: what keeps it from being ready.
        buckets: parity over time.
        callers_left: who still calls, busiest first; None where nobody asked.
        largest: the differences by kind, the unexplained ones first, then by calls.
        differences: the first ones, of so many in all.
        not_comparable: why nothing could be compared, with how many calls, and what to do; the commonest first.
    """

    verdict: str
    sentence: str
    next_step: str
    bound: Bound
    made_at: float
    version: str
    sources: Sequence[str]
    began_at: float | None
    ended_at: float | None
    totals: Sequence[tuple[str, str, int]]
    reasons: Sequence[str]
    groups: Sequence[Group]
    buckets: Sequence[Bucket]
    confidence: float
    latency: Sequence[Latency]
    callers_left: Sequence[CallerLeft] | None
    largest: Sequence[Largest]
    differences: Sequence[DifferenceShown]
    differences_in_all: int
    notices: Sequence[str]
    not_comparable: Sequence[tuple[str, int, str]] = ()

    @property
    def left_first(self) -> Sequence[CallerLeft]:
        """The callers that are left and shown one by one; ``left_folded`` are the others."""
        return (self.callers_left or ())[:_MOST_LEFT]

    @property
    def left_folded(self) -> Sequence[CallerLeft]:
        return (self.callers_left or ())[_MOST_LEFT:]

    @property
    def left_in_words(self) -> str:
        """How many callers are left."""
        if self.callers_left is None:
            return "Who still calls the old interface was not asked: check with --callers."
        if not self.callers_left:
            return "No caller is left, by the inventory."
        number = len(self.callers_left)
        often = sum(each.calls_a_day for each in self.callers_left)
        calls = f"{often:,.0f}" if often >= 10 else f"{often:,.1f}"
        return f"{several(number, 'caller')} {'is' if number == 1 else 'are'} left, with {calls} calls a day."

    @property
    def largest_first(self) -> Sequence[Largest]:
        """The three that weigh most."""
        return self.largest[:_FEW]

    @property
    def choices(self) -> list[tuple[str, str, list[str]]]:
        """What the list of differences can be filtered by: name, label and values."""
        named = (("state", "State"), ("kind", "Kind"), ("route", "Route"), ("caller", "Caller"))
        return [(name, label, sorted({getattr(each, name) for each in self.differences})) for name, label in named]


def content_of(
    result: CheckResult,
    judgement: Judgement,
    callers_left: Sequence[CallerLeft] | None = None,
    made_at: float | None = None,
) -> Content:
    """What a report says of a check, and of who still calls by the inventory, where somebody asked."""
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
        buckets=[_bucket(day, count) for day, count in sorted(result.days.items())],
        confidence=confidence,
        latency=[
            replace(each, quantiles=quantiles(result.times[each.route], _QUANTILES, confidence))
            for each in judgement.latency
        ],
        callers_left=callers_left,
        largest=_largest(result.differences),
        differences=[*_unexplained(result.samples), *_explained(result.differences)],
        differences_in_all=sum(each.differences for each in result.differences),
        notices=judgement.notes,
        not_comparable=[(reason, calls, remedy(reason)) for reason, calls in judgement.not_comparable.items()],
    )


def _totals(result: CheckResult, judgement: Judgement) -> list[tuple[str, str, int]]:
    return [
        ("Calls compared", "calls", result.all.calls),
        ("Identical", "identical", result.identical),
        ("Explained", "explained", result.all.explained),
        ("Unexplained", "unexplained", result.all.unexplained),
        ("Made again", "reread", result.reread),
        ("Not comparable", "not_comparable", result.all.not_comparable),
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
    # Of a route or a caller it is known how many calls there were, and each of them matters.
    parts: Sequence[tuple[str, str, bool, Sequence[Score]]] = (
        ("Route", "Calls of each route", True, judgement.routes),
        ("Caller", "Calls of each caller", True, judgement.callers),
        ("Aspect", "What of the answers differed", False, judgement.aspects),
        ("Field", "Questions whose answers had records with the field", False, judgement.fields),
    )
    return [
        Group(
            f"By {column.lower()}",
            caption,
            column,
            [replace(each, name=each.name or _UNKNOWN) for each in scores],
            folds=not of_calls,
            counts_calls=of_calls,
        )
        for column, caption, of_calls, scores in parts
    ]


def _bucket(day: str, count: Count) -> Bucket:
    starts = datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp()
    return Bucket(starts, count.calls - count.explained - count.unexplained, count.explained, count.unexplained)


def _largest(counts: Iterable[DifferenceCount]) -> list[Largest]:
    """The differences by kind, field and explanation, whoever made the calls."""
    sums: dict[tuple[str, str, str | None, str], list[int]] = {}
    for each in counts:
        total = sums.setdefault((each.kind, each.field or "", each.by, each.reason), [0, 0])
        total[0] += each.differences
        total[1] += each.calls
    ordered = sorted(sums.items(), key=lambda each: (each[0][2] is not None, -each[1][1], -each[1][0], each[0][:2]))
    return [
        Largest(
            f"{kind} in {field}" if field else kind, _state(by), differences, calls, reason, what_to_do(KINDS[kind], by)
        )
        for (kind, field, by, reason), (differences, calls) in ordered
    ]


def _state(by: str | None) -> str:
    return "unexplained" if by is None else "drift" if by == "drift" else "explained"


def _unexplained(samples: Iterable[Sample]) -> Iterable[DifferenceShown]:
    for sample in samples:
        asked = " ".join(f"{name}={value}" for name, value in sample.parameters.items())
        for each in sample.differences:
            where = [f"exam {sample.exam}", f"record {each.record}" if each.record else "", asked]
            yield DifferenceShown(
                kind=each.kind,
                state="seen once" if each.once else "unexplained",
                route=sample.route,
                caller=sample.caller or _UNKNOWN,
                field=each.field or "",
                aspect=KINDS[each.kind],
                place=", ".join(filter(None, where)),
                old=each.old,
                new=each.new,
                repeat=command_of(sample.route, sample.exam, sample.parameters) if sample.repeatable else "",
            )


def _explained(counts: Iterable[DifferenceCount]) -> Iterable[DifferenceShown]:
    """The explained ones together, by place and explanation: who explained them wants to know how many they are."""
    for each in counts:
        if each.by is not None:
            yield DifferenceShown(
                kind=each.kind,
                state=_state(each.by),
                route=each.route,
                caller=each.caller or _UNKNOWN,
                field=each.field or "",
                aspect=each.aspect,
                place=f"{each.differences:,} in {several(each.calls, 'call')}",
                old="",
                new="",
                reason=each.reason,
            )
