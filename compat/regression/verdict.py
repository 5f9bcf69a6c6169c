"""May the old endpoint be turned off for these calls? Ready, not ready, or not enough evidence, and what is missing.

A call with a difference that nothing explains counts against the new endpoint, however many differences it has. The
bound is one-sided and exact (:mod:`compat.regression.bounds`). It takes calls for independent draws of the calls that
will come: a thousand repetitions of one question are a thousand calls, as they will be when the question goes on being
asked, but they say little of other questions, so that the number of different ones stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from compat.plural import several
from compat.regression.bounds import calls_needed, upper_bound
from compat.regression.differences import ASPECTS
from compat.regression.result import CheckResult, Count, Times
from compat.regression.sketches import quantile
from compat.schemas import COLUMNS

__all__ = ["Judgement", "Latency", "Quantiles", "Score", "Thresholds", "Verdict", "judge", "percent", "score"]

Verdict = Literal["ready", "not ready", "not enough evidence"]

_QUANTILES = (0.5, 0.9, 0.99)


class Thresholds(msgspec.Struct, frozen=True):
    """What is asked of a check, ``[regression]`` of the configuration.

    Attributes:
        max_unexplained: the rate of calls with unexplained differences that the bound has to reach.
        confidence: of the bound.
        min_calls: how many calls there have to be in any case.
        max_slowdown: how many times as long the median answer may take; None where time does not matter.
    """

    max_unexplained: float = 0.006
    confidence: float = 0.95
    min_calls: int = 0
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
        calls: that were compared.
        unexplained: those with a difference that nothing explains.
        explained: those whose differences are all explained.
        at_most: the upper bound of the rate of unexplained calls.
        verdict: by the thresholds.
        missing: how many calls more, without an unexplained one, make it ready.
    """

    name: str
    calls: int
    unexplained: int
    explained: int
    at_most: float
    verdict: Verdict
    missing: int

    def sentence(self, thresholds: Thresholds) -> str:
        """The score in words, such as "0 unexplained in 300 calls: at most 1.0 % at 95 %"."""
        sure = f"{100 * thresholds.confidence:g} %"
        seen = several(self.calls, "call")
        text = f"{self.unexplained:,} unexplained in {seen}: at most {percent(self.at_most)} at {sure}"
        if self.missing:
            clean = " clean" if self.unexplained else ""
            text += f"; {several(self.missing, f'more{clean} call')} for {100 * thresholds.max_unexplained:g} %"
        return text


class Quantiles(msgspec.Struct, frozen=True):
    """A quantile of how long answers took, in seconds, each with the values between which it lies.

    Attributes:
        part: which, such as 0.5.
        old: of the old endpoint: itself, and its bounds.
        new: of the new one.
    """

    part: float
    old: tuple[float, float, float]
    new: tuple[float, float, float]


class Latency(msgspec.Struct, frozen=True):
    """How long the answers of a route took.

    Attributes:
        route: its action.
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
        thresholds: by which.
        all: of all calls.
        distinct_questions: about how many different questions they asked.
        routes: of each route.
        callers: of each caller.
        aspects: of each aspect of the answers.
        fields: of each field.
        latency: of each route.
        notes: what whoever decides should know besides.
    """

    verdict: Verdict
    thresholds: Thresholds
    all: Score
    distinct_questions: int
    routes: tuple[Score, ...]
    callers: tuple[Score, ...]
    aspects: tuple[Score, ...]
    fields: tuple[Score, ...]
    latency: tuple[Latency, ...]
    notes: tuple[str, ...] = ()


def judge(result: CheckResult, thresholds: Thresholds = _DEFAULT) -> Judgement:
    """What a result says.

    Args:
        result: what a check found.
        thresholds: what is asked of it.
    """
    whole = score("", result.all, thresholds)
    routes = _scores(result.routes, thresholds)
    callers = _scores(result.callers, thresholds)
    latency = tuple(_latency(route, times, thresholds) for route, times in result.times.items())
    verdict = whole.verdict
    parts = [*routes, *callers]
    if any(part.verdict == "not ready" for part in parts) or any(each.too_slow for each in latency):
        verdict = "not ready"
    return Judgement(
        verdict,
        thresholds,
        whole,
        result.distinct_questions,
        routes,
        callers,
        _parts(ASPECTS, result.aspects, result.all.calls, thresholds),
        _parts(COLUMNS, result.fields, result.with_records, thresholds),
        latency,
        _notes(result),
    )


def score(name: str, count: Count, thresholds: Thresholds) -> Score:
    """How sure one can be of some calls.

    An unexplained difference that was seen makes them not ready, unless so many calls went well beside it that the
    bound is kept all the same.
    """
    bound = upper_bound(count.unexplained, count.calls, thresholds.confidence) if count.calls else 1.0
    needed = max(
        calls_needed(count.unexplained, thresholds.max_unexplained, thresholds.confidence), thresholds.min_calls
    )
    verdict: Verdict = "ready" if count.calls >= needed else "not ready" if count.unexplained else "not enough evidence"
    missing = max(0, needed - count.calls)
    return Score(name, count.calls, count.unexplained, count.explained, bound, verdict, missing)


def _scores(counts: Mapping[str, Count], thresholds: Thresholds) -> tuple[Score, ...]:
    return tuple(score(name, count, thresholds) for name, count in counts.items())


def _parts(names: Iterable[str], counts: Mapping[str, Count], calls: int, thresholds: Thresholds) -> tuple[Score, ...]:
    """Of parts that every call has, whether anything differed there or not."""
    found = {name: counts.get(name, Count()) for name in dict.fromkeys([*names, *counts])}
    return _scores({name: replace(count, calls=calls) for name, count in found.items()}, thresholds)


def _latency(route: str, times: Times, thresholds: Thresholds) -> Latency:
    found = tuple(
        Quantiles(
            part,
            quantile(times.old, part, thresholds.confidence),
            quantile(times.new, part, thresholds.confidence),
        )
        for part in _QUANTILES
    )
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
    notes = [f"{several(count, 'call')} not compared: {why}" for why, count in result.skipped.items()]
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


def percent(rate: float) -> str:
    """A bound to two digits that count, never rounded to less than it is."""
    percent = 100 * rate
    digits = 1 if percent > 0.99 else 2 if percent > 0.099 else 3
    return f"{math.ceil(percent * 10**digits - 1e-9) / 10**digits:.{digits}f} %"
