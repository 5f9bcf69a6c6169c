"""What runs before the package: the start-up code of a script that the shim answers, and of the command itself.

``exam-students-compat.pth`` in site-packages imports this module while Python starts, before the script and beside the
user's own ``sitecustomize``, and only where that variable is set. It lies beside the package and not in it: importing
``compat`` brings ``requests``, and a script that never asks for an HTTP library shall not wait for it.
"""

from __future__ import annotations

import os

import exam_compat_libraries
import exam_compat_uncaught
from exam_compat_libraries import say
from exam_compat_uncaught import RUN_VARIABLE, UNCAUGHT, caught

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in typing, whose import would cost more than all of this module
    from types import FrameType
    from typing import NoReturn

__all__ = [
    "DIRECTORY_VARIABLE",
    "RUN_VARIABLE",
    "SWITCH",
    "UNCAUGHT",
    "begin",
    "caught",
    "command",
    "end",
    "leave",
    "say",
    "switched_on",
]

SWITCH = "EXAM_COMPAT"
DIRECTORY_VARIABLE = "EXAM_COMPAT_DIRECTORY"
"""What the first Python hands on to those that it starts: its working directory, where no configuration is named."""

_CONFIG_VARIABLE = "EXAM_COMPAT_CONFIG"
_OFF = ("", "0", "false", "no", "off")
_begun = False


def switched_on() -> bool:
    """Whether ``EXAM_COMPAT`` asks for the shim."""
    return os.environ.get(SWITCH, "").strip().lower() not in _OFF


def command() -> NoReturn:
    """The command ``exam-compat``; Ctrl-C while it is being imported leaves one line, and no traceback.

    An interrupt that is raised within an import may end up as another error, or be lost: there is nothing to clean up
    yet, so the process ends at once. :mod:`compat.cli.program` puts Python's own way back once a command is loaded.
    """
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from compat.cli import main

    main()


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process where it is, as one that was interrupted."""
    try:
        # Over the ^C of a terminal, as the command says it later.
        os.write(2, b"\rInterrupted.\n" if os.isatty(2) else b"Interrupted.\n")
    finally:
        os._exit(130)


def begin() -> None:
    """Let the shim begin once an HTTP library is imported."""
    if not switched_on():
        return
    _keep_configuration()
    exam_compat_uncaught.watch_run()
    exam_compat_uncaught.watch()
    exam_compat_libraries.cover(_begin_shim)


def end() -> None:
    """Leave the calls of this process, and of those that it starts, as they are."""
    os.environ.pop(SWITCH, None)
    exam_compat_uncaught.end()
    exam_compat_libraries.uncover()


def _keep_configuration() -> None:
    """Keep where the configuration is, by its whole path: a script or its children may change the working directory."""
    named = os.environ.get(_CONFIG_VARIABLE)
    try:
        if named:
            os.environ[_CONFIG_VARIABLE] = os.path.join(os.getcwd(), named)
        else:
            os.environ.setdefault(DIRECTORY_VARIABLE, os.getcwd())
    except OSError:
        # No working directory any more; what is missing is said where it is needed.
        return


def _begin_shim() -> None:
    global _begun  # noqa: PLW0603 - the shim begins once a process
    if _begun:
        return
    try:
        from compat.entrances.run import begin as begin_runner

        # Two threads may come here at once, and neither goes on before it has begun: it begins once.
        begin_runner()
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
        exam_compat_uncaught.end()
        say(f"the shim cannot be loaded ({type(error).__name__}: {error}); calls go out as they were")
    _begun = True


begin()
