"""Whether a call was signed by whom it says, just now and once, and can be read in one way (contract, section 6).

The text escapes nothing: a question mark in it may part two parameters or belong to a value. These rules say how a
route reads it; at most one set of parameters keeps them, for every text and over all routes.

1. A name holds neither ``=`` nor ``?`` and is not empty. Names are sorted, come once, and no needed one is missing.
2. A number, a flag, a status, a name and an email hold no question mark. A JSON value ends where its JSON ends.
3. A text (``individual_info``) ends only where a name begins that the route knows: a link with a query stays whole.
4. The value of a name that the route does not know may hold question marks, and ends where any name may begin.
5. Of well-formed readings that differ the finest counts: what can have been sent as a parameter of its own was.
6. A text that ``add_student`` can read is its own; other routes take it only as the very same parameters.

One walk over the text says whether the parameters that came are the reading that counts. It notes, for each question
mark, in which few ways a parameter may begin there, not by which of all the ways before; so its cost grows with the
length of the text alone, however many question marks a hostile one holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from compat.errors import NotAuthorized
from compat.legacy.parameters import Parameters, refusal
from compat.legacy.routes import ROUTES, SIGNED, LegacyCall, Route
from compat.legacy.signature import Caller, base_string, sign
from compat.schemas.student import STATUSES

__all__ = [
    "AMBIGUOUS",
    "BAD_NAME",
    "CLOCK_WINDOW",
    "MARKED",
    "STRANGER",
    "Refused",
    "Verifier",
    "token_of",
    "unreadable",
]

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


BAD_NAME = "a parameter's name is empty or holds = or ?"
MARKED = "a name or an email holds ?"
AMBIGUOUS = "the signed text can be read as other parameters"

_BLANKS = re.compile(r"[ \t\n\r]*")
_read_json = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).raw_decode


def unreadable(route: Route, values: Mapping[str, str]) -> str | None:
    """Why the parameters are not the reading of their base string that counts; None where they are.

    Parameters that no reading allows are let through where there is no reading at all: they break a rule of
    section 1, whose answer says more.
    """
    if all("?" not in value and _ends(route, name, value) for name, value in values.items()):
        return None
    if any(not name or "=" in name or "?" in name for name in values):
        return BAD_NAME
    if any("?" in values.get(name, "") for name in route.lines):
        return MARKED
    text = _Text.of(values)
    own = _readings(route, text, lenient=True)
    if own and _SAME not in own:
        return AMBIGUOUS
    rivals = [own, *(_readings(each, text) for each in _others(route) if not each.texts)]
    if any(way.finer for ways in rivals for way in ways):
        return AMBIGUOUS
    first = (_readings(each, text) for each in _others(route) if each.texts)
    return AMBIGUOUS if any(way != _SAME for ways in first for way in ways) else None


def _ends(route: Route, name: str, value: str) -> bool:
    """Whether a value without a question mark ends where it does in every reading: most calls have no others."""
    if name in route.json:
        return _json_end(value, 0) == len(value)
    return name == "signature" or (name in route.known and name not in route.texts)


@cache
def _others(route: Route) -> tuple[Route, ...]:
    """The routes whose readings count beside a route's own, each grammar once."""
    if route.texts:
        return ()
    found = {(each.known, each.needed): each for each in ROUTES if each.known != route.known}
    return tuple(found.values())


def _json_end(text: str, begin: int) -> int | None:
    """Where the JSON that begins at a place ends, blanks behind it included; None where none begins there."""
    try:
        end = _read_json(text, _BLANKS.match(text, begin).end())[1]  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        return None
    return _BLANKS.match(text, end).end()  # type: ignore[union-attr]


@dataclass(frozen=True)
class _Text:
    """A base string, and where the parameters that came begin in it.

    Attributes:
        pieces: what stands between question marks.
        begins: where each piece begins in the text.
        sent: the pieces that a parameter begins with that came, in their order.
    """

    whole: str
    pieces: Sequence[str]
    begins: Sequence[int]
    sent: Sequence[int]

    @classmethod
    def of(cls, values: Mapping[str, str]) -> _Text:
        whole = base_string(values)
        pieces = whole.split("?")
        begins = [0]
        for piece in pieces[:-1]:
            begins.append(begins[-1] + len(piece) + 1)
        sent, piece_number = [], 0
        for name in sorted(values):
            if name != "signature":
                sent.append(piece_number)
                piece_number += values[name].count("?") + 1
        return cls(whole, pieces, begins, sent)

    def sent_between(self, begin: int, end: int) -> bool:
        """Whether a parameter that came begins between two pieces, neither of them counted."""
        return bisect_left(self.sent, end) > bisect_right(self.sent, begin)

    def piece_behind(self, piece: int, value: int) -> int:
        """The piece behind a JSON value: where its JSON ends; the next one where it is none."""
        end = _json_end(self.whole, value)
        if end == len(self.whole):
            return len(self.pieces)
        return bisect_left(self.begins, end + 1) if end is not None and self.whole[end] == "?" else piece + 1


