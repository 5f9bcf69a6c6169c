"""``exam-compat translate``: files of records, old to new and back."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import BinaryIO

import click

from compat.cli.console import Column, measuring, note, plain, show_table
from compat.cli.files import FORMATS, Form, Found, MalformedError, RecordFile, json_form, ndjson_form, whole_file
from compat.cli.options import ExistingPath, NewFile, config_option, configuration, configuration_if_any
from compat.config.file import time_zone
from compat.errors import ConfigurationError, MappingError
from compat.mapping import Loss, SessionLens, losses_of_record, losses_of_session
from compat.text.json import dumps

_STANDARD = Path("-")


def _read_exams(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[int, str]:
    exams: dict[int, str] = {}
    for value in values:
        exam, _, application = value.partition("=")
        if not (application and exam.isascii() and exam.isdigit()):
            raise click.BadParameter(f"{value!r}: write the exam id in digits, = and the applicationId.")
        if exams.setdefault(int(exam), application) != application:
            raise click.BadParameter(f"{value!r}: exam {exam} is tied to {exams[int(exam)]} already.")
    return exams


@click.command(short_help="Translate files of records, old to new and back.")
@click.argument("files", nargs=-1, required=True, type=ExistingPath(folder=False, dash=True))
@click.option("--to", "target", required=True, type=click.Choice(("sessions", "legacy")), help="What to translate to.")
@click.option("--output", type=NewFile(dash=True), default=_STANDARD,
              help="The file to write.  [default: the standard output]")  # fmt: skip
@click.option("--format", "form", type=click.Choice(("ndjson", "json")), default="ndjson",
              help="ndjson is a record on each line, json an array.  [default: ndjson]")  # fmt: skip
@click.option("--input-format", type=click.Choice(FORMATS), default="auto",
              help="auto goes by name and content.  [default: auto]")  # fmt: skip
@click.option("--refused", "refused_file", type=NewFile(), help="Write the refused records to this file, as NDJSON.")
@click.option("--exam", "exams", metavar="ID=APPLICATION", multiple=True, callback=_read_exams,
              help="Use these instead of [exams]; may be given again.")  # fmt: skip
@click.option("--time-zone", "zone", metavar="NAME", help="Use this instead of time_zone in [legacy].")
@config_option
def translate(
    files: tuple[str, ...],
    target: str,
    output: Path,
    form: str,
    input_format: str,
    refused_file: Path | None,
    exams: dict[int, str],
    zone: str | None,
) -> int:
    """Translate files of records: students to sessions, or sessions to students.

    FILES are JSON (an array, an answer with "students" or "sessions", or one record) or NDJSON; - is the standard
    input. Files are read a record at a time. The output replaces an older file only when it is whole.

    A record that cannot be translated is refused. It is listed with its line (or index) and the reason. --refused keeps
    the refused records in a file.

    The end says what the other records have lost. A record of the old system goes to a session and back without a loss.
    A session's own values are lost on the way to a student.

    \b
    Exit status:
      0  all records were translated
      1  a record was refused, or a file cannot be read or written
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat translate students.json --to sessions --output sessions.ndjson
      exam-compat translate sessions.ndjson --to legacy --format json
      exam-compat translate old.json --to sessions --refused refused.ndjson
      exam-compat get 17 --all --ndjson | exam-compat translate - --to sessions
      exam-compat translate old.json --to sessions \\
          --exam 17=5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11
    """
    if refused_file is not None and os.path.realpath(refused_file) == os.path.realpath(output):
        raise click.BadParameter(f"{refused_file} is the output too: name another file.", param_hint="--refused")
    translation = _Translation(_lens(exams, zone), to_sessions=target == "sessions")
    with ExitStack() as stack:
        refused = stack.enter_context(whole_file(refused_file)) if refused_file else None
        written = sys.stdout.buffer if output == _STANDARD else stack.enter_context(whole_file(output))
        # The bar would tear records that go to the same terminal.
        entries = stack.enter_context(closing(_entries(files, input_format, quiet=written.isatty())))
        translation.run(entries, json_form() if form == "json" else ndjson_form(), written, refused)
        # Before either file takes its place: a full disk is to spoil neither.
        for file in (written, refused):
            if file is not None:
                file.flush()
    translation.sum_up(refused_file)
    return 1 if translation.refused else 0


def _lens(exams: dict[int, str], zone: str | None) -> SessionLens:
    """The lens of the configuration, or of the options where they say it all."""
    given = None
    if not exams:
        given = configuration()
        exams = dict(given.exams)
    elif zone is None:
        given = configuration_if_any()
    if not exams:
        raise ConfigurationError(
            "[exams]: nothing ties exam ids to applicationIds; add the table, or use --exam ID=APPLICATION"
        )
    if zone is None and given is not None:
        return SessionLens(exams, given.settings.zone)
    return SessionLens(exams, time_zone(zone or "UTC"))


def _entries(files: tuple[str, ...], input_format: str, *, quiet: bool) -> Generator[Found, None, None]:
    """Every entry of every file, under a progress bar."""
    sizes = [Path(name).stat().st_size if name != "-" else None for name in files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with measuring(quiet=quiet) as progress:
        task = progress.add_task("Translating", total=total)
        for name in files:
            read = 0
            with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
                try:
                    for found in RecordFile(name, file, input_format, lambda size: progress.advance(task, size)):
                        yield found
                        read += 1
                except MalformedError as error:
                    raise click.ClickException(
                        f"{plain(name)}: no JSON document: {plain(str(error))}, after {read} records; no file was "
                        "replaced. If it holds a record a line, say --input-format ndjson."
                    ) from None


class _Translation:
    """Translates entries one by one, and counts what came of them."""

    def __init__(self, lens: SessionLens, *, to_sessions: bool) -> None:
        self._lens = lens
        self._to_sessions = to_sessions
        self.translated = self.refused = 0
        self.losses: Counter[Loss] = Counter()

    def run(self, entries: Iterable[Found], form: Form, output: BinaryIO, refused: BinaryIO | None) -> None:
        """Write every entry that can be translated; list the others, and keep them where there is a file for them."""
        output.write(form.beginning)
        for found in entries:
            made = self._made(found, refused)
            if made is not None:
                output.write(form.record(made[0]))
                self.translated += 1
                self.losses.update(made[1])
        output.write(form.end)

    def _made(self, found: Found, refused: BinaryIO | None) -> tuple[bytes, list[Loss]] | None:
        """The translation as JSON and what it lost, or None for an entry that was refused and listed."""
        try:
            if found.record is None:
                raise MappingError("", found.reason)
            if self._to_sessions:
                return dumps(self._lens.to_session(found.record)).encode(), losses_of_record(found.record)
            translation = self._lens.to_legacy(found.record)
            return dumps(translation.record).encode(), losses_of_session(self._lens, translation)
        except MappingError as error:
            self._refuse(found, error.field, error.reason, refused)
        except ValueError as error:
            self._refuse(found, "", f"Must fit into JSON: {error}.", refused)
        return None

    def _refuse(self, found: Found, field_name: str, reason: str, refused: BinaryIO | None) -> None:
        self.refused += 1
        note(f"{found.place}: {f'{field_name}: ' if field_name else ''}{reason}")
        if refused is not None:
            kept = {"file": found.file, found.unit: found.number, "field": field_name or None, "reason": reason}
            entry = {"text": found.text} if found.record is None else {"record": found.record}
            refused.write(dumps({**kept, **entry}).encode() + b"\n")

    def sum_up(self, refused_file: Path | None) -> None:
        """Say what was lost, and how many were translated and refused."""
        if self.losses:
            rows = [(loss.field, loss.reason, str(count)) for loss, count in sorted(self.losses.items())]
            columns = (
                Column("field", whole=True),
                Column("what is lost", rank=1, least=16),
                Column("records", number=True),
            )
            show_table(columns, [tuple(map(plain, row)) for row in rows], err=True)
        lost = "nothing lost" if not self.losses else f"{len(self.losses)} kinds of loss"
        kept = f", kept in {refused_file}" if refused_file and self.refused else ""
        note(f"{self.translated} translated, {lost}; {self.refused} refused{kept}.")
