"""One call as each HTTP library makes it, so that one table of tests runs through all of them.

A library is one row: how it asks, how it streams, what it raises, and a script that asks in its own way.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import requests
from support import OLD

import compat

__all__ = ["CALL_MARK", "DIALECTS", "SHOW", "Dialect", "Got", "Shimmed"]

By = tuple[str, Any]
"""The old endpoint's base and the upstream, for a client that the shim is mounted in."""
CALL_MARK = "# the call"
"""Stands at each line that calls, which is what a warning has to name."""


@dataclass(frozen=True)
class Got:
    """What a library says of an answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Dialect(ABC):
    """A library.

    Attributes:
        name: of the row.
        too_slow: what it raises where an endpoint does not answer in time.
        unreachable: what it raises where nobody listens.
        untrusted: what it raises where it does not know a certificate.
        script: asks for LIST and prints status, three headers and the body.
    """

    name: str
    too_slow: type[Exception]
    unreachable: type[Exception]
    untrusted: type[Exception]
    script: str

    @abstractmethod
    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 20.0,
        proxy: str | None = None,
        ca: str | None = None,
        by: By | None = None,
    ) -> Got:
        """Ask; by a client in which the shim is mounted, or as a script does that knows nothing of it.

        ``ca`` is a file of the certificates to be trusted, and ``by`` what is mounted.
        """

    @abstractmethod
    def stream(self, url: str, by: By | None = None) -> list[bytes]:
        """The body in pieces, as they come."""


SHOW = """
def show(status, headers, body):
    names = ("Content-Type", "X-Pagination-Item-Count", "X-Compat-Answered-By")
    print(status, *(headers.get(name) for name in names), body.decode())
"""


class Requests(Dialect):
    name = "requests"
    too_slow, unreachable = requests.ReadTimeout, requests.ConnectionError
    untrusted = requests.exceptions.SSLError
    script = """
import requests
for query in QUERIES:
    answer = requests.get(LIST + query, timeout=30)
    show(answer.status_code, answer.headers, answer.content)
"""

    def _session(self, by: By | None) -> requests.Session:
        session = requests.Session()
        if by is not None:
            compat.mount(session, *by)
        return session

    def ask(self, url: str, **how: Any) -> Got:
        method, proxy, by = how.pop("method", "GET"), how.pop("proxy", None), how.pop("by", None)
        how["proxies"] = None if proxy is None else {"http": proxy, "https": proxy}
        how["data"], how["verify"] = how.pop("body", None), how.pop("ca", None)
        how.setdefault("timeout", 20.0)
        with self._session(by) as session:
            answer = session.request(method, url, **how)  # the call
        return Got(answer.status_code, answer.reason, answer.headers, answer.content)

    def stream(self, url: str, by: By | None = None) -> list[bytes]:
        with self._session(by) as session, session.get(url, stream=True, timeout=20) as answer:
            return list(answer.iter_content(100))


class Httpx(Dialect):
    name = "httpx"
    too_slow, unreachable, untrusted = httpx.ReadTimeout, httpx.ConnectError, httpx.ConnectError
    script = """
import httpx
for query in QUERIES:
    answer = httpx.get(LIST + query, timeout=30)
    show(answer.status_code, answer.headers, answer.content)
"""

    def _client(self, by: By | None, proxy: str | None = None, ca: str | None = None) -> httpx.Client:
        verify = ssl.create_default_context(cafile=ca) if ca else True
        if by is None:
            return httpx.Client(proxy=proxy, verify=verify)
        return httpx.Client(transport=compat.httpx_transport(*by, httpx.HTTPTransport(proxy=proxy, verify=verify)))

    def ask(self, url: str, **how: Any) -> Got:
        method, proxy, by = how.pop("method", "GET"), how.pop("proxy", None), how.pop("by", None)
        how["content"], ca = how.pop("body", None), how.pop("ca", None)
        how.setdefault("timeout", 20.0)
        with self._client(by, proxy, ca) as client:
            answer = client.request(method, url, **how)  # the call
        return Got(answer.status_code, answer.reason_phrase, answer.headers, answer.content)

    def stream(self, url: str, by: By | None = None) -> list[bytes]:
        with self._client(by) as client, client.stream("GET", url, timeout=20) as answer:
            return list(answer.iter_raw(100))


class AsyncHttpx(Dialect):
    name = "httpx async"
    too_slow, unreachable, untrusted = httpx.ReadTimeout, httpx.ConnectError, httpx.ConnectError
    script = """
import asyncio, httpx
async def main():
    async with httpx.AsyncClient() as client:
        for query in QUERIES:
            answer = await client.get(LIST + query, timeout=30)
            show(answer.status_code, answer.headers, answer.content)
