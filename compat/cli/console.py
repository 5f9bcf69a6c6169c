"""What goes to people, and what several commands take."""

from __future__ import annotations

import io
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from compat.text.json import dumps

if TYPE_CHECKING:
    from compat.config.settings import Configuration

__all__ = [
    "LINE",
    "address_options",
    "cell",
    "complain",
    "config_option",
    "configuration",
    "configuration_if_any",
    "counting",
    "measuring",
    "named_config",
    "note",
    "plain",
    "say",
    "say_folded",
    "show_lines",
    "show_table",
]

_WIDEST = 10_000
LINE = 80
"""Columns of a terminal that everybody has."""
_JOINER = "\u200d"
_BARE_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """A text that moves no cursor and hides nothing: what cannot be printed becomes its escape.

    Names come from people whom nobody here knows, and a terminal obeys what is printed to it.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == _JOINER else _escaped(char) for char in text)


def cell(value: Any) -> str:
    """A JSON value for a table: texts as they are, null as nothing, the rest as JSON."""
    if value is None:
        return ""
    return plain(value if isinstance(value, str) else dumps(value))


def say(text: str = "") -> None:
    """Write a line to the standard output."""
    click.echo(text)


def note(text: str) -> None:
    """Write a line to the standard error."""
    # Looked up anew each time: while a progress bar is drawn, a stream that makes room for the line stands there.
    sys.stderr.write(plain(text) + "\n")


def complain(text: str) -> None:
    """Write an error to the standard error."""
    note(f"Error: {text}")


def say_folded(text: str) -> None:
    """Write a text of sentences to the standard output, in lines of at most 80 columns."""
    say(textwrap.fill(plain(text), LINE, break_long_words=False, break_on_hyphens=False))


def show_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, err: bool = False, widest: int = _WIDEST
) -> None:
    """Write a table, whose texts are printed as they are, to the standard output or the standard error.

    It is as wide as the terminal; where there is none, as its content, up to ``widest`` columns.
    """
    table = Table(header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    _draw(lambda console: console.print(table), widest, err=err)


def show_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Write lines, each in its style, such as "green", where the standard output is a terminal."""

    def draw(console: Console) -> None:
        for text, style in lines:
            console.print(Text(text, style=style), soft_wrap=True)

    _draw(draw, _WIDEST)


def _draw(draw: Callable[[Console], object], widest: int, *, err: bool = False) -> None:
    stream = sys.stderr if err else sys.stdout
    terminal = stream.isatty()
    # Drawn first and written afterwards, so that a closed pipe is met in one place, for tables and all else.
    drawing = io.StringIO()
    width = None if terminal else widest
    draw(Console(file=drawing, force_terminal=terminal, width=width, emoji=False, highlight=False))
    click.echo(drawing.getvalue(), nl=False, err=err)


def counting(what: str, *, quiet: bool = False) -> Progress:
    """A progress bar in steps of a unit such as "pages"."""
    return _progress(MofNCompleteColumn(), TextColumn(what), quiet=quiet)


def measuring(*, quiet: bool = False) -> Progress:
    """A progress bar in bytes."""
    return _progress(DownloadColumn(), quiet=quiet)


def _progress(*columns: ProgressColumn, quiet: bool) -> Progress:
    """A bar on the standard error where that is a terminal; nothing elsewhere, or where it is to be quiet."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
        redirect_stdout=False,
    )


def _escaped(char: str) -> str:
    return _BARE_ESCAPES.get(char) or json.dumps(char)[1:-1]


_Command = TypeVar("_Command", bound=Callable[..., Any])
_KEY = "compat.cli.config"


def config_option(command: _Command) -> _Command:
    """Add ``--config``, which :func:`configuration` reads."""

    def remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
        # All contexts of one call share their meta: it does not matter before or after which word the option stood.
        if value is not None:
            context.meta[_KEY] = value

    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        expose_value=False,
        callback=remember,
        help="The configuration, instead of exam-compat.toml; before or after the command.",
    )(command)


def address_options(what_for: str, port: int, prefix: str = "") -> Callable[[_Command], _Command]:
    """Add ``--host`` and ``--port``, where something listens; ``prefix`` stands before both names."""

    def add(command: _Command) -> _Command:
        ports = click.IntRange(0, 65535)
        free = click.option(f"--{prefix}port", type=ports, default=port, show_default=True, help="0 for any free one.")
        return click.option(f"--{prefix}host", default="127.0.0.1", show_default=True, help=what_for)(free(command))

    return add


def named_config() -> Path | None:
    """The file that ``--config`` named, or None."""
    return click.get_current_context().meta.get(_KEY)


def configuration() -> Configuration:
    """The configuration that the command is to use; ConfigurationError where there is none that can be used."""
    from compat.config.file import load_config

    return load_config(named_config())


def configuration_if_any() -> Configuration | None:
    """The configuration; None where none is named and there is none to find.

    Raises:
        ConfigurationError: a value in it cannot be used.
    """
    from compat.config.file import find_config
    from compat.errors import ConfigurationError

    if named_config() is None:
        try:
            find_config()
        except ConfigurationError:
            return None
    return configuration()
