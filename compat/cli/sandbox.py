"""``exam-compat sandbox``: the old endpoint and its successors, on this machine."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from compat.cli.console import Column, say, show_table
from compat.cli.files import write_whole
from compat.cli.options import NewFile, address_options
from compat.cli.program import INTERRUPTED
from compat.errors import ConfigurationError
from compat.settings_checks import checked_url
from compat.testing.sandbox import Fault, Sandbox
from compat.testing.sandbox.endpoints import PUSHDOWNS

_KINDS = ("student_sessions", "paginated_sessions")
_INTERRUPT = "Ctrl-C."
_MARK = "# Written by exam-compat sandbox, and good while that sandbox runs.\n"


def _fault(value: str) -> Fault:
    try:
        return Fault.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _pushdown(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip() not in ("", "none"))
    for name in names:
        if name not in PUSHDOWNS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(PUSHDOWNS)}, or none.")
    return names


def _url(value: str) -> str:
    try:
        return checked_url("--legacy-url", value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="Serve the old endpoint and both successors until Ctrl-C.")
@click.option("--students", type=click.IntRange(min=0), default=120, show_default=True,
              help="How many students, in all exams.")  # fmt: skip
@click.option("--exams", type=click.IntRange(min=1), default=3, show_default=True, help="How many exams.")
@click.option("--first-exam", type=click.IntRange(min=1), default=17, show_default=True,
              help="The id of the first exam.")  # fmt: skip
@click.option("--seed", type=int, default=2018, show_default=True, help="The same seed gives the same data.")
@address_options("The address to listen at.", 9300)
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS",
              help="Wait before every answer.")  # fmt: skip
@click.option("--clamp", type=click.IntRange(min=1), default=300, show_default=True,
              help="The most records on a page of a successor.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, type=_fault, metavar="KIND:RATE",
              help="Let requests fail; may be given again.")  # fmt: skip
@click.option("--pushdown", type=_pushdown, default="status", is_flag=False, flag_value=",".join(PUSHDOWNS),
              metavar="NAMES",
              help="What student sessions do by themselves: status, filter, sort (with commas between), or none. "
                   "Without NAMES: all.  [default: status]")  # fmt: skip
@click.option("--kind", type=click.Choice(_KINDS), default=_KINDS[0], show_default=True,
              help="The successor in the configuration.")  # fmt: skip
@click.option("--fan-out", is_flag=True, help="The configuration reads paginated sessions user by user, from a roster.")
@click.option("--legacy-url", metavar="URL", type=_url,
              help="The address that your scripts call, for the configuration.")  # fmt: skip
@click.option("--write-config", type=NewFile(), help="Write the configuration to this file.")
@click.option("--background", is_flag=True, help="Return as soon as it serves. Not on Windows.")
def sandbox(
    kind: str, fan_out: bool, legacy_url: str | None, write_config: Path | None, background: bool, **options: Any
) -> int:
    """Serve the old endpoint and both successors on this machine, until Ctrl-C.

    All three serve the same generated students, and all can be slow (--latency). The credentials are new at each start.
    --write-config writes a configuration; with it the other commands use the sandbox.

    The successors can give short pages (--clamp) and fail (--fault). With --fault 503:0.1, one
    request in ten fails with status 503.

    \b
    The KIND of a fault:
      400 to 599   this status
      cut          the answer ends before its announced length
      cut-chunked  the last chunk of the answer never comes
      truncated    the answer is complete as HTTP, but half as JSON
      html         the answer is HTML
      reset        the connection is reset
      slow         the answer comes late

    You can try a script of yours. Give the address that it calls (--legacy-url) and the exam that it asks for
    (--first-exam). Then exam-compat run answers its calls from the sandbox.

    \b
    Exit status:
      0    it serves in the background
      1    it cannot serve, such as at a port that is taken
      2    wrong usage
      130  ended by Ctrl-C

    \b
    Examples:
      exam-compat sandbox
      exam-compat sandbox --background --write-config exam-compat.toml
      exam-compat sandbox --legacy-url https://acme.proctorexam.com
      exam-compat sandbox --kind paginated_sessions --write-config other.toml
      exam-compat sandbox --clamp 50 --fault 503:0.05 --latency 0.1
    """
    if fan_out and kind != "paginated_sessions":
        raise click.UsageError("--fan-out is a way to read paginated sessions: add --kind paginated_sessions.")
    try:
        served = Sandbox(**options)
    except ValueError as error:
        # Each option is right by itself; only all faults together can be too many.
        raise click.UsageError(str(error)) from None

    serve = partial(
        _serve,
        served,
        f"--host {options['host']} --port {options['port']}",
        lambda: served.toml(kind, fan_out, legacy_url),
        write_config,
    )
    return _in_background(serve) if background else serve()


def _serve(
    served: Sandbox,
    address: str,
    toml: Callable[[], str],
    write_config: Path | None,
    let_go: Callable[[], None] | None = None,
) -> int:
    try:
        served.start()
    except OSError as error:
        raise click.ClickException(
            f"{address}: {error.strerror or error}; take another port, or --port 0 for any free one."
        ) from None
    try:
        ends = f"you type: kill {os.getpid()}" if let_go else _INTERRUPT
        _introduce(served, ends, toml(), write_config)
        if let_go:
            let_go()
        served.serve_forever()
    finally:
        served.stop()
    # It serves until it is interrupted: there is no other end.
    return INTERRUPTED


def _in_background(serve: Callable[..., int]) -> int:
    """Fork, and let the child serve; the parent returns when it does, with status 0, or with that of its failure."""
    if not hasattr(os, "fork"):
        raise click.UsageError("--background is not possible on this system: start the sandbox in a second terminal.")
    sys.stdout.flush()
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        # Ctrl-C in the terminal, and the terminal's end, do not reach a session of its own.
        os.setsid()
        return serve(lambda: _let_go(told))
    os.close(told)
    with open(heard, "rb") as pipe:
        if pipe.read():
            return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _let_go(told: int) -> None:
    """Tell the parent, and give up the terminal's streams: nobody who reads them waits for this process."""
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    os.write(told, b".")
    os.close(told)


