"""The group of all commands: where they are, and what exit status a failure has."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from typing import Any, NoReturn

import click

import exam_compat_startup
from compat._version import __version__
from compat.cli.console import complain, note
from compat.cli.options import config_option
from compat.errors import CompatError, ConfigurationError, InvalidParameter, LegacyError
from compat.settings_checks import nearest
from compat.upstream.retries import RETRY_NOTICE

COMMANDS = (
    *("demo", "get", "fields", "translate", "sandbox", "scan", "migrate"),
    *("run", "serve", "mode", "callers", "brownouts", "due", "openapi", "record", "check", "doctor", "config"),
    "completion",
)
"""In the order in which a newcomer meets them."""

_TOGETHER = {
    **dict.fromkeys(("fields", "openapi", "completion"), "reference"),
    **dict.fromkeys(("mode", "brownouts"), "switches"),
    **dict.fromkeys(("callers", "due"), "counted"),
    "serve": "run",
}
"""The modules of commands that share one; any other has a module of its name."""

FAILED = 1
MISUSED = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
"""As the shell reports a program that was writing to a pipe whose reader has left."""


class _Program(click.Group):
    """Loads a command's module when it is asked for, and turns what it raises into a message and a status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(
            importlib.import_module(f"compat.cli.{_TOGETHER.get(cmd_name, cmd_name)}"), cmd_name
        )
        if signal.getsignal(signal.SIGINT) is exam_compat_startup.leave:
            # From here on there may be something to clean up.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; a mistyped one is told the nearest."""
        name = str(args[0])
        near = nearest(name, COMMANDS)
        if near is not None and name not in COMMANDS and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {name!r}. Did you mean {near!r}?", ctx)
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run, report and end with the exit status."""
        options["standalone_mode"] = False
        RETRY_NOTICE.listen(_tell_retry if sys.stderr.isatty() else None)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show a name still shows the rest.
                stream.reconfigure(errors="backslashreplace")
        status = self._status(*args, **options)
        try:
            sys.stdout.flush()
        except OSError as error:
            status = _failed_writing(error)
        sys.exit(status)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Click would make it the status of a failure.
            _discard_output()
            return PIPE_CLOSED
        except KeyboardInterrupt:
            # Click would write an empty line.
            return INTERRUPTED

    def _status(self, *args: Any, **options: Any) -> int:
        try:
            status: int = super().main(*args, **options) or 0
        except (click.Abort, KeyboardInterrupt):
            status = INTERRUPTED
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except CompatError as error:
            complain(str(error))
            return MISUSED if isinstance(error, ConfigurationError | InvalidParameter) else FAILED
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("", "compat"):
                raise
            complain(
                f"this needs {error.name}, which is not installed; get it with: pip install 'exam-students-compat[all]'"
            )
            return MISUSED
        except OSError as error:
            return _failed_writing(error)
        if status == INTERRUPTED:
            _say_interrupted()
        return status


def _say_interrupted() -> None:
    with suppress(OSError):
        # Over the ^C of a terminal.
        sys.stderr.write("\rInterrupted.\n" if sys.stderr.isatty() else "Interrupted.\n")


def _tell_retry(error: LegacyError, seconds: float) -> None:
    """Tell whoever waits at a terminal why it takes so long."""
    note(f"{error.message} It is tried again, for {seconds:.0f} more seconds at most.")


def _failed_writing(error: OSError) -> int:
    """Say what could not be written, unless it is that nobody reads any more."""
    closed = isinstance(error, BrokenPipeError) or error.errno == errno.EPIPE
    if not closed:
        complain(f"{error.filename or 'the standard output'}: {error.strerror or error}")
    # What is still buffered would fail again, with a message of the interpreter's own, when the process ends.
    _discard_output()
    return PIPE_CLOSED if closed else FAILED


def _discard_output() -> None:
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        # Not a file: a caller in this process has put something else in its place.
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from compat.mapping.fast.scanner import in_use

        click.echo(f"exam-compat {__version__}\nPages are read {in_use()}.")
        context.exit()


_STATUSES = """
\b
Exit status:
  0    fine
  1    the call or the check failed
  2    wrong usage or configuration
  130  interrupted, by Ctrl-C or SIGTERM
  141  nobody reads the output any more
The help of a command says more about its own.
"""


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_STATUSES,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
@config_option
def program() -> None:
    """Keep calls of the retired exam students list working.

    The old call is GET /api/v3/exams/:id/index_students. It is deprecated, and has two successors: student sessions and
    paginated sessions. Here the old call is answered from one of them, in the old form. The commands show how this
    works, list students, translate files, and help to move old scripts.

    \b
    First steps:
      exam-compat demo                see an old script at work
      exam-compat sandbox --background --write-config exam-compat.toml
                                      start a sandbox on this machine
      exam-compat get 17 --limit 5    list students from that sandbox
      exam-compat fields              see where each old field comes from

    The configuration is a file. --config names it, else EXAM_COMPAT_CONFIG does. If neither does, it is
    exam-compat.toml in the working directory.
    """


_DISTRIBUTION = "exam-students-compat"


def require_extra(extra: str) -> None:
    """Refuse where the packages of an extra are not installed: the error names the first, and how to get it."""
    for name in _packages_of(extra):
        if not list(metadata.distributions(name=name)):
            raise ConfigurationError(
                f"this needs {name}, which is not installed; get it with: pip install '{_DISTRIBUTION}[{extra}]'"
            )


def _packages_of(extra: str) -> Iterator[str]:
    """The packages that an extra adds to the base, as the installation itself declares them."""
    # Imported here: few commands need an extra.
    from packaging.requirements import Requirement

    try:
        declared = metadata.requires(_DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        # Found by PYTHONPATH alone. What is missing then fails where it is imported, in one line too.
        return
    for requirement in map(Requirement, declared):
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": extra}):
            yield requirement.name
