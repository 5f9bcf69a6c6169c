"""What a check found, at a terminal and in files: the verdict and why, and the differences side by side."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from compat.cli.console import (
    LINE,
    Column,
    folded,
    line_width,
    note,
    plain,
    say,
    say_folded,
    show_lines,
    show_table,
    solid,
)
from compat.cli.files import write_whole
from compat.legacy.routes import INDEX_STUDENTS
from compat.regression.evidence.headline import DIFFERENCES, NOT_COMPARABLE, SCORES, CallerLeft, explained, sentence
from compat.regression.evidence.result import CheckResult, Sample
from compat.regression.evidence.statistics import milliseconds, moment, percent, share
from compat.regression.evidence.verdict import Judgement, Latency
from compat.regression.replay import command_of
from compat.regression.report.content import Bound, Content, content_of
from compat.text.json import several

_SITE = re.compile(r".+:\d+")
"""A caller that is known by the line which calls."""
_FEW = 3
_NAMED = 12
_BY = {"loss": "declared loss", "known": "known", "drift": "drift", None: "UNEXPLAINED"}
_OPTIONS = ("status", "page", "limit", "sort", "filter")
_STYLES = {"ready": "green", "not ready": "red", "not enough evidence": "yellow", "seen once": "yellow"}
_COLUMNS = (
    Column("Of", least=16),
    Column("Verdict", least=13, styles=_STYLES),
    Column("Calls", rank=2, number=True),
    Column("Unexplained", number=True),
    Column("Questions", rank=1, number=True),
    Column("At most", number=True),
    Column("Differences", rank=1, number=True),
    Column("Reason", least=14),
    Column("What to do", least=20),
)
"""How the columns of tables are laid out; those that are not here are texts."""


def tell(result: CheckResult, judged: Judgement, *, everything: bool, left: Sequence[CallerLeft] | None = None) -> None:
    """Write a report: all rows, or only those that matter; the callers that are left, unless nobody asked for them.

    What answers whether one may switch comes first: verdict, evidence, callers, the largest differences.
    """
    content = content_of(result, judged, left)
    _tell_verdict(content)
    _tell_bound(content.bound)
    _tell_totals(result, content)
    if left is not None:
        _tell_callers(content, everything)
    _tell_largest(content, everything)
    if everything:
        _tell_differences(result)
    for sample in result.samples[: None if everything else _FEW]:
        _tell_sample(sample)
    if content.not_comparable:
        rows = [[f"{calls:,}", plain(reason), remedy] for reason, calls, remedy in content.not_comparable]
        _tell_table(NOT_COMPARABLE, rows)
    _tell_scores(content, everything)
    _tell_latency(judged.latency, content.confidence)
    for each in content.notices:
        note(f"Note: {each}.")


def _tell_verdict(content: Content) -> None:
    style = f"bold {_STYLES[content.verdict]}"
    show_lines(Text(line, style) for line in folded(f"{content.verdict.upper()}. {content.sentence}"))
    say_folded(f"Next: {content.next_step}")


def _tell_bound(bound: Bound) -> None:
    """The evidence against the threshold: two bars on one axis."""
    at_most = f"{percent(bound.at_most, bound.allowed)} may differ, at most"
    allowed = f"{share(bound.allowed)} is allowed"
    names = max(len(at_most), len(allowed))
    room = line_width() - names - 4
    most = max(bound.at_most, bound.allowed)
    style = "green" if bound.at_most <= bound.allowed else "yellow"
    say()
    rows = ((at_most, bound.at_most, style), (allowed, bound.allowed, ""))
    show_lines(
        Text.assemble(f"  {name:>{names}}  ", (solid(max(1, round(room * value / most))), style))
        for name, value, style in rows
    )
    say()


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


def _tell_callers(content: Content, everything: bool) -> None:
    """A line a caller; where that is a line of a script, editors and terminals lead there."""
    say()
    say_folded(content.left_in_words)
    shown = (content.callers_left or ()) if everything else content.left_first
    show_lines(
        Text.assemble(
            (plain(f"{each.name}:1" if _SITE.fullmatch(each.name) else each.name), "bold"),
            plain(f": left: {sentence(each)}"),
        )
        for each in shown
    )
    if len(shown) < len(content.callers_left or ()):
        say(f"and {several(len(content.left_folded), 'more caller')}: --more")


def _tell_largest(content: Content, everything: bool) -> None:
    if not content.largest:
        return
    say()
    say("The largest differences:")
    for number, each in enumerate(content.largest_first, 1):
        reason = f" ({each.reason})" if each.reason else ""
        head = f"{number}. {each.what}: {each.state}{reason}, {several(each.differences, 'difference')} in "
        say_folded(plain(f"{head}{several(each.calls, 'call')}."))
        say_folded(f"   {each.to_do}")
    more = len(content.largest) - len(content.largest_first)
    if more and not everything:
        say(f"and {several(more, 'more kind')}: --more")


def _tell_scores(content: Content, everything: bool) -> None:
    rows = [
        [
            f"{group.column.lower()} {plain(each.name)}",
            each.verdict,
            # In the order of their explanations.
            f"{each.calls:,}" if group.counts_calls else "",
            f"{each.unexplained:,}",
            f"{each.questions:,}",
            percent(each.at_most, content.bound.allowed),
        ]
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


def _tell_table(columns: Mapping[str, str], rows: Sequence[Sequence[str]], first: Sequence[str] = ()) -> None:
    """A table as wide as everybody's terminal, and below it what its columns say."""
    say()
    laid_out = {each.heading: each for each in _COLUMNS}
    shown = show_table([laid_out.get(name, Column(name)) for name in (*first, *columns)], rows, widest=LINE)
    say_folded(explained(columns, *shown))


