"""Deviations from the documented signature, and the choices about which text a value is signed as.

A choice is made at most once by a client, and each way of it is one row: what programs call it, what the client did,
what makes a draft of it, and how to mend it where that differs from the choice's own remedy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from compat.doctor.calls import Draft, Evidence
from compat.legacy.routes import ROUTES, SIGNED
from compat.text.json import Number, dumps, loads_strictly

__all__ = [
    "BOOLEANS",
    "COVERAGE",
    "CUT",
    "EMPTIES",
    "ENCODING",
    "IDS",
    "STRUCTURES",
    "TIMES",
    "Apply",
    "Choice",
    "Deviation",
    "choice",
]

Apply = Callable[[Draft, Evidence], Draft]


@dataclass(frozen=True)
class Deviation:
    """One choice that is not the documented one.

    Attributes:
        name: what programs call it.
        did: what the client did, to follow "The client".
        fix: the smallest change that helps.
        apply: the draft with that choice made; the same draft where it makes no difference.
    """

    name: str
    did: str
    fix: str
    apply: Apply


@dataclass(frozen=True)
class Choice:
    """Deviations of which a client has at most one.

    Attributes:
        about: what is chosen.
        deviations: the wrong ways, the likelier the earlier.
    """

    about: str
    deviations: tuple[Deviation, ...]


def choice(about: str, fix: str, *rows: tuple[str, str, Apply] | tuple[str, str, Apply, str]) -> Choice:
    """A choice of rows: name, what the client did, its draft, and the remedy where it is another than ``fix``."""
    return Choice(about, tuple(Deviation(row[0], row[1], row[3] if len(row) > 3 else fix, row[2]) for row in rows))


def _with(more: Callable[[Evidence], dict[str, str]]) -> Apply:
    """More parameters."""
    return lambda draft, evidence: replace(draft, values={**draft.values, **more(evidence)})


def _without(drop: Callable[[str, str, Evidence], bool]) -> Apply:
    """Without some of the parameters, by name and value."""
    return lambda draft, evidence: replace(
        draft, values={name: value for name, value in draft.values.items() if not drop(name, value, evidence)}
    )


def _each(change: Callable[[str, str], str]) -> Apply:
    """Every value changed by itself, by name and value."""
    return lambda draft, evidence: replace(
        draft, values={name: change(name, value) for name, value in draft.values.items()}
    )


def _id_as_exam_id(draft: Draft, evidence: Evidence) -> Draft:
    if "exam_id" in draft.values:
        return draft
    return replace(draft, values={("exam_id" if name == "id" else name): value for name, value in draft.values.items()})


IDS = choice(
    "the id of the path",
    "",
    (
        "id-left-out",
        "left the id of the path out of the signed text.",
        _without(lambda name, value, evidence: name == "id"),
        "Sign the path's id too, as the parameter id.",
    ),
    (
        "id-as-exam-id",
        "signed the path's id under the name exam_id, as student sessions want it.",
        _id_as_exam_id,
        "Sign it under the name id on the deprecated routes.",
    ),
    (
        "id-stale",
        "signed the id of the query or body, which is not the id of the path.",
        _with(lambda evidence: {} if evidence.other_id is None else {"id": evidence.other_id}),
        "Write the id that is signed into the path, and sign anew for every exam.",
    ),
)

_FLAGS = frozenset(name for route in ROUTES for name in route.flags)
_TRUTHS = {"true": 1, "false": 0, "1": 1, "0": 0}


def _boolean(*texts: str) -> Apply:
    def change(name: str, value: str) -> str:
        if value.lower() not in _TRUTHS or (value in "01" and name not in _FLAGS):
            return value
        return texts[_TRUTHS[value.lower()]]

    return _each(change)


BOOLEANS = choice(
    "true and false",
    "Make the text of a boolean once, and sign and send that very text.",
    ("booleans-as-python", "signed True or False, and sent another text.", _boolean("False", "True")),
    ("booleans-in-lower-case", "signed true or false, and sent another text.", _boolean("false", "true")),
    ("booleans-as-digits", "signed 1 or 0 for a boolean, and sent another text.", _boolean("0", "1")),
)
EMPTIES = choice(
    "parameters without a value",
    "Leave a parameter without a value out, of the call and of the signed text.",
    (
        "empty-left-out",
        "left parameters without a value out of the signed text, and sent them.",
        _without(lambda name, value, evidence: not value),
    ),
    ("empty-as-none", "signed None for a parameter without a value.", _each(lambda name, value: value or "None")),
    ("empty-as-null", "signed null for a parameter without a value.", _each(lambda name, value: value or "null")),
)


def _structured(write: Callable[[Any], str]) -> Apply:
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


def _javascript(value: Any) -> str:
    texts = ["[object Object]" if isinstance(item, dict) else str(item) for item in value]
    return "[object Object]" if isinstance(value, dict) else ",".join(texts)


STRUCTURES = choice(
    "filter and sort as text",
    "Write the JSON text once, and sign and send that very text, as a string also in a JSON body.",
    (
        "json-with-spaces",
        "signed its JSON with a space after each comma and colon, and sent it without.",
        _structured(lambda value: json.dumps(value, ensure_ascii=False)),
    ),
    ("json-with-escapes", "signed its JSON with \\u escapes, and sent the characters.", _structured(json.dumps)),
    ("json-without-spaces", "signed its JSON without spaces, and sent it with some.", _structured(dumps)),
    (
        "json-compact-with-escapes",
        "signed its JSON without spaces and with \\u escapes, and sent it otherwise.",
        _structured(lambda value: json.dumps(value, separators=(",", ":"))),
    ),
    (
        "json-as-python",
        "signed Python's own form of an object, with single quotes, instead of its JSON.",
        _structured(str),
    ),
    (
        "json-as-javascript",
        "signed [object Object], JavaScript's text of an object, instead of its JSON.",
        _structured(_javascript),
    ),
)


def _scaled(name: str, scale: Callable[[int], int]) -> Apply:
    def change(given: str, value: str) -> str:
        return str(scale(int(value))) if given == name and value.isascii() and value.isdigit() else value

    return _each(change)


TIMES = choice(
    "the timestamp as text",
    "Read the clock once, and sign and send that very text, in milliseconds.",
    (
        "timestamp-signed-in-seconds",
        "signed the timestamp in seconds, and sent it in milliseconds.",
        _scaled("timestamp", lambda value: value // 1000),
    ),
    (
        "timestamp-signed-with-zeros",
        "signed the timestamp in milliseconds, and sent it in seconds.",
        _scaled("timestamp", lambda value: value * 1000),
    ),
    (
        "nonce-signed-in-seconds",
        "signed the nonce in seconds, and sent it in milliseconds.",
        _scaled("nonce", lambda value: value // 1000),
        "Make the nonce once, and sign and send that very text.",
    ),
)


def _values_as_sent(draft: Draft, evidence: Evidence) -> Draft:
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

ENCODING = choice(
    "the encoding of values",
    "Sign the values as they are, and URL-encode them only when the call is sent.",
    (
        "values-encoded-as-sent",
        "signed the values URL-encoded, as they stand in the URL or form.",
        _values_as_sent,
    ),
    (
        "plus-sent-bare",
        "sent a + of a value as it is, where a query means a space by it.",
        _plus_kept,
        "Send a + as %2B and a space as %20; the signed text stays as it is.",
    ),
    (
        CUT,
        "joined a value with an & into the URL as it is, so that the rest of the value came as other parameters.",
        _ampersand_kept,
        "URL-encode every value when the call is sent, an & as %26; the signed text stays as it is.",
    ),
    (
        "values-percent-encoded",
        "signed the values URL-encoded, a space as %20.",
        _each(lambda name, value: quote(value, safe="")),
    ),
    (
        "values-plus-encoded",
        "signed the values URL-encoded, a space as +.",
        _each(lambda name, value: quote_plus(value)),
    ),
    (
        "values-uri-component",
        "signed the values as JavaScript's encodeURIComponent writes them.",
        _each(lambda name, value: quote(value, safe="!'()*")),
    ),
    (
        "values-path-encoded",
        "signed the values URL-encoded, a / as it is.",
        _each(lambda name, value: quote(value)),
    ),
    (
        "sent-encoded-twice",
        "URL-encoded the values twice when it sent them.",
        _each(lambda name, value: unquote_plus(value)),
        "Give the values unencoded to whatever builds the URL; the signed text stays as it is.",
    ),
)


def _without_names(*names: str) -> Apply:
    return _without(lambda name, value, evidence: name in names)


COVERAGE = choice(
    "which parameters are signed",
    "Sign every parameter but the signature, wherever it is sent: path, query, JSON or form body.",
    (
        "body-left-out",
        "left the parameters of the body out of the signed text.",
        _without(lambda name, value, evidence: name in evidence.body_names),
    ),
    (
        "query-left-out",
        "left the parameters of the query out of the signed text.",
        _without(lambda name, value, evidence: name in evidence.query_names),
    ),
    (
        "only-the-required",
        "signed no parameter beside id, nonce and timestamp.",
        _without(lambda name, value, evidence: name not in SIGNED),
    ),
    ("timestamp-left-out", "left the timestamp out of the signed text.", _without_names("timestamp")),
    ("nonce-left-out", "left the nonce out of the signed text.", _without_names("nonce")),
    (
        "time-and-nonce-left-out",
        "left timestamp and nonce out of the signed text.",
        _without_names("timestamp", "nonce"),
    ),
    (
        "signature-included",
        "signed an empty signature= too.",
        _with(lambda evidence: {"signature": ""}),
        "Leave the signature itself out of the signed text.",
    ),
    (
        "signature-included-as-none",
        "signed signature=None too.",
        _with(lambda evidence: {"signature": "None"}),
        "Leave the signature itself out of the signed text.",
    ),
    (
        "token-included",
        "signed the API token too, as the parameter api_token.",
        _with(lambda evidence: {"api_token": evidence.api_token} if evidence.api_token else {}),
        "Leave the token out of the signed text: it is a header, no parameter.",
    ),
)
