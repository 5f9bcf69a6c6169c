"""``exam-compat migrate --interactive``: one change after the other, and then one place after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from compat.cli.console import plain, say

if TYPE_CHECKING:
    from compat.migration.codemod import Left, MigratedFile

__all__ = ["QUIT", "explanation", "walk_changes", "walk_left"]

QUIT = "quit"
_YES, _SKIP = "y", "skip"


def walk_changes(
    changed: Sequence[MigratedFile], show: Callable[[MigratedFile], None]
) -> tuple[list[MigratedFile], str]:
    """Show each change and ask for it: which ones are wanted, and the last answer.

    Files of one program are asked for together: a route that is new in one is sent by another.

    Args:
        changed: the files that would change.
        show: shows the difference of one.
    """
    accepted: list[MigratedFile] = []
    answer = ""
    for group in _programs(changed):
        for each in group:
            show(each)
        names = ", ".join(plain(str(each.source.path)) for each in group)
        answer = _asked(f"Rewrite {names}? y, n, skip the rest of the changes, or quit")
        if answer == _YES:
            accepted += group
        elif answer in (_SKIP, QUIT):
            break
    return accepted, answer


def walk_left(files: Sequence[MigratedFile]) -> None:
    """Show each place that is left to do by hand, one at a time."""
    places = [(each, item) for each in files for item in each.left if item.needed]
    for number, (each, item) in enumerate(places, 1):
        say(plain(f"{number} of {len(places)}: {each.linked(item.line)}: {item.reason}"))
        say(plain(f"  {item.by_hand}"))
        for line in explanation(item):
            say(plain(line))
        if number < len(places) and _asked("Show the next place? y, n, skip the rest, or quit") != _YES:
            return


def explanation(item: Left) -> Iterator[str]:
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
        given: str = click.prompt(question, type=click.Choice([_YES, "n", _SKIP, QUIT]), show_choices=False)
    except click.Abort:
        return QUIT
    return given
