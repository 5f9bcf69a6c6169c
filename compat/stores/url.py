"""The URL of a store, read; and what keeps what is stored: a row for each backend, with all that it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from compat.errors import ConfigurationError

if TYPE_CHECKING:
    from compat.stores.base import Store
    from compat.stores.ledger import Ledger

__all__ = ["BACKENDS", "Backend", "StoreUrl", "parse_store_url"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class StoreUrl:
    """What a store's URL says.

    Attributes:
        url: the URL; of a file, with its path from the root, so that it leads there from any directory.
        path: the file, from the root; None where it is none.
        on_disk: whether the file has all of it on the disk before a call is answered.
    """

    backend: Backend
    url: str
    path: Path | None = None
    on_disk: bool = False

    def store(self) -> Store:
        """Open what keeps nonces and walks; ConfigurationError where its library is not installed."""
        return self._opened(self.backend.store)

    def ledger(self) -> Ledger:
        """Open what keeps switches and counts; ConfigurationError likewise."""
        return self._opened(self.backend.ledger)

    def _opened(self, opener: Callable[[StoreUrl], _T]) -> _T:
        try:
            return opener(self)
        except ModuleNotFoundError:
            if not self.backend.missing:
                raise
            raise ConfigurationError(f"[store] url: {self.backend.missing}") from None


@dataclass(frozen=True)
class Backend:
    """What keeps what is stored.

    ``store`` opens what keeps nonces and walks, ``ledger`` what keeps switches and counts; each opener imports what it
    opens, since few processes need it. ``missing`` is what to say where its library is not installed.

    Raises:
        TypeError: it has no scheme.
    """

    schemes: tuple[str, ...]
    store: Callable[[StoreUrl], Store]
    ledger: Callable[[StoreUrl], Ledger]
    read: Callable[[Backend, str], StoreUrl] = StoreUrl
    missing: str = ""

    def __post_init__(self) -> None:
        if not self.schemes:
            raise TypeError("a store's backend has no scheme")


def _sqlite(backend: Backend, url: str) -> StoreUrl:
    parts = urlsplit(url)
    path, options = unquote(parts.path[1:]), dict(parse_qsl(parts.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "normal")
    if parts.netloc or not path or parts.fragment or options:
        raise ConfigurationError("[store] url: must read sqlite:///file.db, or sqlite:////from/the/root/file.db")
    if synchronous not in ("normal", "full"):
        raise ConfigurationError("[store] url: synchronous must be normal or full")
    whole = Path(path).absolute()
    query = f"?{parts.query}" if parts.query else ""
    return StoreUrl(backend, f"sqlite:///{quote(whole.as_posix())}{query}", whole, synchronous == "full")


def _sqlite_store(url: StoreUrl) -> Store:
    from compat.stores.sqlite import SqliteStore

    return SqliteStore(url.path, on_disk=url.on_disk)  # type: ignore[arg-type]  # a file has a path


def _sqlite_ledger(url: StoreUrl) -> Ledger:
    from compat.stores.sqlite import SqliteLedger

    return SqliteLedger(url.path)  # type: ignore[arg-type]  # as above


def _redis_store(url: StoreUrl) -> Store:
    from compat.stores.redis import RedisStore

    return RedisStore(url.url)


def _redis_ledger(url: StoreUrl) -> Ledger:
    from compat.stores.redis import RedisLedger

    return RedisLedger(url.url)


def _memory_store(url: StoreUrl) -> Store:
    from compat.stores.base import MemoryStore

    return MemoryStore()


def _memory_ledger(url: StoreUrl) -> Ledger:
    from compat.stores.ledger import memory_ledger

    return memory_ledger(url.url)


_NO_REDIS = "redis:// needs redis-py; run: pip install 'exam-students-compat[gateway]'"
BACKENDS: tuple[Backend, ...] = (
    Backend(("sqlite",), _sqlite_store, _sqlite_ledger, read=_sqlite),
    Backend(("redis", "rediss"), _redis_store, _redis_ledger, missing=_NO_REDIS),
    Backend(("memory",), _memory_store, _memory_ledger),
)
"""In the order in which messages list them."""


def parse_store_url(url: str) -> StoreUrl:
    """Read a store's URL.

    Raises:
        ConfigurationError: it leads nowhere.
    """
    scheme = urlsplit(url).scheme
    for backend in BACKENDS:
        if scheme in backend.schemes:
            return backend.read(backend, url)
    *others, last = (f"{each.schemes[0]}://{'/' if each.read is _sqlite else ''}" for each in BACKENDS)
    raise ConfigurationError(f"[store] url: {scheme or 'no'}:// is no kind of store; use {', '.join(others)} or {last}")
