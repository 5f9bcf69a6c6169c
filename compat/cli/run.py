"""``exam-compat run`` and ``serve``: old calls answered, those of one script, or over HTTP those of everybody."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

import exam_compat_startup
from compat.cli.console import say
from compat.cli.options import ExistingPath, address_options, config_option, named_config
from compat.cli.program import require_extra
from compat.config.file import CONFIG_VARIABLE, OPTION_VARIABLE, find_config
from compat.errors import ConfigurationError

_COMPLETED = click.Path(readable=False)
"""A word that the Tab key completes as a path, and that may be anything."""

STARTUP_NAME = "exam-students-compat.pth"


def startup_file() -> Path | None:
    """The start-up file that this Python reads when it starts, or None where there is none.

    There is none where the package is found by ``PYTHONPATH`` alone, or was installed by ``pip --target``.
    """
    folders = [*site.getsitepackages(), sysconfig.get_path("purelib")]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    paths = (Path(folder, STARTUP_NAME) for folder in dict.fromkeys(folders))
    return next((path for path in paths if path.is_file()), None)


@click.command(
    short_help="Run an old script, unedited; the shim answers its calls.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is the name of a module or a package, as in python -m.")
@click.argument("script", type=_COMPLETED)
@click.argument("arguments", nargs=-1, type=_COMPLETED)
@config_option
def run(module: bool, script: str, arguments: tuple[str, ...]) -> NoReturn:
    """Run an old Python script as it is; the shim answers its deprecated calls.

    The script runs in this process, with the same Python as this command. Its arguments, standard input, exit status
    and signals are its own. If it starts other Python processes, their calls are answered too.

    If the shim fails, the standard error says so, and the script goes on. The call then goes to the old endpoint as it
    was. Only a write that was already sent is never sent again: the script gets a connection error.

    Cron lines and containers need no such command. Set EXAM_COMPAT=1 in the environment. If the configuration is not in
    the working directory, set EXAM_COMPAT_CONFIG too.

    \b
    Exit status:
      that of the script; or
      2  there is no such script, or wrong usage

    \b
    Examples:
      exam-compat run export.py 17 --format csv
      exam-compat run --config /etc/exam-compat.toml -m reports.nightly
      EXAM_COMPAT=1 python -X dev export.py 17
    """
    if not module and script != "-" and not os.path.exists(script):
        raise ConfigurationError(f"{script}: no such script in {os.getcwd()}")
    environment = os.environ
    environment[exam_compat_startup.SWITCH] = "1"
    # The script runs without one too, and what is missing is said then.
    named = named_config(there=False)
    if named is not None:
        environment[CONFIG_VARIABLE] = environment[OPTION_VARIABLE] = str(named.absolute())
    if startup_file() is None:
        exam_compat_startup.say(
            "the start-up file is not where this Python reads it, so calls go out as they were; "
            "install the package again: pip install --force-reinstall exam-students-compat"
        )
    command = [sys.executable, *(["-m"] if module else []), script, *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        _run_and_wait(command, environment)
    marker = _marker(environment, str(os.getpid()))
    try:
        os.execv(sys.executable, command)  # noqa: S606 - running what the user names is what the command is for
    except OSError:
        _forget(marker)
        raise


def _run_and_wait(command: list[str], environment: MutableMapping[str, str]) -> NoReturn:
    """There exec would start another process, and the shell would not wait for it."""
    marker = _marker(environment, "")
    with subprocess.Popen(command) as process:  # noqa: S603 - as above
        while True:
            with suppress(KeyboardInterrupt):
                # The script gets it too, and what it makes of it counts.
                status = process.wait()
                break
    if _forget(marker):
        exam_compat_startup.say(exam_compat_startup.UNCAUGHT)
    sys.exit(status)


def _marker(environment: MutableMapping[str, str], process: str) -> str | None:
    """A file that whichever process of the run first sees a deprecated call removes."""
    if environment.get(exam_compat_startup.RUN_VARIABLE):
        # Started by a script that runs in this way: its calls are that run's.
        return None
    try:
        number, path = tempfile.mkstemp(prefix="exam-compat-run-")
    except OSError:
        return None
    os.close(number)
    environment[exam_compat_startup.RUN_VARIABLE] = f"{process}:{path}"
    return path


def _forget(marker: str | None) -> bool:
    """Remove the file; whether it was still there."""
    if marker is None:
        return False
    try:
        os.unlink(marker)
    except OSError:
        return False
    return True


_FILE = ExistingPath(folder=False)


@click.command(short_help="Answer old calls over HTTP, for callers in any language.")
@config_option
@address_options("The address for calls.", 8080)
@address_options("The address for operators.", 8081, prefix="admin-")
@click.option("--workers", type=click.IntRange(min=1),
              help="How many processes answer.  [default: as in [gateway], else 1]")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1),
              help="How many calls each process answers at once.  [default: as in [gateway], else 32]")  # fmt: skip
@click.option("--stop-within", type=click.IntRange(min=1), default=30, show_default=True, metavar="SECONDS",
              help="How long running calls may go on after it is told to stop.")  # fmt: skip
@click.option("--tls-certificate", type=_FILE, help="Serve HTTPS, with this certificate chain in PEM.")
@click.option("--tls-key", type=_FILE, help="The key of the certificate, in PEM.")
def serve(**options: Any) -> int:
    """Answer old calls over HTTP, for callers in any language, until it is told to stop.

    The configuration says who may call and which successor answers. A caller changes its base URL. With student
    sessions it changes nothing else, since every other path is passed through to them.

    A second address is for operators: /healthz for health, /readyz for readiness, and /metrics for numbers.

    SIGTERM or Ctrl-C stops it: running calls may end first. A second one ends it at once. SIGHUP reads the
    configuration again. Each call is one line of JSON on the standard error.

    \b
    Exit status:
      0    it was told to stop
      1    an address is taken, or the processes that answer keep ending
      2    wrong usage or configuration
      130  a second signal ended it at once

    \b
    Examples:
      exam-compat serve
      exam-compat serve --port 0 --admin-port 0
      exam-compat serve --tls-certificate chain.pem --tls-key key.pem
      exam-compat serve --host 0.0.0.0 --workers 4
    """
    require_extra("gateway")
    from compat.gateway.server import ServerSettings
    from compat.gateway.server import serve as serve_calls

    if (options["tls_certificate"] is None) != (options["tls_key"] is None):
        raise click.UsageError("--tls-certificate and --tls-key go together.")
    asked = ServerSettings((named_config() or find_config()).absolute(), **options)
    try:
        return serve_calls(
            asked, lambda calls, operators: say(f"Answering calls at {calls}, operators at {operators}, until Ctrl-C.")
        )
    except OSError as error:
        raise click.ClickException(
            f"--host {asked.host} --port {asked.port}, --admin-host {asked.admin_host} --admin-port "
            f"{asked.admin_port}: {error.strerror or error}; take others, or port 0 for any free one."
        ) from None
