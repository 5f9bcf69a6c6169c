"""``exam-compat sandbox``: the old endpoint and its successors, on this machine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from compat.cli.console import address_options, say, show_table
from compat.cli.files import whole_file
from compat.cli.program import INTERRUPTED
from compat.testing.sandbox import Fault, Sandbox
from compat.testing.sandbox.sandbox import PUSHDOWNS

__all__ = ["sandbox"]

_KINDS = ("student_sessions", "paginated_sessions")
_MARK = "# Written by exam-compat sandbox, and good while that sandbox runs.\n"


def _read_faults(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Fault, ...]:
    try:
        return tuple(Fault.parse(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _read_pushdown(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip() not in ("", "none"))
    for name in names:
        if name not in PUSHDOWNS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(PUSHDOWNS)}, or none.")
    return names


@click.command()
@click.option("--students", type=click.IntRange(min=0), default=120, show_default=True, help="Over all exams.")
@click.option("--exams", type=click.IntRange(min=1), default=3, show_default=True, help="From exam 17 upwards.")
@click.option("--seed", type=int, default=2018, show_default=True, help="The same seed, the same data.")
@address_options("The address to listen at.", 9300)
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Before every answer.")
@click.option("--clamp", type=click.IntRange(min=1), default=300, show_default=True, help="Records a page at most.")
@click.option("--fault", "faults", multiple=True, metavar="KIND:RATE", callback=_read_faults, help="Repeatable.")
@click.option(
    "--pushdown",
    default="status",
    is_flag=False,
    flag_value=",".join(PUSHDOWNS),
    metavar="NAMES",
    callback=_read_pushdown,
    help="What student sessions do by themselves: status, filter, sort, or none. Default: status; bare: all.",
)
@click.option("--kind", type=click.Choice(_KINDS), default=_KINDS[0], show_default=True, help="Of the configuration.")
@click.option("--fan-out", is_flag=True, help="Paginated sessions are read user by user, from a roster.")
@click.option("--write-config", type=click.Path(path_type=Path, dir_okay=False), help="Write the configuration.")
def sandbox(kind: str, fan_out: bool, write_config: Path | None, **options: Any) -> int:
    """Serve the old endpoint and both successors until Ctrl-C.

    One generated data set lies behind all three. The newer ones can be slow, short of breath (--clamp) and
    faulty: --fault 503:0.1 lets one request in ten fail; a KIND is a status from 400 to 599, cut, cut-chunked,
    truncated, html, reset or slow. The credentials that it prints are its own, and end with it.

    \b
    Examples:
      exam-compat sandbox
      exam-compat sandbox --write-config exam-compat.toml --kind paginated_sessions
      exam-compat sandbox --students 5000 --clamp 50 --fault 503:0.05 --fault cut:0.05 --latency 0.1
    """
    if fan_out and kind != "paginated_sessions":
        raise click.UsageError("--fan-out is a way to read paginated sessions: add --kind paginated_sessions.")
    try:
        served = Sandbox(**options)
    except ValueError as error:
        # Each option is right by itself; only all faults together can be too many.
        raise click.UsageError(str(error)) from None
    try:
        served.start()
    except OSError as error:
        raise click.ClickException(
            f"--host {options['host']} --port {options['port']}: {error.strerror or error}; "
            "take another port, or --port 0 for any free one."
        ) from None
    try:
        _introduce(served, served.toml(kind, fan_out), write_config)
        served.serve_forever()
    finally:
        served.stop()
    # It serves until it is interrupted: there is no other end.
    return INTERRUPTED


def _introduce(served: Sandbox, toml: str, write_config: Path | None) -> None:
    say(f"Serving at {served.base_url} until Ctrl-C.\n")
    sizes = Counter(entry.exam.id for entry in served.dataset.entries())
    rows = [(str(exam.id), exam.kind, exam.application_id, str(sizes[exam.id])) for exam in served.dataset.exams]
    show_table(("exam", "kind", "applicationId", "students"), rows)
    say(f"Old endpoint:        GET {served.base_url}/api/v3/exams/{rows[0][0]}/index_students  (signed)")
    say(f"Student sessions:    GET {served.base_url}/api/v3/student_sessions  (signed)")
    say(f"Paginated sessions:  GET {served.base_url}/insights/1.0/sessions?limit=100&offset=0  (bearer token)\n")
    if write_config is None:
        say("The configuration, for exam-compat.toml (--write-config FILE writes it):\n")
        say(toml)
    else:
        _write_config(write_config, toml)
        say(f"The configuration is in {write_config}. In another terminal:")
        say(f"    exam-compat --config {write_config} get {rows[0][0]} --limit 5")
        say(f"    exam-compat --config {write_config} serve")


def _write_config(path: Path, toml: str) -> None:
    """Write the file, unless it is somebody's own."""
    if path.is_file() and not path.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        raise click.UsageError(f"--write-config {path}: a configuration that no sandbox wrote is there; name another.")
    with whole_file(path) as file:
        file.write((_MARK + toml).encode())
