"""An old script, unedited, under ``exam-compat run`` or the start-up file, with a configuration to be trusted.

The border (docs/run.md): an answer of the contract, an error of the contract included, is the script's. Whatever else
goes wrong is ours, and the call goes to the old endpoint as it was: a read always, since asking twice changes nothing;
a write only while nothing was sent, since it is never sent twice.

A configuration says where secrets go and what answers a script. So one that is found by itself is taken only if nobody
but this user and root could have put it there: the file, its folder, and each folder and symbolic link on the way are
looked at. Where Python was told to leave environment or working directory alone, so is this.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import requests
from requests.adapters import BaseAdapter

from compat.call_site import note_thread_origins
from compat.config.file import CONFIG_NAME, CONFIG_VARIABLE, config_of_file, content_of, nothing_at, nothing_in
from compat.config.settings import Configuration
from compat.core.call import Shim
from compat.entrances.adapter import ExamStudentsAdapter
from compat.entrances.install import Before, install_at_first_call
from compat.errors import ConfigurationError
from compat.legacy.routes import Answer, LegacyCall
from compat.processes import ForkLock
from compat.upstream.senders import SendOptions
from compat.upstream.transport import CallOptions
from exam_compat_libraries import say
from exam_compat_uncaught import caught, end

__all__ = ["ForgivingAdapter", "begin", "judge_file", "read_trusted", "startup_configuration"]

_READS = ("GET", "HEAD")
_beginning = ForkLock()
_begun = False
_PACKAGE = Path(__file__).parents[1]


def begin() -> None:
    """Let the deprecated calls of this process be answered as the configuration says; a second call does nothing."""
    global _begun  # noqa: PLW0603 - a script runs once in a process
    with _beginning:
        if _begun:
            return
        # The script is not edited, and threads of its own are a part of it.
        note_thread_origins()
        install_at_first_call(_configured)
        _begun = True


def _configured() -> ExamStudentsAdapter | None:
    try:
        configuration = startup_configuration()
        return ForgivingAdapter(configuration.legacy_base_url, configuration)
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
        end()
        say(f"{_told(error)}; calls go out as they were")
        return None


class ForgivingAdapter(ExamStudentsAdapter):
    """Answers as its parent does; a failure of ours lets the call go out as it was, and says so once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._calls = threading.local()
        self._shim = _Noting(self._shim, self._calls)  # type: ignore[assignment]  # it is asked as a shim is

    def send_after(
        self, previous: BaseAdapter, request: requests.PreparedRequest, how: SendOptions
    ) -> requests.Response:
        """As the parent's.

        Raises:
            requests.RequestException: as the old call would have; and where a write failed of which something was sent.
            LegacyApiWarning: where a filter makes an error of it.
        """
        if not self.takes(request):
            return previous.send(request, **how._asdict())
        caught()
        watched = _Watched(previous)
        self._calls.asked = False
        try:
            return super().send_after(watched, request, how)
        except (requests.RequestException, Warning):
            raise
        except Exception as error:
            if error is watched.raised:
                raise
            if watched.answered is not None:
                say(f"{_told(error)}; the old endpoint had answered, and its answer counts")
                return watched.answered
            if self._calls.asked and (request.method or "").upper() not in _READS:
                text = f"{_told(error)}; it may have been carried out, so it is not sent again"
                raise requests.ConnectionError(f"exam-compat: {text}", request=request) from None
            say(f"{_told(error)}; the call goes out as it was")
        return previous.send(request, **how._asdict())

    def takes(self, request: requests.PreparedRequest) -> bool:
        """As the parent's; where that fails, the call goes out as it was."""
        try:
            return super().takes(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
            say(f"{_told(error)}; the call goes out as it was")
            return False


class _Noting:
    """A shim that notes, for the thread that asks, whether anything was sent upstream for its call."""

    def __init__(self, shim: Shim, calls: threading.local) -> None:
        self._shim = shim
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shim, name)

    def answer(self, call: LegacyCall, options: CallOptions) -> Answer:
        def attempted(status: int | None) -> None:
            # Writes are sent by the thread that asks.
            self._calls.asked = True
            if told is not None:
                told(status)

        told = options.attempted
        return self._shim.answer(call, replace(options, attempted=attempted))


class _Watched(Before):
    """Notes what came of the call to the old endpoint in the thread that waits for it."""

    def __init__(self, previous: BaseAdapter) -> None:
        super().__init__(previous)
        self._thread = threading.get_ident()
        self.answered: requests.Response | None = None
        self.raised: Exception | None = None

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        # A comparison may ask the old endpoint from a thread of its own; nobody waits for that answer.
        waited_for = threading.get_ident() == self._thread
        try:
            answered = self._previous.send(*arguments, **options)
        except Exception as error:
            if waited_for:
                self.raised = error
            raise
        if waited_for:
            self.answered = answered
        return answered


def _told(error: Exception) -> str:
    """What failed, in words that hold nobody's data: those of a configuration error, else the kind and the place."""
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"{type(error).__name__}{_place(error.__traceback__)}"


