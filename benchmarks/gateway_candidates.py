"""One small job in several servers and by several HTTP clients: fetch a page upstream, and answer with its bytes."""

from __future__ import annotations

import asyncio
import http.client
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

Page = tuple[int, list[tuple[str, str]], bytes]

_BASE = os.environ.get("BENCHMARK_UPSTREAM", "http://127.0.0.1:1")
_HOST = urlsplit(_BASE)
_SENT = {"Authorization": "Token token=benchmark", "Accept": "application/json", "User-Agent": "benchmark"}
_KEPT = ("content-type", "x-pagination-item-count", "x-pagination-limit")
_own = threading.local()
_threads = ThreadPoolExecutor(8)


def _by_urllib3() -> Callable[[str], Page]:
    import urllib3

    pool = urllib3.HTTPConnectionPool(_HOST.hostname or "", _HOST.port, maxsize=32, retries=False)

    def get(path: str) -> Page:
        answer = pool.urlopen("GET", path, headers=_SENT, retries=False, redirect=False)
        return answer.status, _kept(answer.headers.items()), answer.data

    return get


def _by_http_client() -> Callable[[str], Page]:
    def get(path: str) -> Page:
        if not hasattr(_own, "connection"):
            _own.connection = http.client.HTTPConnection(_HOST.hostname or "", _HOST.port)
        _own.connection.request("GET", path, headers=_SENT)
        answer = _own.connection.getresponse()
        return answer.status, _kept(answer.getheaders()), answer.read()

    return get


def _by_pycurl() -> Callable[[str], Page]:
    import pycurl

    def get(path: str) -> Page:
        if not hasattr(_own, "curl"):
            _own.curl = pycurl.Curl()
            _own.curl.setopt(pycurl.NOSIGNAL, 1)
            _own.curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in _SENT.items()])
        lines: list[bytes] = []
        body = BytesIO()
        _own.curl.setopt(pycurl.URL, _BASE + path)
        _own.curl.setopt(pycurl.HEADERFUNCTION, lines.append)
        _own.curl.setopt(pycurl.WRITEFUNCTION, body.write)
        _own.curl.perform()
        pairs = [line.decode("latin-1").partition(":") for line in lines]
        headers = _kept((name, value.strip()) for name, _, value in pairs)
        return _own.curl.getinfo(pycurl.RESPONSE_CODE), headers, body.getvalue()

    return get


def _by_pyreqwest() -> Callable[[str], Page]:
    from pyreqwest.client import SyncClientBuilder

    # It would follow redirects, and obey http_proxy.
    client = SyncClientBuilder().no_proxy().follow_redirects(False).build()

    def get(path: str) -> Page:
        answer = client.get(_BASE + path).headers(_SENT).build().send()
        return answer.status, _kept(answer.headers.items()), bytes(answer.bytes())

    return get


def _by_own_sender() -> Callable[[str], Page]:
    from compat.upstream.connections import WholeAnswer
    from compat.upstream.senders import CallOptions, Outgoing, OwnPool

    sender, options = OwnPool(), CallOptions()

    def get(path: str) -> Page:
        answer = sender.send(Outgoing("GET", _BASE + path, headers=_SENT), options, (30.0, 30.0))
        if isinstance(answer, WholeAnswer):
            body = answer.body
        else:
            body = b"".join(iter(partial(answer.read1, 1 << 16), b""))
            answer.drain_conn()
        return answer.status, [(name, answer.headers.get(name, "")) for name in _KEPT], body

    return get


def _kept(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() in _KEPT]


_CLIENTS = {
    "urllib3": _by_urllib3,
    "http.client": _by_http_client,
    "pycurl": _by_pycurl,
    "pyreqwest": _by_pyreqwest,
    "compat": _by_own_sender,
}


class _Chosen:
    """The client of this process, made on first use: a server may fork after it has imported this."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._get: Callable[[str], Page] | None = None

    def __call__(self, path: str) -> Page:
        if self._get is None:
            with self._lock:
                self._get = self._get or _CLIENTS[os.environ["BENCHMARK_CLIENT"]]()
        return self._get(path)


_get = _Chosen()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """In whichever thread the server calls from."""
    _, headers, body = _get(environ["PATH_INFO"])
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


async def asgi_threads(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """In a thread, as the gateway answers calls."""
    if scope["type"] != "http":
        return await _live(receive, send)
    page = await asyncio.get_running_loop().run_in_executor(_threads, _get, scope["raw_path"].decode())
    return await _answer(send, page)


async def asgi_aiohttp(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Without a thread, as the gateway passes on."""
    if scope["type"] != "http":
        return await _live(receive, send)
    async with _session().get(_BASE + scope["raw_path"].decode(), headers=_SENT) as answer:
        body = await answer.read()
    return await _answer(send, (answer.status, _kept(answer.headers.items()), body))


def _session() -> Any:
    import aiohttp

    if not hasattr(_own, "session"):
        connector = aiohttp.TCPConnector(limit=0)
        _own.session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    return _own.session


async def _answer(send: Any, page: Page) -> None:
    status, headers, body = page
    lines = [(name.encode(), value.encode()) for name, value in headers]
    lines.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


if __name__ == "__main__":
    import uvicorn

    from compat.gateway.protocol import Connection

    uvicorn.run(asgi_threads, http=Connection, port=int(sys.argv[1]), ws="none", access_log=False, log_level="warning")
