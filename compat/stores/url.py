"""The URL of a store, read: which backend keeps what is stored, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from compat.errors import ConfigurationError

__all__ = ["StoreUrl", "no_redis", "parse_store_url", "place_of"]


@dataclass(frozen=True)
class StoreUrl:
    """What a store's URL says.

    Attributes:
        kind: what keeps it.
        url: the URL; of a file, with its path from the root, so that it leads there from any directory.
        path: the file, from the root; None where it is none.
        on_disk: whether the file has all of it on the disk before a call is answered.
    """

    kind: Literal["memory", "sqlite", "redis"]
    url: str
    path: Path | None = None
    on_disk: bool = False


def parse_store_url(url: str) -> StoreUrl:
    """Read a store's URL.

    Raises:
        ConfigurationError: it leads nowhere.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return StoreUrl("memory", url)
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme in ("redis", "rediss"):
        return StoreUrl("redis", url)
    raise ConfigurationError(
        f"[store] url: {parts.scheme or 'no'}:// is no kind of store; use sqlite:///, redis:// or memory://"
    )


def _sqlite(parts: SplitResult) -> StoreUrl:
    path, options = unquote(parts.path[1:]), dict(parse_qsl(parts.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "normal")
    if parts.netloc or not path or parts.fragment or options:
        raise ConfigurationError("[store] url: must read sqlite:///file.db, or sqlite:////from/the/root/file.db")
    if synchronous not in ("normal", "full"):
        raise ConfigurationError("[store] url: synchronous must be normal or full")
    whole = Path(path).absolute()
    query = f"?{parts.query}" if parts.query else ""
    return StoreUrl("sqlite", f"sqlite:///{quote(whole.as_posix())}{query}", whole, synchronous == "full")


def no_redis() -> ConfigurationError:
    """What a URL of Redis fails with where redis-py is not installed."""
    return ConfigurationError("[store] url: redis:// needs redis-py; run: pip install 'exam-students-compat[gateway]'")


place_of = parse_store_url
"""The name that the ledgers still use."""
