"""The gateway's worker processes: what each does, and how their parent starts, watches, replaces and stops them."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import math
import multiprocessing
import os
import platform
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, cast

import uvicorn

from compat.gateway.application import Gateway
from compat.gateway.limits import GatewaySettings
from compat.gateway.observers import log_settings
from compat.gateway.protocol import Connection

try:
    import resource
except ModuleNotFoundError:
    # Windows has no such limits.
    resource = None  # type: ignore[assignment]

_log = logging.getLogger("compat.gateway.workers")

ALIVE = "does the event loop run"
ANSWERING = "would a call be answered"
OK = "ok"
STARTED = "started"

_OWN_FILES = 100  # open files that a worker may need beside those for connections of callers
_MANY_FILES = 65_536
_TICKS = 10
_FAILED = 1
_ON_THEIR_WAY = 2.0  # seconds for which a worker that stops still takes requests on the connections that it has taken
_MADE_BETWEEN = 20_000  # objects made, and not let go of, between two looks for those that hold one another


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker is run: where it counts, and the seconds that calls may still run when it is told to stop."""

    stop_within: int
    metrics_directory: Path
    tls_certificate: Path | None = None
    tls_key: Path | None = None


def run_worker(settings: WorkerSettings, make: Callable[[], Gateway], listener: socket.socket, parent: Pipe) -> None:
    """Serve at the listener until told to stop, and answer the parent's questions: a worker's whole life."""
    if hasattr(os, "setpgid"):
        # An interrupt at a terminal reaches a whole group of processes. The parent's it is to stop the workers.
        os.setpgid(0, 0)
    gateway = make()
    server = _Server(_served(gateway, settings), gateway, parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server takes them while it serves, and raises what it took once more when it has ended.
        signal.signal(number, server.handle_exit)
    threading.Thread(target=server.answer_parent, args=(settings,), name="parent", daemon=True).start()
    keep_memory_warm()
    # What is there now stays, and what a call makes goes by itself: there is little to look for, and no hurry.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE_BETWEEN)
    server.run([listener])


def _served(gateway: Gateway, settings: WorkerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        http=type("Connection", (Connection,), {"settings": _within_descriptors(gateway.settings)}),
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
    wanted = settings.max_connections
    if possible < wanted:
        _log.warning("max_connections = %d is more than the limit on open files allows; %d are kept", wanted, possible)
    return replace(settings, max_connections=min(possible, wanted))


def _tls(config: uvicorn.Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = usual()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8  # glibc's numbers for the three
_ARENAS = 2
"""Arenas that all threads share. Each keeps what is free in it, and one interpreter has few threads that take memory at
once: with an arena a thread, large answers in turn leave hundreds of MiB behind."""

_KEPT = 8 << 20
"""Free bytes at the end of an arena that are kept. benchmarks/warm_memory.py: more saves no faults of pages of 300."""

_ONE_BLOCK = 4 << 20
"""Bytes from which a block is mapped by itself, and given back at once: eight honest pages. What is larger may be an
answer of 16 MiB that is refused, several of which in an arena left 315 MiB behind."""


def keep_memory_warm(kept: int = _KEPT, one_block: int = _ONE_BLOCK) -> bool:
    """Have the C library keep freed memory for the next answer, where it is glibc; gives whether it does.

    A page of 300 records is half a megabyte, and a call holds several of them for a moment. glibc gives blocks as large
    as that back to the system at once, so that every call takes them anew, a page fault for each 4 KiB. This is for a
    process which does nothing else: never for a script's own.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    wanted = ((_TRIM_THRESHOLD, kept), (_MMAP_THRESHOLD, one_block), (_MOST_ARENAS, _ARENAS))
    taken = [ctypes.CDLL(None).mallopt(name, value) for name, value in wanted]
    return all(taken)


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
                cast(Connection, connection).end_overdue(now)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._tell(0, STARTED)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, once all that was asked is answered.

        A connection that was taken may have its first request, or the next one, on its way, or still its TLS handshake.
        If it were closed at once, that call would fail; so each has a moment for one more.
        """
        for each in (*self.servers, *(sockets or ())):
            each.close()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        # Of connections that come out of a handshake later too.
        cast("type[Connection]", self.config.http_protocol_class).takes_last = True
        for connection in tuple(cast("set[Connection]", self.server_state.connections)):
            if not connection.awaits_a_head:
                connection.shutdown()
        while not self.force_exit and loop.time() - begun < _ON_THEIR_WAY:
            await asyncio.sleep(0.05)
            # Of a handshake that runs, nothing is seen here.
            if not self.server_state.connections and self.config.ssl is None:
                break
        limit = self.config.timeout_graceful_shutdown
        if limit is not None:
            self.config.timeout_graceful_shutdown = math.ceil(max(0.0, limit - (loop.time() - begun)))
        await super().shutdown(sockets)

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
        shutil.rmtree(settings.metrics_directory, ignore_errors=True)
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


_INTERRUPTED = 130
_LOOK = 0.2  # seconds between two looks at what happens; so long may a signal wait that another thread was handed
_EARLY, _MOST_EARLY = 5.0, 3
"""A worker that ends within so many seconds ends early; after so many of them in a row the gateway gives up."""

_STARTING = 60.0  # seconds that a worker may take to start
_ASKED_EVERY, SILENT_FOR = 2.0, 30.0
"""A worker is asked that often whether it lives, and killed if it has not answered for so long."""

_AFTER_THE_LIMIT = 3.0  # seconds that a worker has to end by itself after its calls had their time


class Worker:
    """A worker process, and what is asked of it and answered."""

    def __init__(self, settings: WorkerSettings, make: Callable[[], Any], listener: socket.socket) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other = spawn.Pipe()
        # Forked from a process with threads, a worker could inherit a lock that nobody will ever let go of.
        self.process = spawn.Process(target=run_worker, args=(settings, make, listener, other), daemon=False)
        self.process.start()
        self.name = f"worker {self.process.pid}"
        other.close()
        self.begun = self.heard = self._asked = time.monotonic()
        self.started = False
        self._answers: dict[int, str] = {}
        self._changed = threading.Condition()
        self._number = 0

    @property
    def handles(self) -> tuple[int | Pipe, ...]:
        """What there is to wait for: its end, and its answers."""
        return (self.process.sentinel,) if self._pipe.closed else (self.process.sentinel, self._pipe)

    def _ask(self, question: str) -> int:
        """Ask without waiting, and give the question's number."""
        with self._changed:
            self._number += 1
            # One that is on its way out is not there to be asked.
            with suppress(OSError, ValueError):
                self._pipe.send((self._number, question))
            return self._number

    def answer(self, question: str, within: float) -> str | None:
        """What it answers; None where it does not, within so many seconds."""
        number = self._ask(question)
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers, within)
            return self._answers.pop(number, None)

    def take_answers(self) -> None:
        """Take what it has answered; of the one thread that watches."""
        try:
            while self._pipe.poll():
                number, text = self._pipe.recv()
                self.heard = time.monotonic()
                with self._changed:
                    self.started = self.started or text == STARTED
                    self._answers = {each: kept for each, kept in self._answers.items() if each > number - 100}
                    self._answers[number] = text
                    self._changed.notify_all()
        except (OSError, EOFError):
            self._pipe.close()

    def is_silent(self) -> bool:
        """True if it has not answered for too long. Asks again now and then."""
        now = time.monotonic()
        if self.started and now - self._asked > _ASKED_EVERY:
            self._asked = now
            self._ask(ALIVE)
        return now - self.heard > self.longest_silence

    @property
    def longest_silence(self) -> float:
        return SILENT_FOR if self.started else _STARTING


@dataclass(eq=False)
class Workers:
    """The processes that answer calls; each makes its application for itself."""

    settings: WorkerSettings
    number: int
    listener: socket.socket  # all of them take calls from it, so that one that hangs keeps nobody waiting
    make: Callable[[], Any]  # makes a worker's application, in its process; it has to be picklable
    check: Callable[[], object]  # looks whether workers could be made now, and raises if they could not
    stopping: threading.Event  # set as soon as the gateway is told to stop
    _current: list[Worker] = field(default_factory=list, init=False)
    _leaving: list[Worker] = field(default_factory=list, init=False)
    _asked_to_reload: bool = field(default=False, init=False)
    _ended_early: int = field(default=0, init=False)

    def run(self) -> int:
        """Serve until a signal asks to stop, and give the exit status: 0, or 1 where workers kept dying."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._reload)
        self._current = [self._start() for _ in range(self.number)]
        while not self.stopping.is_set():
            self._watch()
            if self._ended_early >= _MOST_EARLY:
                _log.error("the workers keep dying; giving up")
                self._end(self._current + self._leaving)
                return _FAILED
            if self._asked_to_reload:
                self._asked_to_reload = False
                self._renew()
        self.listener.close()
        for worker in self._current:
            worker.process.terminate()
        self._leaving += self._current
        self._current = []
        ends = time.monotonic() + self.settings.stop_within + _AFTER_THE_LIMIT
        while self._leaving and time.monotonic() < ends:
            self._watch()
        self._end(self._leaving)
        return 0

    def asked(self, question: str, within: float) -> dict[str, str | None]:
        """What each worker that has started answers within so many seconds, None for nothing; from any thread."""
        ends = time.monotonic() + within
        started = [worker for worker in self._current if worker.started]
        return {each.name: each.answer(question, max(0.0, ends - time.monotonic())) for each in started}

    def _start(self) -> Worker:
        return Worker(self.settings, self.make, self.listener)

    def _watch(self) -> None:
        """Wait a little for what happens; see to workers that have ended or hang."""
        everybody = self._current + self._leaving
        ready = wait([handle for worker in everybody for handle in worker.handles], _LOOK)
        for worker in everybody:
            if any(handle in ready for handle in worker.handles):
                worker.take_answers()
        self._leaving = [worker for worker in self._leaving if worker.process.is_alive()]
        for place, worker in enumerate(self._current):
            if worker.process.is_alive() and worker.is_silent():
                _log.error("%s has not answered for %g seconds, and is replaced", worker.name, worker.longest_silence)
                self._end([worker])
            if not worker.process.is_alive() and not self.stopping.is_set():
                early = time.monotonic() - worker.begun < _EARLY
                self._ended_early = self._ended_early + 1 if early else 0
                _log.error("%s has ended with %s, and is replaced", worker.name, worker.process.exitcode)
                self._current[place] = self._start()

    def _renew(self) -> None:
        """Replace each worker by a new one, which reads the configuration anew; the old one leaves when it is there."""
        try:
            self.check()
        except Exception as error:  # noqa: BLE001  # whatever is wrong, the workers that run are better than none
            _log.error("the workers stay as they are, since new ones could not be made: %s", error)
            return
        for place in range(self.number):
            worker = self._start()
            self._leaving.append(worker)
            while not (worker.started or worker.is_silent() or self.stopping.is_set()) and worker.process.is_alive():
                self._watch()
            if self.stopping.is_set():
                return
            if not worker.started:
                self._end([worker])
                _log.error("the other workers stay as they are, since a new one did not start")
                return
            self._leaving.remove(worker)
            before, self._current[place] = self._current[place], worker
            before.process.terminate()
            self._leaving.append(before)

    def _end(self, workers: Iterable[Worker]) -> None:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()

    def _stop(self, number: int, frame: object) -> None:
        if not self.stopping.is_set():
            self.stopping.set()
            return
        for worker in self._current + self._leaving:
            worker.process.kill()
        shutil.rmtree(self.settings.metrics_directory, ignore_errors=True)
        os._exit(_INTERRUPTED)

    def _reload(self, number: int, frame: object) -> None:
        self._asked_to_reload = True
