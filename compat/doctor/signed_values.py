"""Choices about which text a value is signed as."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from compat.doctor.calls import Choice, Deviation, Draft, Evidence
from compat.legacy.routes import ROUTES
from compat.text.json import Number, dumps, loads_strictly

__all__ = ["BOOLEANS", "CUT", "EMPTIES", "ENCODING", "STRUCTURES", "TIMES"]

_Apply = Callable[[Draft, Evidence], Draft]
_FLAGS = frozenset(name for route in ROUTES for name in route.flags)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def _each(change: Callable[[str, str], str]) -> _Apply:
    """Every value changed by itself, by name and value."""
    return lambda draft, evidence: replace(
        draft, values={name: change(name, value) for name, value in draft.values.items()}
    )


def _boolean(texts: tuple[str, str]) -> _Apply:
    def change(name: str, value: str) -> str:
        if value.lower() not in _BOOLEANS or (value in "01" and name not in _FLAGS):
            return value
        return texts[_BOOLEANS[value.lower()]]

    return _each(change)


BOOLEANS = Choice(
    "true and false",
    (
        Deviation(
            "booleans-as-python",
            "signed True or False, and sent another text.",
            "Make the text of a boolean once, and sign and send that very text.",
            _boolean(("False", "True")),
        ),
        Deviation(
            "booleans-in-lower-case",
            "signed true or false, and sent another text.",
            "Make the text of a boolean once, and sign and send that very text.",
            _boolean(("false", "true")),
        ),
        Deviation(
            "booleans-as-digits",
            "signed 1 or 0 for a boolean, and sent another text.",
            "Make the text of a boolean once, and sign and send that very text.",
            _boolean(("0", "1")),
        ),
    ),
)
_SAME_EMPTY = "Leave a parameter without a value out, of the call and of the signed text."
EMPTIES = Choice(
    "parameters without a value",
    (
        Deviation(
            "empty-left-out",
            "left parameters without a value out of the signed text, and sent them.",
            _SAME_EMPTY,
            lambda draft, evidence: replace(
                draft, values={name: value for name, value in draft.values.items() if value}
            ),
        ),
        Deviation(
            "empty-as-none",
            "signed None for a parameter without a value.",
            _SAME_EMPTY,
            _each(lambda name, value: value or "None"),
        ),
        Deviation(
            "empty-as-null",
            "signed null for a parameter without a value.",
            _SAME_EMPTY,
            _each(lambda name, value: value or "null"),
        ),
    ),
)


def _structured(write: Callable[[Any], str]) -> _Apply:
    """JSON objects and arrays written in another way."""

    def change(name: str, value: str) -> str:
        if value[:1] not in ("{", "["):
            return value
        try:
            return write(_plain(loads_strictly(value)))
        except ValueError:
            return value

    return _each(change)


def _plain(value: Any) -> Any:
    """The value as Python's own JSON reader would give it."""
    if isinstance(value, Number):
        return json.loads(value.text) if len(value.text) < 400 else value.text
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


_SAME_JSON = "Write the JSON text once, and sign and send that very text, as a string also in a JSON body."
STRUCTURES = Choice(
    "filter and sort as text",
    (
        Deviation(
            "json-with-spaces",
            "signed its JSON with a space after each comma and colon, and sent it without.",
            _SAME_JSON,
            _structured(lambda value: json.dumps(value, ensure_ascii=False)),
        ),
        Deviation(
            "json-with-escapes",
            "signed its JSON with \\u escapes, and sent the characters.",
            _SAME_JSON,
            _structured(json.dumps),
        ),
        Deviation(
            "json-without-spaces",
            "signed its JSON without spaces, and sent it with some.",
            _SAME_JSON,
            _structured(dumps),
        ),
        Deviation(
            "json-compact-with-escapes",
            "signed its JSON without spaces and with \\u escapes, and sent it otherwise.",
            _SAME_JSON,
            _structured(lambda value: json.dumps(value, separators=(",", ":"))),
        ),
        Deviation(
            "json-as-python",
            "signed Python's own form of an object, with single quotes, instead of its JSON.",
            _SAME_JSON,
            _structured(str),
        ),
        Deviation(
            "json-as-javascript",
            "signed [object Object], JavaScript's text of an object, instead of its JSON.",
            _SAME_JSON,
            _structured(lambda value: "[object Object]" if isinstance(value, dict) else ",".join(map(_script, value))),
        ),
    ),
)