def _tell_differences(result: CheckResult) -> None:
    found = sorted(result.differences, key=lambda each: (each.by is not None, -each.calls, each.key))
    rows = [
        [
            f"{each.differences:,}",
            f"{each.calls:,}",
            each.kind,
            plain(each.field or ""),
            plain(": ".join(filter(None, (_BY[each.by], each.reason)))),
        ]
        for each in found
    ]
    if rows:
        _tell_table(DIFFERENCES, rows)


def _tell_latency(latency: Iterable[Latency], confidence: float) -> None:
    for each in latency:
        say()
        say_folded(
            f"Time of {each.route}, {several(each.calls, 'call')}: {each.verdict}{', too slow' * each.too_slow}."
        )
        for of in each.quantiles:
            part = f"{share(of.part)} within: "
            say(f"  {part}old {_interval(of.old)}")
            say(f"  {' ' * len(part)}new {_interval(of.new)}")
        say_folded(f"In parentheses: between which values each lies, as sure as {share(confidence)}.")


def _interval(interval: Sequence[float]) -> str:
    value, low, high = (f"{milliseconds(1000 * seconds)} ms" for seconds in interval)
    return f"{value} ({low} to {high})"


def _tell_sample(sample: Sample) -> None:
    """A call that differs: where its recording has it, what differs, and how to make it again."""
    asked = " ".join(f"{name}={text}" for name, text in sample.parameters.items())
    told = f"{sample.route} of exam {sample.exam}, {sample.caller or 'caller not known'}: {asked}".rstrip(": ")
    say()
    if sample.place:
        show_lines([Text.assemble((plain(sample.place), "bold"), ": ", plain(told))])
    else:
        say_folded(told)
    rows = [
        [f"{each.kind}{' (once)' * each.once}", *map(plain, (each.record or "", each.field or "", each.old, each.new))]
        for each in sample.differences
    ]
    columns = (Column("kind"), Column("record", whole=True), Column("field", rank=1), Column("old"), Column("new"))
    show_table(columns, rows, widest=LINE)
    if any(each.once for each in sample.differences):
        say_folded("Once: seen once, and not when the call was made again.")
    if sample.more:
        say(f"and {sample.more:,} more in this call")
    if not sample.repeatable:
        say_folded("It compares with what speaks of a person, which is not kept: it cannot be made again from here.")
        return
    if sample.route == INDEX_STUDENTS.action:
        given = [(f"--{name}", sample.parameters[name]) for name in _OPTIONS if name in sample.parameters]
        say(plain(f"  exam-compat get {shlex.join([sample.exam, *(word for option in given for word in option)])}"))
    say(plain(f"  {command_of(sample.route, sample.exam, sample.parameters)}"))


def write_reports(
    files: Mapping[str, Path], result: CheckResult, judged: Judgement, callers_left: Sequence[CallerLeft] | None = None
) -> None:
    """Write reports: form ("html", "markdown", "junit") to file; an old one is replaced when the new one is whole."""
    if not files:
        return
    # Imported here: they need packages of an extra.
    from compat.regression.report.forms import as_html, as_junit, as_markdown

    forms = {"html": as_html, "markdown": as_markdown, "junit": as_junit}
    content = content_of(result, judged, callers_left)
    made = {path: forms[form](content) for form, path in files.items()}
    for path, text in made.items():
        write_whole(path, text)
        note(f"Wrote {path}.")
