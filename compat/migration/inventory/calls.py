"""Counts deprecated calls behind the caller's back: a queue, a thread that adds up, and a store that may be away.

A call costs its caller an ``append``. The thread adds up what waits and hands it to the store about once a second; what
is left goes there when the process ends. That is exact but for what is said to be dropped, and for a process that is
killed: it loses what it counted since the last time. The workers of a ``multiprocessing`` pool are killed as a rule, so
there a call waits for its count, a tenth of a second at most.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from compat.errors import CompatError
from compat.migration.inventory.counts import Batch, Busy, CallRecord, Counts, Group, Tally, open_tally
from compat.processes import ForkLock, renew_after_fork
from compat.stores.url import place_of
from compat.text.json import several

__all__ = ["Inventory", "inventory_at"]

_EVERY = 1.0
_MOST_WAITING = 20_000
_MOST_GROUPS = 5_000
_A_BATCH = 500
_AT_EXIT = 5.0
_HASTY = 0.1
"""Seconds that a call waits at most to be counted in a process that may be ended as soon as it has answered."""
_log = logging.getLogger("compat.migration")


def inventory_at(url: str) -> Inventory:
    """The inventory of a store, one for all entrances of this process.

    Raises:
        ConfigurationError: there is no such kind of store.
    """
    url = place_of(url).url
    with _LOCK:
        found = _BY_URL.get(url)
        if found is None:
            found = _BY_URL[url] = Inventory(url)
        return found


class Inventory:
    """Takes call records from any thread, and never makes one wait or fail.

    Its thread starts with the first call, in a process that was forked anew. Pickled, it is the inventory of the same
    store in the other process.

    Args:
        url: the store's.
        every: seconds from a call until it is handed to the store, about.
        most_waiting: calls that wait to be added up; more are dropped, and that is counted.
        open_with: opens the tally; called when there is something to add.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        *,
        every: float = _EVERY,
        most_waiting: int = _MOST_WAITING,
        open_with: Callable[[str], Tally] = open_tally,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._every = every
        self._most_waiting = most_waiting
        self._open_with = open_with
        self._clock = clock
        self.begin()
        renew_after_fork(self.begin)
        _ALL.add(self)

    def __reduce__(self) -> tuple[Callable[[str], Inventory], tuple[str]]:
        return inventory_at, (self._url,)

    def begin(self) -> None:
        """Begin with nothing: what a fork copied is its parent's to count."""
        self._waiting: deque[CallRecord] = deque()
        self._groups: dict[Group, Counts] = {}
        self._dropped = 0
        self._batch: Batch | None = None
        self._writer, self._batches = secrets.token_hex(8), 0
        self._tally: Tally | None = None
        self._thread: threading.Thread | None = None
        self._awake = threading.Event()
        self._change = threading.Lock()
        self._writing = threading.Lock()
        self._settled = threading.Event()
        self._hasty = False
        self._ending = False
        self._away = False
        self._lamented = 0

    @property
    def dropped(self) -> int:
        """Calls that were dropped and that the store has not been told of yet."""
        return self._dropped

    def note(self, call_record: CallRecord) -> None:
        """Count a call, or add what was read of its answer; returns at once, and never raises."""
        self._settled.clear()
        if len(self._waiting) >= self._most_waiting:
            self._drop(call_record)
        else:
            self._waiting.append(call_record)
        if not self._awake.is_set():
            self._wake()
        if self._ending:
            # A thread that is not done when the process ends: nobody comes by after this.
            self.flush(_AT_EXIT)
        elif self._hasty and not self._away:
            self._settled.wait(_HASTY)

    def flush(self, within: float = _AT_EXIT) -> bool:
        """Hand all that was counted to the store now.

        Args:
            within: seconds to wait for other processes that have it to themselves. Where it is away, nothing waits.

        Returns:
            whether it took all of it. What it did not take stays, and goes there later.
        """
        ends = time.monotonic() + within
        while True:
            if not self._writing.acquire(timeout=max(0.0, ends - time.monotonic())):
                return False
            try:
                self._write()
                return True
            except Busy:
                if time.monotonic() >= ends:
                    return False
            except Exception as error:  # noqa: BLE001 - a script runs on whatever is wrong with the store
                self._complain(error)
                return False
            finally:
                self._writing.release()
            time.sleep(0.02)

    def end(self, within: float = _AT_EXIT) -> None:
        """Hand over what is left, as the process ends."""
        self._ending = True
        if not self.flush(within):
            left = sum(not each.again for each in list(self._waiting))
            left += sum(each.number for each in list(self._groups.values()))
            left += sum(each.number for each in self._batch.groups.values()) if self._batch is not None else 0
            lost = left + self._dropped
            # A process may end in two steps, and says the same once.
            if lost > self._lamented:
                are = "is" if lost == 1 else "are"
                _log.warning("%s %s not counted: the store is away", several(lost, "deprecated call"), are)
            self._lamented = lost
        self._let_go(within)

    def close(self) -> None:
        """Hand over what was counted, and let go of the store; for the next call it is opened again."""
        self.flush()
        self._let_go(_AT_EXIT)

    def _let_go(self, within: float) -> None:
        if self._writing.acquire(timeout=within):
            tally, self._tally = self._tally, None
            if tally is not None:
                tally.close()
            self._writing.release()

    @property
    def _idle(self) -> bool:
        return not (self._waiting or self._groups or self._dropped or self._batch)

    def _drop(self, call_record: CallRecord) -> None:
        if not call_record.again:
            with self._change:
                self._dropped += 1

    def _wake(self) -> None:
        with self._change:
            self._ending = self._ending or _is_ending()
            if self._thread is None and not self._ending:
                self._thread = threading.Thread(target=self._go_on, name="exam-compat-inventory", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:
                    # The process ends, or may have no more threads: what waits goes to the store at its end.
                    self._thread = None
                _at_the_end_of_a_child()
                self._hasty = _is_daemon()
            self._awake.set()

    def _go_on(self) -> None:
        while True:
            self._awake.wait()
            if not self._hasty:
                time.sleep(self._every)
            self._awake.clear()
            if self.flush(0):
                self._settled.set()
            else:
                time.sleep(self._every)
                self._awake.set()

    def _write(self) -> None:
        while not self._idle:
            self._add_up()
            if self._batch is None:
                self._batch = self._next_batch()
            if self._tally is None:
                self._tally = self._open_with(self._url)
            # A batch stays as it is until it is known to have been taken, so that it is never counted twice.
            self._tally.add(self._batch)
            self._batch = None
            self._away = False

    def _add_up(self) -> None:
        while self._waiting:
            call_record = self._waiting.popleft()
            group = Group.of(call_record)
            counts = self._groups.get(group)
            if counts is None:
                if len(self._groups) >= _MOST_GROUPS:
                    self._drop(call_record)
                    continue
                counts = self._groups[group] = Counts()
            (counts.add_fields if call_record.again else counts.add)(call_record.at, call_record.fields)

    def _next_batch(self) -> Batch:
        taken = {group: self._groups.pop(group) for group in list(self._groups)[:_A_BATCH]}
        with self._change:
            dropped, self._dropped = self._dropped, 0
        self._batches += 1
        return Batch(self._writer, self._batches, taken, dropped, self._clock())

    def _complain(self, error: Exception) -> None:
        if not self._away:
            reason = str(error) if isinstance(error, CompatError) else type(error).__name__
            _log.warning("deprecated calls cannot be counted for the moment: %s", reason)
        self._away = True


_LOCK = ForkLock()
_BY_URL: dict[str, Inventory] = {}
_ALL: weakref.WeakSet[Inventory] = weakref.WeakSet()


def _end_all(within: float = _AT_EXIT) -> None:
    for inventory in list(_ALL):
        inventory.end(within)


def _is_child() -> bool:
    """Whether this process was started by ``multiprocessing``."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and processes.parent_process() is not None


def _is_daemon() -> bool:
    """Whether this process is one that its parent ends by a signal, such as the workers of a pool."""
    return _is_child() and bool(sys.modules["multiprocessing.process"].current_process().daemon)


def _is_ending() -> bool:
    """Whether this is a process of ``multiprocessing`` whose function has returned, while a thread of it goes on."""
    return _is_child() and bool(sys.modules["multiprocessing.util"].is_exiting())


def _at_the_end_of_a_child() -> None:
    """Have a process of ``multiprocessing`` hand over what is left: one that was forked ends without ``atexit``."""
    if _is_child():
        # Only what is imported already: a script without processes need not have it.
        sys.modules["multiprocessing.util"].Finalize(None, _end_all, exitpriority=0)


# Runs when all threads that are waited for are done, those of executors among them.
atexit.register(_end_all)
