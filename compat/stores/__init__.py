"""Where spent nonces, shared walks, counts and switches are kept: in memory, in SQLite, or in Redis."""

from __future__ import annotations

from typing import Literal

from compat.errors import ConfigurationError, StoreUnavailable
from compat.stores.base import FailOpenStore, Store
from compat.stores.url import parse_store_url

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
    store = parse_store_url(url).store()
    return FailOpenStore(store) if when_down == "serve" else store
