"""What a check found, as numbers that add up: of several processes' results one is made."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from compat.regression.evidence.compared import Question, Questions
from compat.regression.evidence.statistics import quantile_ranks

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
    "add_time",
    "quantile",
    "smallest",
]

MOST_SAMPLES = 20
_Counted = TypeVar("_Counted", "Count", "Times")


class Count(msgspec.Struct, frozen=True):
    """How many calls there were.

    Attributes:
        calls: all that were compared.
        unexplained: those with a difference that nothing explains.
        explained: those with differences, each of them explained.
        not_comparable: calls beside these with which nothing could be compared.
    """

    calls: int = 0
    unexplained: int = 0
    explained: int = 0
    not_comparable: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.calls + other.calls,
            self.unexplained + other.unexplained,
            self.explained + other.explained,
            self.not_comparable + other.not_comparable,
        )

    @property
    def not_comparable_share(self) -> float:
        """Of all calls, those with which nothing could be compared; from 0 to 1."""
        return self.not_comparable / max(1, self.calls + self.not_comparable)


class Times(msgspec.Struct, frozen=True):
    """How long the answers took: how many durations are in each class of :mod:`compat.regression.evidence.result`."""

    old: Mapping[int, int] = {}
    new: Mapping[int, int] = {}

    def __add__(self, other: Times) -> Times:
        return Times(_sums(self.old, other.old), _sums(self.new, other.new))


class DifferenceCount(msgspec.Struct, frozen=True):
    """Differences of one kind, at one place, with one explanation.

    Attributes:
        route: the action of the route.
        caller: the caller's name, or None.
        field: the field of the record, or the header, or None.
        kind: one of :data:`~compat.regression.comparing.known.KINDS`.
        aspect: what of the answer it belongs to.
        by: "loss", "known" or "drift"; None where nothing explains them.
        reason: the explanation, in words.
        differences: how many.
        calls: in how many calls.
    """

    route: str
    caller: str | None
    field: str | None
    kind: str
    aspect: str
    by: str | None
    reason: str
    differences: int
    calls: int

    @property
    def key(self) -> tuple[str, ...]:
        """Of what they are the count."""
        return self.route, self.caller or "", self.field or "", self.kind, self.by or "", self.reason


class ShownDifference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A difference for people: nothing personal in it.

    Attributes:
        kind: one of :data:`~compat.regression.comparing.known.KINDS`.
        record: the record's id.
        field: the field or the header.
        old: the old value, or its shape where it speaks of a person.
        new: the new one.
        once: whether it was seen once, and not when the call was made again.
    """

    kind: str
    record: str | None = None
    field: str | None = None
    old: str = ""
    new: str = ""
    once: bool = False


class Sample(msgspec.Struct, frozen=True):
    """A call with a difference that nothing explains.

    Attributes:
        at: when it came, seconds since the epoch.
        digest: tells its question from others.
        route: the action of the route.
        caller: the caller's name, or None.
        exam: the id of the path.
        parameters: name to text; what a filter compares personal fields with is left out.
        differences: the first of them.
        more: how many there are beyond these.
        repeatable: whether the parameters ask what the call asked; a value of a person does not stand there.
    """

    at: float
    digest: int
    route: str
    caller: str | None
    exam: str
    parameters: Mapping[str, str]
    differences: tuple[ShownDifference, ...]
    more: int = 0
    repeatable: bool = True

    @property
    def key(self) -> tuple[Any, ...]:
        """By what the first samples are chosen, in whichever process they were met."""
        return self.at, self.digest, self.route, self.caller or "", msgspec.json.encode(self.differences)


class RuleUse(msgspec.Struct, frozen=True):
    """A rule of the file of known differences.

    Attributes:
        name: what it fits, and why.
        expires: its last day, ISO 8601.
        expired: whether that is over, so that it explained nothing.
        differences: how many it explained.
    """

    name: str
    expires: str
    expired: bool = False
    differences: int = 0


class RecordingUse(msgspec.Struct, frozen=True):
    """A recording that was read.

    Attributes:
        name: of its file.
        made_at: when it was begun, seconds since the epoch.
        calls: how many it has.
        compared: how many of them were compared; with none it proves nothing.
    """

    name: str
    made_at: float
    calls: int = 0
    compared: int = 0