def _place(trace: TracebackType | None) -> str:
    """The innermost line of ours, such as `` at compat/core/call.py:120``."""
    found = ""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            found = f" at {path.relative_to(_PACKAGE.parent).as_posix()}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


_MOST_LINKS = 40
"""As Linux has it."""

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# A folder that may be passed through need not be readable.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
# Opening a pipe would wait for whoever writes to it.
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read_trusted(path: str | PurePath) -> str:
    """The text of a file, UTF-8, if only this user and root can have written it.

    Where a system has no owners and modes as POSIX has them, such as Windows, every file is read.

    Raises:
        ConfigurationError: somebody else could; the text says by which part of the path, and what to do.
        OSError: it cannot be read.
        UnicodeDecodeError: it is no UTF-8.
    """
    with _opened(path) as descriptor, open(descriptor, encoding="utf-8", closefd=False) as file:
        return file.read()


def judge_file(path: str | PurePath) -> None:
    """Refuse a file that others could have written; nothing happens where there is none.

    Raises:
        ConfigurationError: as :func:`read_trusted`.
    """
    try:
        with _opened(path):
            pass
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None


@contextmanager
def _opened(path: str | PurePath) -> Iterator[int]:
    # Not made shorter: what ".." leads to is known on the way only.
    whole = os.path.join(os.getcwd(), path)
    descriptor = os.open(whole, os.O_RDONLY) if os.name == "nt" else _walked(whole)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _walked(whole: str) -> int:
    """Open a file by its path from the root, part by part; each folder is judged before the next part is looked up."""
    waiting, links = list(PurePath(whole).parts[1:]), 0
    folder, where = os.open(os.sep, _FOLDER), os.sep
    try:
        while waiting:
            name = waiting.pop(0)
            _judge_folder(whole, where, folder, last=not waiting)
            place = os.path.normpath(os.path.join(where, name))
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            _judge_owner(whole, place, found)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > _MOST_LINKS:
                    break
                waiting[:0] = PurePath(os.readlink(name, dir_fd=folder)).parts
            elif stat.S_ISREG(found.st_mode) and not waiting:
                return _opened_file(whole, place, name, folder)
            else:
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder, where = inner, place
    finally:
        os.close(folder)
    raise ConfigurationError(f"{whole} is no file")


def _opened_file(whole: str, place: str, name: str, folder: int) -> int:
    descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        # What was opened, and not what lay there before, is what is read.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"{whole} is no file")
        _judge_owner(whole, place, found)
        if found.st_mode & _OTHERS and not _read_only(descriptor):
            raise _writable(whole, place)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _judge_folder(whole: str, where: str, folder: int, *, last: bool) -> None:
    """In a sticky folder such as ``/tmp`` nobody moves what is another's, yet everybody may add a file."""
    found = os.fstat(folder)
    _judge_owner(whole, where, found)
    if found.st_mode & _OTHERS and (last or not found.st_mode & stat.S_ISVTX) and not _read_only(folder):
        raise _writable(whole, where)


def _judge_owner(whole: str, place: str, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(
            f"{whole} was left alone: {place} belongs to user {found.st_uid}; it must be this user's or root's"
        )


def _writable(whole: str, place: str) -> ConfigurationError:
    return ConfigurationError(f"{whole} was left alone: others can write to {place}: chmod go-w {place}")


def _read_only(descriptor: int) -> bool:
    """Whether nothing can be written there, whatever the modes: volumes of containers are mounted so."""
    return bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)


_DIRECTORY_VARIABLE = "EXAM_COMPAT_DIRECTORY"


def startup_configuration() -> Configuration:
    """The configuration that ``EXAM_COMPAT_CONFIG`` names, else the one in which the first Python was started.

    Raises:
        ConfigurationError: there is none, it must be left alone, or a value in it cannot be used.
    """
    if sys.flags.isolated or sys.flags.ignore_environment:
        raise ConfigurationError("this Python was told by -I or -E to leave the environment alone, EXAM_COMPAT too")
    path = _path()
    try:
        content = content_of(path, partial(read_trusted, path))
    except ConfigurationError:
        if os.path.lexists(path):
            raise
        found = nothing_at(path) if os.environ.get(CONFIG_VARIABLE) else nothing_in(path.parent)
        raise ConfigurationError(f"no configuration: {found}") from None
    configuration = config_of_file(path, content, judge_file)
    for name in ("key_file", "known"):
        # They are read later.
        if name in configuration.regression:
            judge_file(configuration.regression[name])
    return configuration


def _path() -> Path:
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    found = Path(os.environ.get(_DIRECTORY_VARIABLE) or Path.cwd(), CONFIG_NAME)
    reason = None
    if getattr(sys.flags, "safe_path", False):
        reason = "this Python was told by -P to look for nothing there"
    elif os.name == "nt":
        reason = "on Windows nothing tells who could have written it"
    if reason is None or not os.path.lexists(found):
        return found
    raise ConfigurationError(f"{found} was left alone: {reason}; name it by {CONFIG_VARIABLE}")
