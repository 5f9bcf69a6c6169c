"""May the old endpoint be turned off for these calls? Ready, not ready, or not enough evidence, and what is missing.

A question with a difference that nothing explains counts against the new endpoint, however many differences and calls
it has. The bound is one-sided and exact (:mod:`compat.regression.evidence.statistics`). It is one of different
questions: the same call a thousand times is one. Each counts alike, or, where an inventory says how often callers
call, as much as its caller's calls.

Ready also needs evidence of every part: few answers with which nothing can be compared, at each route and caller, and
as many values of each field that the old endpoint sends.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec
from msgspec.structs import replace

from compat.regression.comparing.known import ASPECT_BITS, FIELD_BITS
from compat.regression.evidence.result import MOST_QUESTIONS, CheckResult, Count, Question, Times
from compat.regression.evidence.statistics import calls_needed, lower_bound, quantile, upper_bound
from compat.text.json import several

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

Verdict = Literal["ready", "not ready", "not enough evidence"]
PartVerdict = Literal["ready", "not ready", "seen once", "no difference seen", "not compared"]
"""A part has too few questions of its own for a verdict, long after all of them together have enough."""

_QUANTILES = (0.5, 0.9, 0.99)


class Thresholds(msgspec.Struct, frozen=True):
    """What is asked of a check, ``[regression]`` of the configuration.

    Attributes:
        max_unexplained: the rate of calls with unexplained differences that the bound has to reach.
        min_calls: how many calls there have to be in any case.
        max_not_comparable: the share of calls, of all and of each route and caller, with which nothing could be
            compared and the rest is evidence still.
        max_slowdown: how many times as long the median answer may take; None where time does not matter.
    """

    max_unexplained: float = 0.006
    confidence: float = 0.95
    min_calls: int = 0
    max_not_comparable: float = 0.05
    max_slowdown: float | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Thresholds:
        """Those that are among some settings, such as ``[regression]`` of a configuration."""
        return cls(**{name: settings[name] for name in cls.__struct_fields__ if name in settings})


_DEFAULT = Thresholds()


class Score(msgspec.Struct, frozen=True):
    """How sure one can be of some calls.

    Attributes:
        name: of the route, the caller, the field or the aspect; empty for all calls.
        calls: that were compared; of an aspect or a field the questions whose answers could show it.
        questions: the different questions that were asked, of which the bound is.
        wrong: those with an unexplained difference.
        once: those of them whose differences were seen once, and not when the call was made again.
        at_most: the upper bound of the rate of such questions.
        missing: how many different questions more, without an unexplained difference, bring the bound to the
            threshold; 0 where something has to be mended first, or so much was seen once that the data have to rest.
    """

    name: str
    calls: int
    unexplained: int
    explained: int
    not_comparable: int
    questions: int
    wrong: int
    once: int
    at_most: float
    verdict: Verdict | PartVerdict
    missing: int


class Quantiles(msgspec.Struct, frozen=True):
    """A quantile of how long answers took, such as 0.5, in seconds; and the values between which it lies."""

    part: float
    old: tuple[float, float, float]
    new: tuple[float, float, float]


class Latency(msgspec.Struct, frozen=True):
    """How long the answers of a route took.

    Attributes:
        calls: whose time is known on both sides.
        quantiles: the median and two of the tail.
        verdict: the new endpoint's median against the old one's: "slower" and "faster" are said only where their
            intervals do not meet.
        too_slow: whether even the interval's end that favours it is beyond the allowed slowdown.
    """

    route: str
    calls: int
    quantiles: tuple[Quantiles, ...]
    verdict: Literal["slower", "faster", "no difference seen"]
    too_slow: bool


class Judgement(msgspec.Struct, frozen=True):
    """What a result says by some thresholds.

    Attributes:
        verdict: of all calls; "not ready" also where a single caller or route is not.
        all: the score of all calls.
        gaps: what is missing before it can be ready, beside more questions.
        not_comparable: why nothing could be compared, to how many calls; the commonest first.
        unchecked: the callers of the inventory of whom no call was compared, the busiest first.
        weighted: whether questions count as much as their callers call, by an inventory; else each counts alike.
        notes: what whoever decides should know besides.
    """

    verdict: Verdict
    thresholds: Thresholds
    all: Score
    routes: tuple[Score, ...]
    callers: tuple[Score, ...]
    aspects: tuple[Score, ...]
    fields: tuple[Score, ...]
    latency: tuple[Latency, ...]
    gaps: tuple[str, ...] = ()
    not_comparable: Mapping[str, int] = {}
    unchecked: tuple[str, ...] = ()
    weighted: bool = False
    notes: tuple[str, ...] = ()


def judge(
    result: CheckResult, thresholds: Thresholds = _DEFAULT, calls_a_day: Mapping[str, float] | None = None
) -> Judgement:
    """What a result says; where an inventory gives the calls a day, a question counts by how often its caller calls."""
    questions = list(result.questions.values())
    weights = None if calls_a_day is None else _weights(questions, calls_a_day)
    whole = score("", result.all, questions, thresholds, weights)
    routes = _parts(result.routes, lambda each: each.route, questions, thresholds)
    callers = _parts(result.callers, lambda each: each.caller, questions, thresholds)
    aspects, fields = _aspects(result, questions, thresholds), _fields(result, questions, thresholds)
    latency = tuple(_latency(route, times, thresholds) for route, times in result.times.items())
    unchecked = _unchecked(calls_a_day or {}, callers)
    parts = (*routes, *callers)
    gaps = (
        *_not_comparable(result, whole, parts, thresholds),
        *_often_seen_once((whole, *parts), thresholds),
        *_uncovered(whole, aspects, fields, thresholds),
        *(f"no call of {name} was compared, who makes {of} % of all calls" for name, of in unchecked.items()),
    )
    verdict = cast("Verdict", whole.verdict)
    if any(part.verdict == "not ready" for part in parts) or any(each.too_slow for each in latency):
        verdict = "not ready"
    elif verdict == "ready" and gaps:
        verdict = "not enough evidence"
    reasons = dict(sorted(result.not_comparable.items(), key=lambda each: (-each[1], each[0])))
    found = (routes, callers, aspects, fields, latency, gaps, reasons, tuple(unchecked))
    return Judgement(verdict, thresholds, whole, *found, weights is not None, _notes(result))


def score(
    name: str,
    count: Count,
    questions: Sequence[Question],
    thresholds: Thresholds,
    weights: Sequence[float] | None = None,
) -> Score:
    """How sure one can be of some calls.

    An unexplained difference that stays makes them not ready, unless so many questions went well beside it that the
    bound is kept all the same. One that was seen once asks for more questions. Without weights all count alike.
    """
    wrong = sum(each.unexplained for each in questions)
    once = sum(each.unexplained and not each.stays for each in questions)
    found, asked = _effective(questions, weights)
    rate, confidence = thresholds.max_unexplained, thresholds.confidence
    bound = upper_bound(found, asked, confidence) if asked else 1.0
    missing = max(0, math.ceil(calls_needed(math.ceil(found), rate, confidence) - asked)) if bound > rate else 0
    enough = bound <= rate and count.calls >= thresholds.min_calls
    # What was seen once counts in the bound, and alone never shows that something is wrong: data that go another way
    # and back look like that in a right endpoint. Where it is often seen, more such calls bring nothing.
    verdict: Verdict = "ready" if enough else "not ready" if wrong > once else "not enough evidence"
    if verdict == "not ready" or (once and lower_bound(found, asked, confidence) > rate):
        missing = 0
    calls = (count.calls, count.unexplained, count.explained, count.not_comparable)
    return Score(name, *calls, len(questions), wrong, once, bound, verdict, missing)


def _effective(questions: Sequence[Question], weights: Sequence[float] | None) -> tuple[float, float]:
    """How many questions were wrong, and how many there were, where some count for more than others (Kish)."""
    if weights is None:
        return sum(each.unexplained for each in questions), len(questions)
    total = sum(weights)
    if not total:
        return 0, 0
    asked = total**2 / sum(weight**2 for weight in weights)
    wrong = sum(weight for weight, each in zip(weights, questions, strict=True) if each.unexplained)
    return asked * wrong / total, asked


def _weights(questions: Sequence[Question], calls_a_day: Mapping[str, float]) -> list[float]:
    """As much as a caller calls, spread over what it asked."""
    asked = Counter(each.caller for each in questions)
    return [calls_a_day.get(each.caller, 0.0) / asked[each.caller] for each in questions]


def _parts(
    counts: Mapping[str, Count], of: Callable[[Question], str], questions: Sequence[Question], thresholds: Thresholds
) -> tuple[Score, ...]:
    asked: dict[str, list[Question]] = {name: [] for name in counts}
    for each in questions:
        asked.setdefault(of(each), []).append(each)
    return tuple(_as_part(score(name, count, asked[name], thresholds)) for name, count in counts.items())


def _as_part(scored: Score) -> Score:
    if scored.verdict != "not enough evidence":
        return scored
    seen: PartVerdict = "seen once" if scored.wrong else "no difference seen"
    return replace(scored, verdict=seen if scored.questions else "not compared")


def _aspects(result: CheckResult, questions: Sequence[Question], thresholds: Thresholds) -> tuple[Score, ...]:
    found = {
        name: [_where(each, bool(each.wrong_aspects & bit)) for each in questions if each.aspects & bit]
        for name, bit in ASPECT_BITS.items()
    }
    return _compared(result.aspects, found, thresholds)


def _fields(result: CheckResult, questions: Sequence[Question], thresholds: Thresholds) -> tuple[Score, ...]:
    found = {
        name: [_where(each, bool(each.wrong_fields & bit)) for each in questions if each.fields & bit]
        for name, bit in FIELD_BITS.items()
    }
    # A field that nobody declared is told by name, and its questions are not kept apart.
    wrong = [each for each in questions if each.unexplained]
    found |= {name: wrong[: count.unexplained] for name, count in result.fields.items() if name not in found}
    return _compared(result.fields, found, thresholds)


def _where(question: Question, unexplained: bool) -> Question:
    """What a question showed of one aspect or field."""
    return question if question.unexplained == unexplained else replace(question, unexplained=unexplained)


def _compared(
    counts: Mapping[str, Count], asked: Mapping[str, Sequence[Question]], thresholds: Thresholds
) -> tuple[Score, ...]:
    """The scores of what only some answers could show."""
    of_any_number = replace(thresholds, min_calls=0)
    return tuple(
        _as_part(score(name, replace(counts.get(name, Count()), calls=len(questions)), questions, of_any_number))
        for name, questions in asked.items()
    )


def too_few_comparable(part: Score, thresholds: Thresholds) -> bool:
    """Whether nothing could be compared with too many of the answers."""
    return part.not_comparable > thresholds.max_not_comparable * (part.calls + part.not_comparable)


def _not_comparable(
    result: CheckResult, whole: Score, parts: Sequence[Score], thresholds: Thresholds
) -> tuple[str, ...]:
    """Of what too many answers were such that nothing could be compared with them, and why."""
    found = []
    most = max(result.not_comparable, key=lambda reason: result.not_comparable[reason], default="")
    for each in (whole, *parts):
        alike = each is not whole and (each.calls, each.not_comparable) == (whole.calls, whole.not_comparable)
        if alike or not too_few_comparable(each, thresholds):
            continue
        of = f" of {each.name or 'callers not known'}" if each is not whole else f" ({most})" if most else ""
        found.append(
            f"nothing could be compared in {each.not_comparable:,} of "
            f"{several(each.calls + each.not_comparable, 'call')}{of}; "
            f"at most {100 * thresholds.max_not_comparable:g} % may be such"
        )
    return tuple(found)


def seen_once_often(part: Score, thresholds: Thresholds) -> bool:
    """Whether more differed than may, and none of it when asked again: no verdict, until the data rest."""
    return 0 < part.wrong == part.once and part.at_most > thresholds.max_unexplained and not part.missing


def _often_seen_once(scores: Sequence[Score], thresholds: Thresholds) -> tuple[str, ...]:
    """The first that differed too often, each time not when asked again: all calls, else a route or caller."""
    for each in scores:
        if seen_once_often(each, thresholds):
            of = f" of {each.name}" if each.name else ""
            asked = several(each.questions, "different question")
            return (f"{each.wrong:,} of {asked}{of} differed, each time not when asked again",)
    return ()


def _uncovered(
    whole: Score, aspects: Sequence[Score], fields: Sequence[Score], thresholds: Thresholds
) -> tuple[str, ...]:
    """What too few of the calls could show, as many as there are."""
    if not whole.calls or whole.verdict == "not ready" or seen_once_often(whole, thresholds):
        return ()
    if whole.calls < thresholds.min_calls:
        return (f"{several(whole.calls, 'call')} of the {thresholds.min_calls:,} that min_calls asks for",)
    records = next(each for each in aspects if each.name == "values")
    if records.verdict != "not ready" and records.missing > whole.missing:
        return (f"only {several(records.questions, 'question')} had a record in the answer",)
    short = [each for each in fields if each.questions and each.missing > whole.missing and each.verdict != "not ready"]
    if not short:
        return ()
    least = min(short, key=lambda each: each.questions)
    return (
        f"{several(len(short), 'field')} came in too few answers, such as {least.name} in those of "
        f"{several(least.questions, 'question')}",
    )


def _unchecked(calls_a_day: Mapping[str, float], callers: Sequence[Score]) -> dict[str, int]:
    """The callers of the inventory whose calls nobody has compared, and how much of a hundred calls they make."""
    total = sum(calls_a_day.values())
    checked = {each.name for each in callers if each.questions}
    return {
        name: math.ceil(100 * often / total)
        for name, often in sorted(calls_a_day.items(), key=lambda each: (-each[1], each[0]))
        if name not in checked and often > 0
    }


def quantiles(times: Times, parts: Sequence[float], confidence: float) -> tuple[Quantiles, ...]:
    """Some quantiles of both endpoints' times."""
    return tuple(
        Quantiles(part, quantile(times.old, part, confidence), quantile(times.new, part, confidence)) for part in parts
    )


def _latency(route: str, times: Times, thresholds: Thresholds) -> Latency:
    found = quantiles(times, _QUANTILES, thresholds.confidence)
    (_, old_low, old_high), (_, new_low, new_high) = found[0].old, found[0].new
    allowed = thresholds.max_slowdown
    return Latency(
        route,
        sum(times.old.values()),
        found,
        "slower" if new_low > old_high else "faster" if new_high < old_low else "no difference seen",
        allowed is not None and new_low > allowed * old_high,
    )


def _notes(result: CheckResult) -> tuple[str, ...]:
    notes = []
    if len(result.questions) == MOST_QUESTIONS:
        notes.append(f"the bound is of {MOST_QUESTIONS:,} different questions, drawn from all by chance")
    if result.not_reread:
        calls = several(result.not_reread, "call")
        notes.append(f"{calls} not made again: the differences of enough others stayed (--rereads)")
    for rule in result.known:
        if rule.expired:
            notes.append(f"a rule expired on {rule.expires} and explains nothing any more: {rule.name}")
        elif not rule.differences:
            notes.append(f"a rule explained nothing: {rule.name}")
    notes += [f"a recording proved nothing: {each.name}" for each in result.recordings if not each.compared]
    return tuple(notes)
