"""``exam-compat migrate``: old scripts rewritten to the new client, as far as that is certain."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from compat.cli.console import counting, note, plain, say, say_json, show_lines
from compat.cli.files import write_whole
from compat.cli.options import config_option, json_option
from compat.cli.program import require_extra
from compat.cli.scan import exclude_option, kind_of_upstream, paths_argument

if TYPE_CHECKING:
    from compat.migration.codemod import Left, MigratedFile
    from compat.migration.scan import Problem

_QUIT = "quit"
_YES, _SKIP = "y", "skip"
_COLOURS = {"+++": "bold", "---": "bold", "@@ ": "cyan", "+": "green", "-": "red"}


@dataclass
class _Run:
    files: list[MigratedFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def changed(self) -> list[MigratedFile]:
        return [each for each in self.files if each.after != each.before]


@click.command(short_help="Rewrite old scripts to the new client.")
@paths_argument
@exclude_option
@click.option("--diff", "form", flag_value="diff", default="diff", help="Show what would change. This is the default.")
@click.option("--write", "form", flag_value="write", help="Write the changes to the files.")
@click.option("--check", "form", flag_value="check",
              help="Write nothing. The exit status is 1 if there is anything to do.")  # fmt: skip
@click.option("--interactive", "form", flag_value="interactive", help="Ask before each change, then show what is left.")
@click.option("--explain", is_flag=True,
              help="For each place that is left, show the way of its route, and the code to write.")  # fmt: skip
@json_option
@config_option
def migrate(paths: tuple[Path, ...], exclude: tuple[str, ...], form: str, explain: bool, as_json: bool) -> int:
    """Rewrite Python scripts and notebooks from the old interface to StudentSessionsClient.

    Without an option the files stay as they are: what would change is shown. A place is rewritten only if it is certain
    that the output stays the same. Comments and formatting stay.

    If a script reads an answer in a simple way, its call becomes a call of StudentSessionsClient. Otherwise only the
    sending is replaced, by StudentSessionsHTTP. Its answer is a response of requests, httpx or urllib.

    All other places stay as they are. Each is listed with its line, the reason, and what to write instead. A file is
    written whole or not at all. A file that cannot be read is reported; the other files are still rewritten.

    The rewritten scripts call student sessions. If a script makes its client from a configuration file, the client is
    rewritten only if the configuration of exam-compat is for student sessions.

    \b
    Exit status:
      0  fine
      1  a file could not be read or written;
         with --check also: something would change, or a place is listed
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat migrate report.py
      exam-compat migrate --write src jobs
      exam-compat migrate --check .
      exam-compat migrate --interactive .
    """
    require_extra("migration")
    run = _migrated(paths, exclude, write=form == "write")
    if form == "interactive":
        _ask(run)
    if as_json:
        say_json(_told(run))
    else:
        _tell(run, form, explain=explain)
    to_do = form == "check" and any(each.changes or each.left for each in run.files)
    return 1 if run.problems or to_do else 0


def _migrated(paths: Sequence[Path], exclude: Sequence[str], *, write: bool) -> _Run:
    from compat.migration.codemod import Importers, RewriteFailed, migrate_source
    from compat.migration.scan import Problem, Source, sources

    run, configured = _Run(), kind_of_upstream()
    with counting("files") as progress:
        task = progress.add_task("Rewriting", total=None)
        found = list(sources(paths, exclude))
        progress.update(task, total=len(found))
        importers = Importers(each.path for each in found if isinstance(each, Source))
        for source in found:
            progress.advance(task)
            if not isinstance(source, Source):
                # What holds no text is nothing to rewrite.
                run.problems += [source] if isinstance(source, Problem) else []
                continue
            try:
                migrated = migrate_source(source, configured, importers)
                run.files += [] if migrated is None else [migrated]
            except OSError as error:
                run.problems.append(Problem(str(source.path), error.strerror or str(error)))
            except (SyntaxError, ValueError, RecursionError, RewriteFailed) as error:
                reason, line = getattr(error, "msg", None) or str(error), getattr(error, "lineno", 0) or 0
                run.problems.append(Problem(str(source.path), reason, line=line))
    # Only now, since what one file becomes depends on what the others are.
    if write:
        run.problems += [problem for each in run.changed if (problem := _written(each)) is not None]
    return run


def _written(migrated: MigratedFile) -> Problem | None:
    """Write a file; what hindered that, if anything did."""
    from compat.migration.scan import Problem

    try:
        write_whole(migrated.source.path, migrated.content)
    except (OSError, UnicodeEncodeError) as error:
        return Problem(str(migrated.source.path), getattr(error, "strerror", None) or str(error))
    return None


def _ask(run: _Run) -> None:
    """Go through the changes, those of one program together, and then through what is left."""
    accepted, answer = _walk_changes(run.changed)
    run.problems += [problem for each in accepted if (problem := _written(each)) is not None]
    if answer != _QUIT:
        _walk_left(run.files)
    run.files = [each for each in run.files if each in accepted or each.after == each.before]


def _walk_changes(changed: Sequence[MigratedFile]) -> tuple[list[MigratedFile], str]:
    """Show each change and ask for it: which ones are wanted, and the last answer.

    Files of one program are asked for together: a route that is new in one is sent by another.
    """
    accepted: list[MigratedFile] = []
    answer = ""
    for group in _programs(changed):
        for each in group:
            _show_diff(each)
        names = ", ".join(plain(str(each.source.path)) for each in group)
        answer = _asked(f"Rewrite {names}? y, n, skip the rest of the changes, or quit")
        if answer == _YES:
            accepted += group
        elif answer in (_SKIP, _QUIT):
            break
    return accepted, answer


def _walk_left(files: Sequence[MigratedFile]) -> None:
    """Show each place that is left to do by hand, one at a time."""
    places = [(each, item) for each in files for item in each.left if item.needed]
    for number, (each, item) in enumerate(places, 1):
        say(plain(f"{number} of {len(places)}: {each.linked(item.line)}: {item.reason}"))
        say(plain(f"  {item.by_hand}"))
        for line in _explanation(item):
            say(plain(line))
        if number < len(places) and _asked("Show the next place? y, n, skip the rest, or quit") != _YES:
            return


def _explanation(item: Left) -> Iterator[str]:
    """The way of a value that was not followed to its end, and the code to write."""
    if item.way:
        yield "    the route comes this way:"
        yield from (f"      {step}" for step in item.way)
    if item.snippet:
        yield "    write instead:"
        yield from (f"      {line}" for line in item.snippet.splitlines())


def _programs(changed: Sequence[MigratedFile]) -> list[list[MigratedFile]]:
    """The files by program, in their order."""
    found: list[list[MigratedFile]] = []
    for each in changed:
        path = each.source.path.absolute()
        mine = [group for group in found if any(path in other.beside for other in group)]
        rest = [group for group in found if group not in mine]
        found = [*rest, [*(other for group in mine for other in group), each]]
    return found


def _asked(question: str) -> str:
    """One of the four answers; the end of the input quits."""
    try:
        given: str = click.prompt(question, type=click.Choice([_YES, "n", _SKIP, _QUIT]), show_choices=False)
    except click.Abort:
        return _QUIT
    return given


def _tell(run: _Run, form: str, *, explain: bool) -> None:
    if form == "diff":
        for each in run.changed:
            _show_diff(each)
    left = [(each, item) for each in run.files for item in each.left]
    for each, item in left:
        kind, style = ("left", "yellow") if item.needed else ("note", "")
        rest = plain(f": {item.reason}: {item.by_hand}")
        show_lines([Text.assemble((plain(each.linked(item.line)), "bold"), ": ", (kind, style), rest)])
        for line in _explanation(item) if explain else ():
            say(_plain_line(line))
    for problem in run.problems:
        note(problem.told)
    verb = "rewritten" if form in ("write", "interactive") else "to rewrite"
    calls = sum(len(each.changes) for each in run.files)
    by_hand = sum(item.needed for _, item in left)
    say(f"{_count(calls, 'place')} in {_count(len(run.changed), 'file')} {verb}; {by_hand} left to do by hand.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _diff(each: MigratedFile) -> Iterator[str]:
    before, after = each.before.splitlines(), each.after.splitlines()
    path = each.source.path.as_posix()
    return difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm="")


def _show_diff(each: MigratedFile) -> None:
    show_lines(
        Text(_plain_line(line), next((style for begin, style in _COLOURS.items() if line.startswith(begin)), ""))
        for line in _diff(each)
    )


def _plain_line(line: str) -> str:
    """A line of somebody's code, its tabs kept."""
    return "\t".join(map(plain, line.split("\t")))


def _told(run: _Run) -> dict[str, object]:
    return {
        "files": [
            {
                "path": str(each.source.path),
                "changed": each.after != each.before,
                "changes": [{"place": each.place(item.line), "what": item.what} for item in each.changes],
                "left": [{"place": each.place(item.line), **item.as_dict()} for item in each.left],
                "diff": "\n".join(_diff(each)),
            }
            for each in run.files
        ],
        "problems": [{"path": each.path, "reason": each.reason} for each in run.problems],
    }
