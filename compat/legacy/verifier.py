"""Whether a call was signed by whom it says, just now and once (contract, section 6).

The base string escapes nothing, so one string can be read as several sets of parameters. A verifier that took
each reading would accept two calls under one signature; this one accepts a call only where every other
acceptable reading of its base string splits it less finely. Of two different sets, at most one can pass that.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from compat.errors import NotAuthorized
from compat.json_text import loads_strictly
from compat.legacy.parameters import Parameters, refusal
from compat.legacy.query import STATUSES
from compat.legacy.routes import INDEX_STUDENTS, ROUTES, LegacyCall, Route
from compat.legacy.signature import Caller, base_string, sign

__all__ = ["CLOCK_WINDOW", "Refused", "Verifier", "splittable", "token_of"]

CLOCK_WINDOW = 5 * 60 * 1000
"""Milliseconds that a timestamp may lie before or after now."""

_MOST_MARKS = 200
_REQUIRED = ("id", "nonce", "timestamp")
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
    """

    def __init__(
        self,
        callers: Iterable[Caller],
        *,
        spend: Callable[[Caller, str, str], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._salt = secrets.token_bytes(32)
        self._callers = {self._digest(caller.api_token): caller for caller in callers}
        self._stranger = Caller("unknown", secrets.token_hex(16), secrets.token_hex(32))
        self._spend = spend
        self._clock = clock

    def verify(self, call: LegacyCall, parameters: Parameters) -> Caller:
        """The caller of a call that holds.

        Raises:
            Refused: it does not, for whatever reason.
        """
        caller = self._callers.get(self._digest(token_of(call.authorization)), self._stranger)
        reason = self._refusal(caller, call.route, parameters.values)
        if reason is not None:
            _log.warning("refused a call of %s by %s: %s", call.route.action, caller.name, reason)
            raise Refused(caller.name, reason)
        return caller

    def _refusal(self, caller: Caller, route: Route, values: Mapping[str, str]) -> str | None:
        # The signature is computed for a stranger too, so that an unknown token takes as long as a wrong signature.
        expected = sign(base_string(values), caller.secret_key)
        given = values.get("signature", "")
        holds = hmac.compare_digest(expected.encode(), given.encode(errors="surrogatepass"))
        if caller is self._stranger:
            return "unknown token"
        if not holds:
            return "wrong signature"
        timestamp, nonce = values.get("timestamp", ""), values.get("nonce", "")
        if not _DIGITS.fullmatch(timestamp) or len(timestamp) > 15:
            return "no timestamp"
        if abs(int(timestamp) - self._clock() * 1000) > CLOCK_WINDOW:
            return "timestamp outside five minutes"
        if not _DIGITS.fullmatch(nonce):
            return "no nonce"
        if splittable(values):
            return "the signed text can be read as other parameters"
        if self._spend is not None and not self._spend(caller, nonce, given):
            return "nonce or signature used before"
        return None

    def _digest(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(errors="surrogatepass"), key=self._salt).digest()


def token_of(authorization: str | None) -> str:
    """The token of an Authorization header, or nothing."""
    match = _TOKEN.fullmatch(authorization or "")
    return match["token"] if match else ""


def splittable(values: Mapping[str, str]) -> bool:
    """Whether the base string could also be read as another set of parameters that would be accepted.

    A reading counts if its names are sorted and come once, and a deprecated route has all the parameters that it
    needs and takes each value. Readings that only join what was sent
    apart do not count, because the reading that was sent refuses them by this very rule.
    """
    if "?" not in "".join([*values, *values.values()]):
        return False
    pairs = sorted((name, value) for name, value in values.items() if name != "signature")
    if not any("?" in text for pair in pairs for text in pair):
        return False
    pieces: list[str] = []
    inner: set[int] = set()
    for name, value in pairs:
        first, *rest = f"{name}={value}".split("?")
        pieces.append(first)
        for piece in rest:
            inner.add(len(pieces))
            pieces.append(piece)
    if len(pieces) > _MOST_MARKS:
        return True
    return any(_another_reading(route, pieces, inner) for route in ROUTES)


def _another_reading(route: Route, pieces: list[str], inner: set[int]) -> bool:
    """Whether the pieces can be joined into parameters of that route with a cut where none was sent.

    ``reached[i]`` holds, for parameters that begin at piece i after an acceptable beginning, whether such a cut was
    made on some way there (True), on none (False).
    """
    needed = (*_REQUIRED, *route.required)
    names = _names(pieces)
    reached: list[set[bool]] = [set() for _ in pieces]
    reached[0].add(False)
    for begin, name in enumerate(names):
        if not reached[begin] or name is None or name == "signature":
            continue
        for end in range(begin + name.count("?") + 1, len(pieces) + 1):
            following = names[end] if end < len(pieces) else None
            if following is None and end < len(pieces):
                continue
            if not _follows(needed, name, following) or (begin == 0 and _skips(needed, None, name)):
                continue
            text = "?".join(pieces[begin:end]).partition("=")[2]
            if not _acceptable(route, name, text):
                continue
            if end < len(pieces):
                reached[end] |= {cut or end in inner for cut in reached[begin]}
            elif True in reached[begin]:
                return True
    return False


def _names(pieces: list[str]) -> list[str | None]:
    """The name of a parameter that begins at each piece: all up to the first equals sign; None where none comes."""
    names: list[str | None] = []
    for piece in reversed(pieces):
        name, equals, _ = piece.partition("=")
        later = names[-1] if names else None
        names.append(name if equals else None if later is None else f"{piece}?{later}")
    return names[::-1]


def _follows(needed: Sequence[str], name: str, following: str | None) -> bool:
    """Whether a parameter may come next: sorted, unrepeated, and none that is needed left out between."""
    return (following is None or following > name) and not _skips(needed, name, following)


def _skips(needed: Sequence[str], name: str | None, following: str | None) -> bool:
    return any((name is None or each > name) and (following is None or each < following) for each in needed)


def _acceptable(route: Route, name: str, value: str) -> bool:
    if not value or refusal(route, name, value) is not None:
        return False
    if name in ("nonce", "timestamp"):
        return _DIGITS.fullmatch(value) is not None
    if route is INDEX_STUDENTS and name == "status":
        return value in STATUSES
    if route is INDEX_STUDENTS and name in ("filter", "sort"):
        return _is_json(value)
    return True


def _is_json(text: str) -> bool:
    try:
        loads_strictly(text)
    except ValueError:
        return False
    return True
