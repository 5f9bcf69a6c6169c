"""What goes to people, and what several commands take."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from compat.cli.tables import line_width
from compat.text.json import dumps

if TYPE_CHECKING:
    from compat.config.settings import Configuration

__all__ = [
    "ExistingPath",
    "NewFile",
    "address_options",
    "cell",
    "complain",
    "config_option",
    "configuration",
    "configuration_if_any",
    "counting",
    "folded",
    "measuring",
    "named_config",
    "note",
    "plain",
    "say",
    "say_folded",
]

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
    """Write a text of sentences to the standard output, in lines of at most 80 columns, or the terminal's."""
    say("\n".join(folded(text)))


def folded(text: str) -> list[str]:
    """The lines of a text of sentences; blanks before it stand before each."""
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        plain(text.lstrip()),
        line_width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def counting(what: str, *, quiet: bool = False) -> Progress:
    """A progress bar in steps of a unit such as "pages"."""
    return _progress(_Pace(lambda number: f"{number:,}", what), quiet=quiet)


def measuring(*, quiet: bool = False) -> Progress:
    """A progress bar in bytes."""
    return _progress(_Pace(decimal), quiet=quiet)


class _Pace(ProgressColumn):
    """How many are done, how many a second, and how long it still takes, or has taken where nobody can tell."""

    def __init__(self, shown: Callable[[int], str], what: str = "") -> None:
        super().__init__()
        self._shown = shown
        self._what = f" {what}" if what else ""

    def render(self, task: Task) -> Text:
        """The text behind the bar."""
        done, left = self._shown(int(task.completed)), task.time_remaining
        of = "" if task.total is None else f"/{self._shown(int(task.total))}"
        parts = [f"{done}{of}{self._what}"] if task.completed or of else []
        parts += [] if task.speed is None else [f"{self._shown(round(task.speed))}/s"]
        parts += [f"{_clock(task.elapsed or 0)} so far" if left is None else f"{_clock(left)} left"]
        return Text(", ".join(parts), no_wrap=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _progress(pace: _Pace, *, quiet: bool) -> Progress:
    """A bar on the standard error where that is a terminal; nothing elsewhere, or where it is to be quiet."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        # What the text needs comes first.
        BarColumn(bar_width=max(5, min(40, console.width - 55))),
        pace,
        console=console,
        transient=True,
        disable=quiet or not sys.stderr.isatty() or console.is_dumb_terminal,
        redirect_stdout=False,
    )


def _escaped(char: str) -> str:
    return _BARE_ESCAPES.get(char) or json.dumps(char)[1:-1]


class ExistingPath(click.Path):
    """A path that has to be there already; one line says so where it is not.

    Args:
        folder: whether it may be a folder.
        dash: whether ``-`` stands for the standard input; the value is a text then.
    """

    def __init__(self, *, folder: bool = True, dash: bool = False) -> None:
        super().__init__(dir_okay=folder, allow_dash=dash, path_type=str if dash else Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; ConfigurationError where there is nothing, or a folder that it may not be."""
        if value == "-" and self.allow_dash:
            return value
        path = Path(value)
        if not path.exists():
            raise _misused(path, f"no such {'file or folder' if self.dir_okay else 'file'}{_where(path)}")
        if path.is_dir() and not self.dir_okay:
            raise _misused(path, "a folder, and a file is needed")
        return super().convert(value, param, ctx)


class NewFile(click.Path):
    """A file that is written, in a folder that has to be there already; one line says so where it is not."""

    def __init__(self, *, dash: bool = False) -> None:
        super().__init__(dir_okay=False, allow_dash=dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; ConfigurationError where it is a folder, or lies in one that is not there."""
        path = Path(value)
        if path.is_dir():
            raise _misused(path, "a folder, and a file is to be written")
        if not path.parent.is_dir():
            raise _misused(path, f"no folder {path.parent}{_where(path)} to write it in")
        return super().convert(value, param, ctx)


def _where(path: Path) -> str:
    return "" if path.is_absolute() else f" in {Path.cwd()}"


def _misused(path: Path, told: str) -> Exception:
    from compat.errors import ConfigurationError

    return ConfigurationError(f"{path}: {told}")


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
        help="Use this configuration file. The option may stand before or after the command.",
    )(command)


def address_options(what_for: str, port: int, prefix: str = "") -> Callable[[_Command], _Command]:
    """Add ``--host`` and ``--port``, where something listens; ``prefix`` stands before both names."""

    def add(command: _Command) -> _Command:
        ports = click.IntRange(0, 65535)
        free = click.option(
            f"--{prefix}port", type=ports, default=port, show_default=True, help="The port; 0 takes any free one."
        )
        return click.option(f"--{prefix}host", default="127.0.0.1", show_default=True, help=what_for)(free(command))

    return add


def named_config(context: click.Context | None = None, *, there: bool = True) -> Path | None:
    """The file that ``--config`` named in a context, else in the current one; None where it was not given.

    Args:
        context: of a command line that is not run but completed.
        there: refuse one that is not there, where it is run.

    Raises:
        ConfigurationError: it is not.
    """
    named: Path | None = (context or click.get_current_context()).meta.get(_KEY)
    if there and context is None and named is not None and not named.is_file():
        from compat.config.file import nothing_at
        from compat.errors import ConfigurationError

        raise ConfigurationError(f"no configuration: {nothing_at(named, '--config')}")
    return named


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
