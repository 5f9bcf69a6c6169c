"""A store that is no reason to refuse a call while it is down: ``when_down = "serve"``."""

from __future__ import annotations

import logging

from compat.errors import StoreUnavailable
from compat.forks import ForkLock
from compat.stores.interface import Store

__all__ = ["LenientStore"]

_log = logging.getLogger("compat.stores")


class LenientStore(Store):
    """Lets calls through that another store cannot record, and counts them.

    Args:
        store: the other store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = ForkLock()
        self.shared = store.shared
        self.walks = store.walks

    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        try:
            return self._store.spend(token_digest, nonce, signature)
        except StoreUnavailable:
            with self._lock:
                self.let_through += 1
            _log.warning("a call is let through that may have been made before: the store is down")
            return True

    def born(self) -> int:
        try:
            return self._store.born()
        except StoreUnavailable:
            return 0

    def ping(self) -> None:
        try:
            self._store.ping()
        except StoreUnavailable:
            # Calls are served all the same, so this replica is ready for them; the store has logged why it is not.
            return

    def close(self) -> None:
        self._store.close()
