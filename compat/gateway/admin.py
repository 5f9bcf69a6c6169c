"""What operators ask the gateway, on an address of its own: health, readiness, numbers, the interface's description."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec

from compat.gateway.live_report import LiveReport, NoReport
from compat.gateway.readiness import Readiness

__all__ = ["AdminApplication", "serving_admin"]

_HTML = "text/html; charset=utf-8"
_JSON = "application/json"
_NUMBERS = "text/plain; version=1.0.0; charset=utf-8"
_SLOWEST = 10.0
"""Seconds that a client of the admin address may take to send its request."""

_log = logging.getLogger("compat.gateway.admin")

_Page = tuple[HTTPStatus, str, bytes]


class AdminApplication:
    """The pages for operators, a WSGI application.

    ``/healthz`` says that the process runs, ``/readyz`` whether calls should come, ``/metrics`` the numbers in
    Prometheus's text format, ``/openapi.json`` what the deprecated interface is, ``/report`` and ``/report.json``
    whether the new endpoint answered what the old one did.

    Args:
        readiness: looks whether calls should come.
        exposition: gives the numbers.
        description: gives the OpenAPI document, as JSON; None for no such page.
        report: what shadow and canary have shown so far; None for no such pages.
    """

    def __init__(
        self,
        readiness: Callable[[], Readiness],
        exposition: Callable[[], bytes],
        description: Callable[[], bytes] | None = None,
        report: LiveReport | None = None,
    ) -> None:
        self._pages: dict[str, Callable[[], _Page]] = {
            "/healthz": lambda: _json(HTTPStatus.OK, {"alive": True}),
            "/readyz": lambda: _readiness(readiness()),
            "/metrics": lambda: (HTTPStatus.OK, _NUMBERS, exposition()),
        }
        if description is not None:
            self._pages["/openapi.json"] = lambda: (HTTPStatus.OK, _JSON, description())
        if report is not None:
            self._pages["/report"] = lambda: (HTTPStatus.OK, _HTML, report.html())
            self._pages["/report.json"] = lambda: (HTTPStatus.OK, _JSON, report.json())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer a request."""
        allow: list[tuple[str, str]] = []
        found = self._pages.get(environ.get("PATH_INFO", ""))
        if found is None:
            status, kind, body = _error(HTTPStatus.NOT_FOUND, f"Here are {', '.join(self._pages)}.")
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            allow.append(("Allow", "GET, HEAD"))
            status, kind, body = _error(HTTPStatus.METHOD_NOT_ALLOWED, "This page is only read.")
        else:
            status, kind, body = _made(found)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"), *allow]
        start_response(f"{status.value} {status.phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def _made(page: Callable[[], _Page]) -> _Page:
    try:
        return page()
    except NoReport as error:
        return _error(error.status, str(error))
    except Exception:  # noqa: BLE001  # it is reported, and the next page may be well
        # The server would print the error's own text, which may be anything.
        _log.exception("a page for operators could not be made")
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "This page could not be made; the log says where it failed.")


def _readiness(found: Readiness) -> _Page:
    status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, {"ready": found.ready, "checks": found.checks})


def _error(status: HTTPStatus, message: str) -> _Page:
    return _json(status, {"error": message, "errors": {}})


def _json(status: HTTPStatus, content: Any) -> _Page:
    return status, _JSON, msgspec.json.encode(content)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = _SLOWEST

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a probe every second is no news."""


@contextmanager
def serving_admin(application: AdminApplication, host: str, port: int) -> Iterator[int]:
    """Serve the pages in a thread, and give the port.

    Raises:
        OSError: the address cannot be listened at.
    """
    with make_server(host, port, application, _Server, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="admin", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
