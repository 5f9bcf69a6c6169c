"""``exam-compat scan``: where files still use the old interface."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compat.cli.console import counting, note, plain, say, show_table
from compat.cli.extras import require_extra
from compat.cli.options import config_option, named_config
from compat.errors import ConfigurationError
from compat.plural import several

if TYPE_CHECKING:
    from compat.migration.scan import Find, Problem, Source

__all__ = ["exclude_option", "found_below", "kind_of_upstream", "paths_argument", "scan"]

_HEADINGS = ("where", "uses", "by", "instead", "migrate")
_NONE, _FOUND = 0, 1

paths_argument = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
exclude_option = click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave these files out, as a .gitignore would; repeatable."
)


@click.command(short_help="Find uses of the old interface in files.")
@paths_argument
@exclude_option
@click.option("--json", "form", flag_value="json", help="As a JSON object.")
@click.option("--sarif", "form", flag_value="sarif", help="As SARIF 2.1.0, for code hosts and editors.")
@config_option
def scan(paths: tuple[Path, ...], exclude: tuple[str, ...], form: str | None) -> int:
    """Find the deprecated routes and names in files and trees.

    Python and its notebooks are read by their syntax: addresses in any string form, the old client's names and
    methods, whatever library sends the call. Files in other languages are searched by their lines. What a .gitignore
    names is left out, as are virtual environments and node_modules. A file that cannot be read is reported.

    Exit status: 0 no use; 1 at least one; 2 wrong usage. What only keeps old calls working (compat.install and
    compat.mount) is listed as a note and is no use.

    \b
    Examples:
      exam-compat scan .
      exam-compat scan src jobs --exclude 'tests/fixtures/'
      exam-compat scan . --sarif > exam-compat.sarif
    """
    require_extra("migration")
    from compat.migration.scan import left_out, sarif

    finds, problems = found_below(paths, exclude, quiet=False)
    if form == "sarif":
        log = sarif(finds, problems)
        say(json.dumps(log, indent=2, ensure_ascii=False))
        for each in left_out(log):
            note(f"Note: {each}")
    elif form == "json":
        told = [{"path": each.path, "reason": each.reason} for each in problems]
        say(json.dumps({"finds": [each.as_dict() for each in finds], "problems": told}, indent=2, ensure_ascii=False))
    else:
        _tell(finds, problems)
    return _FOUND if any(each.of.level == "warning" for each in finds) else _NONE


def found_below(paths: Sequence[Path], exclude: Sequence[str], *, quiet: bool) -> tuple[list[Find], list[Problem]]:
    """The uses in all files below some paths, and what hindered looking for them."""
    from compat.migration.codemod import Importers, refused_lines
    from compat.migration.scan import Find, finds_in

    refusals = partial(refused_lines, configured=kind_of_upstream(), importers=Importers())

    finds: list[Find] = []
    problems: list[Problem] = []
    for source in _read_all(paths, exclude, "Scanning", problems, quiet=quiet):
        for found in finds_in(source, refusals):
            if isinstance(found, Find):
                finds.append(found)
            else:
                problems.append(found)
    return finds, problems


def kind_of_upstream() -> str:
    """The kind of upstream of the configuration, if there is one; empty where there is none."""
    from compat.config_file import configured_kind

    try:
        return configured_kind(named_config())
    except ConfigurationError:
        if named_config() is not None:
            raise
        return ""


def _read_all(
    paths: Sequence[Path], exclude: Sequence[str], doing: str, problems: list[Problem], *, quiet: bool = False
) -> Iterator[Source]:
    """The files below some paths, one by one, under a progress bar; what cannot be opened goes to the problems."""
    from compat.migration.scan import Problem, sources

    with counting("files", quiet=quiet) as progress:
        task = progress.add_task(doing, total=None)
        found = list(sources(paths, exclude))
        progress.update(task, total=len(found))
        for source in found:
            if isinstance(source, Problem):
                problems.append(source)
            else:
                yield source
            progress.advance(task)


def _tell(finds: Sequence[Find], problems: Sequence[Problem]) -> None:
    if finds:
        rows = [
            (
                plain(each.place),
                each.of.title,
                each.library,
                each.of.instead,
                "yes" if each.rewritable else each.why_not,
            )
            for each in finds
        ]
        show_table(_HEADINGS, rows)
    for problem in problems:
        note(f"{problem.path}: not looked at: {problem.reason}")
    uses = [each for each in finds if each.of.level == "warning"]
    files = len({each.path for each in uses})
    ready = sum(each.rewritable for each in uses)
    if uses:
        found = f"{several(len(uses), 'use')} of the old interface in {several(files, 'file')}"
        say(f"{found}; exam-compat migrate rewrites {ready} of them.")
    else:
        say("No use of the old interface.")
