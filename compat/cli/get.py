"""``exam-compat get``: an exam's students, asked for as an old script would."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import click
import msgspec
from rich.progress import Progress

from compat.cli.console import Column, cell, counting, note, show_table
from compat.cli.files import Form, csv_form, json_form, ndjson_form
from compat.cli.options import config_option, configuration, offering, offering_exams
from compat.config.settings import Configuration
from compat.core.call import Shim
from compat.legacy.query import STATUSES
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall, pagination_of
from compat.mapping.tables import SUMMARY_COLUMNS
from compat.schemas import COLUMNS, STUDENT_FIELDS
from compat.text.json import loads


class _Body(msgspec.Struct):
    students: list[msgspec.Raw]


@dataclass(frozen=True)
class _ListPage:
    """One answer: its records as they were written, and what its headers say."""

    records: Sequence[bytes]
    item_count: int
    page_count: int
    page: int
    limit: int
    unsettled: bool


_Ask = Callable[[int | None], _ListPage]
"""Asks for a page by its number; None for the one that the parameters name."""


def _asker(given: Configuration, exam_id: str, parameters: Mapping[str, str | None]) -> _Ask:
    """Asks through one shim, so that all pages belong to one walk."""
    shim = Shim(given.upstream, given.settings)
    named = {name: value for name, value in parameters.items() if value is not None}

    def ask(number: int | None) -> _ListPage:
        query = urlencode(named if number is None else {**named, "page": str(number)})
        answer = shim.answer(LegacyCall(INDEX_STUDENTS, exam_id, query))
        records = [bytes(record) for record in msgspec.json.decode(answer.body, type=_Body).students]
        return _ListPage(records, **pagination_of(answer))

    return ask


def _pages(given: Configuration, ask: _Ask, *, everything: bool, quiet: bool) -> Iterator[_ListPage]:
    """Every page, or the one that the parameters name; with a progress bar unless it is to be quiet."""
    with counting("pages", quiet=quiet) as progress:
        with _walk_shown(given, progress):
            page = ask(1 if everything else None)
        if everything:
            task = progress.add_task("Reading", total=page.page_count, completed=1)
            yield page
            while page.page < page.page_count:
                page = ask(page.page + 1)
                progress.update(task, total=page.page_count, completed=page.page)
                yield page
    if not everything:
        yield page


@contextmanager
def _walk_shown(given: Configuration, progress: Progress) -> Iterator[None]:
    """Show how far the upstream's whole list is read, where a first page or a filter takes that."""
    task = progress.add_task("Reading", total=None)
    walk = given.upstream.walk
    given.upstream.walk = replace(
        walk, watch=lambda read, expected: progress.update(task, completed=read, total=expected)
    )
    try:
        yield
    finally:
        given.upstream.walk = walk
        progress.remove_task(task)


@click.command(short_help="List the students of an exam.")
@click.argument("exam_id", shell_complete=offering_exams)
@click.option("--status", metavar="STATUS", shell_complete=offering(STATUSES),
              help="Only students with this status, such as exam_finished.")  # fmt: skip
@click.option("--page", metavar="N", help="The number of the page. The first is 1.")
@click.option("--limit", metavar="N", help="Students on a page, 300 at most.  [default: 300]")
@click.option("--sort", metavar="JSON", help='The order, as in the old call, such as [{"name": "asc"}].')
@click.option("--filter", metavar="JSON", help='A condition, as in the old call, such as {"id": {"gt": 5}}.')
@click.option("--all", "everything", is_flag=True, help="List all pages.")
@click.option("--columns", metavar="A,B,...", help="The fields to show in the table or the CSV.")
@click.option("--json", "form", flag_value="json", help="Print the body of the old answer.")
@click.option("--ndjson", "form", flag_value="ndjson", help="Print each record as a line of JSON.")
@click.option("--csv", "form", flag_value="csv",
              help="Print CSV with all fields, or those of --columns. Nested values are JSON.")  # fmt: skip
