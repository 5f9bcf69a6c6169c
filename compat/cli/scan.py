"""``exam-compat scan``: where files still use the old interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from compat.cli.console import counting, note, plain, say, say_json, show_lines
from compat.cli.counted import counted_in, shown_day
from compat.cli.files import write_whole
from compat.cli.options import ExistingPath, NewFile, config_option, configuration, named_config
from compat.cli.program import require_extra
from compat.errors import ConfigurationError
from compat.settings_checks import reason_of
from compat.text.json import several

if TYPE_CHECKING:
    from compat.migration.scan import Baseline, Find, Grade, Problem, Scanned

_GRADES = ("certain", "likely", "mention")
_STYLES = {"certain": "red", "likely": "yellow"}

paths_argument = click.argument("paths", nargs=-1, required=True, type=ExistingPath())
exclude_option = click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out the files of this pattern, as in a .gitignore; may be given again.",
)


@click.command(short_help="Find uses of the old interface in files.")
@paths_argument
@exclude_option
@click.option("--json", "form", flag_value="json", help="Print a JSON object.")
@click.option("--sarif", "form", flag_value="sarif", help="Print SARIF 2.1.0, for code hosts and editors.")
@click.option("--fail-on", "least", type=click.Choice(_GRADES), default="likely", show_default=True,
              help="The least sure grade that makes the exit status 1.")  # fmt: skip
@click.option("--baseline", type=NewFile(), metavar="FILE", help="Let the finds in this file pass.")
@click.option("--seen", is_flag=True, help="Also name lines that were counted as calling and are not found.")
@click.option("--write-baseline", is_flag=True, help="Write the finds that --fail-on counts to the file of --baseline.")
@config_option
def scan(
    paths: tuple[Path, ...],
    exclude: tuple[str, ...],
    form: str | None,
    least: Grade,
    baseline: Path | None,
    seen: bool,
    write_baseline: bool,
) -> int:
    """Find the deprecated routes and names in files and folders.

    Python files and notebooks are read by their syntax. So an address is found in any form of string, whatever library
    sends the call. The names and methods of the old client are found too. All other text files are searched line by
    line.

    Left out are: what a .gitignore names, virtual environments and node_modules. A file that is not read is reported.

    \b
    A find has one of three grades:
      certain  the route, or a name of the old client
      likely   the name of the route without its address
      mention  a comment, prose, or a route or template of the program's own

    A mention is listed, but is no use of the old interface. The same holds for compat.install and compat.mount, which
    only keep old calls working.

    To let one line pass, write a comment "exam-compat: ignore" with a reason. The comment counts for its own line. If
    it stands alone, it counts for the next line.

    To let many lines pass, use a baseline. This file keeps a digest of each line, and no text. A find that moves stays
    known.

    --seen compares with the calls that exam-compat callers counts. A line that was seen calling, and is not among the
    finds, is named.

    \b
    Exit status:
      0  no use was found, or the baseline was written
      1  a use of the grade of --fail-on, or a surer one, was found;
         or --seen named a line
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat scan .
      exam-compat scan . --seen
      exam-compat scan src jobs --exclude 'tests/fixtures/'
      exam-compat scan . --sarif > exam-compat.sarif
      exam-compat scan . --fail-on certain
      exam-compat scan . --baseline scan-baseline.json --write-baseline
    """
    require_extra("migration")
    from compat.migration.scan import left_out, sarif

    kept = _baseline(baseline, write=write_baseline)
    scanned = found_below(paths, exclude, leaving=baseline)
    if kept and write_baseline:
        uses = scanned.uses(least)
        write_whole(kept.file, kept.text(uses, paths))
        say(f"{several(len(uses), 'find')} written to {kept.file}.")
        return 0
    found = scanned.finds
    if kept:
        scanned.finds, scanned.known = kept.sorted_out(found)
    missed = _missed(scanned) if seen else []
    scanned.problems += missed
    if form == "sarif":
        log = sarif(scanned.finds, scanned.problems, scanned.unread())
        say_json(log)
        for each in left_out(log):
            note(f"Note: {each}")
    elif form == "json":
        say_json(_as_json(scanned))
    else:
        _tell(scanned, least)
    for gone in kept.gone(found, scanned.read, paths) if kept else ():
        note(f"{gone.path}: a find of the baseline ({gone.rule}) is gone: write the file anew with --write-baseline")
    return 1 if missed or scanned.uses(least) else 0


def _missed(scanned: Scanned) -> list[Problem]:
    """The lines that were counted as calling, and that were not found."""
    from compat.migration.inventory.report import calling_lines
    from compat.migration.scan import Problem

    given = configuration()
    return [
        Problem(
            each.file,
            f"line {each.line} was seen calling {', '.join(each.routes)} ({several(each.calls, 'call')}, the last on "
            f"{shown_day(each.last, given.settings.zone)}), and no use is found there: look at it by hand",
            read=True,
            line=each.line,
        )
        for each in scanned.missed(calling_lines(counted_in(given).usages))
    ]


def _baseline(file: Path | None, *, write: bool) -> Baseline | None:
    """The baseline that is named."""
    from compat.migration.scan import Baseline

    if file is None:
        if write:
            raise click.UsageError("--write-baseline writes the file of --baseline: name it.")
        return None
    if not file.exists():
        if not write:
            raise click.UsageError(f"The baseline {file} does not exist: --write-baseline writes it.")
        return Baseline(file)
    try:
        return Baseline.read(file)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"The baseline {file} cannot be used: {reason_of(error)}.") from None


def found_below(paths: Sequence[Path], exclude: Sequence[str] = (), leaving: Path | None = None) -> Scanned:
    """The uses in all files below some paths, but for patterns and one file, and what hindered looking for them."""
    from compat.migration.codemod import Importers, refused_lines
    from compat.migration.scan import scan_files, sources

    refusals = partial(refused_lines, configured=kind_of_upstream(), importers=Importers())
    with counting("files") as progress:
        task = progress.add_task("Scanning", total=None)
        left = leaving and os.path.realpath(leaving)
        found = [each for each in sources(paths, exclude) if not left or os.path.realpath(each.path) != left]
        progress.update(task, total=len(found))
        return scan_files(found, refusals, done=partial(progress.advance, task))


def kind_of_upstream() -> str:
    """The kind of upstream of the configuration, if there is one; empty where there is none."""
    from compat.config.file import configured_kind

    try:
        return configured_kind(named_config())
    except ConfigurationError:
        if named_config() is not None:
            raise
        return ""


def _as_json(scanned: Scanned) -> dict[str, object]:
    return {
        "finds": [each.as_dict() for each in scanned.finds],
        "marked": [{**each.as_dict(), "reason": each.mark} for each in scanned.marked],
        "baseline": [each.as_dict() for each in scanned.known],
        "problems": [{"path": each.path, "reason": each.reason, "read": each.read} for each in scanned.problems],
        "not_read": [{"path": each.path, "reason": each.reason} for each in scanned.not_read],
        "files_read": len(scanned.read),
    }


def _tell(scanned: Scanned, least: Grade) -> None:
    show_lines(map(_line, scanned.finds))
    for problem in scanned.problems:
        note(problem.told)
    if scanned.unread():
        note(f"{scanned.unread()}.")
    say(_summary(scanned, least))


def _line(find: Find) -> Text:
    """A find in one line, which editors and terminals lead from to the place."""
    grade = find.grade if find.of.level == "warning" else "note"
    written = f"address: line {', '.join(map(str, find.addresses))}" if find.addresses else ""
    beside = ", ".join(filter(None, (find.library and f"by {find.library}", written)))
    told = f"{find.of.title} ({beside})" if beside else find.of.title
    then = "exam-compat migrate rewrites it" if find.rewritable else find.why_not
    rest = "; ".join(filter(None, (f"{told}: use {find.of.instead}", then)))
    return Text.assemble((plain(find.linked), "bold"), ": ", (grade, _STYLES.get(grade, "")), f": {plain(rest)}")


def _summary(scanned: Scanned, least: Grade) -> str:
    uses = scanned.uses(least)
    less = len(scanned.uses("mention")) - len(uses)
    told = [f"{several(less, 'find')} below --fail-on"] if less else []
    told += [f"{len(scanned.marked):,} marked"] if scanned.marked else []
    told += [f"{len(scanned.known):,} of the baseline"] if scanned.known else []
    mentions = f" (and {', '.join(told)})" if told else ""
    if not uses:
        return f"No use of the old interface in {several(len(scanned.read), 'file')} read{mentions}."
    files = several(len({each.path for each in uses}), "file")
    ready = sum(each.rewritable for each in uses)
    found = f"{several(len(uses), 'use')} of the old interface in {files}{mentions}"
    return f"{found}; exam-compat migrate rewrites {ready} of them."
