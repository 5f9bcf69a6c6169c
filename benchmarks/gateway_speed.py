"""The gateway under load: the whole job against passing bytes through, and against what people would use instead.

The servers stand side by side, and are loaded one at a time: the gateway beside each of the others, so that what else
happens to the machine happens to both. The whole job verifies the signature, keeps the nonce, calls the new endpoint
once, checks types and translates. The floor is the same server and HTTP client with nothing but the page's bytes.
Beside it stand the same with the library's client, which costs more, and the gateway's own passing through of the new
endpoint's path, which streams.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.data import legacy_fields_of, student_sessions
from benchmarks.gateway_load import (
    Load,
    Server,
    alone,
    free_port,
    load,
    old_calls,
    one,
    page_of,
    pinned_server,
    serving,
    students_of,
    upstream,
)
from benchmarks.gateway_peers.signing import EXAM, KEY, TOKEN
from benchmarks.harness import Figure, Report
from compat.mapping.fast.scanner import NO_EXTENSIONS
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec
from compat.upstream.student_sessions import read_chunk
from compat.upstream.transport import Reply

SIZES = (30, 300)
CONNECTIONS = (1, 8, 32)
_GATEWAY, _BYTES, _PASSING = "gateway", "the same server and client, bytes alone", "gateway, passing through"
_BYTES_BY_LIBRARY = "the same server and http.client, bytes alone"
_FLOORS = {_BYTES: "compat", _BYTES_BY_LIBRARY: "http.client"}
"""Servers that pass bytes alone, by the client that they do it with: the gateway's own sender, and the library's."""
_codec = StudentCodec(LegacySettings())
_PATH = f"/api/v3/exams/{EXAM}/student_sessions"
_USUAL = 8
"""Connections at which servers are compared."""

_SECONDS = 2
_ROUNDS = 5
_LEAST_CALLS, _LONGEST = 160, 20
"""A load has that many calls at least, or lasts that many seconds."""
_MOST = {30: 8000, 300: 4000}
"""Calls a second that no server here reaches: so many are signed for each second."""

Start = Callable[[str, int], "list[str]"]


def _gateway(store: str, folder: str, *, reuse: int = 0, extension: bool = True) -> Start:
    def command(base_url: str, port: int) -> list[str]:
        path = Path(folder) / f"{port}.toml"
        path.write_text(
            f'[upstream]\nkind = "student_sessions"\nbase_url = "{base_url}"\napi_token = "{TOKEN}"\n'
            f'secret_key = "{KEY}"\nscope = "exam"\nreuse_bytes = {reuse}\n\n'
            f'[[callers]]\nname = "benchmark"\napi_token = "{TOKEN}"\n'
            f'secret_key = "{KEY}"\n\n[gateway]\nmax_calls_per_caller = 1000\n\n'
            f'[store]\nurl = "{store.format(port=port)}"\n',
            encoding="utf-8",
        )
        options = ["--port", str(port), "--admin-port", str(free_port())]
        switch = [] if extension else ["env", f"{NO_EXTENSIONS}=1"]
        return [*switch, sys.executable, "-m", "compat.cli", "--config", str(path), "serve", *options]

    return command


def _gunicorn(application: str) -> Start:
    def command(base_url: str, port: int) -> list[str]:
        options = ["--worker-class", "gthread", "--threads", "8", "--bind", f"127.0.0.1:{port}"]
        return ["env", f"BENCHMARK_UPSTREAM={base_url}", "gunicorn", *options, application]

    return command


def _bytes_alone(client: str) -> Start:
    def command(base_url: str, port: int) -> list[str]:
        chosen = ["env", f"BENCHMARK_UPSTREAM={base_url}", f"BENCHMARK_CLIENT={client}"]
        return [*chosen, sys.executable, "-m", "benchmarks.gateway_candidates", str(port)]

    return command


def _uvicorn(application: str) -> Start:
    def command(base_url: str, port: int) -> list[str]:
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "warning"]
        return ["env", f"BENCHMARK_UPSTREAM={base_url}", "uvicorn", *options, application]

    return command


def _mitmproxy(program: str) -> Start:
    def command(base_url: str, port: int) -> list[str]:
        addon = Path(__file__).parent / "gateway_peers" / "mitmproxy_addon.py"
        options = ["--mode", f"reverse:{base_url}", "--listen-host", "127.0.0.1", "--listen-port", str(port), "-q"]
        folder = str(Path(__file__).parent.parent)
        return ["env", f"BENCHMARK_UPSTREAM={base_url}", f"PYTHONPATH={folder}", program, *options, "-s", str(addon)]

    return command


def _servers(folder: str, redis: str | None) -> dict[str, Start]:
    starts: dict[str, Start] = {_GATEWAY: _gateway("memory://", folder)}
    starts |= {name: _bytes_alone(client) for name, client in _FLOORS.items()}
    starts["gateway without the extension in C"] = _gateway("memory://", folder, extension=False)
    # Every page here is the same as the one before: this one is no part of the claims.
    starts["gateway, pages used again"] = _gateway("memory://", folder, reuse=16 << 20)
    starts["gateway, SQLite"] = _gateway(f"sqlite:///{folder}/{{port}}.db", folder)
    if redis is not None:
        starts["gateway, Redis"] = _gateway(redis, folder)
    starts["FastAPI + Cadwyn"] = _uvicorn("benchmarks.gateway_peers.fastapi_cadwyn:application")
    starts["Flask + requests + marshmallow"] = _gunicorn("benchmarks.gateway_peers.flask_marshmallow:application")
    # It cannot be installed beside the others, whose requirements exclude its newer versions.
    program = os.environ.get("MITMDUMP") or shutil.which("mitmdump")
    if program:
        starts["mitmproxy addon"] = _mitmproxy(program)
    return starts


@contextmanager
def _redis() -> Iterator[str | None]:
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with serving([program, *options], port, lambda server: socket.create_connection(("127.0.0.1", port)).close()):
            yield f"redis://127.0.0.1:{port}/0"


def _check(server: Server, size: int, wanted: object) -> None:
    """Refuse to measure a server that does not do the work."""
    [first, second] = old_calls(2, size)
    for target, expected in ((first, 200), (second, 200), (first, 403)):
        status, headers, body = one(server, target)
        if status != expected:
            raise RuntimeError(f"{target.partition('?')[0]} was answered with {status}: {body[:300]!r}")
        if status == 200:
            assert students_of(body) == wanted
            assert headers["x-pagination-item-count"] == str(size)


class _Measured:
    """Loads of servers that stand side by side, all for pages of one size.

    Attributes:
        loads: of each server, by name, records a page and connections.
        pairs: of the gateway and of another server, one right after the other, by the other's name and records a page.
        translations: by records a page, what bytes alone and the translation alone cost, in microseconds.
    """

    def __init__(self, seconds: int) -> None:
        self.loads: dict[str, list[Load]] = {}
        self.pairs: dict[tuple[str, int], list[tuple[Load, Load]]] = {}
        self.translations: dict[int, list[tuple[float, float]]] = {}
        self._seconds = seconds
        self._lasting: dict[tuple[str, int], int] = {}
        self._whole = [legacy_fields_of({**record, "exam_id": int(EXAM)}) for record in student_sessions()]

    def take(self, rounds: int, size: int, servers: Mapping[str, Server]) -> None:
        """Load the servers in turns, the gateway beside each of the others."""
        for name, server in servers.items():
            self._warm(name, server, size)
        others = [*(name for name in servers if name != _GATEWAY), *([_PASSING] if _GATEWAY in servers else [])]
        for number in range(rounds):
            for name in others if number % 2 == 0 else reversed(others):
                self._pair(name, size, servers, first=number % 2 == 0)
            for connections in CONNECTIONS:
                if _GATEWAY in servers and connections != _USUAL:
                    self._load(_GATEWAY, size, servers, connections)

    def _warm(self, name: str, server: Server, size: int) -> None:
        if name in _FLOORS:
            # It listens before it can answer: it loads its client meanwhile.
            one(server, _PATH)
            load(server, [_PATH], _USUAL, 1)
        else:
            _check(server, size, self._whole[:size])
            rate = load(server, old_calls(_MOST[size], size), _USUAL, 1).rate
            # The calls that are cut off at the end cost time and are not counted: they have to be few among many.
            self._lasting[name, size] = min(max(self._seconds, round(_LEAST_CALLS / rate)), _LONGEST)

    def _pair(self, name: str, size: int, servers: Mapping[str, Server], *, first: bool) -> None:
        if _GATEWAY not in servers:
            self._load(name, size, servers)
            return
        order = (_GATEWAY, name) if first else (name, _GATEWAY)
        found = {each: self._load(each, size, servers) for each in order}
        self.pairs.setdefault((name, size), []).append((found[_GATEWAY], found[name]))
        if name == _BYTES:
            body = page_of(size)
            translation = alone(lambda: _translated(body), 0.5)
            self.translations.setdefault(size, []).append((found[name].processor, translation))

    def _load(self, name: str, size: int, servers: Mapping[str, Server], connections: int = _USUAL) -> Load:
        plain = name in _FLOORS or name == _PASSING
        seconds = self._lasting.get((name, size), self._seconds)
        calls = [_PATH] if plain else old_calls(_MOST[size] * min(seconds, self._seconds), size)
        done = load(servers[_GATEWAY if name == _PASSING else name], calls, connections, seconds)
        self.loads.setdefault(f"{name}, {size} records, {connections} connections", []).append(done)
        return done


def _translated(body: bytes) -> bytes:
    """The part of the work that is a page's own: decoded with its types checked and as UTF-8, and encoded."""
    headers = {"X-Pagination-Item-Count": "1", "X-Pagination-Limit": "1"}
    chunk = read_chunk(Reply(200, headers, body), 0, _codec.page)
    page = _codec.whole_page(chunk.rows, {"exam_id": int(EXAM)})
    assert page is not None
    return page


