"""What a check found, at a terminal and in files: the verdict and why, and the differences side by side."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from compat.cli.console import LINE, note, plain, say, say_folded, show_table
from compat.cli.files import whole_file
from compat.legacy.routes import INDEX_STUDENTS
from compat.regression.evidence.callers_left import CallerLeft, sentence
from compat.regression.evidence.headline import DIFFERENCES, NOT_COMPARABLE, SCORES, explained
from compat.regression.evidence.result import CheckResult, Sample
from compat.regression.evidence.statistics import milliseconds, moment, percent, share
from compat.regression.evidence.verdict import Judgement, Latency, Score
from compat.regression.replay import command_of
from compat.regression.report.content import Content, Group, content_of
from compat.text.json import several

__all__ = [
    "tell",
    "write_reports",
]

_FEW = 3
_SOME = 10
_NAMED = 12
_BY = {"loss": "declared loss", "known": "known", "drift": "drift", None: "UNEXPLAINED"}
_OPTIONS = ("status", "page", "limit", "sort", "filter")


def tell(result: CheckResult, judged: Judgement, *, everything: bool, left: Sequence[CallerLeft] | None = None) -> None:
    """Write a report: all rows, or only those that matter; the callers that are left, unless nobody asked for them."""
    content = content_of(result, judged, left or ())
    say_folded(f"{content.verdict.upper()}. {content.sentence}")
    say_folded(f"Next: {content.next_step}")
    say()
    _tell_totals(result, content)
    _tell_differences(result, everything)
    for sample in result.samples[: None if everything else _FEW]:
        _tell_sample(sample)
    if content.not_comparable:
        rows = [[f"{calls:,}", plain(reason), remedy] for reason, calls, remedy in content.not_comparable]
        _tell_table(NOT_COMPARABLE, rows)
    _tell_scores(content, everything)
    _tell_latency(judged.latency, content.confidence)
    if left is not None:
        _tell_callers(left)
    for each in content.notices:
        note(f"Note: {each}.")


def _tell_totals(result: CheckResult, content: Content) -> None:
    total = {name: number for _, name, number in content.totals}
    when = "" if result.began_at is None else f", made from {moment(result.began_at)} to {moment(result.ended_at)}"
    once = f"; {several(total['once'], 'question')} differed once, and not when asked again" if total["once"] else ""
    say_folded(
        f"{several(total['calls'], 'call')} compared{when}: {total['identical']:,} alike, {total['explained']:,} "
        f"explained, {total['unexplained']:,} unexplained; {total['reread']:,} made again; "
        f"{total['not_comparable']:,} more not comparable{once}."
    )
    say_folded(content.bound.sentence)


def _tell_scores(content: Content, everything: bool) -> None:
    rows = [
        _row(group, each, content.bound.allowed)
        for group in content.groups
        for each in (group.compared if everything else group.rows)
    ]
    if rows:
        _tell_table({name: says for name, says in SCORES.items() if name != "Explained"}, rows, first=("Of",))
    for group in content.groups:
        if group.alike and not everything:
            say_folded(f"{group.alike_in_words}.")
        if group.not_compared:
            # Of very many the number is enough.
            names = [each.name for each in group.not_compared] if len(group.not_compared) <= _NAMED else []
            say_folded(f"{group.not_compared_in_words}{': ' * bool(names)}{', '.join(names)}.")


def _row(group: Group, score: Score, allowed: float) -> Sequence[str]:
    # In the order of their explanations.
    calls = f"{score.calls:,}" if group.counts_calls else ""
    counts = [calls, f"{score.unexplained:,}", f"{score.questions:,}"]
    return [f"{group.column.lower()} {plain(score.name)}", score.verdict, *counts, percent(score.at_most, allowed)]


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
    rows = [
        [f"{each.kind}{' (once)' * each.once}", *map(plain, (each.record or "", each.field or "", each.old, each.new))]
        for each in sample.differences
    ]
    show_table(("kind", "record", "field", "old", "new"), rows, widest=LINE)
    if any(each.once for each in sample.differences):
        say("Once: seen once, and not when the call was made again.")
    if sample.more:
        say(f"and {sample.more:,} more in this call")
    if not sample.repeatable:
        say("It compares with what speaks of a person, which is not kept: it cannot be made again from here.")
        return
    if sample.route == INDEX_STUDENTS.action:
        given = [(f"--{name}", sample.parameters[name]) for name in _OPTIONS if name in sample.parameters]
        say(plain(f"  exam-compat get {shlex.join([sample.exam, *(word for option in given for word in option)])}"))
    say(plain(f"  {command_of(sample.route, sample.exam, sample.parameters)}"))


def write_reports(
    files: Mapping[str, Path], result: CheckResult, judged: Judgement, callers_left: Sequence[CallerLeft] = ()
) -> None:
    """Write reports: form ("html", "markdown", "junit") to file; an old one is replaced when the new one is whole.

    Raises:
        OSError: a file cannot be written.
    """
    if not files:
        return
    # Imported here: they need packages of an extra.
    from compat.regression.report.forms import as_html, as_junit, as_markdown

    forms = {"html": as_html, "markdown": as_markdown, "junit": as_junit}
    content = content_of(result, judged, callers_left)
    made = {path: forms[form](content) for form, path in files.items()}
    for path, text in made.items():
        with whole_file(path) as file:
            file.write(text.encode())
        note(f"Wrote {path}.")
