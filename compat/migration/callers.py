"""Who calls, where nobody verifies: told by the token alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from compat.config import CallerSettings
from compat.legacy.verifier import token_of
from compat.migration.turns import Identity

__all__ = ["Callers"]


class Callers:
    """Tells callers apart by the token of their calls.

    Args:
        configured: those that have a name; the others are known by a digest.
    """

    def __init__(self, configured: Iterable[CallerSettings]) -> None:
        self._names = {each.caller.api_token: each.caller.name for each in configured}

    def of(self, authorization: str | None) -> Identity:
        """Whose call it is.

        Args:
            authorization: the header of that name, or None.
        """
        return self.by_token(token_of(authorization))

    def by_token(self, token: str) -> Identity:
        """Whose token it is."""
        name = self._names.get(token)
        if name is not None:
            return Identity(name, name)
        # Keyed by what the digest is for, so that it is of use nowhere else.
        digest = hashlib.blake2b(token.encode(errors="surrogatepass"), digest_size=16, person=b"compat caller")
        return Identity(None, digest.hexdigest())