def measured(rounds: int, seconds: int, names: tuple[str, ...] = ()) -> Report:
    """Measure.

    Args:
        rounds: how often the servers take turns.
        seconds: that each load lasts.
        names: the servers wanted; all without one.
    """
    found = _Measured(seconds)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bases = stack.enter_context(upstream(SIZES))
        starts = _servers(folder, stack.enter_context(_redis()))
        for size in SIZES:
            with ExitStack() as running:
                servers: dict[str, Server] = {}
                for name in [name for name in starts if not names or name in names]:
                    port = free_port()
                    command = pinned_server(starts[name](bases[size], port))
                    servers[name] = running.enter_context(serving(command, port))
                found.take(rounds, size, servers)
    return _report(found)


def _report(found: _Measured) -> Report:
    figures: list[Figure] = []

    def versus(peer: str, size: int, target: str, *, inverse: bool = False) -> None:
        pairs = found.pairs.get((peer, size))
        if pairs:
            values = [ours.processor / theirs.processor for ours, theirs in pairs]
            way = f"{_GATEWAY} / {peer}"
            if inverse:
                way, values = f"{peer} / {_GATEWAY}", [1 / value for value in values]
            figures.append(Figure(f"processor time, {way}, {size} records", target, values))

    for size, most in zip(SIZES, ("at most 2.0", "at most 2.0"), strict=True):
        versus(_BYTES, size, most)
        versus(_BYTES_BY_LIBRARY, size, "")
        versus(_PASSING, size, "")
        if size in found.translations:
            values = [translation / passing for passing, translation in found.translations[size]]
            figures.append(Figure(f"processor time, the translation by itself / {_BYTES}, {size} records", "", values))
    for size in SIZES:
        versus("FastAPI + Cadwyn", size, "at most 0.15")
    versus("mitmproxy addon", 30, "at most 0.25")
    versus("mitmproxy addon", 300, "at most 0.3")
    for size in SIZES:
        versus("Flask + requests + marshmallow", size, "at most 0.1")
    for size in SIZES:
        versus("gateway, SQLite", size, "at most 1.25", inverse=True)
        versus("gateway, Redis", size, "at most 1.45", inverse=True)
    for size in SIZES:
        at = found.loads.get(f"{_GATEWAY}, {size} records, 32 connections", [])
        if at:
            ratios = [each.slowest / each.median for each in at]
            figures.append(Figure(f"{_GATEWAY}, {size} records, 32 connections: p99 / median", "at most 3", ratios))
    for name, loads in found.loads.items():
        figures.append(Figure(f"{name}: µs of processor time a request", "", [each.processor for each in loads]))
        figures.append(Figure(f"{name}: requests a second", "", [each.rate for each in loads]))
        figures.append(Figure(f"{name}: median ms", "", [each.median for each in loads]))
        figures.append(Figure(f"{name}: p99 ms", "", [each.slowest for each in loads]))
    return Report(
        "The gateway under load, one worker on one core",
        "Every call is signed; wrk and an nginx that serves the new endpoint's page are on the other core. "
        "Processor time is the server's, its whole family of processes; each ratio is of two loads, one right after "
        "the other.",
        {},
        [],
        figures,
    )


def main(rounds: int = _ROUNDS) -> Report:
    """Measure shortly."""
    return measured(min(rounds, 2), 1)


def full(rounds: int = _ROUNDS) -> Report:
    """Measure as the claims say."""
    return measured(min(rounds, _ROUNDS), _SECONDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="servers to measure; all without one")
    parser.add_argument("--rounds", type=int, default=2, help="how often the servers take turns")
    parser.add_argument("--seconds", type=int, default=1, help="that each load lasts")
    given = parser.parse_args()
    print(measured(given.rounds, given.seconds, tuple(given.names)).markdown())
