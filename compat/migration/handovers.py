"""Which line handed work to a thread, for threads on whose stack the user has no line.

``Thread.start`` and ``ThreadPoolExecutor.submit``, through which ``map``, ``asyncio.to_thread`` and ``run_in_executor``
go too, note the line of whoever calls them, as long as the shim is installed or anything of it is mounted or made.
Reading it off the target's code instead would name where a function is defined and not where it was asked for, and
``requests.get`` itself is defined by nobody who could change the call. Names and numbers are kept and never a frame,
which would keep its variables alive. What is handed to a pool is wrapped so that no frame comes between the pool's and
the function's in a traceback.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Any

from compat.forks import ForkLock

__all__ = ["Place", "forget_handovers", "handed_over", "note_handovers"]

Place = tuple[str, int, str, str]
"""File, line, module and function, as in :class:`compat.migration.call_sites.CallSite`."""

_NOTE = "_exam_compat_handed_over"
_POOL_FILE = os.path.join("concurrent", "futures", "thread.py")
# Reentrant, since an owner may go at any moment, also while its thread is in here.
_lock = ForkLock(threading.RLock)
_noting = False
_owners: weakref.WeakSet[Any] = weakref.WeakSet()


class _Handed(functools.partial):  # type: ignore[type-arg]  # it stands for any function
    """A function handed to a pool, and the line that did it."""

    place: Place


def note_handovers(owner: object | None = None) -> None:
    """Note from now on who hands work to threads; once is enough.

    Args:
        owner: what may be called from those threads, such as a client: it is noted as long as it lives; None until
            :func:`forget_handovers`.
    """
    global _noting  # noqa: PLW0603 - what is wrapped is the process's own state
    with _lock:
        if owner is None:
            _noting = True
        else:
            # Callbacks run from the newest to the oldest: the set has to have lost the owner before it is looked at.
            weakref.finalize(owner, _unwrap_if_idle).atexit = False
            _owners.add(owner)
        for wrapped in _WRAPPED:
            wrapped.wrap()


def forget_handovers() -> None:
    """Note nothing any more for which there is no owner.

    What another tool has wrapped since stays, and ours within it only passes on.
    """
    global _noting  # noqa: PLW0603 - as above
    with _lock:
        _noting = False
        _unwrap_if_idle()


def _unwrap_if_idle() -> None:
    with _lock:
        if not _noting and not _owners:
            for wrapped in _WRAPPED:
                wrapped.unwrap()


def handed_over(frame: FrameType | None) -> Place | None:
    """Who handed over what a frame's thread is doing, or None where that was not noted."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "run" and code.co_filename.endswith(_POOL_FILE):
            # The item that a pool's thread works on; the thread itself was started by whoever came first.
            # The function is the item's up to Python 3.13, and a variable of the innermost "run" from 3.14 on.
            work = frame.f_locals.get("fn") or getattr(frame.f_locals.get("self"), "fn", None)
            if isinstance(work, _Handed):
                return work.place
            break
        frame = frame.f_back
    place: Place | None = getattr(threading.current_thread(), _NOTE, None)
    return place


def _here() -> Place:
    # Imported here: the two modules know each other, and this one is asked only at run time.
    from compat.migration.call_sites import call_site

    return call_site()


class _Wrapped:
    """A method of the standard library that ours stands before, for a time."""

    def __init__(self, owner: type, name: str, noted: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._owner = owner
        self._name = name
        self._noted = noted
        self._before: Callable[..., Any] | None = None
        self._ours: Callable[..., Any] | None = None

    def wrap(self) -> None:
        found = getattr(self._owner, self._name)
        if found is not self._ours:
            self._before, self._ours = found, self._noted(found)
            setattr(self._owner, self._name, self._ours)

    def unwrap(self) -> None:
        if self._ours is not None and getattr(self._owner, self._name) is self._ours:
            setattr(self._owner, self._name, self._before)
            self._before = self._ours = None


def _noted_start(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if _noting or _owners:
            setattr(self, _NOTE, _here())
        original(self)

    return start


def _in_another_interpreter(pool: ThreadPoolExecutor) -> bool:
    """Whether a pool pickles what it is given, for interpreters (Python 3.14) that need not have this package."""
    module = sys.modules.get("concurrent.futures.interpreter")
    return module is not None and isinstance(pool, module.InterpreterPoolExecutor)


def _noted_submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if (_noting or _owners) and callable(fn) and not _in_another_interpreter(self):
            fn = _Handed(fn)
            fn.place = _here()
        future: Future[Any] = original(self, fn, *args, **kwargs)
        return future

    return submit


_WRAPPED = (_Wrapped(threading.Thread, "start", _noted_start), _Wrapped(ThreadPoolExecutor, "submit", _noted_submit))
