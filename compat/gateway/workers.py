"""The gateway's worker processes: started, watched, replaced and stopped."""

from __future__ import annotations

import gc
import logging
import logging.config
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.log import LogLevels

from compat.gateway.logs import log_settings

__all__ = ["Workers", "WorkersSettings"]

_FAILED = 1
_MADE_BETWEEN = 20_000
"""Objects made, and not let go of, between two looks for those that hold one another."""
_INTERRUPTED = 130
_RELOAD = getattr(signal, "SIGHUP", None)
_NUDGE = getattr(signal, "SIGURG", None)
"""Wakes the main thread and means nothing else."""
_log = logging.getLogger("compat.gateway.workers")


@dataclass(frozen=True)
class WorkersSettings:
    """How the workers are run.

    Attributes:
        host: the address for calls.
        port: its port.
        number: how many there are.
        stop_within: seconds that calls may still run when the gateway is told to stop.
        numbers: the directory that they count in.
        tls_certificate: a certificate chain, PEM; None for plain HTTP.
        tls_key: its key, PEM.
    """

    host: str
    port: int
    number: int
    stop_within: int
    numbers: Path
    tls_certificate: Path | None = None
    tls_key: Path | None = None


class Workers:
    """The processes that answer calls; each makes its application for itself.

    Args:
        settings: how they are run.
        make: makes a worker's application, in its process; it has to be picklable.
        check: looks whether workers could be made now, and raises if they could not.
        stopping: set as soon as the gateway is told to stop.
    """

    def __init__(
        self,
        settings: WorkersSettings,
        make: Callable[[], Any],
        check: Callable[[], object],
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._make = make
        self._check = check
        self._stopping = stopping
        self._server = Granian(
            "compat.gateway:application",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.number,
            websockets=False,
            # Old clients speak nothing newer, and nothing newer need be understood here.
            http=HTTPModes.http1,
            log_level=LogLevels.warning,
            log_dictconfig=log_settings(),
            ssl_cert=settings.tls_certificate,
            ssl_key=settings.tls_key,
            ssl_protocol_min=SSLProtocols.tls12,
            respawn_failed_workers=True,
            respawn_interval=0.1,
            workers_kill_timeout=settings.stop_within,
        )
        self._server.on_startup(self._take_signals)

    def run(self) -> int:
        """Serve until a signal asks to stop.

        Returns:
            the exit status: 0 where it stopped as asked, 1 where workers kept dying.
        """
        # Forked from a process with threads, a worker could inherit a lock that nobody will ever let go of.
        multiprocessing.set_start_method("spawn", force=True)
        load = partial(_load, self._make, self._settings.stop_within, self._settings.numbers)
        try:
            self._server.serve(target_loader=load, wrap_loader=False)
        except SystemExit:
            # A worker that ended because it was told to counts as one that died, where it was told by somebody else.
            if not self._stopping.is_set():
                _log.error("the workers keep dying; giving up")
                return _FAILED
        return 0

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if _RELOAD is not None:
            signal.signal(_RELOAD, self._reload)
        _wake_main_thread_for_signals()

    def _stop(self, number: int, frame: object) -> None:
        if self._stopping.is_set():
            self._end_at_once()
        self._stopping.set()
        self._server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _end_at_once(self) -> None:
        for worker in list(self._server.wrks):
            worker.kill()  # type: ignore[no-untyped-call]
        shutil.rmtree(self._settings.numbers, ignore_errors=True)
        os._exit(_INTERRUPTED)

    def _reload(self, number: int, frame: object) -> None:
        try:
            self._check()
        except Exception as error:  # noqa: BLE001  # whatever is wrong, the workers that run are better than none
            _log.error("the workers stay as they are, since new ones could not be made: %s", error)
            return
        self._server.signal_handler_reload()  # type: ignore[no-untyped-call]


def _wake_main_thread_for_signals() -> None:
    """See that the main thread wakes for every signal.

    A signal to a process may be handed to any of its threads. Python only notes it there; it is the main thread that
    acts on it, and one that waits does not wake for what another thread was interrupted by. Without this a gateway that
    is told to stop now and then goes on.
    """
    if _NUDGE is None:
        return
    noted, notes = socket.socketpair()
    notes.setblocking(False)
    signal.signal(_NUDGE, _nothing)
    signal.set_wakeup_fd(notes.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_nudge, args=(noted, _NUDGE), name="signals", daemon=True).start()


def _nothing(number: int, frame: object) -> None:
    pass


def _nudge(noted: socket.socket, nudge: int) -> None:
    main = threading.main_thread().ident
    while numbers := noted.recv(64):
        # A nudge is noted too.
        if main is not None and set(numbers) != {nudge}:
            signal.pthread_kill(main, nudge)


def _load(make: Callable[[], Any], stop_within: int, numbers: Path) -> Any:
    """Make the application; this and all that follows is in the worker's process."""
    if hasattr(os, "setpgid"):
        # An interrupt at a terminal reaches a whole group of processes. The parent's it is to stop the workers.
        os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, args=(stop_within, numbers), name="parent", daemon=True).start()
    made = make()
    # What is there now stays, and what a call makes goes by itself: there is little to look for, and no hurry.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE_BETWEEN)
    return made


def _end_with_parent(stop_within: int, numbers: Path) -> None:
    """Stop when the parent is gone, however it went: a worker that nobody watches would hold the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    with suppress(ProcessLookupError):
        os.kill(os.getpid(), signal.SIGTERM)
    shutil.rmtree(numbers, ignore_errors=True)
    time.sleep(stop_within)
    os._exit(_FAILED)
