"""What is switched while everything runs, such as modes and pauses, by name, in the store that processes share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from compat.errors import StoreUnavailable
from compat.forks import ForkLock
from compat.stores.places import no_redis, place_of

__all__ = ["Switches", "open_switches", "unreadable"]


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
        from compat.migration.sqlite_ledger import SqliteSwitches, ledger_of

        return SqliteSwitches(ledger_of(place.path))
    if place.kind == "redis":
        try:
            from compat.migration.redis_ledger import RedisSwitches
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
