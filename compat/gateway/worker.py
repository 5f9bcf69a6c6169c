"""One worker process of the gateway, from its inside: it serves, and answers its parent's questions."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import cast

import uvicorn

from compat.gateway.application import Gateway
from compat.gateway.logs import log_settings
from compat.gateway.protocol import Connection, speaking
from compat.gateway.settings import GatewaySettings

try:
    import resource
except ModuleNotFoundError:
    # Windows has no such limits.
    resource = None  # type: ignore[assignment]

__all__ = ["ALIVE", "ANSWERING", "OK", "STARTED", "WorkerSettings", "work"]

ALIVE = "does the event loop run"
ANSWERING = "would a call be answered"
OK = "ok"
STARTED = "started"

_OWN_FILES = 100
"""Open files that a worker may need beside those for connections of callers."""

_MANY_FILES = 65_536
_TICKS = 10
_log = logging.getLogger("compat.gateway.workers")

_FAILED = 1
_MADE_BETWEEN = 20_000
"""Objects made, and not let go of, between two looks for those that hold one another."""


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker is run.

    Attributes:
        stop_within: seconds that calls may still run when it is told to stop.
        numbers: the directory that it counts in.
        tls_certificate: a certificate chain, PEM; None for plain HTTP.
        tls_key: its key, PEM.
    """

    stop_within: int
    numbers: Path
    tls_certificate: Path | None = None
    tls_key: Path | None = None


def work(settings: WorkerSettings, make: Callable[[], Gateway], listener: socket.socket, parent: Pipe) -> None:
    """Serve until told to stop; the whole life of a worker's process.

    Args:
        settings: how.
        make: makes the application.
        listener: where calls come in.
        parent: asks questions.
    """
    if hasattr(os, "setpgid"):
        # An interrupt at a terminal reaches a whole group of processes. The parent's it is to stop the workers.
        os.setpgid(0, 0)
    gateway = make()
    server = _Server(_served(gateway, settings), gateway, parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server takes them while it serves, and raises what it took once more when it has ended.
        signal.signal(number, server.handle_exit)
    threading.Thread(target=server.answer_parent, args=(settings,), name="parent", daemon=True).start()
    # What is there now stays, and what a call makes goes by itself: there is little to look for, and no hurry.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE_BETWEEN)
    server.run([listener])


def _served(gateway: Gateway, settings: WorkerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        http=speaking(_within_descriptors(gateway.settings)),
        timeout_keep_alive=gateway.settings.idle_timeout,
        ws="none",
        lifespan="on",
        log_config=log_settings(),
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.stop_within,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_context_factory=None if settings.tls_certificate is None else _tls,
    )


def _within_descriptors(settings: GatewaySettings) -> GatewaySettings:
    """The settings, with no more connections than there can be open files for; a passed call takes two."""
    if resource is None:
        return settings
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        most = _MANY_FILES
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    possible = max(1, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OWN_FILES) // 2)
    if possible < settings.max_connections:
        _log.warning(
            "max_connections = %d is more than the limit on open files allows; %d are kept",
            settings.max_connections,
            possible,
        )
    return replace(settings, max_connections=min(possible, settings.max_connections))


def _tls(config: uvicorn.Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = usual()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Server(uvicorn.Server):
    """The server of a worker, which tells its parent how it is."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, parent: Pipe) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._parent = parent
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trying: asyncio.Future[None] | None = None

    async def on_tick(self, counter: int) -> bool:
        """See to what is due; told ten times a second."""
        if counter % _TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                cast(Connection, connection).look(now)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._tell(0, STARTED)

    def answer_parent(self, settings: WorkerSettings) -> None:
        """Answer questions until the parent is gone, and then stop: unwatched, a worker would hold the port."""
        try:
            while True:
                number, question = self._parent.recv()
                if self._loop is not None:
                    asyncio.run_coroutine_threadsafe(self._answer(number, question), self._loop)
        except (OSError, EOFError):
            pass
        with suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)
        shutil.rmtree(settings.numbers, ignore_errors=True)
        time.sleep(settings.stop_within)
        os._exit(_FAILED)

    async def _answer(self, number: int, question: str) -> None:
        try:
            # Each connection needs one.
            os.close(os.dup(self._parent.fileno()))
            if question == ANSWERING:
                if self._trying is None or self._trying.done():
                    self._trying = asyncio.ensure_future(self._gateway.would_answer())
                # Questions do not pile up behind one that cannot be answered.
                await asyncio.shield(self._trying)
        except OSError as error:
            self._tell(number, f"no file can be opened: {error.strerror}")
            return
        self._tell(number, OK)

    def _tell(self, number: int, text: str) -> None:
        with suppress(OSError):
            self._parent.send((number, text))
