"""What a check found, as numbers that add up: of several processes' results one is made."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import astuple

from compat.regression.evidence.compared import Question, Questions

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

MOST_SAMPLES = 20


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

    @property
    def not_comparable_share(self) -> float:
        """Of all calls, those with which nothing could be compared; from 0 to 1."""
        return self.not_comparable / max(1, self.calls + self.not_comparable)


class Times(msgspec.Struct, frozen=True):
    """How many answers took how long, by the classes of :func:`~compat.regression.evidence.statistics.add_time`."""

    old: Mapping[int, int] = {}
    new: Mapping[int, int] = {}


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
        return _counted(self)


class ShownDifference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A difference for people: nothing personal in it.

    Attributes:
        kind: one of :data:`~compat.regression.comparing.known.KINDS`.
        record: the record's id.
        field: the field or the header.
        old: the old value, or its shape where it speaks of a person; ``new`` likewise.
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
        place: file and line of the recording that it stands in, or empty.
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
    place: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """By what the first samples are chosen, in whichever process they were met."""
        return self.at, self.digest, self.route, self.caller or "", msgspec.json.encode(self.differences)


class RuleUse(msgspec.Struct, frozen=True):
    """A rule of the file of known differences, and how many it explained; an expired one explains nothing."""

    name: str
    expires: str
    expired: bool = False
    differences: int = 0


class RecordingUse(msgspec.Struct, frozen=True):
    """A recording that was read; with none of its calls compared it proves nothing."""

    name: str
    made_at: float
    calls: int = 0
    compared: int = 0


_Counts = TypeVar("_Counts", DifferenceCount, RuleUse, RecordingUse)


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
            questions=questions.kept,
            differences=_merged(self.differences + other.differences),
            samples=smallest([*self.samples, *other.samples]),
            known=_merged(self.known + other.known),
            recordings=_merged(self.recordings + other.recordings),
            **{name: _sum(getattr(self, name), getattr(other, name)) for name in _SUMMED},
        )


_SUMMED = (
    *("all", "identical", "reread", "not_reread", "not_comparable"),
    *("routes", "callers", "exams", "aspects", "fields", "days", "times"),
)


def smallest(samples: list[Sample]) -> tuple[Sample, ...]:
    """The first samples, of however many."""
    return tuple(heapq.nsmallest(MOST_SAMPLES, samples, key=lambda sample: sample.key))


def _sum(one: Any, other: Any) -> Any:
    """Whole numbers added up, wherever they stand; what is no number is the same in both."""
    if isinstance(one, Mapping):
        both = {name: _sum(one[name], count) if name in one else count for name, count in other.items()}
        return dict(sorted({**one, **both}.items()))
    if isinstance(one, msgspec.Struct):
        return type(one)(*map(_sum, astuple(one), astuple(other)))
    return one + other if type(one) is int else one


def _merged(counts: Iterable[_Counts]) -> tuple[_Counts, ...]:
    """One count of each thing that was counted."""
    found: dict[tuple[Any, ...], _Counts] = {}
    for count in counts:
        key = _counted(count)
        found[key] = _sum(found[key], count) if key in found else count
    return tuple(found[key] for key in sorted(found))


def _counted(count: DifferenceCount | RuleUse | RecordingUse) -> tuple[Any, ...]:
    """What a count is of: all of it that is no whole number."""
    return tuple("" if value is None else value for value in astuple(count) if type(value) is not int)
