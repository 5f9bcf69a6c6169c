"""How a request leaves the process: through a session that the user gave, or as directly as ``requests`` allows.

A script's own call has been through a session of ``requests`` already. What a second one would do to the call made from
it, hooks, cookies, redirects and looking through the environment each time, nobody asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers

__all__ = ["CallOptions", "GivenSession", "OwnPool"]

_CONNECTIONS = 32
"""Connections to an upstream that are kept open between requests."""


@dataclass(frozen=True)
class CallOptions:
    """How the old call was to be sent, as far as the new one follows it.

    Attributes:
        timeout: as ``requests`` takes it, for each request upstream; None for the shim's own limits.
        verify: as ``requests`` takes it.
        cert: as ``requests`` takes it.
        proxies: as ``requests`` takes it.
    """

    timeout: Any = None
    verify: Any = None
    cert: Any = None
    proxies: Mapping[str, str] | None = None

    def limits(self, remaining: float) -> tuple[float, float, str]:
        """Seconds to connect, seconds to wait for a byte, and the name of the second limit."""
        connect, read = self.timeout if isinstance(self.timeout, tuple) else (self.timeout, self.timeout)
        if isinstance(read, int | float) and read < remaining:
            return (
                min(_number(connect, remaining), remaining),
                read,
                f"the caller's timeout of {read:g} seconds",
            )
        return min(_number(connect, remaining), remaining), remaining, ""


def _number(value: Any, otherwise: float) -> float:
    return value if isinstance(value, int | float) else otherwise


class GivenSession:
    """Sends by a session of the user's, with its adapters, proxies, certificates, cookies and hooks."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def send(self, request: requests.Request, options: CallOptions, timeout: tuple[float, float]) -> requests.Response:
        """Send a request; its own settings count, and not those of the old call."""
        request.auth = _HeaderAuth(request.headers.pop("Authorization"))
        prepared = self._session.prepare_request(request)
        settings = self._session.merge_environment_settings(prepared.url or "", {}, True, None, None)
        return self._session.send(prepared, timeout=timeout, allow_redirects=False, **settings)


class OwnPool:
    """Sends by connections of our own; the proxies and certificates of the old call and of the environment count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
        self._headers = dict(default_headers())
        self._settings: dict[tuple[Any, ...], dict[str, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]

    def send(self, request: requests.Request, options: CallOptions, timeout: tuple[float, float]) -> requests.Response:
        """Send a request that is signed and complete: nothing is added but the usual headers."""
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = f"{request.url}?{urlencode(request.params)}" if request.params else request.url
        prepared.headers = CaseInsensitiveDict({**self._headers, **request.headers})
        prepared.body = request.data or None
        if prepared.body is not None:
            prepared.headers["Content-Length"] = str(len(prepared.body))
        prepared.hooks = default_hooks()
        prepared._cookies = requests.cookies.RequestsCookieJar()  # type: ignore[attr-defined]  # the adapter looks at it
        return self._adapter.send(
            prepared, stream=True, timeout=timeout, **self._settings_of(prepared.url or "", options)
        )

    def _settings_of(self, url: str, options: CallOptions) -> dict[str, Any]:
        """Proxies and certificates; looking through the environment is half the cost of a call, so it is done once."""
        key = (urlsplit(url)[:2], options.verify, options.cert, tuple(sorted((options.proxies or {}).items())))
        settings = self._settings.get(key)
        if settings is None:
            with requests.Session() as session:
                proxies = _own_proxies(options.proxies)
                merged = session.merge_environment_settings(url, proxies, True, options.verify, options.cert)
            settings = {name: value for name, value in dict(merged).items() if name != "stream"}
            if len(self._settings) < _CONNECTIONS:
                with self._lock:
                    self._settings[key] = settings
        return settings


class _HeaderAuth(AuthBase):
    """Sets the Authorization header last, so that a ``.netrc`` entry for the host does not replace it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def _own_proxies(proxies: Mapping[str, str] | None) -> dict[str, str]:
    """Those that the environment does not give: its own are looked up anew, since ``NO_PROXY`` goes by host."""
    given = getproxies()
    return {scheme: url for scheme, url in (proxies or {}).items() if given.get(scheme) != url}
