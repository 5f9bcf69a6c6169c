"""What a forked process must not share with its parent (contract, section 4).

A fork copies connections that the parent still reads from, locks whose holders do not run in the child, walks that
nobody reads to their end, and queues without the threads behind them. Whatever holds one of these registers here once,
where it is made. The child makes it new before any other Python code runs there; the parent keeps its own.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from itertools import count
from types import MethodType

__all__ = ["renew_after_fork"]

_Renewal = Callable[[], object]
_numbers = count()
_renewals: dict[int, Callable[[], _Renewal | None]] = {}


def renew_after_fork(renew: _Renewal) -> None:
    """Call a function in every process that is forked from this one, and in the children of those.

    A method of an object is held weakly: registering keeps no object alive. Renewals run in the order of their
    registration, on the only thread that the child has. They open nothing and wait for nothing: they drop what was
    inherited, without closing it towards its other side, and put new locks in place.

    Args:
        renew: takes no argument.
    """
    number = next(_numbers)
    if isinstance(renew, MethodType):
        method = weakref.WeakMethod(renew, lambda _: _renewals.pop(number, None))
        _renewals[number] = method
    else:
        _renewals[number] = lambda: renew


def _renew_all() -> None:
    for held in list(_renewals.values()):
        renew = held()
        if renew is not None:
            renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