@config_option
def get(exam_id: str, everything: bool, columns: str | None, form: str | None, **given_parameters: str | None) -> None:
    """List the students of an exam, as the old call would.

    The list is a table. For programs use --json, --ndjson or --csv. One page is listed; --all lists all pages. The
    standard error says how many students and pages there are.

    The parameters are those of the old call. What the old call refuses is refused here in the same words.

    \b
    Exit status:
      0  listed
      1  the call failed
      2  wrong usage or configuration, or a refused parameter

    \b
    Examples:
      exam-compat get 17
      exam-compat get 17 --status exam_finished --all --csv > finished.csv
      exam-compat get 17 --filter '{"start_time": {"gte": "2018-10-28"}}'
      exam-compat get 17 --sort '[{"start_time": "desc"}]'
      exam-compat get 17 --limit 50 --page 2 --columns id,email,attempt
    """
    # Named in the order of the documents, whatever the order at the command line.
    parameters = {name: given_parameters[name] for name in ("status", "page", "limit", "sort", "filter")}
    if everything and parameters["page"] is not None:
        raise click.UsageError("--page and --all exclude each other: leave one of the two out.")
    if columns is not None and form not in (None, "csv"):
        raise click.UsageError(f"--columns says nothing with --{form}, which has every field: leave one out.")
    given = configuration()
    shown = _columns(given, columns, everything=form == "csv")
    ask = _asker(given, exam_id, parameters)
    # A bar that is drawn anew would tear records that go to the same terminal meanwhile.
    pages = _pages(given, ask, everything=everything, quiet=form is not None and sys.stdout.isatty())
    if form is None:
        _tabulate(pages, columns_of(shown, chosen=columns is not None))
    else:
        _write(pages, _form(form, shown))


def _form(name: str, columns: Sequence[str]) -> Form:
    if name == "csv":
        return csv_form(columns)
    return ndjson_form() if name == "ndjson" else json_form("students")


def _columns(given: Configuration, chosen: str | None, *, everything: bool) -> tuple[str, ...]:
    """The fields to show: those chosen, else all or the telling ones."""
    extra = given.settings.extra_fields
    known = tuple(dict.fromkeys((*STUDENT_FIELDS, *(() if extra == "all" else extra))))
    if chosen is None:
        return known if everything else SUMMARY_COLUMNS
    columns = tuple(name.strip() for name in chosen.split(","))
    for name in columns:
        if name not in known and extra != "all":
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise click.BadParameter(f"{name!r} is no field; the nearest is {near}.", param_hint="--columns")
    return columns


_RANKS = {"email": 1, "start_time": 2, "end_time": 3}


def columns_of(names: Sequence[str], *, chosen: bool = False) -> list[Column]:
    """The columns of a table of students; those that somebody chose are all shown, however narrow the terminal is."""
    found = []
    for name in names:
        of = COLUMNS.get(name)
        whole = of is not None and (of.is_time or of.json != "string" or name == "status")
        number = of is not None and of.json == "integer"
        found.append(Column(name, 0 if chosen else _RANKS.get(name, 0), whole=whole, number=number))
    return found


def _tabulate(pages: Iterable[_ListPage], columns: Sequence[Column]) -> None:
    totals = _Totals()
    records: Iterator[dict[str, Any]] = (loads(text) for page in pages for text in totals.counted(page).records)
    show_table(columns, [[cell(record.get(each.heading)) for each in columns] for record in records])
    totals.tell()


def _write(pages: Iterable[_ListPage], form: Form) -> None:
    output = sys.stdout.buffer
    totals = _Totals()
    for page in pages:
        # Not before the first page is there: a refusal leaves the output empty.
        if totals.last is None:
            output.write(form.beginning)
        for record in totals.counted(page).records:
            output.write(form.record(record))
    output.write(form.end)
    output.flush()
    totals.tell()


@dataclass
class _Totals:
    """What the pages of one list add up to."""

    shown: int = 0
    unsettled: bool = False
    last: _ListPage | None = None

    def counted(self, page: _ListPage) -> _ListPage:
        """The page, which is counted."""
        self.shown += len(page.records)
        self.unsettled = self.unsettled or page.unsettled
        self.last = page
        return page

    def tell(self) -> None:
        """Say it on the standard error."""
        if self.last is not None:
            students = "student" if self.last.item_count == 1 else "students"
            where = f"page {self.last.page} of {self.last.page_count}, {self.last.limit} a page"
            note(f"{self.shown} of {self.last.item_count} {students}; {where}.")
        if self.unsettled:
            note(
                "Unsettled: the upstream's list kept changing while it was read. What all readings found is shown; "
                'ask again when it is quieter, or set unsettled = "refuse" in [upstream].'
            )
