"""Which server and which HTTP client: the processor time of passing a page through, by each that is installed.

What cannot be measured decided first: a WSGI server gives the path decoded and joins headers that came twice, but for
gunicorn, which keeps the path. A request cannot be passed on untouched from that. Granian writes names of headers in
small letters, which old clients do not find.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from unittest.mock import patch

from benchmarks.gateway_load import Load, free_port, load, one, pinned_server, serving, upstream
from benchmarks.harness import Figure, Report, command_line

SIZES = (30, 300)
_APPLICATIONS = "benchmarks.gateway_candidates"
_SERVERS = {
    "Granian, ASGI": ["granian", "--interface", "asgi", "--no-ws", "--port", "{port}"],
    "Granian, WSGI": ["granian", "--interface", "wsgi", "--blocking-threads", "8", "--port", "{port}"],
    "the gateway's own": ["benchmarks.gateway_candidates", "{port}"],
    "uvicorn, ASGI": ["uvicorn", "--no-access-log", "--log-level", "warning", "--port", "{port}"],
    "gunicorn, WSGI": ["gunicorn", "--worker-class", "gthread", "--threads", "8", "--bind", "127.0.0.1:{port}"],
    "waitress, WSGI": ["waitress", "--threads", "8", "--listen", "127.0.0.1:{port}"],
}
_CANDIDATES = (
    ("Granian, ASGI", "asgi_aiohttp", "aiohttp"),
    ("Granian, ASGI", "asgi_threads", "urllib3"),
    ("Granian, ASGI", "asgi_threads", "http.client"),
    ("Granian, ASGI", "asgi_threads", "compat"),
    ("Granian, ASGI", "asgi_threads", "pycurl"),
    ("Granian, ASGI", "asgi_threads", "pyreqwest"),
    ("Granian, WSGI", "wsgi", "urllib3"),
    ("Granian, WSGI", "wsgi", "pyreqwest"),
    ("uvicorn, ASGI", "asgi_aiohttp", "aiohttp"),
    ("uvicorn, ASGI", "asgi_threads", "urllib3"),
    ("the gateway's own", "asgi_threads", "urllib3"),
    ("the gateway's own", "asgi_threads", "http.client"),
    ("the gateway's own", "asgi_threads", "compat"),
    ("gunicorn, WSGI", "wsgi", "urllib3"),
    ("waitress, WSGI", "wsgi", "urllib3"),
)


def _installed(server: str, client: str) -> bool:
    named = (_SERVERS[server][0].partition(".")[0], client)
    return all(importlib.util.find_spec(name) for name in named)


def _load(server: str, application: str, client: str, base_url: str, size: int) -> Load:
    port = free_port()
    program, *options = (part.format(port=port) for part in _SERVERS[server])
    command = [sys.executable, "-m", program, *options]
    if program != _APPLICATIONS:
        command.append(f"{_APPLICATIONS}:{application}")
    with (
        patch.dict(os.environ, {"BENCHMARK_UPSTREAM": base_url, "BENCHMARK_CLIENT": client}),
        serving(pinned_server(command), port) as running,
    ):
        status, headers, body = one(running, f"/page{size}.json")
        assert (status, headers["x-pagination-item-count"], body[:13]) == (200, str(size), b'{"students":[')
        load(running, [f"/page{size}.json"], 8, 1)
        return load(running, [f"/page{size}.json"], 8, 2)


def main(rounds: int = 3) -> Report:
    """Measure."""
    found: dict[tuple[str, str, int], list[float]] = {}
    chosen = [candidate for candidate in _CANDIDATES if _installed(candidate[0], candidate[2])]
    with upstream(SIZES) as bases:
        for number in range(min(rounds, 3)):
            for server, application, client in chosen if number % 2 == 0 else reversed(chosen):
                for size in SIZES:
                    done = _load(server, application, client, bases[size], size)
                    found.setdefault((server, client, size), []).append(done.processor)
    return Report(
        "Which server and which HTTP client",
        "Each passes a page of nginx's through, at 8 connections, on one core; wrk and nginx are on the other. The "
        "figures are microseconds of the server's processor time a request.",
        {},
        [],
        [Figure(f"{server}, {client}, {size} records", "", values) for (server, client, size), values in found.items()],
    )


if __name__ == "__main__":
    command_line(main)
