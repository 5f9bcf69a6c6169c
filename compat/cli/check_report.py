"""What a check found, at a terminal and in files: the verdict and why, and the differences side by side."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compat.cli.console import LINE, note, plain, say, say_folded, show_table
from compat.cli.files import whole_file
from compat.legacy.routes import INDEX_STUDENTS
from compat.regression.evidence.callers_left import sentence
from compat.regression.evidence.headline import (
    DIFFERENCES,
    NOT_COMPARABLE,
    SCORES,
    explained,
    fold,
    grounds,
    headline,
    next_step,
    remedy,
)
from compat.regression.evidence.result import CheckResult, Sample
from compat.regression.evidence.statistics import milliseconds, moment, percent, share
from compat.regression.evidence.verdict import Judgement, Latency, Score
from compat.regression.replay import command_of
from compat.regression.report.content import CallerLeft
from compat.text.json import several

if TYPE_CHECKING:
    from compat.regression.evidence.result import CheckResult
    from compat.regression.evidence.verdict import Judgement
    from compat.regression.report.content import CallerLeft

__all__ = [
    "FORMS",
    "tell",
    "write_reports",
]

_FEW = 3
_SOME = 10
_BY = {"loss": "declared loss", "known": "known", "drift": "drift", None: "UNEXPLAINED"}
_COUNTED = ("route", "caller")
_OPTIONS = ("status", "page", "limit", "sort", "filter")


def tell(result: CheckResult, judged: Judgement, *, everything: bool, left: Sequence[CallerLeft] | None = None) -> None:
    """Write a report.

    Args:
        result: what was counted.
        judged: what it says by the thresholds.
        everything: all rows, and not only those that matter.
        left: the callers that are left; None where nobody asked for them.
    """
    say_folded(f"{judged.verdict.upper()}. {headline(judged)}")
    say_folded(f"Next: {next_step(judged)}")
    say()
    _tell_totals(result, judged)
    _tell_differences(result, everything)
    for sample in result.samples[: None if everything else _FEW]:
        _tell_sample(sample)
    _tell_not_comparable(judged)
    _tell_scores(judged, everything)
    _tell_latency(judged.latency, judged.thresholds.confidence)
    if left is not None:
        _tell_callers(left)
    for each in judged.notes:
        note(f"Note: {each}.")


def _tell_totals(result: CheckResult, judged: Judgement) -> None:
    counted = result.all
    when = "" if result.began_at is None else f", made from {moment(result.began_at)} to {moment(result.ended_at)}"
    once = (
        f"; {several(judged.all.once, 'question')} differed once, and not when asked again" if judged.all.once else ""
    )
    say_folded(
        f"{several(counted.calls, 'call')} compared{when}: {result.identical:,} alike, {counted.explained:,} "
        f"explained, {counted.unexplained:,} unexplained; {result.reread:,} made again; "
        f"{counted.not_comparable:,} more not comparable{once}."
    )
    say_folded(grounds(judged))


def _tell_not_comparable(judged: Judgement) -> None:
    if judged.not_comparable:
        rows = [[f"{calls:,}", plain(reason), remedy(reason)] for reason, calls in judged.not_comparable.items()]
        _tell_table(NOT_COMPARABLE, rows)


def _tell_scores(judged: Judgement, everything: bool) -> None:
    groups = {"route": judged.routes, "caller": judged.callers, "aspect": judged.aspects, "field": judged.fields}
    rows, folded = [], []
    for what, scores in groups.items():
        found = fold(scores, alike=what in {"aspect", "field"} and not everything)
        rows += [_row(what, each, judged.thresholds.max_unexplained) for each in found.shown]
        folded += found.in_words(what)
    if rows:
        shown = [name for name in SCORES if name != "Explained"]
        _tell_table({name: SCORES[name] for name in shown}, rows, first=("Of",))
    for each in folded:
        say_folded(each)


def _row(what: str, score: Score, allowed: float) -> Sequence[str]:
    # Of an aspect or a field only the questions are known that could show it.
    calls = f"{score.calls:,}" if what in _COUNTED else ""
    counts = [calls, f"{score.unexplained:,}", f"{score.questions:,}"]
    name = plain(score.name) or "not known"
    # In the order of their explanations.
    return [f"{what} {name}", score.verdict, *counts, percent(score.at_most, allowed)]


def _tell_table(columns: Mapping[str, str], rows: Sequence[Sequence[str]], first: Sequence[str] = ()) -> None:
    """A table as wide as everybody's terminal, and below it what its columns say."""
    say()
    show_table([*first, *columns], rows, widest=LINE)
    say_folded(explained(columns))


