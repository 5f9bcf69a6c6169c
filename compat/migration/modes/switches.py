"""Switch reader: the run-time switches, read again every second while everything runs."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from compat.errors import CompatError
from compat.migration.modes.rules import Rules, switched_rules
from compat.processes import renew_after_fork
from compat.stores.ledger import Ledger, open_ledger

__all__ = ["SwitchReader"]

_EVERY = 1.0
"""Seconds between two readings."""
_FIRST = 1.0
"""Seconds that the first call of a process waits for the first reading, and no other call for any."""
_LETTING_GO = 1.0
"""Seconds that the end of reading is waited for: a store that is away is no reason to wait longer."""

_log = logging.getLogger("compat.migration")


class SwitchReader:
    """What the run-time switches say of modes; the last that is known while the store is away.

    A thread of its own reads them: an endpoint that holds up the background queue must not hold up the kill switch. It
    starts when somebody asks, in each process anew, and ends with this object.
    """

    def __init__(self, store: str, *, legacy: bool) -> None:
        self._store = store
        self._legacy = legacy
        self._begun = False
        self._thread: threading.Thread | None = None
        self._ending: weakref.finalize[[], SwitchReader] | None = None
        self._rules = Rules()
        self._switches: Mapping[str, str] = {}
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin to read when somebody asks, in a process that was forked; until then what was read last counts."""
        self._begun = False
        self._thread = None
        if self._ending is not None:
            # The thread that it would tell is not in this process, and may have held the event's lock.
            self._ending.detach()

    def __getstate__(self) -> dict[str, Any]:
        return {"store": self._store, "legacy": self._legacy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def rules(self) -> Rules:
        """What they say now, at most a second or so ago."""
        if not self._begun:
            self._await_first()
        return self._rules

    @property
    def switches(self) -> Mapping[str, str]:
        """All of them, name to value; of the same age."""
        if not self._begun:
            self._await_first()
        return self._switches

    def start(self) -> None:
        """Begin to read, so that the first call finds them read."""
        self._begun = True
        self._first = threading.Event()
        self._ended = threading.Event()
        self._ending = weakref.finalize(self, self._ended.set)
        self._ending.atexit = False
        # The thread holds its owner weakly, so that the one can go and the other ends.
        given = weakref.ref(self), self._store, self._first, self._ended
        self._thread = threading.Thread(target=_read_on, args=given, name="exam-compat-switches", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more, and let go of the store."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(_LETTING_GO)

    def take(self, switches: Mapping[str, str]) -> None:
        """What the thread has read."""
        rules, strange = switched_rules(switches, legacy=self._legacy)
        for name in strange:
            _log.warning("the switch %r is left alone: no mode, or one that needs base_url in [legacy]", name)
        self._switches, self._rules = switches, rules

    def _await_first(self) -> None:
        self.start()
        self._first.wait(_FIRST)


def _read_on(owner: weakref.ref[SwitchReader], store: str, first: threading.Event, ended: threading.Event) -> None:
    """Read until the owner is gone."""
    ledger: Ledger | None = None
    found: Mapping[str, str] | None = None
    away = False
    while True:
        before = found
        try:
            ledger = ledger or open_ledger(store)
            found, away = ledger.switches(), False
        except Exception as error:  # noqa: BLE001 - a script runs on whatever is wrong with the store
            if not away:
                _log.warning("the run-time switches cannot be read, the last known ones stay: %s", type(error).__name__)
            away = True
        if found is not None and found != before and (there := owner()) is not None:
            there.take(found)
            del there
        first.set()
        if ended.wait(_EVERY):
            break
    if ledger is not None:
        with suppress(CompatError):
            ledger.close()
