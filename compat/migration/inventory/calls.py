"""Inventory: counts deprecated calls in the background, for a store that may be away.

A call costs its caller an ``append``. About once a second the background queue adds up what waits and hands it to the
store; what is left goes there when the process ends. That is exact but for what is said to be dropped, and for a
process that is killed: it loses what it counted since the last time. The workers of a ``multiprocessing`` pool are
killed as a rule, so there a call waits for its count, a tenth of a second at most.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

from compat.errors import CompatError
from compat.migration.modes.background import BackgroundQueue, Bounds, may_be_killed
from compat.processes import ForkLock, renew_after_fork
from compat.stores.ledger import Batch, Busy, CallGroup, CallRecord, Counts, Ledger, open_ledger
from compat.stores.url import parse_store_url
from compat.text.json import several

__all__ = ["Inventory", "inventory_at"]

_MOST_WAITING = 20_000
_MOST_GROUPS = 5_000
_A_BATCH = 500
_AT_EXIT = 5.0
_HASTY = 0.1
"""Seconds that a call waits at most to be counted in a process that may be killed as soon as it has answered."""
# Counts are exact, so they are added up without a rest.
_BOUNDS = Bounds(threads=1, share=1.0, at_exit=_AT_EXIT)
_log = logging.getLogger("compat.migration")


def inventory_at(url: str) -> Inventory:
    """The inventory of a store, one for all entrances of this process.

    Raises:
        ConfigurationError: there is no such kind of store.
    """
    url = parse_store_url(url).url
    with _LOCK:
        if url not in _BY_URL:
            _BY_URL[url] = Inventory(url)
        return _BY_URL[url]


class Inventory:
    """Takes records of calls from any thread, and never makes one wait or fail.

    Pickled, it is the inventory of the same store in the other process.

    Args:
        url: the store's.
        every: seconds from a call until it is handed to the store, about.
        most_waiting: calls that wait to be added up; more are dropped, and that is counted.
        open_with: opens the store; called when there is something to add.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        *,
        every: float = 1.0,
        most_waiting: int = _MOST_WAITING,
        open_with: Callable[[str], Ledger] = open_ledger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._every = every
        self._most_waiting = most_waiting
        self._open_with = open_with
        self._clock = clock
        self._queue = BackgroundQueue(_BOUNDS)
        self._queue.ended = self.end
        self.begin()
        renew_after_fork(self.begin)

    def __reduce__(self) -> tuple[Callable[[str], Inventory], tuple[str]]:
        return inventory_at, (self._url,)

    def begin(self) -> None:
        """Begin with nothing: what a fork copied is its parent's to count."""
        self._waiting: deque[CallRecord] = deque()
        self._groups: dict[CallGroup, Counts] = {}
        self._dropped = 0
        self._batch: Batch | None = None
        self._writer, self._batches = secrets.token_hex(8), 0
        self._ledger: Ledger | None = None
        self._change = threading.Lock()
        self._writing = threading.Lock()
        self._scheduled = False
        self._hasty = False
        self._away = False
        self._reported_lost = 0

    @property
    def dropped(self) -> int:
        """Calls that were dropped and that the store has not been told of yet."""
        return self._dropped

    def note(self, record: CallRecord) -> None:
        """Count a call, or add what was read of its answer; returns at once, and never raises."""
        if len(self._waiting) >= self._most_waiting:
            self._drop(record)
        else:
            self._waiting.append(record)
        if not self._scheduled and not self._schedule():
            # A thread that is not done when the process ends: nobody comes by after this.
            self.flush()
        elif self._hasty and not self._away:
            self._queue.settle(_HASTY)

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
                if not self._away:
                    reason = str(error) if isinstance(error, CompatError) else type(error).__name__
                    _log.warning("deprecated calls cannot be counted for the moment: %s", reason)
                self._away = True
                return False
            finally:
                self._writing.release()
            time.sleep(0.02)

    def end(self) -> None:
        """Hand over what is left, as the process ends."""
        self._scheduled = False
        if not self.flush():
            # With the flow: what another thread moves meanwhile may count twice, and is never missed.
            lost = self._dropped + sum(not each.again for each in list(self._waiting))
            counts = [*self._groups.values(), *(self._batch.groups.values() if self._batch is not None else ())]
            lost += sum(each.number for each in counts)
            # A process may end in two steps, and says the same once.
            if lost > self._reported_lost:
                are = "is" if lost == 1 else "are"
                _log.warning("%s %s not counted: the store is away", several(lost, "deprecated call"), are)
            self._reported_lost = lost
        self._let_go()

    def close(self) -> None:
        """Hand over what was counted, and let go of the store; for the next call it is opened again."""
        self.flush()
        self._let_go()

    def _let_go(self) -> None:
        if self._writing.acquire(timeout=_AT_EXIT):
            ledger, self._ledger = self._ledger, None
            if ledger is not None:
                ledger.close()
            self._writing.release()

    def _drop(self, record: CallRecord) -> None:
        if not record.again:
            with self._change:
                self._dropped += 1

    def _schedule(self) -> bool:
        """Have what waits handed over in a moment; whether there still is one."""
        with self._change:
            if not self._scheduled:
                self._hasty = may_be_killed()
                self._scheduled = self._queue.later(self._hand_over, 0.0 if self._hasty else self._every)
            return self._scheduled

    def _hand_over(self) -> None:
        # First, so that whoever adds from here on asks for another time.
        self._scheduled = False
        if not self.flush(0):
            with self._change:
                self._scheduled = self._scheduled or self._queue.later(self._hand_over, 2 * self._every)

    def _write(self) -> None:
        while self._waiting or self._groups or self._dropped or self._batch:
            self._add_up()
            self._batch = self._batch or self._next_batch()
            self._ledger = self._ledger or self._open_with(self._url)
            # A batch stays as it is until it is known to have been taken, so that it is never counted twice.
            self._ledger.add(self._batch)
            self._batch = None
            self._away = False

    def _add_up(self) -> None:
        while self._waiting:
            record = self._waiting.popleft()
            group = CallGroup.of(record)
            if group in self._groups or len(self._groups) < _MOST_GROUPS:
                self._groups.setdefault(group, Counts()).add(record)
            else:
                self._drop(record)

    def _next_batch(self) -> Batch:
        taken = {group: self._groups.pop(group) for group in list(self._groups)[:_A_BATCH]}
        with self._change:
            dropped, self._dropped = self._dropped, 0
        self._batches += 1
        return Batch(self._writer, self._batches, taken, dropped, self._clock())


_LOCK = ForkLock()
_BY_URL: dict[str, Inventory] = {}