asyncio.run(main())
"""

    def _client(self, by: By | None, proxy: str | None = None, ca: str | None = None) -> httpx.AsyncClient:
        verify = ssl.create_default_context(cafile=ca) if ca else True
        if by is None:
            return httpx.AsyncClient(proxy=proxy, verify=verify)
        onward = httpx.AsyncHTTPTransport(proxy=proxy, verify=verify)
        return httpx.AsyncClient(transport=compat.httpx_async_transport(*by, onward))

    def ask(self, url: str, **how: Any) -> Got:
        method, proxy, by = how.pop("method", "GET"), how.pop("proxy", None), how.pop("by", None)
        how["content"], ca = how.pop("body", None), how.pop("ca", None)
        how.setdefault("timeout", 20.0)

        async def ask() -> httpx.Response:
            async with self._client(by, proxy, ca) as client:
                return await client.request(method, url, **how)  # the call

        answer = asyncio.run(ask())
        return Got(answer.status_code, answer.reason_phrase, answer.headers, answer.content)

    def stream(self, url: str, by: By | None = None) -> list[bytes]:
        async def parts() -> list[bytes]:
            async with self._client(by) as client, client.stream("GET", url, timeout=20) as answer:
                return [part async for part in answer.aiter_raw(100)]

        return asyncio.run(parts())


class Urllib(Dialect):
    name = "urllib"
    # Before Python 3.10 it had a name of its own.
    too_slow, unreachable, untrusted = socket.timeout, urllib.error.URLError, urllib.error.URLError
    script = """
import urllib.error
from urllib.request import urlopen
for query in QUERIES:
    try:
        answer = urlopen(LIST + query, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        show(answer.status, answer.headers, answer.read())
"""

    def _open(self, by: By | None, proxy: str | None = None, ca: str | None = None) -> Any:
        if by is None and proxy is None and ca is None:
            return urllib.request.urlopen
        handlers: list[Any] = [] if by is None else [compat.urllib_handler(*by)]
        if proxy is not None:
            handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
        if ca is not None:
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
        return urllib.request.build_opener(*handlers).open

    def ask(self, url: str, **how: Any) -> Got:
        opened = self._open(how.pop("by", None), how.pop("proxy", None), how.pop("ca", None))
        request = urllib.request.Request(
            url, how.get("body"), dict(how.get("headers") or {}), method=how.get("method", "GET")
        )
        try:
            answer = opened(request, timeout=how.get("timeout", 20.0))  # the call
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Got(answer.status, answer.reason, answer.headers, answer.read())

    def stream(self, url: str, by: By | None = None) -> list[bytes]:
        with self._open(by)(url, timeout=20) as answer:
            return list(iter(lambda: answer.read(100), b""))


class Aiohttp(Dialect):
    name = "aiohttp"
    too_slow, unreachable = aiohttp.ServerTimeoutError, aiohttp.ClientConnectorError
    untrusted = aiohttp.ClientConnectorCertificateError
    script = """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        for query in QUERIES:
            async with session.get(LIST + query, timeout=30) as answer:
                show(answer.status, answer.headers, await answer.read())
asyncio.run(main())
"""

    def _session(self, by: By | None) -> aiohttp.ClientSession:
        middlewares = () if by is None else (compat.aiohttp_middleware(*by),)
        return aiohttp.ClientSession(middlewares=middlewares, trust_env=True)

    def ask(self, url: str, **how: Any) -> Got:
        method, by, ca = how.pop("method", "GET"), how.pop("by", None), how.pop("ca", None)
        how["data"] = how.pop("body", None)
        how["timeout"] = aiohttp.ClientTimeout(sock_read=how.pop("timeout", 20.0))
        how["ssl"] = ssl.create_default_context(cafile=ca) if ca else True

        async def ask() -> Got:
            async with self._session(by) as session, session.request(method, url, **how) as answer:  # the call
                return Got(answer.status, str(answer.reason), answer.headers, await answer.read())

        return asyncio.run(ask())

    def stream(self, url: str, by: By | None = None) -> list[bytes]:
        async def parts() -> list[bytes]:
            async with self._session(by) as session, session.get(url) as answer:
                return [part async for part in answer.content.iter_chunked(100)]

        return asyncio.run(parts())


DIALECTS: tuple[Dialect, ...] = (Requests(), Httpx(), AsyncHttpx(), Urllib(), Aiohttp())


class Shimmed:
    """A library with the shim in its way, by one of the two entrances."""

    def __init__(self, dialect: Dialect, entrance: str) -> None:
        self.dialect, self._entrance = dialect, entrance
        self._by: tuple[str, Any] | None = None

    def begin(self, upstream: Any, base: str = OLD) -> None:
        if self._entrance == "mount":
            self._by = base, upstream
        else:
            compat.install(base, upstream)

    def ask(self, url: str, **how: Any) -> Got:
        return self.dialect.ask(url, by=self._by, **how)

    def stream(self, url: str) -> list[bytes]:
        return self.dialect.stream(url, self._by)