class CheckResult(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        format: the version of this form.
        checked_at: when it was made, seconds since the epoch; the latest of several.
        began_at: when the first call that was compared came, seconds since the epoch; None for none.
        ended_at: when the last one did.
        all: the calls.
        identical: those of them whose answers were equal in everything that is compared.
        reread: those that were made again.
        not_reread: those with unexplained differences that were not, as those of enough others of the recording stayed.
        not_comparable: why nothing could be compared, to how many calls.
        questions: the different questions, by digest, see :class:`~compat.regression.evidence.compared.Questions`.
        routes: by the action of the route.
        callers: by the caller's name; empty for calls whose caller is not known.
        exams: by the exam's id.
        aspects: by what of the answer differed; ``calls`` are those that differed there.
        fields: by field; ``calls`` as for aspects.
        days: by the day of the call in UTC, ISO 8601.
        times: by the route, how long the answers took.
        differences: all differences, by place, kind and explanation.
        samples: the first calls with unexplained ones.
        known: the rules of the file of known differences.
        recordings: the recordings that were read.
    """

    format: int = 1
    checked_at: float = 0.0
    began_at: float | None = None
    ended_at: float | None = None
    all: Count = Count()
    identical: int = 0
    reread: int = 0
    not_reread: int = 0
    not_comparable: Mapping[str, int] = {}
    questions: Mapping[int, Question] = {}
    routes: Mapping[str, Count] = {}
    callers: Mapping[str, Count] = {}
    exams: Mapping[str, Count] = {}
    aspects: Mapping[str, Count] = {}
    fields: Mapping[str, Count] = {}
    days: Mapping[str, Count] = {}
    times: Mapping[str, Times] = {}
    differences: tuple[DifferenceCount, ...] = ()
    samples: tuple[Sample, ...] = ()
    known: tuple[RuleUse, ...] = ()
    recordings: tuple[RecordingUse, ...] = ()

    @property
    def distinct_questions(self) -> int:
        """How many different questions the calls asked, as far as they are kept apart."""
        return len(self.questions)

    def merge(self, other: CheckResult) -> CheckResult:
        """The result of both; in whichever order and grouping several are merged, it is the same."""
        questions = Questions(self.questions)
        for digest, question in other.questions.items():
            questions.add(digest, question)
        return CheckResult(
            format=self.format,
            checked_at=max(self.checked_at, other.checked_at),
            began_at=min((each for each in (self.began_at, other.began_at) if each is not None), default=None),
            ended_at=max((each for each in (self.ended_at, other.ended_at) if each is not None), default=None),
            all=self.all + other.all,
            identical=self.identical + other.identical,
            reread=self.reread + other.reread,
            not_reread=self.not_reread + other.not_reread,
            not_comparable=_sums(self.not_comparable, other.not_comparable),
            questions=questions.kept,
            routes=_merged(self.routes, other.routes),
            callers=_merged(self.callers, other.callers),
            exams=_merged(self.exams, other.exams),
            aspects=_merged(self.aspects, other.aspects),
            fields=_merged(self.fields, other.fields),
            days=_merged(self.days, other.days),
            times=_merged(self.times, other.times),
            differences=_merged_differences(self.differences + other.differences),
            samples=smallest([*self.samples, *other.samples]),
            known=_merged_rules(self.known + other.known),
            recordings=_merged_recordings(self.recordings + other.recordings),
        )


def smallest(samples: list[Sample]) -> tuple[Sample, ...]:
    """The first samples, of however many."""
    return tuple(heapq.nsmallest(MOST_SAMPLES, samples, key=lambda sample: sample.key))


def _sums(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other})}


def _merged(one: Mapping[str, _Counted], other: Mapping[str, _Counted]) -> dict[str, _Counted]:
    found = dict(one)
    for key, count in other.items():
        found[key] = found[key] + count if key in found else count
    return {key: found[key] for key in sorted(found)}


def _merged_differences(counts: tuple[DifferenceCount, ...]) -> tuple[DifferenceCount, ...]:
    found: dict[tuple[str, ...], DifferenceCount] = {}
    for count in counts:
        before = found.get(count.key)
        if before is not None:
            count = msgspec.structs.replace(
                count, differences=before.differences + count.differences, calls=before.calls + count.calls
            )
        found[count.key] = count
    return tuple(found[key] for key in sorted(found))


def _merged_rules(uses: tuple[RuleUse, ...]) -> tuple[RuleUse, ...]:
    found: dict[tuple[str, str], RuleUse] = {}
    for use in uses:
        before = found.get((use.name, use.expires))
        if before is not None:
            use = msgspec.structs.replace(use, differences=before.differences + use.differences)
        found[use.name, use.expires] = use
    return tuple(found[key] for key in sorted(found))


def _merged_recordings(uses: tuple[RecordingUse, ...]) -> tuple[RecordingUse, ...]:
    found: dict[tuple[str, float], RecordingUse] = {}
    for use in uses:
        before = found.get((use.name, use.made_at))
        if before is not None:
            use = msgspec.structs.replace(use, calls=before.calls + use.calls, compared=before.compared + use.compared)
        found[use.name, use.made_at] = use
    return tuple(found[key] for key in sorted(found))


_GROWTH = math.log(1.02)
_SHORTEST = 1e-6


def add_time(times: dict[int, int], seconds: float) -> None:
    """Count a duration among those of its length, to 2 %."""
    bucket = math.floor(math.log(max(seconds, _SHORTEST)) / _GROWTH)
    times[bucket] = times.get(bucket, 0) + 1


def quantile(times: Mapping[int, int], part: float, confidence: float) -> tuple[float, float, float]:
    """A quantile of durations in seconds, and the two values between which it lies with that confidence.

    The bounds are ranks among the durations, so that they hold for whatever distribution these have.
    """
    count = sum(times.values())
    low, high = quantile_ranks(count, part, confidence)
    return _at(times, min(count - 1, int(part * count))), _at(times, low), _at(times, high)


def _at(times: Mapping[int, int], rank: int) -> float:
    passed = 0
    for bucket in sorted(times):
        passed += times[bucket]
        if passed > rank:
            return math.exp((bucket + 0.5) * _GROWTH)
    raise ValueError("there is no such rank")
