"""Every way of signing that is not the documented one, by what a client chooses, and what to do instead.

A client makes each choice once. Each way of it is one row: what programs call it, what the client did, what makes a
draft of it, and how to mend it where that differs from the choice's own remedy.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from compat.doctor.calls import Draft, Evidence
from compat.legacy.routes import ROUTES, SIGNED
from compat.text.json import Number, dumps, loads_strictly

__all__ = ["ANY_ORDER", "CHOICES", "CUT", "FORMS", "LAST", "SIGNED_AGAIN", "Choice", "Deviation", "key_of"]

_Apply = Callable[[Draft, Evidence], Draft]


def _unchanged(draft: Draft, evidence: Evidence) -> Draft:
    """The draft as it is, of what cannot be seen in the signed text."""
    return draft


@dataclass(frozen=True)
class Deviation:
    """One choice that is not the documented one.

    Attributes:
        name: what programs call it.
        did: what the client did, to follow "The client".
        apply: the draft with that choice made; the same draft where it makes no difference.
        fix: the smallest change that helps.
    """

    name: str
    did: str
    apply: _Apply = _unchanged
    fix: str = ""


@dataclass(frozen=True)
class Choice:
    """Deviations of which a client has at most one.

    Attributes:
        about: what is chosen.
        deviations: the wrong ways, the likelier the earlier.
    """

    about: str
    deviations: tuple[Deviation, ...]


def _choice(about: str, fix: str, *rows: tuple[str, str, _Apply] | tuple[str, str, _Apply, str]) -> Choice:
    """A choice whose rows are its deviations, with ``fix`` for a remedy where they have none of their own."""
    return Choice(about, tuple(Deviation(*row) if len(row) > 3 else Deviation(*row, fix) for row in rows))


def _set(**changed: Any) -> _Apply:
    """Other signs, charset or digest."""
    return lambda draft, evidence: replace(draft, **changed)


def _with(more: Callable[[Evidence], Mapping[str, str]]) -> _Apply:
    """More parameters."""
    return lambda draft, evidence: replace(draft, values={**draft.values, **more(evidence)})


def _only(kept: Callable[[str, str, Evidence], bool]) -> _Apply:
    """Some of the parameters, by name and value."""
    return lambda draft, evidence: replace(
        draft, values={name: value for name, value in draft.values.items() if kept(name, value, evidence)}
    )


def _without(*names: str) -> _Apply:
    return _only(lambda name, value, evidence: name not in names)


def _each(change: Callable[[str, str], str]) -> _Apply:
    """Every value changed by itself, by name and value."""
    return lambda draft, evidence: replace(
        draft, values={name: change(name, value) for name, value in draft.values.items()}
    )


def _written(write: Callable[[str], str]) -> _Apply:
    """Every value written in another way."""
    return _each(lambda name, value: write(value))


def _id_as_exam_id(draft: Draft, evidence: Evidence) -> Draft:
    if "exam_id" in draft.values:
        return draft
    return replace(draft, values={("exam_id" if name == "id" else name): value for name, value in draft.values.items()})


# A row of a table has a line for its texts, and one for what makes its draft.
# fmt: off
_IDS = _choice(
    "the id of the path",
    "",
    ("id-left-out", "left the id of the path out of the signed text.",
     _without("id"), "Sign the path's id too, as the parameter id."),
    ("id-as-exam-id", "signed the path's id under the name exam_id, as student sessions want it.",
     _id_as_exam_id, "Sign it under the name id on the deprecated routes."),
    ("id-stale", "signed the id of the query or body, which is not the id of the path.",
     _with(lambda evidence: {} if evidence.other_id is None else {"id": evidence.other_id}),
     "Write the id that is signed into the path, and sign anew for every exam."),
)

_FLAGS = frozenset(name for route in ROUTES for name in route.flags)


def _boolean(false: str, true: str) -> _Apply:
    """Booleans as these texts; a digit is one in a flag alone."""
    texts = {"false": false, "0": false, "true": true, "1": true}
    return _each(
        lambda name, value: texts.get(value.lower(), value) if name in _FLAGS or value not in ("0", "1") else value
    )


_BOOLEANS = _choice(
    "true and false",
    "Make the text of a boolean once, and sign and send that very text.",
    ("booleans-as-python", "signed True or False, and sent another text.", _boolean("False", "True")),
    ("booleans-in-lower-case", "signed true or false, and sent another text.", _boolean("false", "true")),
    ("booleans-as-digits", "signed 1 or 0 for a boolean, and sent another text.", _boolean("0", "1")),
)
_EMPTIES = _choice(
    "parameters without a value",
    "Leave a parameter without a value out, of the call and of the signed text.",
    ("empty-left-out", "left parameters without a value out of the signed text, and sent them.",
     _only(lambda name, value, evidence: bool(value))),
    ("empty-as-none", "signed None for a parameter without a value.", _written(lambda value: value or "None")),
    ("empty-as-null", "signed null for a parameter without a value.", _written(lambda value: value or "null")),
)


def _structured(write: Callable[[Any], str]) -> _Apply:
    """JSON objects and arrays written in another way."""

    def change(value: str) -> str:
        if value[:1] not in ("{", "["):
            return value
        try:
            return write(_plain(loads_strictly(value)))
        except ValueError:
            return value

    return _written(change)


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


_STRUCTURES = _choice(
    "filter and sort as text",
    "Write the JSON text once, and sign and send that very text, as a string also in a JSON body.",
    ("json-with-spaces", "signed its JSON with a space after each comma and colon, and sent it without.",
     _structured(partial(json.dumps, ensure_ascii=False))),
    ("json-with-escapes", "signed its JSON with \\u escapes, and sent the characters.", _structured(json.dumps)),
    ("json-without-spaces", "signed its JSON without spaces, and sent it with some.", _structured(dumps)),
    ("json-compact-with-escapes", "signed its JSON without spaces and with \\u escapes, and sent it otherwise.",
     _structured(partial(json.dumps, separators=(",", ":")))),
    ("json-as-python", "signed Python's own form of an object, with single quotes, instead of its JSON.",
     _structured(str)),
    ("json-as-javascript", "signed [object Object], JavaScript's text of an object, instead of its JSON.",
     _structured(_javascript)),
)


def _scaled(of: str, scale: Callable[[int], int]) -> _Apply:
    return _each(
        lambda name, value: str(scale(int(value))) if name == of and value.isascii() and value.isdigit() else value
    )


_TIMES = _choice(
    "the timestamp as text",
    "Read the clock once, and sign and send that very text, in milliseconds.",
    ("timestamp-signed-in-seconds", "signed the timestamp in seconds, and sent it in milliseconds.",
     _scaled("timestamp", lambda value: value // 1000)),
    ("timestamp-signed-with-zeros", "signed the timestamp in milliseconds, and sent it in seconds.",
     _scaled("timestamp", lambda value: value * 1000)),
    ("nonce-signed-in-seconds", "signed the nonce in seconds, and sent it in milliseconds.",
     _scaled("nonce", lambda value: value // 1000), "Make the nonce once, and sign and send that very text."),
)


def _as_came(change: Callable[[str | None, str], str]) -> _Apply:
    """Every value changed by its text before it was decoded; None where that is not known, or it was changed since."""

    def apply(draft: Draft, evidence: Evidence) -> Draft:
        raw = {
            name: evidence.raw.get(name) for name, value in draft.values.items() if value == evidence.values.get(name)
        }
        return _each(lambda name, value: change(raw.get(name), value))(draft, evidence)

    return apply


def _ampersand_kept(draft: Draft, evidence: Evidence) -> Draft:
    whole, rests = evidence.rejoined
    left = {name: value for name, value in draft.values.items() if name not in rests}
    return replace(draft, values={**left, **{name: value for name, value in whole.items() if name in left}})


CUT = "ampersand-sent-bare"
"""The name of the deviation that makes one value several parameters."""

_ENCODING = _choice(
    "the encoding of values",
    "Sign the values as they are, and URL-encode them only when the call is sent.",
    ("values-encoded-as-sent", "signed the values URL-encoded, as they stand in the URL or form.",
     _as_came(lambda raw, value: quote(value, safe="") if raw is None else raw)),
    ("plus-sent-bare", "sent a + of a value as it is, where a query means a space by it.",
     _as_came(lambda raw, value: unquote(raw) if raw and "+" in raw else value),
     "Send a + as %2B and a space as %20; the signed text stays as it is."),
    (CUT, "joined a value with an & into the URL as it is, so that the rest of the value came as other parameters.",
     _ampersand_kept, "URL-encode every value when the call is sent, an & as %26; the signed text stays as it is."),
    ("values-percent-encoded", "signed the values URL-encoded, a space as %20.", _written(partial(quote, safe=""))),
    ("values-plus-encoded", "signed the values URL-encoded, a space as +.", _written(quote_plus)),
    ("values-uri-component", "signed the values as JavaScript's encodeURIComponent writes them.",
     _written(partial(quote, safe="!'()*"))),
    ("values-path-encoded", "signed the values URL-encoded, a / as it is.", _written(quote)),
    ("sent-encoded-twice", "URL-encoded the values twice when it sent them.",
     _written(unquote_plus), "Give the values unencoded to whatever builds the URL; the signed text stays as it is."),
)
_NOT_ITSELF = "Leave the signature itself out of the signed text."
_COVERAGE = _choice(
    "which parameters are signed",
    "Sign every parameter but the signature, wherever it is sent: path, query, JSON or form body.",
    ("body-left-out", "left the parameters of the body out of the signed text.",
     _only(lambda name, value, evidence: name not in evidence.body_names)),
    ("query-left-out", "left the parameters of the query out of the signed text.",
     _only(lambda name, value, evidence: name not in evidence.query_names)),
    ("only-the-required", "signed no parameter beside id, nonce and timestamp.",
     _only(lambda name, value, evidence: name in SIGNED)),
    ("timestamp-left-out", "left the timestamp out of the signed text.", _without("timestamp")),
    ("nonce-left-out", "left the nonce out of the signed text.", _without("nonce")),
    ("time-and-nonce-left-out", "left timestamp and nonce out of the signed text.", _without("timestamp", "nonce")),
    ("signature-included", "signed an empty signature= too.", _with(lambda evidence: {"signature": ""}), _NOT_ITSELF),
    ("signature-included-as-none", "signed signature=None too.",
     _with(lambda evidence: {"signature": "None"}), _NOT_ITSELF),
    ("token-included", "signed the API token too, as the parameter api_token.",
     _with(lambda evidence: {"api_token": evidence.api_token} if evidence.api_token else {}),
     "Leave the token out of the signed text: it is a header, no parameter."),
)


def _as_sent(draft: Draft, evidence: Evidence, *, id_first: bool = False) -> Draft:
    sent = [name for name in evidence.sent if name in draft.values]
    unsent = [name for name in draft.values if name not in evidence.sent]
    return replace(draft, order=tuple([*unsent, *sent] if id_first else [*sent, *unsent]))


_ORDER = _choice(
    "the order of parameters",
    "Sort the parameters by name.",
    ("order-as-sent", "signed the parameters in the order in which it sent them.", _as_sent),
    ("order-as-sent-id-first", "signed the path's id first, then the parameters in the order in which it sent them.",
     partial(_as_sent, id_first=True)),
    ("order-reversed", "sorted the parameters backwards.",
     lambda draft, evidence: replace(draft, order=tuple(sorted(draft.values, reverse=True)))),
)
_EQUALS = _choice(
    "what stands between name and value",
    "Write name=value.",
    ("names-without-equals", "signed names and values with nothing between them.", _set(equals="")),
    ("names-with-colon", "signed name:value.", _set(equals=":")),
)
_JOINER = _choice(
    "what joins parameters",
    "Join the parameters by ?, also where a URL has an &.",
    ("joined-by-ampersand", "joined the parameters by &, as a URL does.", _set(joiner="&")),
    ("joined-by-nothing", "joined the parameters by nothing.", _set(joiner="")),
    ("joined-by-comma", "joined the parameters by commas.", _set(joiner=",")),
    ("joined-by-newline", "joined the parameters by line breaks.", _set(joiner="\n")),
)


def _led_by(lead: str) -> _Apply:
    """A text before the parameters, in which ``{0.name}`` stands for a part of the call."""
    return lambda draft, evidence: replace(draft, before=lead.format(evidence))


def _led_by_url(draft: Draft, evidence: Evidence) -> Draft:
    return _led_by("{0.base_url}{0.path}?")(draft, evidence) if evidence.base_url else draft


_BEFORE = _choice(
    "what stands before the parameters",
    "Sign the parameters alone.",
    ("begins-with-question-mark", "began the signed text with a ?.", _led_by("?")),
    ("path-included", "signed the path too.", _led_by("{0.path}?")),
    ("method-and-path-included", "signed the method and the path too.", _led_by("{0.method} {0.path}?")),
    ("method-joined-to-path", "signed the method and the path too, with nothing between them.",
     _led_by("{0.method}{0.path}?")),
    ("method-included", "signed the method too.", _led_by("{0.method}?")),
    ("url-included", "signed the whole URL.", _led_by_url),
    ("path-on-a-line", "signed the path too, on a line of its own.", _led_by("{0.path}\n")),
    ("method-and-path-on-lines", "signed the method and the path too, each on a line of its own.",
     _led_by("{0.method}\n{0.path}\n")),
)
_BEHIND = _choice(
    "what stands behind the parameters",
    "",
    ("ends-with-newline", "signed a line break at the end of the text, as echo writes one.",
     _set(after="\n"), "Write the text without a line break: printf '%s', not echo."),
    ("ends-with-joiner", "signed one joiner too many, at the end of the text.",
     lambda draft, evidence: replace(draft, after=draft.joiner), "Put the ? between two parameters only."),
    ("key-appended", "signed the secret key itself at the end of the text.",
     lambda draft, evidence: replace(draft, after=evidence.secret_key),
     "Use the secret key as the key of the HMAC, and nowhere else."),
)
_CHARSET = _choice(
    "characters as bytes",
    "Sign the text as UTF-8.",
    ("charset-latin-1", "signed the text as Latin-1.", _set(charset="latin-1")),
    ("charset-windows-1252", "signed the text as Windows-1252.", _set(charset="cp1252")),
    ("charset-utf-16", "signed the text as UTF-16.", _set(charset="utf-16-le")),
)


def _keyed(key: Callable[[str], bytes]) -> _Apply:
    """A key made of the secret key; the draft as it is where none can be made of it."""

    def apply(draft: Draft, evidence: Evidence) -> Draft:
        try:
            return replace(draft, key=key(evidence.secret_key))
        except ValueError:
            return draft

    return apply


_STRIP = "Strip the secret key when it is read."
_KEY = _choice(
    "the key",
    "Use the text of the secret key as the key.",
    ("key-with-newline", "used the secret key with a line break at its end, as a file or echo gives it.",
     _keyed(lambda key: f"{key}\n".encode()), _STRIP),
    ("key-with-carriage-return", "used the secret key with a Windows line break at its end.",
     _keyed(lambda key: f"{key}\r\n".encode()), _STRIP),
    ("key-stripped", "used the secret key without the blanks around it that the configuration has.",
     _keyed(lambda key: key.strip().encode()), "Strip the secret key in the configuration."),
    ("key-quoted", "used the secret key with the quotes around it.",
     _keyed(lambda key: f'"{key}"'.encode()), "Take the quotes off the secret key."),
    ("key-from-hex", "read the secret key as hex, and used the bytes that it stands for.", _keyed(bytes.fromhex)),
    ("key-from-base64", "read the secret key as base64, and used the bytes that it stands for.",
     _keyed(partial(base64.b64decode, validate=True))),
    ("key-in-upper-case", "used the secret key in upper case.",
     _keyed(lambda key: key.upper().encode()), "Use the text of the secret key as it is."),
    ("key-is-the-token", "used the API token as the key.",
     lambda draft, evidence: replace(draft, key=(evidence.api_token or evidence.secret_key).encode()),
     "Use the secret key that belongs to the token as the key."),
    ("key-empty", "used an empty key: it may not have found its secret.",
     _set(key=b""), "Give the client its secret key."),
)
_DIGEST = _choice(
    "the digest",
    "Use HMAC with SHA-256, keyed by the secret key, over the text.",
    ("digest-sha1", "used SHA-1.", _set(digest="hmac-sha1")),
    ("digest-sha512", "used SHA-512.", _set(digest="hmac-sha512")),
    ("digest-md5", "used MD5.", _set(digest="hmac-md5")),
    ("digest-of-key-and-text", "hashed the key and then the text, without HMAC.", _set(digest="key-then-text")),
    ("digest-of-text-and-key", "hashed the text and then the key, without HMAC.", _set(digest="text-then-key")),
    ("digest-swapped", "swapped the key and the text.", _set(digest="text-as-key")),
    ("digest-without-key", "hashed the text without any key.", _set(digest="text-alone")),
)

CHOICES = (
    *(_IDS, _BOOLEANS, _EMPTIES, _STRUCTURES, _TIMES, _ENCODING, _COVERAGE),
    *(_ORDER, _EQUALS, _JOINER, _BEFORE, _BEHIND, _CHARSET, _KEY, _DIGEST),
)
"""In the order in which a client makes them, so that each is applied to what those before it left."""

FORMS = _choice(
    "how the signature is written",
    "Send the signature as hex: 64 digits, a to f in lower case.",
    ("signature-in-upper-case", "wrote the signature in upper-case hex.", _unchanged),
    ("signature-with-more-around", "wrote more than the hex digits: a prefix, quotes or blanks.", _unchanged),
    ("signature-in-base64", "wrote the signature in base64.", _unchanged),
    ("signature-base64-of-hex", "wrote the signature's hex digits in base64.", _unchanged),
).deviations
"""How the text of a signature may differ; read off it, so never searched for."""

SIGNED_AGAIN = Deviation(
    "signature-signed-again",
    "signed an earlier signature too, as a parameter: it was still among them when the call was signed again.",
    fix="Take the signature out of the parameters before they are signed anew.",
)
ANY_ORDER = Deviation(
    "order-of-its-own",
    "signed the parameters in an order of its own, which changes from call to call where a map gives it, as in Go.",
    fix="Sort the parameters by name.",
)
LAST = (SIGNED_AGAIN, ANY_ORDER)
"""Looked for where no set of the others made the signature: each of them stands for many texts."""


def key_of(name: str) -> Deviation:
    """What a client did that signed by the key of another caller of that name."""
    return Deviation(
        "key-of-another-caller",
        f"used the secret key of {name}, which does not belong to its token.",
        fix="Give the client the token and the secret key of one caller.",
    )
