"""What a check found, at a terminal: the verdict, what it rests on, and the first differences side by side."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from compat.cli.console import note, plain, say, show_table
from compat.legacy.routes import INDEX_STUDENTS
from compat.plural import several
from compat.regression.callers_left import sentence
from compat.regression.headline import headline, next_step
from compat.regression.repeat import command_of
from compat.regression.report.content import CallerLeft
from compat.regression.result import CheckResult, Sample
from compat.regression.verdict import Judgement, Latency, Score, percent

__all__ = ["tell"]

_FEW = 3
_SOME = 10
_BY = {"loss": "declared loss", "known": "known", "drift": "drift", None: "UNEXPLAINED"}
_OPTIONS = ("status", "page", "limit", "sort", "filter")


def tell(result: CheckResult, judged: Judgement, *, everything: bool, left: Sequence[CallerLeft] | None = None) -> None:
    """Write a report.

    Args:
        result: what was counted.
        judged: what it says by the thresholds.
        everything: all rows, and not only those that matter.
        left: the callers that are left; None where nobody asked for them.
    """
    say(f"{judged.verdict.upper()}. {headline(judged)}")
    say(next_step(judged))
    say(
        f"{several(result.all.calls, 'call')} compared: {result.identical:,} alike, {result.all.explained:,} "
        f"explained, {result.all.unexplained:,} not; {result.reread:,} made again. "
        f"{several(judged.all.questions, 'different question')}, "
        f"each counted {'by how often its caller calls' if judged.weighted else 'once'}."
    )
    _tell_differences(result, everything)
    _tell_scores(judged, everything)
    _tell_latency(judged.latency)
    for sample in result.samples[: None if everything else _FEW]:
        _tell_sample(sample)
    if left is not None:
        _tell_callers(left)
    for each in judged.notes:
        note(f"Note: {each}.")


def _tell_scores(judged: Judgement, everything: bool) -> None:
    rows = [_row("route", each) for each in judged.routes] + [_row("caller", each) for each in judged.callers]
    for what, scores in (("aspect", judged.aspects), ("field", judged.fields)):
        rows += [_row(what, each) for each in scores if everything or each.unexplained or each.explained]
    if rows:
        say()
        show_table(("by", "name", "calls", "explained", "unexplained", "questions", "at most", "verdict"), rows)


def _row(what: str, score: Score) -> Sequence[str]:
    counts = [f"{number:,}" for number in (score.calls, score.explained, score.unexplained)]
    at_most = percent(score.at_most) if score.questions else ""
    return [what, plain(score.name) or "(not known)", *counts, f"{score.questions:,}", at_most, score.verdict]


def _tell_differences(result: CheckResult, everything: bool) -> None:
    found = sorted(result.differences, key=lambda each: (each.by is not None, -each.calls, each.key))
    shown = found if everything else found[:_SOME]
    if not shown:
        return
    say()
    show_table(
        ("differences", "calls", "kind", "field", "why"),
        [
            [
                f"{each.differences:,}",
                f"{each.calls:,}",
                each.kind,
                plain(each.field or ""),
                plain(": ".join(filter(None, (_BY[each.by], each.reason)))),
            ]
            for each in shown
        ],
    )
    if len(found) > len(shown):
        say(f"and {len(found) - len(shown):,} rows more: --more")


def _tell_latency(latency: Iterable[Latency]) -> None:
    for each in latency:
        said = "; ".join(
            f"{quantile.part:.0%} within {_milliseconds(quantile.old)} old, {_milliseconds(quantile.new)} new"
            for quantile in each.quantiles
        )
        say()
        say(f"{each.route}, {several(each.calls, 'call')}: {said}. {each.verdict[0].upper()}{each.verdict[1:]}.")


def _milliseconds(interval: Sequence[float]) -> str:
    value, low, high = (f"{1000 * seconds:.3g}" for seconds in interval)
    return f"{value} ms ({low}–{high})"


def _tell_callers(left: Sequence[CallerLeft]) -> None:
    say()
    if left:
        show_table(("caller that is left", "score"), [[plain(each.name), sentence(each)] for each in left])
    else:
        say("No caller is left, by the inventory.")


def _tell_sample(sample: Sample) -> None:
    asked = " ".join(f"{name}={text}" for name, text in sample.parameters.items())
    say()
    say(plain(f"{sample.route} of exam {sample.exam}, {sample.caller or 'caller not known'}: {asked}".rstrip(": ")))
    show_table(
        ("kind", "record", "field", "old", "new"),
        [
            [each.kind, *(plain(text) for text in (each.record or "", each.field or "", each.old, each.new))]
            for each in sample.differences
        ],
    )
    if sample.more:
        say(f"and {sample.more:,} more in this call")
    if not sample.repeatable:
        say("It compares with what speaks of a person, which is not kept: it cannot be made again from here.")
        return
    if sample.route == INDEX_STUDENTS.action:
        words = [
            word for name in _OPTIONS if name in sample.parameters for word in (f"--{name}", sample.parameters[name])
        ]
        say(plain(f"  exam-compat get {shlex.join([sample.exam, *words])}"))
    say(plain(f"  {command_of(sample.route, sample.exam, sample.parameters)}"))