def _tell_differences(result: CheckResult, everything: bool) -> None:
    found = sorted(result.differences, key=lambda each: (each.by is not None, -each.calls, each.key))
    shown = found if everything else found[:_SOME]
    if not shown:
        return
    rows = [
        [
            f"{each.differences:,}",
            f"{each.calls:,}",
            each.kind,
            plain(each.field or ""),
            plain(": ".join(filter(None, (_BY[each.by], each.reason)))),
        ]
        for each in shown
    ]
    _tell_table(DIFFERENCES, rows)
    if len(found) > len(shown):
        say(f"and {len(found) - len(shown):,} rows more: --more")


def _tell_latency(latency: Iterable[Latency], confidence: float) -> None:
    for each in latency:
        say()
        say(f"Time of {each.route}, {several(each.calls, 'call')}: {each.verdict}{', too slow' * each.too_slow}.")
        for of in each.quantiles:
            part = f"{share(of.part)} within: "
            say(f"  {part}old {_interval(of.old)}")
            say(f"  {' ' * len(part)}new {_interval(of.new)}")
        say(f"In parentheses: between which values each lies, as sure as {share(confidence)}.")


def _interval(interval: Sequence[float]) -> str:
    value, low, high = (f"{milliseconds(1000 * seconds)} ms" for seconds in interval)
    return f"{value} ({low} to {high})"


def _tell_callers(left: Sequence[CallerLeft]) -> None:
    say()
    if left:
        show_table(("caller that is left", "score"), [[plain(each.name), sentence(each)] for each in left])
    else:
        say("No caller is left, by the inventory.")


def _tell_sample(sample: Sample) -> None:
    asked = " ".join(f"{name}={text}" for name, text in sample.parameters.items())
    say()
    say_folded(f"{sample.route} of exam {sample.exam}, {sample.caller or 'caller not known'}: {asked}".rstrip(": "))
    show_table(
        ("kind", "record", "field", "old", "new"),
        [
            [
                f"{each.kind}{' (once)' * each.once}",
                *(plain(text) for text in (each.record or "", each.field or "", each.old, each.new)),
            ]
            for each in sample.differences
        ],
        widest=LINE,
    )
    if any(each.once for each in sample.differences):
        say("Once: seen once, and not when the call was made again.")
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


FORMS: Mapping[str, tuple[str, str]] = {
    "html": ("html", "as_html"),
    "markdown": ("others", "as_markdown"),
    "junit": ("others", "as_junit"),
}
"""The forms of report: the module of each and its option have that name; the function is in it."""


def write_reports(
    files: Mapping[str, Path], result: CheckResult, judged: Judgement, callers_left: Sequence[CallerLeft] = ()
) -> None:
    """Write reports; one that was there before is replaced when the new one is whole.

    Args:
        files: form to file.
        result: what was counted.
        judged: what it says by the thresholds.
        callers_left: who still calls, by the inventory.

    Raises:
        OSError: a file cannot be written.
    """
    if not files:
        return
    from compat.regression.report.of_result import content_of

    content = content_of(result, judged, callers_left)
    made = {
        path: getattr(importlib.import_module(f"compat.regression.report.{module}"), name)(content)
        for form, path in files.items()
        for module, name in (FORMS[form],)
    }
    for path, text in made.items():
        with whole_file(path) as file:
            file.write(text.encode())
        note(f"Wrote {path}.")
