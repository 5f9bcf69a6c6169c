"""The gateway's worker processes, as their parent sees them: started, watched, replaced and stopped."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from compat.gateway.worker import ALIVE, STARTED, WorkerSettings, work

__all__ = ["Workers"]

_FAILED = 1
_INTERRUPTED = 130
_LOOK = 0.2
"""Seconds between two looks at what happens; so long may a signal wait that another thread was handed."""

_EARLY, _MOST_EARLY = 5.0, 3
"""A worker that ends within so many seconds ends early; after so many of them in a row the gateway gives up."""

_STARTING = 60.0
"""Seconds that a worker may take to start."""

_ASKED_EVERY, SILENT_FOR = 2.0, 30.0
"""A worker is asked that often whether it lives, and killed if it has not answered for so long."""

_AFTER_THE_LIMIT = 3.0
"""Seconds that a worker has to end by itself after its calls had their time."""

_log = logging.getLogger("compat.gateway.workers")


class Worker:
    """A worker process, and what is asked of it and answered."""

    def __init__(self, settings: WorkerSettings, make: Callable[[], Any], listener: socket.socket) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other = spawn.Pipe()
        # Forked from a process with threads, a worker could inherit a lock that nobody will ever let go of.
        self.process = spawn.Process(target=work, args=(settings, make, listener, other), daemon=False)
        self.process.start()
        other.close()
        self.begun = self.heard = self._asked = time.monotonic()
        self.started = False
        self._answers: dict[int, str] = {}
        self._changed = threading.Condition()
        self._number = 0

    @property
    def name(self) -> str:
        """What logs and operators know it by."""
        return f"worker {self.process.pid}"

    @property
    def handles(self) -> tuple[int | Connection, ...]:
        """What there is to wait for: its end, and its answers."""
        return (self.process.sentinel,) if self._pipe.closed else (self.process.sentinel, self._pipe)

    def ask(self, question: str) -> int:
        """Ask, without waiting; gives the question's number."""
        with self._changed:
            self._number += 1
            # One that is on its way out is not there to be asked.
            with suppress(OSError, ValueError):
                self._pipe.send((self._number, question))
            return self._number

    def answer(self, question: str, within: float) -> str | None:
        """What it answers; None where it does not, within so many seconds."""
        number = self.ask(question)
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
        """Whether it has not answered for long; asks again now and then."""
        now = time.monotonic()
        if self.started and now - self._asked > _ASKED_EVERY:
            self._asked = now
            self.ask(ALIVE)
        return now - self.heard > self.patience

    @property
    def patience(self) -> float:
        """Seconds that it may leave its parent without an answer."""
        return SILENT_FOR if self.started else _STARTING


class Workers:
    """The processes that answer calls; each makes its application for itself.

    Args:
        settings: how they are run.
        number: how many there are.
        listener: where calls come in; all of them take from it, so that one that hangs keeps nobody waiting.
        make: makes a worker's application, in its process; it has to be picklable.
        check: looks whether workers could be made now, and raises if they could not.
        stopping: set as soon as the gateway is told to stop.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        number: int,
        listener: socket.socket,
        make: Callable[[], Any],
        check: Callable[[], object],
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._number = number
        self._listener = listener
        self._make = make
        self._check = check
        self._stopping = stopping
        self._current: list[Worker] = []
        self._leaving: list[Worker] = []
        self._asked_to_reload = False
        self._ended_early = 0

    def run(self) -> int:
        """Serve until a signal asks to stop.

        Returns:
            the exit status: 0 where it stopped as asked, 1 where workers kept dying.
        """
        self._take_signals()
        self._current = [self._start() for _ in range(self._number)]
        while not self._stopping.is_set():
            self._watch()
            if self._ended_early >= _MOST_EARLY:
                _log.error("the workers keep dying; giving up")
                self._end(self._current + self._leaving)
                return _FAILED
            if self._asked_to_reload:
                self._asked_to_reload = False
                self._renew()
        self._listener.close()
        for worker in self._current:
            worker.process.terminate()
        self._leaving += self._current
        self._current = []
        ends = time.monotonic() + self._settings.stop_within + _AFTER_THE_LIMIT
        while self._leaving and time.monotonic() < ends:
            self._watch()
        self._end(self._leaving)
        return 0

    def asked(self, question: str, within: float) -> dict[str, str | None]:
        """What each worker that has started answers to a question; from any thread.

        Args:
            question: :data:`~compat.gateway.worker.ALIVE` or :data:`~compat.gateway.worker.ANSWERING`.
            within: seconds that all of them together have for it.

        Returns:
            the worker's name to its answer, None where it gave none.
        """
        ends = time.monotonic() + within
        started = [worker for worker in self._current if worker.started]
        return {each.name: each.answer(question, max(0.0, ends - time.monotonic())) for each in started}

    def _start(self) -> Worker:
        return Worker(self._settings, self._make, self._listener)

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
                _log.error("%s has not answered for %g seconds, and is replaced", worker.name, worker.patience)
                self._end([worker])
            if not worker.process.is_alive() and not self._stopping.is_set():
                self._replace(place)

    def _replace(self, place: int) -> None:
        worker = self._current[place]
        if time.monotonic() - worker.begun < _EARLY:
            self._ended_early += 1
        else:
            self._ended_early = 0
        _log.error("%s has ended with %s, and is replaced", worker.name, worker.process.exitcode)
        self._current[place] = self._start()

    def _renew(self) -> None:
        """Replace each worker by a new one, which reads the configuration anew; the old one leaves when it is there."""
        try:
            self._check()
        except Exception as error:  # noqa: BLE001  # whatever is wrong, the workers that run are better than none
            _log.error("the workers stay as they are, since new ones could not be made: %s", error)
            return
        for place in range(self._number):
            worker = self._start()
            self._leaving.append(worker)
            while not (worker.started or worker.is_silent() or self._stopping.is_set()) and worker.process.is_alive():
                self._watch()
            if self._stopping.is_set():
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

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._reload)

    def _stop(self, number: int, frame: object) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            return
        for worker in self._current + self._leaving:
            worker.process.kill()
        shutil.rmtree(self._settings.numbers, ignore_errors=True)
        os._exit(_INTERRUPTED)

    def _reload(self, number: int, frame: object) -> None:
        self._asked_to_reload = True
