"""Connections of ``requests`` and urllib3 that a forked process inherited, and must not speak on.

Neither library looks for forks. Its parent goes on with the same connections: the child lets go of its own descriptor
of each, which tells the other side nothing, and puts new locks where another thread may have held the old ones.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3._collections import RecentlyUsedContainer

from compat.forks import renew_after_fork

__all__ = ["leave_in_children", "leave_to_parent"]

_met: weakref.WeakSet[BaseAdapter] = weakref.WeakSet()


def leave_in_children(adapter: BaseAdapter) -> None:
    """Have a script's own adapter, by which a call may have gone out, leave its connections in every child to come."""
    _met.add(adapter)


def _leave_met() -> None:
    for adapter in list(_met):
        leave_to_parent(adapter)


renew_after_fork(_leave_met)


def leave_to_parent(held: object) -> None:
    """Drop the connections that a session, an adapter or a pool has from before the fork; for the child alone.

    Found are those that urllib3 pools, of ``requests``' own adapters and of any that keeps its pools in attributes,
    adapters within adapters among them. The settings of all of these stay.

    Args:
        held: a ``requests.Session``, an adapter, or what urllib3 has of pools.
    """
    _leave(held, set())


def _leave(held: object, seen: set[int]) -> None:
    if id(held) in seen:
        return
    seen.add(id(held))
    for each in _within(held):
        _leave(each, seen)


def _within(held: object) -> list[Any]:
    """What else holds connections in there; those that it has by itself are dropped."""
    if isinstance(held, requests.Session):
        if isinstance(held.cookies, CookieJar):
            held.cookies._cookies_lock = threading.RLock()  # type: ignore[attr-defined]  # its stubs leave it out
        return list(held.adapters.values())
    if isinstance(held, HTTPConnectionPool):
        if isinstance(held.pool, queue.Queue):
            _empty(held.pool)
        return []
    if isinstance(held, PoolManager):
        return [held.pools]
    if isinstance(held, RecentlyUsedContainer):
        held.lock = threading.RLock()
        return [held[key] for key in held.keys()]  # noqa: SIM118 - it does not iterate
    if isinstance(held, BaseAdapter):
        return list(vars(held).values())
    if isinstance(held, Mapping):
        return list(held.values())
    return list(held) if isinstance(held, list | tuple | set | frozenset) else []


def _empty(connections: queue.Queue[Any]) -> None:
    """Make a pool's queue as it was when it was new.

    The queue itself stays: urllib3 empties it when the pool goes, and would wait for a lock that nobody gives back.
    """
    inherited = list(connections.queue)
    connections.mutex = threading.Lock()
    connections.not_empty = threading.Condition(connections.mutex)
    connections.not_full = threading.Condition(connections.mutex)
    connections.all_tasks_done = threading.Condition(connections.mutex)
    connections.queue.clear()
    connections.queue.extend([None] * connections.maxsize)
    for connection in inherited:
        if connection is not None:
            connection.close()
