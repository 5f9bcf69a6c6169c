"""Tables for people: as many columns as the terminal has room for, and no number broken in two.

Where nobody reads along, in a pipe or a file, a table has all of its columns, each as wide as its content.
"""

from __future__ import annotations

import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["LINE", "Column", "is_coloured", "line_width", "show_lines", "show_table", "solid", "terminal_width"]

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
        heading: its name.
        rank: 0 for what is always shown; of the others the greatest goes first where the terminal is narrow.
        whole: whether its values are never folded: numbers, times, ids, states.
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


def show_table(
    columns: Sequence[Column | str], rows: Iterable[Sequence[str]], *, err: bool = False, widest: int = _WIDEST
) -> list[str]:
    """Write a table, whose texts are printed as they are, to the standard output or the standard error.

    On a terminal it is as wide as that at most: columns of a rank go, and a line below names them. Where not even the
    others fit, each row becomes a block with a line a column. Elsewhere it is ``widest`` columns wide at most. What is
    shown is given back, by its headings.
    """
    stream = sys.stderr if err else sys.stdout
    known = [each if isinstance(each, Column) else Column(each) for each in columns]
    drawn = _Drawn(known, [list(row) for row in rows], terminal_width(stream) or widest)
    _draw(drawn.onto, stream)
    return drawn.headings


def show_lines(lines: Iterable[Text], *, err: bool = False) -> None:
    """Write lines, each as long as it is, with their styles where a terminal has colours."""
    stream = sys.stderr if err else sys.stdout
    if not is_coloured(stream):
        click.echo("".join(f"{line.plain}\n" for line in lines), nl=False, err=err)
        return

    def draw(console: Console) -> None:
        for line in lines:
            console.print(line, soft_wrap=True)

    _draw(draw, stream)


def terminal_width(stream: TextIO) -> int | None:
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
    return min(LINE, terminal_width(sys.stdout) or LINE)


def is_coloured(stream: TextIO) -> bool:
    """Whether a person reads a stream who wants colours: https://no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _draw(draw: Callable[[Console], object], stream: TextIO) -> None:
    # Drawn first and written afterwards, so that a closed pipe is met in one place, for tables and all else.
    drawing = io.StringIO()
    coloured = is_coloured(stream)
    draw(
        Console(
            file=drawing,
            force_terminal=coloured,
            color_system="auto" if coloured else None,
            width=_WIDEST,
            emoji=False,
            highlight=False,
        )
    )
    click.echo(drawing.getvalue(), nl=False, err=stream is sys.stderr, color=True)


class _Drawn:
    """A table that is laid out for a width."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> None:
        self._columns = columns
        self._rows = rows
        self._width = width
        self._natural = [
            max(_longest(each.heading), *(_longest(row[place]) for row in rows), 1) if rows else _longest(each.heading)
            for place, each in enumerate(columns)
        ]
        self._least = [self._least_of(place) for place in range(len(columns))]
        self._shown = self._fitting()
        self._is_table = self._needed(self._shown) <= width
        if not self._is_table:
            self._shown = list(range(len(columns)))

    @property
    def headings(self) -> list[str]:
        """Of the columns that are shown."""
        return [self._columns[place].heading for place in self._shown]

    def onto(self, console: Console) -> None:
        """Draw it."""
        if not self._is_table:
            self._as_blocks(console)
            return
        table = Table(header_style="bold", box=box.HEAVY_HEAD if _can_draw() else box.ASCII2)
        for place, width in zip(self._shown, self._widths(), strict=True):
            justify = "right" if self._columns[place].number else "left"
            table.add_column(self._columns[place].heading, width=width, overflow="fold", justify=justify)  # type: ignore[arg-type]
        for row in self._rows:
            table.add_row(*(self._cell(place, row[place]) for place in self._shown))
        console.print(table)
        left_out = [each.heading for place, each in enumerate(self._columns) if place not in self._shown]
        if left_out:
            text = f"Not shown, since the terminal is narrow: {', '.join(left_out)}."
            console.print(Text(textwrap.fill(text, self._width)), soft_wrap=True)

    def _cell(self, place: int, text: str) -> Text:
        return Text(text, style=self._columns[place].styles.get(text, ""))

    def _least_of(self, place: int) -> int:
        column, natural = self._columns[place], self._natural[place]
        if column.whole or column.number:
            return natural
        texts = [column.heading, *(row[place] for row in self._rows)]
        word = max((cell_len(word) for text in texts for word in text.split()), default=1)
        return min(natural, max(column.least, min(word, _LONGEST_WORD)))

    def _needed(self, shown: Sequence[int]) -> int:
        return sum(self._least[place] for place in shown) + 3 * len(shown) + 1

    def _fitting(self) -> list[int]:
        """The columns for which there is room, in their order."""
        shown = list(range(len(self._columns)))
        while self._needed(shown) > self._width:
            last = max(shown, key=lambda place: (self._columns[place].rank, place))
            if not self._columns[last].rank:
                break
            shown.remove(last)
        return shown

    def _widths(self) -> list[int]:
        """What each column gets: what it needs, and of the rest each text the same, until it has enough."""
        shown = self._shown
        widths = {place: self._least[place] for place in shown}
        rest = self._width - self._needed(shown)
        while rest > 0 and (wanting := [place for place in shown if widths[place] < self._natural[place]]):
            for place in wanting[:rest]:
                given = min(max(1, rest // len(wanting)), self._natural[place] - widths[place])
                widths[place] += given
                rest -= given
        return [widths[place] for place in shown]

    def _as_blocks(self, console: Console) -> None:
        """A line a column, the rows apart by an empty line: that fits everywhere."""
        names = max(map(len, (each.heading for each in self._columns)))
        for number, row in enumerate(self._rows):
            block = Table.grid(padding=(0, 2, 0, 0))
            block.add_column(width=names, style="bold")
            block.add_column(width=max(1, self._width - names - 2), overflow="fold")
            for place, column in enumerate(self._columns):
                block.add_row(Text(column.heading), self._cell(place, row[place]))
            if number:
                console.print()
            console.print(block)


def _longest(text: str) -> int:
    return max(map(cell_len, text.splitlines() or [""]))


def solid(width: int) -> str:
    """A bar of so many columns."""
    return ("█" if _can_draw() else "#") * width


def _can_draw() -> bool:
    """Whether the standard output has characters for lines."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf")
