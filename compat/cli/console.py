"""What goes to people: lines, progress bars, and tables with as many columns as the terminal has room for.

Where nobody reads along, in a pipe or a file, a table has all of its columns, each as wide as its content.
"""

from __future__ import annotations

import io
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TextIO

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from compat.text.json import dumps

_JOINER = "\u200d"
_BARE_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """A text that moves no cursor and hides nothing: what cannot be printed becomes its escape.

    Names come from people whom nobody here knows, and a terminal obeys what is printed to it.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == _JOINER else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return _BARE_ESCAPES.get(char) or json.dumps(char)[1:-1]


def cell(value: Any) -> str:
    """A JSON value for a table: texts as they are, null as nothing, the rest as JSON."""
    if value is None:
        return ""
    return plain(value if isinstance(value, str) else dumps(value))


def say(text: str = "") -> None:
    """Write a line to the standard output."""
    click.echo(text)


def say_json(value: Any) -> None:
    """Write a value to the standard output as JSON for people and programs."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


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
    words = text.lstrip()
    indent = text[: len(text) - len(words)]
    return textwrap.wrap(
        plain(words),
        line_width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def counting(what: str, *, quiet: bool = False) -> Progress:
    """A progress bar in steps of a unit such as "pages"."""
    return _progress(_Pace(lambda number: f"{number:,}", f" {what}"), quiet=quiet)


def measuring(*, quiet: bool = False) -> Progress:
    """A progress bar in bytes."""
    return _progress(_Pace(decimal, ""), quiet=quiet)


class _Pace(ProgressColumn):
    """How many are done, how many a second, and how long it still takes, or has taken where nobody can tell."""

    def __init__(self, shown: Callable[[int], str], what: str) -> None:
        super().__init__()
        self._shown, self._what = shown, what

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


LINE = 80
"""Columns of a terminal that everybody has."""
_WIDEST = 10_000
_SHORTEST = 8
"""A text may be folded to so many columns, unless its words are shorter still."""
_LONGEST_WORD = 16
"""Words up to here stay whole; a longer one, such as a path, may be folded."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        rank: 0 for what is always shown; of the others the greatest goes first where the terminal is narrow.
        whole: whether its values are never folded: times, ids, states.
        number: whether it is aligned to the right; numbers are whole.
        least: how many columns its texts need at least to be read, where they are longer.
        styles: value to style, such as "red", where a terminal has colours.
    """

    heading: str
    rank: int = 0
    whole: bool = False
    number: bool = False
    least: int = _SHORTEST
    styles: Mapping[str, str] = field(default_factory=dict)

    def cell(self, text: str) -> Text:
        """A value as it is drawn."""
        return Text(text, style=self.styles.get(text, ""))


class _Filled(NamedTuple):
    """A column with its values, and how wide it should and has to be."""

    column: Column
    values: Sequence[str]
    natural: int
    least: int


def _filled(column: Column, values: Sequence[str]) -> _Filled:
    texts = [column.heading, *values]
    natural = max(1, *(max(map(cell_len, text.splitlines() or [""])) for text in texts))
    if column.whole or column.number:
        return _Filled(column, values, natural, natural)
    word = max((cell_len(word) for text in texts for word in text.split()), default=1)
    return _Filled(column, values, natural, min(natural, max(column.least, min(word, _LONGEST_WORD))))


def show_table(
    columns: Sequence[Column | str], rows: Iterable[Sequence[str]], *, err: bool = False, widest: int = _WIDEST
) -> list[str]:
    """Write a table, whose texts are printed as they are, to the standard output or the standard error.

    On a terminal it is as wide as that at most: columns of a rank go, and a line below names them. Where not even the
    others fit, each row becomes a block with a line a column. Elsewhere it is ``widest`` columns wide at most. What is
    shown is given back, by its headings.
    """
    stream = sys.stderr if err else sys.stdout
    width = _terminal_width(stream) or widest
    known = [each if isinstance(each, Column) else Column(each) for each in columns]
    cells = list(rows)
    filled = [_filled(each, [row[place] for row in cells]) for place, each in enumerate(known)]
    shown = _fitting(filled, width)
    with _drawing(stream) as console:
        if _needed(shown) <= width:
            _draw_table(console, shown, width)
            left_out = [each.heading for each in known if each not in [one.column for one in shown]]
            if left_out:
                text = f"Not shown, since the terminal is narrow: {', '.join(left_out)}."
                console.print(Text(textwrap.fill(text, width)), soft_wrap=True)
        else:
            shown = filled
            _draw_blocks(console, shown, width)
    return [each.column.heading for each in shown]


def _needed(shown: Sequence[_Filled]) -> int:
    return sum(each.least for each in shown) + 3 * len(shown) + 1


def _fitting(filled: Sequence[_Filled], width: int) -> list[_Filled]:
    """The columns for which there is room, in their order."""
    shown = list(filled)
    while _needed(shown) > width:
        last = max(range(len(shown)), key=lambda place: (shown[place].column.rank, place))
        if not shown[last].column.rank:
            break
        del shown[last]
    return shown


def _widths(shown: Sequence[_Filled], width: int) -> list[int]:
    """What each column gets: what it needs, and of the rest each text the same, until it has enough."""
    widths = [each.least for each in shown]
    rest = width - _needed(shown)
    while rest > 0 and (wanting := [place for place, each in enumerate(shown) if widths[place] < each.natural]):
        for place in wanting[:rest]:
            given = min(max(1, rest // len(wanting)), shown[place].natural - widths[place])
            widths[place] += given
            rest -= given
    return widths


def _draw_table(console: Console, shown: Sequence[_Filled], width: int) -> None:
    table = Table(header_style="bold", box=box.HEAVY_HEAD if _can_draw() else box.ASCII2)
    for each, columns in zip(shown, _widths(shown, width), strict=True):
        justify: Literal["right", "left"] = "right" if each.column.number else "left"
        table.add_column(each.column.heading, width=columns, overflow="fold", justify=justify)
    for row in zip(*([each.column.cell(value) for value in each.values] for each in shown), strict=True):
        table.add_row(*row)
    console.print(table)


def _draw_blocks(console: Console, shown: Sequence[_Filled], width: int) -> None:
    """A line a column, the rows apart by an empty line: that fits everywhere."""
    names = max(len(each.column.heading) for each in shown)
    for number in range(len(shown[0].values)):
        block = Table.grid(padding=(0, 2, 0, 0))
        block.add_column(width=names, style="bold")
        block.add_column(width=max(1, width - names - 2), overflow="fold")
        for each in shown:
            block.add_row(Text(each.column.heading), each.column.cell(each.values[number]))
        if number:
            console.print()
        console.print(block)


def show_lines(lines: Iterable[Text]) -> None:
    """Write lines to the standard output, each as long as it is, with their styles where a terminal has colours."""
    if not _is_coloured(sys.stdout):
        click.echo("".join(f"{line.plain}\n" for line in lines), nl=False)
        return
    with _drawing(sys.stdout) as console:
        for line in lines:
            console.print(line, soft_wrap=True)


def _terminal_width(stream: TextIO) -> int | None:
    """The columns of the terminal that a stream goes to; None where it goes elsewhere."""
    if not stream.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return int(given)
    try:
        # A terminal over a serial line may not know its size, and says 0.
        return os.get_terminal_size(stream.fileno()).columns or LINE
    except (OSError, ValueError):
        return LINE


def line_width() -> int:
    """How long lines of text on the standard output are, at most."""
    return min(LINE, _terminal_width(sys.stdout) or LINE)


def _is_coloured(stream: TextIO) -> bool:
    """Whether a person reads a stream who wants colours: https://no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def _drawing(stream: TextIO) -> Iterator[Console]:
    # Drawn first and written afterwards, so that a closed pipe is met in one place, for tables and all else.
    drawing, coloured = io.StringIO(), _is_coloured(stream)
    yield Console(
        file=drawing,
        force_terminal=coloured,
        color_system="auto" if coloured else None,
        width=_WIDEST,
        emoji=False,
        highlight=False,
    )
    click.echo(drawing.getvalue(), nl=False, err=stream is sys.stderr, color=True)


def solid(width: int) -> str:
    """A bar of so many columns."""
    return ("█" if _can_draw() else "#") * width


def _can_draw() -> bool:
    """Whether the standard output has characters for lines."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf")
