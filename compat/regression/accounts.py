"""Whose a call is that somebody saw: told by its token, or by its signature where the token was taken out."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from compat.legacy.parameters import gather
from compat.legacy.routes import LegacyCall
from compat.legacy.signature import Caller, base_string, sign
from compat.legacy.verifier import token_of

__all__ = ["Accounts"]


class Accounts:
    """The accounts that are known.

    Args:
        callers: them; of two with the same token the first counts.
    """

    def __init__(self, callers: Iterable[Caller]) -> None:
        self._callers = tuple(callers)

    def owner(self, call: LegacyCall, otherwise: str | None = None) -> str | None:
        """The name of the account by which a call was made; None where it is not known.

        Every token and signature is compared in constant time, whether one before it was the right one or not.

        Args:
            call: the call, as it came.
            otherwise: whose calls without a token are that no signature tells, as browsers save them.
        """
        token = token_of(call.authorization)
        owners = [each.name for each in self._callers if _same(each.api_token, token)]
        if owners:
            return owners[0]
        values = gather(call).values
        base, signature = base_string(values), values.get("signature", "")
        owners = [each.name for each in self._callers if _same(sign(base, each.secret_key), signature)]
        if owners:
            return owners[0]
        return None if token else otherwise


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(errors="surrogatepass"), given.encode(errors="surrogatepass"))
