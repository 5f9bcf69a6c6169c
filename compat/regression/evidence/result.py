"""What a check found, as numbers that add up: of several processes' results one is made.

The same call a thousand times is one question. Each different question is kept once, with what its answers could show
and what of that differed; of very many, a sample is kept that is drawn by their digests, so that every question is as
likely to be in it as any other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from operator import or_
from typing import Any, TypeVar

import msgspec
from msgspec.structs import astuple

# What documents name; questions are for the verdict alone.
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
MOST_QUESTIONS = 16_384
"""Different questions that are kept: enough for bounds far below one in a thousand."""


class Question(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A question, and what the answers to all its calls showed.

    Attributes:
        route: the action of the route.
        caller: the caller's name; empty where it is not known.
        unexplained: whether one of its calls had a difference that nothing explains.
        stays: whether one such difference was not merely seen once, and gone when the call was made again.
        aspects: that could be compared, as bits; ``fields`` likewise.
        wrong_aspects: those with an unexplained difference; ``wrong_fields`` likewise.
    """

    route: str
    caller: str
    unexplained: bool = False
    stays: bool = False
    aspects: int = 0
    fields: int = 0
    wrong_aspects: int = 0
    wrong_fields: int = 0

    def __or__(self, other: Question) -> Question:
        one, two = astuple(self), astuple(other)
        return Question(self.route, self.caller, *map(or_, one[2:], two[2:]))


class Questions:
    """Each different question so far; of more than :data:`MOST_QUESTIONS` those with the smallest digests."""

    def __init__(self, kept: Mapping[int, Question] = {}) -> None:
        self._kept = dict(kept)
        self._largest_first = [-digest for digest in self._kept]
        heapq.heapify(self._largest_first)

    def add(self, digest: int, question: Question) -> None:
        """Take note of a call of a question."""
        before = self._kept.get(digest)
        if before is not None:
            if before != question:
                self._kept[digest] = before | question
            return
        if len(self._kept) < MOST_QUESTIONS:
            heapq.heappush(self._largest_first, -digest)
        elif digest < -self._largest_first[0]:
            del self._kept[-heapq.heapreplace(self._largest_first, -digest)]
        else:
            return
        self._kept[digest] = question

    @property
    def kept(self) -> dict[int, Question]:
        """Digest to question, sorted."""
        return dict(sorted(self._kept.items()))


class Count(msgspec.Struct, frozen=True):
    """How many calls there were.

    Attributes:
        calls: all that were compared.
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
    """How many differences, in how many calls, are of one kind, at one place, with one explanation.

    The names are those of :class:`~compat.regression.comparing.known.Difference`.
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
    """A difference for people: of a value that speaks of a person it has the shape."""

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
        parameters: name to text; what a filter compares personal fields with is left out.
        differences: the first of them; ``more`` are beyond these.
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
        checked_at: when it was made, seconds since the epoch; the latest of several.
        began_at: when the first call that was compared came, and ``ended_at`` when the last one did; None for none.
        identical: those calls whose answers were equal in everything that is compared.
        reread: those that were made again.
        not_reread: those with unexplained differences that were not, as those of enough others of the recording stayed.
        not_comparable: why nothing could be compared, to how many calls.
        questions: the different questions, by digest, see :class:`Questions`.
        callers: by the caller's name; empty for calls whose caller is not known.
        aspects: by what of the answer differed; ``calls`` are those that differed there. ``fields`` likewise.
        days: by the day of the call in UTC, ISO 8601.
        times: by the route, how long the answers took.
        samples: the first calls with unexplained differences.
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
