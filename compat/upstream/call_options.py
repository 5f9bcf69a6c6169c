"""How the old call was to be sent, on connections that no forked process inherited.

``requests`` merges what a call says with what the environment says for *its* host before an adapter sees either. A
request to another host merges the same again for that host, by the same functions: ``NO_PROXY`` goes by host, a session
may not trust the environment, and a call may want no proxy.

Neither library looks for forks. Its parent goes on with the same connections: the child lets go of its own descriptor
of each, which tells the other side nothing, and puts new locks where another thread may have held the old ones.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any, NamedTuple

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.sessions import merge_setting
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, PoolManager, Retry, Timeout
from urllib3._collections import RecentlyUsedContainer

from compat.processes import renew_after_fork
from compat.upstream.steps import never

__all__ = [
    "CallOptions",
    "ConnectionSettings",
    "leave_in_children",
    "leave_to_parent",
    "timeout_of",
]

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_READ = (*_PROXY_VARIABLES, *(name.upper() for name in _PROXY_VARIABLES), "REQUEST_METHOD")
"""What ``urllib`` reads of the environment for a proxy; in a CGI script it leaves ``HTTP_PROXY`` alone."""


class ConnectionSettings(NamedTuple):
    """What a connection to one host is made with; each as ``requests`` takes it."""

    verify: Any
    cert: Any
    proxies: Mapping[str, str]


@dataclass(frozen=True)
class CallOptions:
    """How the old call was to be sent, as far as the new one follows it.

    Attributes:
        timeout: for each request upstream; None for the shim's own limits.
        verify: as ``requests`` takes it; None to take the environment's certificates, or those of ``requests``.
        cert: as ``requests`` takes it.
        proxies: what the call itself says, which goes before the environment; a scheme that is None has no proxy.
        session_proxies: what its session says, which the environment goes before.
        trust_env: whether the environment's proxies count.
        retries: the retries that the call's own adapter was made with, or None where it has none of its own.
        adapter_for: the script's own adapter for a URL, where it has one that is not a plain one.
        attempted: told after each request upstream, from whichever thread sent it: the status of its answer, or None
            where no whole answer came.
        cancelled: whether nobody waits for the answer any more; asked before each request upstream and while one more
            attempt is waited for.
    """

    timeout: Timeout | None = None
    verify: Any = None
    cert: Any = None
    proxies: Mapping[str, str | None] | None = None
    session_proxies: Mapping[str, str | None] | None = None
    trust_env: bool = True
    retries: Retry | None = None
    adapter_for: Callable[[str], HTTPAdapter | None] | None = field(default=None, repr=False, compare=False)
    attempted: Callable[[int | None], object] | None = field(default=None, repr=False, compare=False)
    cancelled: Callable[[], bool] = field(default=never, repr=False, compare=False)

    def limits(self, remaining: float) -> tuple[float, float, str]:
        """Seconds to connect, seconds to wait for a byte, and the name of the second limit."""
        if self.timeout is None:
            return remaining, remaining, ""
        timeout = self.timeout.clone()
        # A limit of the whole says what is left to read only once it runs.
        timeout.start_connect()
        connect, read = Timeout.resolve_default_timeout(timeout.connect_timeout), timeout.read_timeout
        connect = remaining if connect is None else min(float(connect), remaining)
        if read is not None and read < remaining:
            return connect, float(read), f"the caller's timeout of {read:g} seconds"
        return connect, remaining, ""

    @property
    def total(self) -> float | None:
        """Seconds for connecting and waiting together, or None."""
        total = self.timeout.total if self.timeout is not None else None
        return total if isinstance(total, int | float) else None

    def settings_for(self, url: str) -> ConnectionSettings:
        """What plain ``requests`` would send a call to that URL with, had the same call been made to it."""
        proxies = dict(self.proxies or {})
        if self.trust_env:
            for scheme, proxy in get_environ_proxies(url, no_proxy=proxies.get("no_proxy")).items():
                proxies.setdefault(scheme, proxy)
        verify = self.verify
        if verify is None:
            verify = next(filter(None, map(os.environ.get, _BUNDLES)), True)
        merged = merge_setting(proxies, dict(self.session_proxies or {}))  # type: ignore[no-untyped-call]  # untyped there
        return ConnectionSettings(verify, self.cert, merged)

    def settings_key(self) -> tuple[Any, ...]:
        """Tells apart what :meth:`settings_for` gives for one host.

        To look through the whole environment is half the cost of a call; these variables alone matter. Where no
        script's call is behind a request, the environment is that of the start.
        """
        cert = tuple(self.cert) if isinstance(self.cert, list) else self.cert
        if self.proxies is None:
            return self.verify, cert
        environment = tuple(map(os.environ.get, _READ)) if self.trust_env else None
        return self.verify, cert, *map(_items, (self.proxies, self.session_proxies)), environment


def timeout_of(value: Any) -> Timeout | None:
    """A timeout as ``requests`` reads it.

    Raises:
        ValueError: it is none, in the words of ``requests`` and urllib3.
    """
    if value is None or isinstance(value, Timeout):
        return value
    if not isinstance(value, tuple):
        return Timeout(connect=value, read=value)
    try:
        connect, read = value
        return Timeout(connect=connect, read=read)
    except ValueError:
        raise ValueError(
            f"Invalid timeout {value}. Pass a (connect, read) timeout tuple, "
            "or a single float to set both timeouts to the same value."
        ) from None


def _items(proxies: Mapping[str, str | None] | None) -> tuple[Any, ...]:
    return tuple(sorted((proxies or {}).items()))


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
