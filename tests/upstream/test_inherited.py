"""A forked process lets go of the connections of its parent, wherever an adapter keeps them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from forked import in_child, needs_fork
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPConnectionPool

from compat.upstream.connections import leave_to_parent

pytestmark = needs_fork


class Wrapper(BaseAdapter):
    """Passes on to another adapter, as those that cache or count do."""

    def __init__(self, inner: BaseAdapter) -> None:
        super().__init__()
        self.inner = inner

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        return self.inner.send(request, *args, **options)

    def close(self) -> None:
        self.inner.close()


authority = trustme.CA()


@pytest.fixture(scope="module", params=["http", "https"])
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that says from which port of ours each request came."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = str(self.client_address[1]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"{request.param}://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[requests.Session]:
    """A session that trusts the server."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with requests.Session() as made:
        made.trust_env = False
        made.verify = str(tmp_path / "ca.pem")
        yield made


def wrapped() -> BaseAdapter:
    return Wrapper(Wrapper(HTTPAdapter()))


@pytest.mark.parametrize("make", [HTTPAdapter, wrapped, lambda: HTTPAdapter(pool_maxsize=1, pool_block=True)])
def test_a_child_connects_anew_and_the_parent_goes_on(base: str, session: requests.Session, make: Any) -> None:
    session.mount(base, make())
    before = session.get(base, timeout=30).text

    def anew() -> bool:
        leave_to_parent(session)
        mine = session.get(base, timeout=30).text
        return mine != before and session.get(base, timeout=30).text == mine

    assert in_child(anew)
    assert session.get(base, timeout=30).text == before


def test_what_is_left_does_not_hang_where_another_thread_held_every_lock(base: str, session: requests.Session) -> None:
    session.get(base, timeout=30)
    adapter = session.get_adapter(base)
    assert isinstance(adapter, HTTPAdapter)
    pools = adapter.poolmanager.pools
    (pool,) = [pools[key] for key in pools.keys()]  # noqa: SIM118 - it does not iterate
    assert isinstance(pool, HTTPConnectionPool)
    assert pool.pool is not None
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with pools.lock, pool.pool.mutex, session.cookies._cookies_lock:  # type: ignore[union-attr,attr-defined]
            held.set()
            leave.wait(60)

    def free() -> bool:
        leave_to_parent(session)
        answered = session.get(base, timeout=30).ok
        session.close()
        return answered

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        assert in_child(free)
    finally:
        leave.set()
        thread.join()