def _introduce(served: Sandbox, ends: str, toml: str, write_config: Path | None) -> None:
    say(f"Serving at {served.base_url} until {ends}\n")
    sizes = Counter(entry.exam.id for entry in served.dataset.entries())
    rows = [(str(exam.id), exam.kind, exam.application_id, str(sizes[exam.id])) for exam in served.dataset.exams]
    columns = (
        Column("exam", number=True),
        Column("kind", rank=1, whole=True),
        Column("applicationId", whole=True),
        Column("students", number=True),
    )
    show_table(columns, rows)
    say(f"Old endpoint:        GET {served.base_url}/api/v3/exams/{rows[0][0]}/index_students  (signed)")
    say(f"Student sessions:    GET {served.base_url}/api/v3/student_sessions  (signed)")
    say(f"Paginated sessions:  GET {served.base_url}/insights/1.0/sessions?limit=100&offset=0  (bearer token)\n")
    if write_config is None:
        say("The configuration, for exam-compat.toml (--write-config FILE writes it):\n")
        say(toml)
    else:
        _write_config(write_config, toml)
        say(f"The configuration is in {write_config}. Try it{' in another terminal' if ends == _INTERRUPT else ''}:")
        say(f"    exam-compat --config {write_config} get {rows[0][0]} --limit 5")
        say(f"    exam-compat --config {write_config} serve")


def _write_config(path: Path, toml: str) -> None:
    """Write the file, unless it is somebody's own."""
    if path.is_file() and not path.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        raise click.UsageError(f"--write-config {path}: a configuration that no sandbox wrote is there; name another.")
    write_whole(path, _MARK + toml)
