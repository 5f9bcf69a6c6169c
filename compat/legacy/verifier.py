"""Whether a call was signed by whom it says, just now and once (contract, section 6).

The base string escapes nothing, so one string can be read as several sets of parameters. A verifier that took
each reading would accept two calls under one signature; :mod:`compat.legacy.readings` says which one counts.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable

from compat.errors import NotAuthorized
from compat.legacy.parameters import Parameters
from compat.legacy.readings import unreadable
from compat.legacy.routes import LegacyCall, Route
from compat.legacy.signature import Caller, base_string, sign

__all__ = ["CLOCK_WINDOW", "STRANGER", "Refused", "Verifier", "token_of"]

CLOCK_WINDOW = 5 * 60 * 1000
"""Milliseconds that a timestamp may lie before or after now."""

STRANGER = "unknown token"
"""The reason of a refusal by a token that is nobody's, or that has no token's form."""

_TOKEN = re.compile(r"Token\s+token=(?P<quote>\"?)(?P<token>[^\"\s,]+)(?P=quote)\s*", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_log = logging.getLogger("compat.signature")


class Refused(NotAuthorized):
    """A call that does not hold; the answer is the same whatever was wrong, so this is for logs and counts alone.

    Attributes:
        caller: the name of whose token it was, or "unknown".
        reason: what was wrong, without the secret.
    """

    def __init__(self, caller: str, reason: str) -> None:
        super().__init__()
        self.caller = caller
        self.reason = reason

    def __reduce__(self) -> tuple[type[Refused], tuple[str, str]]:
        return Refused, (self.caller, self.reason)


class Verifier:
    """Decides whether a call comes from a known caller and was signed just now.

    The order of checks is the contract's: token, signature, time, splittable text, nonce. Whatever fails, the
    answer is the same; the log says which, without the secret.

    Args:
        callers: who may call.
        spend: called last with the caller, the nonce and the signature; records them and returns whether both were
            new. None leaves replays to whoever stands before.
        clock: seconds since the epoch.
        born: since when ``spend`` has recorded calls without a gap, in milliseconds since the epoch. What was signed
            before is refused, as it may have been accepted and forgotten. None where nothing is forgotten.
    """

    def __init__(
        self,
        callers: Iterable[Caller],
        *,
        spend: Callable[[Caller, str, str], bool] | None = None,
        clock: Callable[[], float] = time.time,
        born: Callable[[], int] | None = None,
    ) -> None:
        self._salt = secrets.token_bytes(32)
        self._callers = {self._digest(caller.api_token): caller for caller in callers}
        self._stranger = Caller("unknown", secrets.token_hex(16), secrets.token_hex(32))
        self._spend = spend
        self._clock = clock
        self._born = born

    def verify(self, call: LegacyCall, parameters: Parameters) -> Caller:
        """The caller of a call that holds.

        Raises:
            Refused: it does not, for whatever reason.
        """
        caller = self._callers.get(self._digest(token_of(call.authorization)), self._stranger)
        reason = self._refusal(caller, call.route, parameters)
        if reason is not None:
            _log.warning("refused a call of %s by %s: %s", call.route.action, caller.name, reason)
            raise Refused(caller.name, reason)
        return caller

    def _refusal(self, caller: Caller, route: Route, parameters: Parameters) -> str | None:
        values = parameters.values
        # The signature is computed for a stranger too, so that an unknown token takes as long as a wrong signature.
        expected = sign(base_string(values), caller.secret_key)
        given = values.get("signature", "")
        holds = hmac.compare_digest(expected.encode(), given.encode(errors="surrogatepass"))
        if caller is self._stranger:
            return STRANGER
        if not holds:
            return parameters.unread or "wrong signature"
        timestamp, nonce = values.get("timestamp", ""), values.get("nonce", "")
        if not _DIGITS.fullmatch(timestamp) or len(timestamp) > 15:
            return "no timestamp"
        if abs(int(timestamp) - self._clock() * 1000) > CLOCK_WINDOW:
            return "timestamp outside five minutes"
        if not _DIGITS.fullmatch(nonce):
            return "no nonce"
        unclear = unreadable(route, values)
        if unclear is not None:
            return unclear
        if self._born is not None and int(timestamp) < self._born():
            return "signed before the store was made"
        if self._spend is not None and not self._spend(caller, nonce, given):
            return "nonce or signature used before"
        return None

    def _digest(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(errors="surrogatepass"), key=self._salt).digest()


def token_of(authorization: str | None) -> str:
    """The token of an Authorization header, or nothing."""
    match = _TOKEN.fullmatch(authorization or "")
    return match["token"] if match else ""
