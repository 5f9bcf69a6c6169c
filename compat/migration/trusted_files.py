"""Files that nobody but this user and root can have written, replaced or renamed.

A configuration that is found by itself says where secrets go and what answers a script. So whoever could plant it where
a script is started would have the secrets, and the answers. Looked at are the file, its folder, and each folder and
symbolic link on the way there: after that, nobody else can change where the path leads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from compat.errors import ConfigurationError

__all__ = ["judge_file", "read_trusted"]

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
