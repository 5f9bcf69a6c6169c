"""What processes share and what they must not: forks (contract, section 4), and locks of files and folders.

A fork copies connections that the parent still reads from, locks whose holders do not run in the child, walks that
nobody reads to their end, and queues without the threads behind them. Whatever holds one of these registers here once,
where it is made. The child makes it new before any other Python code runs there; the parent keeps its own.

SQLite has locks of its own, within the library, which cannot be made new: no thread may be inside it during a fork.
Nor may one be importing: a child waits for ever for a module that a thread of its parent has half imported.
"""

from __future__ import annotations

import _imp
import atexit
import functools
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from importlib import _bootstrap
from itertools import count
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ForkLock",
    "MadeAnew",
    "cached_property",
    "lock_alone",
    "lock_shared",
    "pause_around_fork",
    "renew_after_fork",
]

_T = TypeVar("_T")
_Renewal = Callable[[], object]
_Held = Callable[[], _Renewal | None]
_log = logging.getLogger("compat.processes")
_numbers = count()
_renewals: dict[int, _Held] = {}
_pauses: dict[int, tuple[_Held, _Held]] = {}
_paused: list[_Renewal] = []
_forking = threading.Lock()
"""Held during a fork: one that another thread makes would end the pauses of this one."""
_registering = threading.RLock()
"""Held during a fork, once all are paused: what another thread made then could be in use, and would not be paused."""
_longest_import = 5.0
"""Seconds that a fork waits for modules that other threads import: one of those may wait for the thread that forks."""


def renew_after_fork(renew: _Renewal) -> None:
    """Call a function in every process that is forked from this one, and in the children of those.

    A method of an object is held weakly: registering keeps no object alive. The newest runs first, so that what an
    owner made later is renewed before the owner drops it; all run on the only thread that the child has. They open
    nothing and wait for nothing: they drop what was inherited, without closing it towards its other side, and put new
    locks in place.
    """
    # At the end of a process a module's names are gone before the last owners are: the dictionary is named here.
    number, renewals = next(_numbers), _renewals
    renewals[number] = _held(renew, lambda: renewals.pop(number, None))


def pause_around_fork(pause: _Renewal, resume: _Renewal) -> None:
    """Call one function before each fork, and the other after it, in the parent and in the child.

    For what cannot be made new in the child: the pause waits until no thread is inside it, and keeps others out.
    Methods are held weakly. A thread that holds one of these must not wait for another, nor make one.
    """
    number, pauses = next(_numbers), _pauses
    with _registering:
        pauses[number] = _held(pause, lambda: pauses.pop(number, None)), _held(resume, lambda: None)


def _held(call: _Renewal, gone: Callable[[], object]) -> _Held:
    if not isinstance(call, MethodType):
        return lambda: call
    # WeakMethod writes a traceback where its owner and the owner's class go together, at the end of a process.
    function: Callable[..., object] = call.__func__
    owner = weakref.ref(call.__self__, lambda _: gone())

    def held() -> _Renewal | None:
        alive = owner()
        return None if alive is None else MethodType(function, alive)

    return held


class MadeAnew:
    """An object whose state belongs to one process: where it is unpickled it is made anew, of the same arguments."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        made._make = functools.partial(cls, *args, **kwargs)
        return made

    _make: Callable[[], Any]

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return self._make, ()


class ForkLock:
    """A lock that is free in a forked process, whoever held it in the parent."""

    def __init__(self, make: Callable[[], Any] = threading.Lock) -> None:
        self._make = make
        self._renew()
        renew_after_fork(self._renew)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        self._lock = self._make()


if sys.version_info >= (3, 12):
    cached_property = functools.cached_property
else:

    class cached_property(functools.cached_property[_T]):  # noqa: N801 - it stands for the one it extends
        """The standard library's, which has a lock before Python 3.12."""

        def __init__(self, function: Callable[[Any], _T]) -> None:
            super().__init__(function)
            renew_after_fork(self._renew)

        def _renew(self) -> None:
            self.lock = threading.RLock()


def _before() -> None:
    _forking.acquire()
    paused: set[int] = set()
    while True:
        _pause_all(paused)
        _pause_imports()
        _registering.acquire()
        if paused.issuperset(list(_pauses)):
            return
        # Others were made while these were waited for.
        _registering.release()
        _imp.release_lock()


def _pause_all(paused: set[int]) -> None:
    """Pause whatever is not paused yet, and note it."""
    found = [(number, pause(), resume()) for number, (pause, resume) in list(_pauses.items()) if number not in paused]
    for number, pause, resume in found:
        paused.add(number)
        if pause is not None and resume is not None:
            pause()
            _paused.append(resume)


def _pause_imports() -> None:
    """Wait until no other thread imports a module, and let none begin."""
    own, ends = threading.get_ident(), time.monotonic() + _longest_import
    while True:
        _imp.acquire_lock()
        held = [lock() for lock in list(getattr(_bootstrap, "_module_locks", {}).values())]
        others = any(getattr(lock, "owner", None) not in (None, own) for lock in held)
        del held
        if not others or time.monotonic() > ends:
            return
        _imp.release_lock()
        time.sleep(0.001)


def _after() -> None:
    _registering.release()
    _imp.release_lock()
    while _paused:
        _paused.pop()()
    _forking.release()


def _after_in_child() -> None:
    _after()
    for held in reversed(list(_renewals.values())):
        renew = held()
        try:
            if renew is not None:
                renew()
        except Exception as error:  # noqa: BLE001 - Python would drop it, and leave out all those that follow
            _log.error("something of the parent process could not be left to it: %s", type(error).__name__)


def _forget_all() -> None:
    """Let go of what is registered while the interpreter is whole: later, each callback would say that it failed."""
    _renewals.clear()
    _pauses.clear()


atexit.register(_forget_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock_alone(number: int) -> bool:
    """Lock an open file or folder, by its descriptor, for this opening alone: until its last copy is closed.

    Returns:
        whether nobody else has a lock of it; False too where that cannot be known.
    """
    return fcntl is not None and _locked(number, fcntl.LOCK_EX)


def lock_shared(number: int) -> bool:
    """Lock an open file or folder, by its descriptor, beside others who do so; whether it is, and still has a name."""
    return fcntl is not None and _locked(number, fcntl.LOCK_SH) and os.fstat(number).st_nlink > 0


def _locked(number: int, how: int) -> bool:
    try:
        fcntl.flock(number, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
