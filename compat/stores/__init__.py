"""Where spent nonces and shared walks are kept: in memory, in SQLite, or in Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from compat.errors import ConfigurationError, StoreUnavailable
from compat.stores.interface import Store
from compat.stores.lenient import LenientStore
from compat.stores.memory import MemoryStore

__all__ = ["Store", "StoreUnavailable", "WhenDown", "open_store"]

WhenDown = Literal["refuse", "serve"]


def open_store(url: str, when_down: WhenDown = "refuse") -> Store:
    """The store of a URL. Every worker process opens its own; the threads of one share it.

    A Redis is not asked anything yet: ``ping`` says whether it is there, and whether it is fit.

    Args:
        url: ``sqlite:///a/file.db`` (four slashes for a path from the root; ``?synchronous=full``),
            ``redis://host:6379/0`` or ``memory://``.
        when_down: what becomes of a call while the store cannot record it: "refuse", or "serve" to let it through.

    Raises:
        ConfigurationError: there is no such kind of store, or it cannot be used.
    """
    if when_down not in ("refuse", "serve"):
        raise ConfigurationError("[store] when_down: must be refuse or serve")
    store = _opened(url)
    return LenientStore(store) if when_down == "serve" else store


def _opened(url: str) -> Store:
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme in ("redis", "rediss"):
        try:
            from compat.stores.redis import RedisStore
        except ModuleNotFoundError:
            raise ConfigurationError(
                "[store] url: redis:// needs redis-py; run: pip install 'exam-students-compat[gateway]'"
            ) from None
        return RedisStore(url)
    raise ConfigurationError(
        f"[store] url: {parts.scheme or 'no'}:// is no kind of store; use sqlite:///, redis:// or memory://"
    )


def _sqlite(parts: SplitResult) -> Store:
    # Not every Python has SQLite compiled in.
    from compat.stores.sqlite import SqliteStore

    path, options = unquote(parts.path[1:]), dict(parse_qsl(parts.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "normal")
    if parts.netloc or not path or parts.fragment or options:
        raise ConfigurationError("[store] url: must read sqlite:///file.db, or sqlite:////from/the/root/file.db")
    if synchronous not in ("normal", "full"):
        raise ConfigurationError("[store] url: synchronous must be normal or full")
    return SqliteStore(Path(path), on_disk=synchronous == "full")
