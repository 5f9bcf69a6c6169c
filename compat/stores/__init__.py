"""Where spent nonces and shared walks are kept: in memory, in SQLite, or in Redis."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from compat.errors import ConfigurationError, StoreUnavailable
from compat.stores.interface import Store
from compat.stores.memory import MemoryStore

__all__ = ["Store", "StoreUnavailable", "WhenDown", "open_store"]

WhenDown = Literal["refuse", "serve"]


def open_store(url: str, when_down: WhenDown = "refuse") -> Store:
    """The store of a URL.

    Args:
        url: ``memory://``.
        when_down: what becomes of a call while the store cannot record it: "refuse", or "serve" to let it through.

    Raises:
        ConfigurationError: there is no such kind of store, or its URL cannot be used.
    """
    if when_down not in ("refuse", "serve"):
        raise ConfigurationError("[store] when_down: must be refuse or serve")
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryStore()
    raise ConfigurationError(f"[store] url: {scheme or 'no'}:// is no kind of store; use memory://")
