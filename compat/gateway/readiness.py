"""Whether calls should be sent to this gateway now: its workers, its store and the upstream."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from compat.errors import CompatError
from compat.gateway.metrics import UpstreamSeen
from compat.gateway.passing import proxy_to
from compat.gateway.worker import ANSWERING, OK

__all__ = ["Readiness", "ReadinessCheck"]

_RECENT = 30.0
"""Seconds for which what calls heard of the upstream counts."""

_PATIENCE = 2.0
"""Seconds to wait for a connection, and for the workers to answer."""

_OK = "ok"
_PORTS = {"http": 80, "https": 443}


class _Pinged(Protocol):
    def ping(self) -> None: ...


@dataclass(frozen=True)
class Readiness:
    """The answer.

    Attributes:
        ready: whether calls should come.
        checks: what was looked at, and ``ok`` or what is wrong with it; no secrets.
    """

    ready: bool
    checks: Mapping[str, str]


class ReadinessCheck:
    """Looks at everything that a call needs.

    The upstream counts by what calls heard of it within the last 30 seconds: one answer of use is enough, and only
    failures are too little. Where no call was made, it is enough that it, or the proxy before it, takes a connection.

    Args:
        asked: what each worker answers to a question, within so many seconds.
        upstream: the upstream's base URL.
        seen: when calls last heard of it.
        store: where nonces are recorded.
        stopping: set as soon as the gateway is told to stop.
    """

    def __init__(
        self,
        asked: Callable[[str, float], Mapping[str, str | None]],
        upstream: str,
        seen: Callable[[], UpstreamSeen],
        store: _Pinged,
        stopping: threading.Event,
    ) -> None:
        self._asked = asked
        self._upstream = upstream
        self._seen = seen
        self._store = store
        self._stopping = stopping

    def __call__(self) -> Readiness:
        if self._stopping.is_set():
            return Readiness(False, {"gateway": "it is stopping"})
        found = {
            # Without one that can be used the gateway would not run; it is shown for whoever looks for it.
            "configuration": _OK,
            "workers": self._workers(),
            "store": self._stored(),
            "upstream": self._reached(),
        }
        return Readiness(all(each == _OK for each in found.values()), found)

    def _workers(self) -> str:
        answers = self._asked(ANSWERING, _PATIENCE)
        if not answers:
            return "no worker has started"
        wrong = [f"{name}: {_wrong(answer)}" for name, answer in answers.items() if answer != OK]
        return "; ".join(wrong) or _OK

    def _stored(self) -> str:
        try:
            self._store.ping()
        except CompatError as error:
            return str(error)
        return _OK

    def _reached(self) -> str:
        seen, since = self._seen(), time.time() - _RECENT
        if seen.success > since:
            return _OK
        if seen.failure > since:
            return f"every request of the last {_RECENT:g} seconds failed"
        host, port = _first_stop(self._upstream)
        return _OK if _connects(host, port) else f"{host}:{port} takes no connection"


def _wrong(answer: str | None) -> str:
    if answer is not None:
        return answer
    return f"no answer within {_PATIENCE:g} seconds; it hangs, is stopped, or all of its threads are taken"


def _first_stop(url: str) -> tuple[str, int]:
    """Where a request to a URL connects to: its host, or the proxy that the environment names for it."""
    proxy = proxy_to(url)
    parts = urlsplit(proxy if proxy is None or "://" in proxy else f"http://{proxy}") if proxy else urlsplit(url)
    return parts.hostname or "", _port_of(parts)


def _port_of(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 80)


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True
