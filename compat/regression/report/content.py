"""What a report says, in the order in which people read it, and how it writes numbers, moments and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compat.text.json import several

__all__ = [
    "Bound",
    "Bucket",
    "CallerLeft",
    "Content",
    "DifferenceShown",
    "Group",
    "Interval",
    "LatencyShown",
    "QuantileShown",
    "Row",
]


@dataclass(frozen=True)
class Row:
    """One field, route or caller.

    Attributes:
        name: which one.
        verdict: "ready", "not ready", "seen once", "no difference seen" where it has too few questions, or "not
            compared".
        calls: calls that were compared in it.
        explained: of them, those with differences that are all explained.
        unexplained: of them, those with one that is not.
        at_most: the share of different questions with an unexplained difference, at most; from 0 to 1.
        questions: how many different ones there were.
    """

    name: str
    verdict: str
    calls: int
    explained: int
    unexplained: int
    at_most: float
    questions: int


@dataclass(frozen=True)
class Group:
    """A table of rows: by field, by route, by caller.

    Attributes:
        title: of the table.
        caption: what it counts, in a sentence.
        column: the heading of the names: Field, Route, Caller or Aspect.
        rows: the worst first.
        alike: rows without any difference, where these fold.
        not_compared: rows of which nothing was compared.
        counts_calls: whether it is known how many calls could show it; of a field or an aspect the questions are.
    """

    title: str
    caption: str
    column: str
    rows: Sequence[Row]
    alike: Sequence[Row] = ()
    not_compared: Sequence[Row] = ()
    counts_calls: bool = True

    @property
    def most(self) -> int:
        """The greatest number of calls with a difference, for bars."""
        return max((max(row.explained, row.unexplained) for row in self.rows), default=0)

    @property
    def alike_in_words(self) -> str:
        """How many rows fold, such as "57 fields alike"."""
        return f"{several(len(self.alike), self.column.lower())} alike"

    @property
    def not_compared_in_words(self) -> str:
        """How many rows nothing is known of, such as "2 aspects not compared"."""
        return f"{several(len(self.not_compared), self.column.lower())} not compared"


@dataclass(frozen=True)
class Bucket:
    """A span of time.

    Attributes:
        starts: seconds since the epoch.
        equal: calls that were answered alike.
        explained: calls whose differences are all explained.
        unexplained: calls with one that is not.
    """

    starts: float
    equal: int
    explained: int
    unexplained: int

    @property
    def calls(self) -> int:
        """All that were compared."""
        return self.equal + self.explained + self.unexplained


@dataclass(frozen=True)
class Interval:
    """A number of milliseconds, and between which it lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class QuantileShown:
    """Within how many milliseconds a share of the calls was answered, by either endpoint."""

    quantile: float
    old: Interval
    new: Interval


@dataclass(frozen=True)
class LatencyShown:
    """How long the answers of a route took.

    Attributes:
        route: its action.
        verdict: in words, such as ``no difference seen``.
        too_slow: whether that is more than is allowed.
        quantiles: from the quickest calls to the slowest.
    """

    route: str
    verdict: str
    quantiles: Sequence[QuantileShown]
    too_slow: bool = False


@dataclass(frozen=True)
class CallerLeft:
    """A caller of the old interface.

    Attributes:
        name: the caller or call site.
        calls_a_day: by the inventory.
        last_seen: seconds since the epoch.
        rewritable: "rewritable", or what is left to do by hand.
        evidence: what the comparison says of it, such as ``0 unexplained in 1,900``.
    """

    name: str
    calls_a_day: float
    last_seen: float | None
    rewritable: str
    evidence: str


@dataclass(frozen=True)
class DifferenceShown:
    """One of the first differences, or explained ones together; values of people are shapes or pseudonyms.

    Attributes:
        kind: of the difference, such as ``field value``.
        state: "unexplained", "seen once" (not when the call was made again), "explained" or "drift".
        route: the action of the deprecated route.
        caller: whose call it was.
        field: of the record, or empty.
        aspect: of the answer, such as ``membership``.
        place: exam, record and what else says where.
        old: what the old endpoint answered there.
        new: what the new one did.
        reason: why it is explained, or empty.
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
class Bound:
    """What share of the questions may differ, at most, beside what is allowed.

    Attributes:
        at_most: the upper bound, from 0 to 1.
        allowed: the threshold.
        sentence: the same in words, :func:`compat.regression.evidence.headline.grounds`.
    """

    at_most: float
    allowed: float
    sentence: str


@dataclass(frozen=True)
class Content:
    """All of it.

    Attributes:
        verdict: "ready", "not ready" or "not enough evidence".
        sentence: the verdict in plain words, :func:`compat.regression.evidence.headline.headline`.
        next_step: what to do next, :func:`compat.regression.evidence.headline.next_step`.
        bound: what the verdict rests on.
        made_at: seconds since the epoch.
        version: of this package.
        sources: the recordings, or "live".
        began_at: the first call, seconds since the epoch; None for none.
        ended_at: the last one.
        totals: label, name in the JSON report, and number.
        reasons: what keeps it from being ready.
        groups: the tables.
        buckets: parity over time.
        confidence: of every bound and interval.
        latency: by route.
        callers_left: who still calls, busiest first.
        differences: the first ones.
        differences_in_all: how many there are.
        notices: rules and recordings that were not used, and what else is to be known.
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
    latency: Sequence[LatencyShown]
    callers_left: Sequence[CallerLeft]
    differences: Sequence[DifferenceShown]
    differences_in_all: int
    notices: Sequence[str]
    not_comparable: Sequence[tuple[str, int, str]] = ()

    @property
    def busiest(self) -> float:
        """The most calls a day, for bars."""
        return max((each.calls_a_day for each in self.callers_left), default=0)

    @property
    def choices(self) -> list[tuple[str, str, list[str]]]:
        """What the list of differences can be filtered by: name, label and values."""
        named = (("state", "State"), ("kind", "Kind"), ("route", "Route"), ("caller", "Caller"))
        return [(name, label, sorted({getattr(each, name) for each in self.differences})) for name, label in named]