def _script(item: Any) -> str:
    return "[object Object]" if isinstance(item, dict) else str(item)


def _as_sent(draft: Draft, evidence: Evidence) -> Draft:
    def change(name: str, value: str) -> str:
        same = evidence.values.get(name) == value
        return evidence.raw[name] if same and name in evidence.raw else quote(value, safe="")

    return _each(change)(draft, evidence)


def _plus_kept(draft: Draft, evidence: Evidence) -> Draft:
    def change(name: str, value: str) -> str:
        raw = evidence.raw.get(name, "")
        return unquote(raw) if "+" in raw and evidence.values.get(name) == value else value

    return _each(change)(draft, evidence)


def _ampersand_kept(draft: Draft, evidence: Evidence) -> Draft:
    whole, rests = evidence.rejoined
    left = {name: value for name, value in draft.values.items() if name not in rests}
    return replace(draft, values={**left, **{name: value for name, value in whole.items() if name in left}})


CUT = "ampersand-sent-bare"
"""The name of the deviation that makes one value several parameters."""

_NOT_ENCODED = "Sign the values as they are, and URL-encode them only when the call is sent."
ENCODING = Choice(
    "the encoding of values",
    (
        Deviation(
            "values-encoded-as-sent",
            "signed the values URL-encoded, as they stand in the URL or form.",
            _NOT_ENCODED,
            _as_sent,
        ),
        Deviation(
            "plus-sent-bare",
            "sent a + of a value as it is, where a query means a space by it.",
            "Send a + as %2B and a space as %20; the signed text stays as it is.",
            _plus_kept,
        ),
        Deviation(
            CUT,
            "joined a value with an & into the URL as it is, so that the rest of the value came as other parameters.",
            "URL-encode every value when the call is sent, an & as %26; the signed text stays as it is.",
            _ampersand_kept,
        ),
        Deviation(
            "values-percent-encoded",
            "signed the values URL-encoded, a space as %20.",
            _NOT_ENCODED,
            _each(lambda name, value: quote(value, safe="")),
        ),
        Deviation(
            "values-plus-encoded",
            "signed the values URL-encoded, a space as +.",
            _NOT_ENCODED,
            _each(lambda name, value: quote_plus(value)),
        ),
        Deviation(
            "values-uri-component",
            "signed the values as JavaScript's encodeURIComponent writes them.",
            _NOT_ENCODED,
            _each(lambda name, value: quote(value, safe="!'()*")),
        ),
        Deviation(
            "values-path-encoded",
            "signed the values URL-encoded, a / as it is.",
            _NOT_ENCODED,
            _each(lambda name, value: quote(value)),
        ),
        Deviation(
            "sent-encoded-twice",
            "URL-encoded the values twice when it sent them.",
            "Give the values unencoded to whatever builds the URL; the signed text stays as it is.",
            _each(lambda name, value: unquote_plus(value)),
        ),
    ),
)


def _scaled(name: str, scale: Callable[[int], int]) -> _Apply:
    def change(given: str, value: str) -> str:
        return str(scale(int(value))) if given == name and value.isascii() and value.isdigit() else value

    return _each(change)


_SAME_TIME = "Read the clock once, and sign and send that very text, in milliseconds."
TIMES = Choice(
    "the timestamp as text",
    (
        Deviation(
            "timestamp-signed-in-seconds",
            "signed the timestamp in seconds, and sent it in milliseconds.",
            _SAME_TIME,
            _scaled("timestamp", lambda value: value // 1000),
        ),
        Deviation(
            "timestamp-signed-with-zeros",
            "signed the timestamp in milliseconds, and sent it in seconds.",
            _SAME_TIME,
            _scaled("timestamp", lambda value: value * 1000),
        ),
        Deviation(
            "nonce-signed-in-seconds",
            "signed the nonce in seconds, and sent it in milliseconds.",
            "Make the nonce once, and sign and send that very text.",
            _scaled("nonce", lambda value: value // 1000),
        ),
    ),
)
