"""Switches that change the mode while everything runs: written, kept, and read again."""

from __future__ import annotations

import logging
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from compat.errors import CompatError, StoreUnavailable
from compat.migration.modes.rules import Rules, switched_rules
from compat.processes import ForkLock, renew_after_fork
from compat.stores.url import no_redis, place_of

__all__ = [
    "SwitchReader",
    "Switches",
    "open_switches",
    "unreadable",
]


class Switches(ABC):
    """Texts by name, such as ``mode caller=registrar`` and ``canary:25``; safe across threads, processes and forks.

    Whoever reads them asks again every second or so: nobody is told of a change.
    """

    @abstractmethod
    def all(self) -> Mapping[str, str]:
        """Every switch that is set, by name.

        Raises:
            StoreUnavailable: they cannot be read.
        """

    @abstractmethod
    def set(self, name: str, value: str | None) -> None:
        """Set a switch for every process; None takes it away.

        Raises:
            StoreUnavailable: it cannot be kept.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""


def open_switches(url: str) -> Switches:
    """The switches of a store. With SQLite they are in a file of their own beside it, made when one is first set.

    Args:
        url: as :func:`compat.stores.open_store` takes it; those of ``memory://`` are this process's alone.

    Raises:
        ConfigurationError: there is no such kind of store.
    """
    place = place_of(url)
    if place.path is not None:
        # Imported here, as in the stores: not every Python has SQLite, and few scripts need it.
        from compat.migration.modes.sqlite_ledger import SqliteSwitches, ledger_of

        return SqliteSwitches(ledger_of(place.path))
    if place.kind == "redis":
        try:
            from compat.migration.modes.redis_ledger import RedisSwitches
        except ModuleNotFoundError:
            raise no_redis() from None
        return RedisSwitches(place.url)
    return _MemorySwitches(place.url)


def unreadable(error: Exception) -> StoreUnavailable:
    """What is raised while the store is away; the text says of what kind, and holds no address with a password."""
    return StoreUnavailable(f"The store cannot be reached at the moment: {type(error).__name__}.")


class _MemorySwitches(Switches):
    """Those of this process: whoever opens the same URL has the same ones."""

    def __init__(self, url: str) -> None:
        with _LOCK:
            self._set = _IN_MEMORY.setdefault(url, {})

    def all(self) -> Mapping[str, str]:
        with _LOCK:
            return dict(self._set)

    def set(self, name: str, value: str | None) -> None:
        with _LOCK:
            if value is None:
                self._set.pop(name, None)
            else:
                self._set[name] = value

    def close(self) -> None:
        pass


_LOCK = ForkLock()
_IN_MEMORY: dict[str, dict[str, str]] = {}


_EVERY = 1.0
"""Seconds between two readings."""
_FIRST = 1.0
"""Seconds that the first call of a process waits for the first reading, and no other call for any."""

_LETTING_GO = 1.0
"""Seconds that the end of reading is waited for: a store that is away is no reason to wait longer."""

_log = logging.getLogger("compat.migration")


class SwitchReader:
    """What the run-time switches say of modes; the last that is known while the store is away.

    The thread starts when somebody asks, in each process anew, and ends with this object.

    Args:
        store: the URL of the store beside which the switches are.
        legacy: whether there is an old endpoint, which most modes need.
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
        reading = _Reading(weakref.ref(self), self._store, self._legacy, self._first, self._ended)
        self._thread = threading.Thread(target=reading.go_on, name="exam-compat-switches", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more, and let go of the store."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(_LETTING_GO)

    def take(self, switches: Mapping[str, str], rules: Rules) -> None:
        """What was read; for the thread."""
        self._switches, self._rules = switches, rules

    def _await_first(self) -> None:
        self.start()
        self._first.wait(_FIRST)


class _Reading:
    """What the thread does; it holds its owner weakly, so that the one can go and the other ends."""

    def __init__(
        self,
        owner: weakref.ref[SwitchReader],
        store: str,
        legacy: bool,
        first: threading.Event,
        ended: threading.Event,
    ) -> None:
        self._owner = owner
        self._store = store
        self._legacy = legacy
        self._first = first
        self._ended = ended
        self._switches: Switches | None = None
        self._seen: Mapping[str, str] | None = None
        self._away = False

    def go_on(self) -> None:
        """Read until the owner is gone."""
        try:
            while True:
                self._read()
                self._first.set()
                if self._ended.wait(_EVERY):
                    return
        finally:
            if self._switches is not None:
                with suppress(CompatError):
                    self._switches.close()

    def _read(self) -> None:
        try:
            if self._switches is None:
                self._switches = open_switches(self._store)
            seen = self._switches.all()
        except Exception as error:  # noqa: BLE001 - a script runs on whatever is wrong with the store
            if not self._away:
                _log.warning("the run-time switches cannot be read, the last known ones stay: %s", type(error).__name__)
            self._away = True
            return
        self._away = False
        if seen == self._seen:
            return
        self._seen = seen
        rules, strange = switched_rules(seen, legacy=self._legacy)
        for name in strange:
            _log.warning("the switch %r is left alone: no mode, or one that needs base_url in [legacy]", name)
        owner = self._owner()
        if owner is not None:
            owner.take(seen, rules)
