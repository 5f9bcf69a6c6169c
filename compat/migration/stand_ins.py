"""Whether a test has something stand in for the network, so that no call of its reaches any endpoint."""

from __future__ import annotations

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool

__all__ = ["network_is_stood_in_for"]

_PACKAGES = ("responses", "vcr")


def network_is_stood_in_for() -> bool:
    """Whether ``responses`` or ``vcrpy`` is answering at this moment.

    They take the place of what sends, below where sessions choose an adapter; what they were told of the old endpoint
    would never be asked for. ``requests-mock`` chooses the adapter itself, and needs no such look.
    """
    sends = (HTTPAdapter.send, HTTPConnectionPool.ConnectionCls)
    return any(each.__module__.partition(".")[0] in _PACKAGES for each in sends)
