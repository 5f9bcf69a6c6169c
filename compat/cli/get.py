"""``exam-compat get``: an exam's students, asked for as an old script would."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import click
import msgspec
from rich.progress import Progress

from compat.cli.completion import offering, offering_exams
from compat.cli.console import cell, config_option, configuration, counting, note
from compat.cli.files import Form, csv_form, json_form, ndjson_form
from compat.cli.tables import Column, show_table
from compat.config.settings import Configuration
from compat.core.call import Shim
from compat.legacy.query import STATUSES
from compat.legacy.routes import INDEX_STUDENTS, Answer, LegacyCall, pagination_of
from compat.mapping.tables import SUMMARY_COLUMNS
from compat.schemas import COLUMNS, STUDENT_FIELDS
from compat.text.json import loads

__all__ = ["columns_of", "get"]


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

    @classmethod
    def of(cls, answer: Answer) -> _ListPage:
        body = msgspec.json.decode(answer.body, type=_Body)
        return cls([bytes(record) for record in body.students], **pagination_of(answer))


_Ask = Callable[[int | None], _ListPage]
"""Asks for a page by its number; None for the one that the parameters name."""


def _asker(given: Configuration, exam_id: str, parameters: Mapping[str, str | None]) -> _Ask:
    """Asks through one shim, so that all pages belong to one walk."""
    shim = Shim(given.upstream, given.settings)
    named = {name: value for name, value in parameters.items() if value is not None}

    def ask(number: int | None) -> _ListPage:
        query = urlencode(named if number is None else {**named, "page": str(number)})
        return _ListPage.of(shim.answer(LegacyCall(INDEX_STUDENTS, exam_id, query)))

    return ask


def _all_pages(given: Configuration, ask: _Ask, *, quiet: bool) -> Iterator[_ListPage]:
    """Every page, from the first; with a progress bar unless it is to be quiet."""
    with counting("pages", quiet=quiet) as progress:
        with _walk_shown(given, progress):
            page = ask(1)
        task = progress.add_task("Reading", total=page.page_count, completed=1)
        yield page
        while page.page < page.page_count:
            page = ask(page.page + 1)
            progress.update(task, total=page.page_count, completed=page.page)
            yield page


def _one_page(given: Configuration, ask: _Ask, *, quiet: bool) -> Iterator[_ListPage]:
    """The page that the parameters name; a filter may have the whole list read for it."""
    with counting("pages", quiet=quiet) as progress, _walk_shown(given, progress):
        page = ask(None)
    yield page


@contextmanager
def _walk_shown(given: Configuration, progress: Progress) -> Iterator[None]:
    """Show how far the upstream's whole list is read, where a first page takes that."""
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
@click.option(
    "--status",
    metavar="STATUS",
    shell_complete=offering(STATUSES),
    help="Only students with this status, such as exam_finished.",
)
@click.option("--page", metavar="N", help="The number of the page. The first is 1.")
@click.option("--limit", metavar="N", help="Students on a page, 300 at most.  [default: 300]")
@click.option("--sort", metavar="JSON", help='The order, as in the old call, such as [{"name": "asc"}].')
@click.option("--filter", "filter_", metavar="JSON", help='A condition, as in the old call, such as {"id": {"gt": 5}}.')
@click.option("--all", "everything", is_flag=True, help="List all pages.")
@click.option("--columns", metavar="A,B,...", help="The fields to show in the table or the CSV.")
@click.option("--json", "form", flag_value="json", help="Print the body of the old answer.")
@click.option("--ndjson", "form", flag_value="ndjson", help="Print each record as a line of JSON.")
@click.option(
    "--csv", "form", flag_value="csv", help="Print CSV with all fields, or those of --columns. Nested values are JSON."
)
@config_option
def get(
    exam_id: str,
    status: str | None,
    page: str | None,
    limit: str | None,
    sort: str | None,
    filter_: str | None,
    everything: bool,
    columns: str | None,
    form: str | None,
) -> None:
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
    if everything and page is not None:
        raise click.UsageError("--page and --all exclude each other: leave one of the two out.")
    if columns is not None and form not in (None, "csv"):
        raise click.UsageError(f"--columns says nothing with --{form}, which has every field: leave one out.")
    given = configuration()
    shown = _columns(given, columns, everything=form == "csv")
    parameters = {"status": status, "page": page, "limit": limit, "sort": sort, "filter": filter_}
    ask = _asker(given, exam_id, parameters)
    # A bar that is drawn anew would tear records that go to the same terminal meanwhile.
    quiet = form is not None and sys.stdout.isatty()
    pages = (_all_pages if everything else _one_page)(given, ask, quiet=quiet)
    if form is None:
        _tabulate(pages, columns_of(shown, chosen=columns is not None))
    else:
        _write(pages, _form(form, shown))


def _form(name: str, columns: Sequence[str]) -> Form:
    if name == "csv":
        return csv_form(columns)
    return ndjson_form() if name == "ndjson" else json_form("students")


def _columns(given: Configuration, chosen: str | None, *, everything: bool) -> tuple[str, ...]:
    """The fields to show: those chosen, else all or the telling ones.

    Raises:
        click.BadParameter: a chosen one is no field.
    """
    extra = given.settings.extra_fields
    named = () if extra == "all" else tuple(name for name in extra if name not in STUDENT_FIELDS)
    if chosen is None:
        return (*STUDENT_FIELDS, *named) if everything else SUMMARY_COLUMNS
    columns = tuple(name.strip() for name in chosen.split(","))
    known = (*STUDENT_FIELDS, *named)
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


def _tabulate(pages: Iterator[_ListPage], columns: Sequence[Column]) -> None:
    rows = []
    totals = _Totals()
    for page in pages:
        totals.add(page)
        for text in page.records:
            record: dict[str, Any] = loads(text)
            rows.append([cell(record.get(each.heading)) for each in columns])
    show_table(columns, rows)
    totals.tell()


def _write(pages: Iterator[_ListPage], form: Form) -> None:
    output = sys.stdout.buffer
    totals = _Totals()
    for page in pages:
        # Not before the first page is there: a refusal leaves the output empty.
        if totals.last is None:
            output.write(form.beginning)
        totals.add(page)
        for record in page.records:
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

    def add(self, page: _ListPage) -> None:
        """Count a page."""
        self.shown += len(page.records)
        self.unsettled = self.unsettled or page.unsettled
        self.last = page

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
