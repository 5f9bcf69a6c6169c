"""What a store of the gateway is, and the two that need nothing: in memory, and around one that may be down.

What is kept of a nonce or a signature is a digest keyed by its caller's token: long enough that no two meet by
chance, and nothing that could be sent again.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from compat.core.walks import KEPT_FOR
from compat.errors import StoreUnavailable
from compat.processes import ForkLock, renew_after_fork

__all__ = ["KEPT_FOR", "SPENT_FOR", "FailOpenStore", "MemoryStore", "Store", "StoredPage", "WalkKeeper"]

_log = logging.getLogger("compat.stores")

SPENT_FOR = 24 * 60 * 60
"""Seconds that a nonce and a signature stay spent, at the least."""


class StoredPage(NamedTuple):
    """The head of a walk, and a page of it; None where the walk has no such page, or it was not wanted."""

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
        """Record a nonce and a signature, and say whether both were new within the last 24 hours.

        Where one was not, nothing is recorded.

        Args:
            token_digest: a digest of the caller's token, the same in every process; at most 64 bytes.
            nonce: the nonce; None for a caller of whom only signatures are spent.
            signature: the signature, which was found to hold.

        Raises:
            StoreUnavailable: it cannot be known, or not be recorded.
        """

    @abstractmethod
    def born(self) -> int:
        """Since when calls have been recorded here without a gap: those signed before may have been answered.

        In milliseconds since the epoch; of a store that is new when it is opened the whole second, as some clients
        sign the second alone.

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
    """Where walks are kept that other processes may be asked for; safe across threads.

    Each is kept under the digest of its key, in hexadecimal digits. What cannot be done raises StoreUnavailable.
    """

    @abstractmethod
    def put(self, digest: str, head: bytes, pages: Iterable[bytes]) -> None:
        """Keep a walk for ten minutes in place of what is kept under that digest.

        Nobody finds it before all of it is kept, and what it replaces is gone then.

        Args:
            digest: of the walk's key.
            head: what any page of it needs; different for any two walks.
            pages: its pages from the second on. What they raise goes through, and nothing is kept then.
        """

    @abstractmethod
    def get(self, digest: str, number: int, unless: bytes | None = None) -> StoredPage | None:
        """A page of a walk, from 2, which is kept for another ten minutes from now; None where there is no such walk.

        Where the head kept is that of ``unless``, the caller has its pages already, and none is returned.
        """

    @abstractmethod
    def drop(self, digest: str) -> None:
        """Forget a walk."""


def walk_unavailable(what: str, error: Exception) -> StoreUnavailable:
    """What is raised where a walk cannot be kept, read or dropped; the log says why."""
    _log.error("a walk cannot be %s: %s: %s", what, type(error).__name__, error)
    return StoreUnavailable("The walk cannot be shared at the moment.")


def digests(token_digest: bytes, nonce: str | None, signature: str, length: int, salt: bytes = b"") -> list[bytes]:
    """What is kept of a call: the digest of its signature, and of its nonce where that counts.

    The token keys the digests, so that one caller's nonces are not another's. The salt has at most 16 bytes.
    """
    kept = [f"signature {signature}"] if nonce is None else [f"signature {signature}", f"nonce {nonce}"]
    return [
        hashlib.blake2b(each.encode(errors="surrogatepass"), digest_size=length, key=token_digest, salt=salt).digest()
        for each in kept
    ]


class FailOpenStore(Store):
    """Lets calls through that another store cannot record, and counts them."""

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
        # Calls are served all the same, so this replica is ready for them; the store has logged why it is not.
        with suppress(StoreUnavailable):
            self._store.ping()

    def close(self) -> None:
        self._store.close()


_SPAN = 2 * 60 * 60
_BYTES = 8
_BITS = 60


class MemoryStore(Store):
    """Remembers while the process lives. Another worker, or the process after it, knows nothing of it.

    What is kept of a nonce is 60 bits, which Python holds in 32 bytes. They are salted by the process, so that nobody
    can look for two that meet; that a fresh call meets one of two million by chance happens once in 10^11 calls, and
    refuses that call. The clock never goes back.
    """

    shared = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._spans: dict[int, set[int]] = {}
        self._lock = threading.Lock()
        self._forked = False
        self._born = int(time.time()) * 1000
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Remember by oneself from now on, in a process that was forked, beside what was spent before."""
        self._lock = threading.Lock()
        self._forked = True

    def born(self) -> int:
        return self._born

    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        keys = [
            int.from_bytes(each, "little") >> (8 * _BYTES - _BITS)
            for each in digests(token_digest, nonce, signature, _BYTES, self._salt)
        ]
        now = self._clock()
        with self._lock:
            if self._forked:
                self._forked = False
                _log.warning(
                    "a store in memory is not shared by processes: a call can be made once at each that was forked; "
                    "use sqlite:// or redis://"
                )
            span = int(now // _SPAN)
            if span not in self._spans:
                self._forget_before(now - SPENT_FOR)
                self._spans[span] = set()
            if not all(spent.isdisjoint(keys) for spent in self._spans.values()):
                return False
            self._spans[span].update(keys)
        return True

    def ping(self) -> None:
        pass

    def close(self) -> None:
        with self._lock:
            self._spans.clear()

    def _forget_before(self, moment: float) -> None:
        # A span goes as a whole, once the last moment of it is old enough.
        for span in [span for span in self._spans if (span + 1) * _SPAN <= moment]:
            del self._spans[span]