class _Way(NamedTuple):
    """How a reading compares with the parameters that came.

    Attributes:
        finer: it begins a parameter where none was sent.
        coarser: it begins none where one was sent.
    """

    finer: bool
    coarser: bool


_SAME = _Way(False, False)


class _Ended(NamedTuple):
    """A parameter whose end is known."""

    name: str
    way: _Way


def _readings(route: Route, text: _Text, *, lenient: bool = False) -> frozenset[_Way]:
    """How the readings of a text by a route compare with what came; nothing where it has none.

    Args:
        lenient: whether a parameter that came may break its rule: the answer to it is a 422, and no other reading.
    """
    walk = _Walk(route)
    sent = frozenset(text.sent)
    for number, piece in enumerate(text.pieces):
        name, equals, _ = piece.partition("=")
        # The signature is no part of the text, so nothing that begins there is it.
        begun = walk.beginning(number, name, number in sent) if equals and name not in ("", "signature") else ()
        if number in sent:
            walk.cross()
        end = number + 1
        if begun and name in route.known and not (lenient and number in sent):
            begun = begun if _well_formed(route, name, text, number) else ()
        for way in begun:
            if name in route.json:
                end = text.piece_behind(number, text.begins[number] + len(name) + 1)
                skipped = way.coarser or text.sent_between(number, end)
                walk.end(end, _Ended(name, _Way(way.finer, skipped)))
            elif name in route.known and name not in route.texts:
                walk.end(end, _Ended(name, way))
            else:
                walk.open(name, way)
    return walk.whole(len(text.pieces))


def _well_formed(route: Route, name: str, text: _Text, number: int) -> bool:
    """Whether a parameter that the route knows can have a value that begins at a piece."""
    begin = text.begins[number] + len(name) + 1
    value = text.whole[begin : text.begins[number] + len(text.pieces[number])]
    if name in route.json:
        return _json_end(text.whole, begin) is not None
    if name in route.words:
        return value in STATUSES
    if name in SIGNED:
        return value.isascii() and value.isdigit()
    return name in route.texts or (value != "" and refusal(route, name, value) is None)


class _Open(NamedTuple):
    """What matters of parameters whose end is open: how many needed names they come after, and what may follow."""

    level: int
    is_text: bool
    way: _Way


@dataclass
class _Walk:
    """The ways in which a text can be read so far.

    Attributes:
        ended: by piece, the parameters that end before it.
        opened: of the parameters that may go on, the least name of each kind: what may follow a greater one may
            follow it too.
    """

    route: Route
    ended: dict[int, list[_Ended]] = field(default_factory=dict)
    opened: dict[_Open, str] = field(default_factory=dict)

    def beginning(self, number: int, name: str, sent: bool) -> Iterable[_Way]:
        """The ways in which a parameter may begin at a piece: sorted, unrepeated, nothing needed left out."""
        level = bisect_left(self.route.needed, name)
        if number == 0:
            return {_SAME} if level == 0 else ()
        before = [
            each.way
            for each in self.ended.pop(number, ())
            if each.name < name and bisect_right(self.route.needed, each.name) == level
        ]
        before += [
            kind.way
            for kind, least in self.opened.items()
            if kind.level == level and least < name and (not kind.is_text or name in self.route.known)
        ]
        return {_Way(way.finer or not sent, way.coarser) for way in before}

    def cross(self) -> None:
        """What is open goes on where a parameter was sent."""
        crossed, self.opened = self.opened, {}
        for kind, name in crossed.items():
            self._keep(kind._replace(way=kind.way._replace(coarser=True)), name)

    def end(self, number: int, parameter: _Ended) -> None:
        """A parameter ends before a piece."""
        self.ended.setdefault(number, []).append(parameter)

    def open(self, name: str, way: _Way) -> None:
        """A parameter begins that may go on."""
        self._keep(_Open(bisect_right(self.route.needed, name), name in self.route.texts, way), name)

    def whole(self, number: int) -> frozenset[_Way]:
        """The ways in which the text is read to its end."""
        level = len(self.route.needed)
        ended = (each for each in self.ended.get(number, ()) if bisect_right(self.route.needed, each.name) == level)
        return frozenset([*(each.way for each in ended), *(kind.way for kind in self.opened if kind.level == level)])

    def _keep(self, kind: _Open, name: str) -> None:
        self.opened[kind] = min(name, self.opened.get(kind, name))
