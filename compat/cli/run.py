"""``exam-compat run``: an old script, unedited, in a Python that lets the shim answer."""

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
from typing import NoReturn

import click

import exam_compat_startup
from compat.cli.completion import offering_files
from compat.cli.console import config_option, named_config
from compat.config.file import CONFIG_VARIABLE, OPTION_VARIABLE
from compat.errors import ConfigurationError

__all__ = ["STARTUP_NAME", "run", "startup_file"]

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
@click.argument("script", shell_complete=offering_files)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, shell_complete=offering_files)
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
