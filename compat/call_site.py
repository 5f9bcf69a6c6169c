"""Call sites: the innermost line of the user's own that leads to a deprecated call.

A user's decorator, wrapper class or session subclass is the user's own code, and so is a notebook's cell. Installed
packages, the standard library and this one are not: the line lies behind them.

The stack shows that line, but for a thread that was given nothing of the user's to run, such as in
``pool.submit(requests.get, url)``. Where somebody asks for thread origins, ``Thread.start`` and
``ThreadPoolExecutor.submit`` note the line of whoever calls them; ``map``, ``asyncio.to_thread`` and
``run_in_executor`` go through these. Lines are kept and never a frame, which would keep its variables alive.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePath
from types import FrameType
from typing import Any, NamedTuple

import deprecation
import requests
import urllib3

from compat.processes import ForkLock
from exam_compat_libraries import Wrapped
from exam_compat_uncaught import kind_of

__all__ = [
    "CallSite",
    "call_site",
    "forget_thread_origins",
    "led_by",
    "note_thread_origins",
    "same_file",
    "thread_origin",
]


class CallSite(NamedTuple):
    """A line of code.

    Attributes:
        filename: the file, as Python names it; of code that has none a name in angle brackets.
        line: its number, from 1.
        module: the module's ``__name__``.
        function: the function that the line is in.
        exact: whether it led to the call: not in a thread whose origin is not known.
    """

    filename: str
    line: int
    module: str
    function: str
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"


_NOTE = "_exam_compat_handed_over"
_POOL_FILE = os.path.join("concurrent", "futures", "thread.py")
_lock = ForkLock()
_noting = False
_known_site: ContextVar[CallSite | None] = ContextVar("compat_known_site", default=None)


class _FromPool(functools.partial):  # type: ignore[type-arg]  # it stands for any function
    """A function handed to a pool, and the line that did it. No frame of it comes into a traceback."""

    origin: CallSite


def note_thread_origins() -> None:
    """Note from now on, in the whole process, which line starts a thread or hands work to one."""
    global _noting  # noqa: PLW0603 - what is wrapped is the process's own state
    with _lock:
        _noting = True
        for owner, name, method in _WRAPPED:
            method.wrap(owner, name)


def forget_thread_origins() -> None:
    """Note nothing any more. What another tool has wrapped since stays, and ours within it only passes on."""
    global _noting  # noqa: PLW0603 - as above
    with _lock:
        _noting = False
        for _, _, method in _WRAPPED:
            method.unwrap()


@contextmanager
def led_by(site: CallSite) -> Iterator[None]:
    """Take a line for the one that leads to whatever is called within: a thread works for whoever was there."""
    token = _known_site.set(site)
    try:
        yield
    finally:
        _known_site.reset(token)


def thread_origin(frame: FrameType | None) -> CallSite | None:
    """Who handed over what a frame's thread is doing, or None where that was not noted."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "run" and code.co_filename.endswith(_POOL_FILE):
            # The item that a pool's thread works on; the thread itself was started by whoever came first.
            # The function is the item's up to Python 3.13, and a variable of the innermost "run" from 3.14 on.
            work = frame.f_locals.get("fn") or getattr(frame.f_locals.get("self"), "fn", None)
            if isinstance(work, _FromPool):
                return work.origin
            break
        frame = frame.f_back
    found: CallSite | None = getattr(threading.current_thread(), _NOTE, None)
    return found


def _noted_start(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if _noting:
            setattr(self, _NOTE, call_site())
        original(self)

    return start


def _in_another_interpreter(pool: ThreadPoolExecutor) -> bool:
    """Whether a pool pickles what it is given, for interpreters (Python 3.14) that need not have this package."""
    module = sys.modules.get("concurrent.futures.interpreter")
    return module is not None and isinstance(pool, module.InterpreterPoolExecutor)


def _noted_submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if _noting and callable(fn) and not _in_another_interpreter(self):
            fn = _FromPool(fn)
            fn.origin = call_site()
        future: Future[Any] = original(self, fn, *args, **kwargs)
        return future

    return submit


_WRAPPED = ((threading.Thread, "start", Wrapped(_noted_start)), (ThreadPoolExecutor, "submit", Wrapped(_noted_submit)))


_KNOWN_FILES = 4096
"""Files whose kind is remembered: code made at run time has a name of its own each time."""


def call_site() -> CallSite:
    """The user's line that leads to the caller of this function.

    Where there is none on the way, it is the line that handed the work to this thread, else the innermost line of an
    installed package, else the first line of the script that runs.
    """
    known = _known_site.get()
    if known is not None:
        return known
    frame: FrameType | None = sys._getframe(1)
    within: FrameType | None = None
    installed: FrameType | None = None
    outermost = frame
    while frame is not None:
        kind = _kind(frame.f_code.co_filename)
        if kind == "user" and not _starts_a_child(frame, within):
            return _site(frame)
        if kind == "installed" and installed is None:
            installed = frame
        outermost, within, frame = frame, frame, frame.f_back
    origin = thread_origin(sys._getframe(1))
    if origin is not None:
        return origin
    found = _site(installed) if installed is not None else _script(outermost)
    in_thread = threading.current_thread() is not threading.main_thread()
    return found._replace(exact=not in_thread or _noting)


def _site(frame: FrameType) -> CallSite:
    code = frame.f_code
    return CallSite(code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "<unknown>"), code.co_name)


def _script(outermost: FrameType | None) -> CallSite:
    """A worker process that unpickles what it runs has nothing but its script's name."""
    named = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(named, str) and _kind(named) == "user":
        return CallSite(named, 1, "__main__", "<module>")
    if outermost is None:
        return CallSite("<unknown>", 1, "<unknown>", "<unknown>")
    return _site(outermost)


def _starts_a_child(frame: FrameType, within: FrameType | None) -> bool:
    """Whether a line is the command by which multiprocessing starts a Python."""
    return (
        frame.f_code.co_filename == "<string>"
        and within is not None
        and within.f_code.co_filename.startswith(_MULTIPROCESSING)
    )


def _folder_of(file: str | None) -> str:
    return os.path.dirname(file or "") + os.sep


# What stands between a script and its call in any case is no place that a line is looked for in.
_PASSED_OVER = (_folder_of(requests.__file__), _folder_of(urllib3.__file__), deprecation.__file__)
_MULTIPROCESSING = os.path.join(os.path.dirname(os.__file__), "multiprocessing") + os.sep


@functools.lru_cache(maxsize=_KNOWN_FILES)
def _kind(filename: str) -> str:
    return "ours" if filename.startswith(_PASSED_OVER) else kind_of(filename)


def same_file(seen: str, path: str) -> bool:
    """Whether a path that a process saw is a file of ours, perhaps in a copy of its folder elsewhere."""
    ours = PurePath(path)
    parts = ours.parts[1:] if ours.is_absolute() else ours.parts
    parts = tuple(part for part in parts if part != "..")
    return bool(parts) and PurePath(seen).parts[-len(parts) :] == parts
