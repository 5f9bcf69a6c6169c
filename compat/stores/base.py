"""What the gateway keeps between calls: nonces, signatures and walks; and a store that may be down.

What is kept of a nonce or a signature is a digest keyed by its caller's token: long enough that no two meet by
chance, and nothing that could be sent again.
"""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

from compat.core.walks import KEPT_FOR
from compat.errors import StoreUnavailable
from compat.processes import ForkLock

__all__ = [
    "KEPT_FOR",
    "SPENT_FOR",
    "LenientStore",
    "Store",
    "StoreUnavailable",
    "StoredPage",
    "WalkKeeper",
    "digests",
]

SPENT_FOR = 24 * 60 * 60
"""Seconds that a nonce and a signature stay spent, at the least."""


class StoredPage(NamedTuple):
    """What a store has for a page of a walk.

    Attributes:
        head: what was given for the walk as a whole.
        page: what was given for that page; None where the walk has no such page, or it was not wanted.
    """

    head: bytes
    page: bytes | None


class Store(ABC):
    """Where spent nonces, spent signatures and shared walks are kept; safe across threads.

    Attributes:
        shared: whether other processes that open the same URL see what this one keeps.
        let_through: calls that were let through because the store was down.
        walks: where walks are kept for other processes; None where they are not.
    """

    shared: bool = True
    let_through: int = 0
    walks: WalkKeeper | None = None

    @abstractmethod
    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        """Record a nonce and a signature, both or neither.

        Args:
            token_digest: a digest of the caller's token, the same in every process; at most 64 bytes.
            nonce: the nonce; None for a caller of whom only signatures are spent.
            signature: the signature, which was found to hold.

        Returns:
            whether both were new within the last 24 hours. Where one was not, nothing is recorded.

        Raises:
            StoreUnavailable: it cannot be known, or not be recorded.
        """

    @abstractmethod
    def born(self) -> int:
        """Since when calls have been recorded here without a gap: those signed before may have been answered.

        Returns:
            milliseconds since the epoch; of a store that is new when it is opened the whole second, as some
            clients sign the second alone.

        Raises:
            StoreUnavailable: it cannot be known.
        """

    @abstractmethod
    def ping(self) -> None:
        """Ask whether calls could be recorded now.

        Raises:
            StoreUnavailable: they could not.
            ConfigurationError: they could, but would be forgotten too early.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; what is kept stays kept, unless it is in memory."""


class WalkKeeper(ABC):
    """Where walks are kept that other processes may be asked for; safe across threads."""

    @abstractmethod
    def put(self, digest: str, head: bytes, pages: Iterable[bytes]) -> None:
        """Keep a walk for ten minutes in place of what is kept under that digest.

        Nobody finds it before all of it is kept, and what it replaces is gone then.

        Args:
            digest: of the walk's key, in hexadecimal digits.
            head: what any page of it needs; different for any two walks.
            pages: its pages from the second on. What they raise goes through, and nothing is kept then.

        Raises:
            StoreUnavailable: it cannot be kept.
        """

    @abstractmethod
    def get(self, digest: str, number: int, unless: bytes | None = None) -> StoredPage | None:
        """A page of a walk, which is kept for another ten minutes from now; None where there is no such walk.

        Args:
            digest: of the walk's key.
            number: the page, from 2.
            unless: a head whose pages the caller has already; where it is the one kept, no page is returned.

        Raises:
            StoreUnavailable: it cannot be known.
        """

    @abstractmethod
    def drop(self, digest: str) -> None:
        """Forget a walk.

        Raises:
            StoreUnavailable: it cannot be reached.
        """


def digests(token_digest: bytes, nonce: str | None, signature: str, length: int, salt: bytes = b"") -> list[bytes]:
    """What is kept of a call: the digest of its signature, and of its nonce where that counts.

    Args:
        token_digest: keys the digests, so that one caller's nonces are not another's.
        nonce: the nonce, or None.
        signature: the signature.
        length: bytes of a digest.
        salt: at most 16 bytes that the store keeps to itself.
    """
    found = [hashlib.blake2b(b"signature " + _encoded(signature), digest_size=length, key=token_digest, salt=salt)]
    if nonce is not None:
        found.append(hashlib.blake2b(b"nonce " + _encoded(nonce), digest_size=length, key=token_digest, salt=salt))
    return [each.digest() for each in found]


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


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
