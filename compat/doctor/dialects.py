"""Every way of signing that is not the documented one, by what a client chooses, and what to do instead."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from compat.doctor.calls import Draft, Evidence
from compat.doctor.signed_values import (
    BOOLEANS,
    COVERAGE,
    CUT,
    EMPTIES,
    ENCODING,
    IDS,
    STRUCTURES,
    TIMES,
    Apply,
    Choice,
    Deviation,
    choice,
)

__all__ = ["ANY_ORDER", "CHOICES", "CUT", "FORMS", "LAST", "SIGNED_AGAIN", "Choice", "Deviation", "key_of"]


def _unchanged(draft: Draft, evidence: Evidence) -> Draft:
    """The draft as it is, of what cannot be seen in the signed text."""
    return draft


def _set(**changed: Any) -> Apply:
    """Other signs, charset or digest."""
    return lambda draft, evidence: replace(draft, **changed)


def _as_sent(draft: Draft, evidence: Evidence, *, id_first: bool = False) -> Draft:
    sent = [name for name in evidence.sent if name in draft.values]
    unsent = [name for name in draft.values if name not in evidence.sent]
    return replace(draft, order=tuple([*unsent, *sent] if id_first else [*sent, *unsent]))


_ORDER = choice(
    "the order of parameters",
    "Sort the parameters by name.",
    ("order-as-sent", "signed the parameters in the order in which it sent them.", _as_sent),
    (
        "order-as-sent-id-first",
        "signed the path's id first, then the parameters in the order in which it sent them.",
        lambda draft, evidence: _as_sent(draft, evidence, id_first=True),
    ),
    (
        "order-reversed",
        "sorted the parameters backwards.",
        lambda draft, evidence: replace(draft, order=tuple(sorted(draft.values, reverse=True))),
    ),
)
_EQUALS = choice(
    "what stands between name and value",
    "Write name=value.",
    ("names-without-equals", "signed names and values with nothing between them.", _set(equals="")),
    ("names-with-colon", "signed name:value.", _set(equals=":")),
)
_JOINER = choice(
    "what joins parameters",
    "Join the parameters by ?, also where a URL has an &.",
    ("joined-by-ampersand", "joined the parameters by &, as a URL does.", _set(joiner="&")),
    ("joined-by-nothing", "joined the parameters by nothing.", _set(joiner="")),
    ("joined-by-comma", "joined the parameters by commas.", _set(joiner=",")),
    ("joined-by-newline", "joined the parameters by line breaks.", _set(joiner="\n")),
)


def _led_by(lead: str) -> Apply:
    """A text before the parameters, in which ``{0.name}`` stands for a part of the call."""
    return lambda draft, evidence: replace(draft, before=lead.format(evidence))


def _led_by_url(draft: Draft, evidence: Evidence) -> Draft:
    return _led_by("{0.base_url}{0.path}?")(draft, evidence) if evidence.base_url else draft


_BEFORE = choice(
    "what stands before the parameters",
    "Sign the parameters alone.",
    ("begins-with-question-mark", "began the signed text with a ?.", _led_by("?")),
    ("path-included", "signed the path too.", _led_by("{0.path}?")),
    ("method-and-path-included", "signed the method and the path too.", _led_by("{0.method} {0.path}?")),
    (
        "method-joined-to-path",
        "signed the method and the path too, with nothing between them.",
        _led_by("{0.method}{0.path}?"),
    ),
    ("method-included", "signed the method too.", _led_by("{0.method}?")),
    ("url-included", "signed the whole URL.", _led_by_url),
    ("path-on-a-line", "signed the path too, on a line of its own.", _led_by("{0.path}\n")),
    (
        "method-and-path-on-lines",
        "signed the method and the path too, each on a line of its own.",
        _led_by("{0.method}\n{0.path}\n"),
    ),
)
_BEHIND = choice(
    "what stands behind the parameters",
    "",
    (
        "ends-with-newline",
        "signed a line break at the end of the text, as echo writes one.",
        _set(after="\n"),
        "Write the text without a line break: printf '%s', not echo.",
    ),
    (
        "ends-with-joiner",
        "signed one joiner too many, at the end of the text.",
        lambda draft, evidence: replace(draft, after=draft.joiner),
        "Put the ? between two parameters only.",
    ),
    (
        "key-appended",
        "signed the secret key itself at the end of the text.",
        lambda draft, evidence: replace(draft, after=evidence.secret_key),
        "Use the secret key as the key of the HMAC, and nowhere else.",
    ),
)
_CHARSET = choice(
    "characters as bytes",
    "Sign the text as UTF-8.",
    ("charset-latin-1", "signed the text as Latin-1.", _set(charset="latin-1")),
    ("charset-windows-1252", "signed the text as Windows-1252.", _set(charset="cp1252")),
    ("charset-utf-16", "signed the text as UTF-16.", _set(charset="utf-16-le")),
)


def _keyed(key: Callable[[str], bytes]) -> Apply:
    """A key made of the secret key; the draft as it is where none can be made of it."""

    def apply(draft: Draft, evidence: Evidence) -> Draft:
        try:
            return replace(draft, key=key(evidence.secret_key))
        except (ValueError, binascii.Error):
            return draft

    return apply


_KEY = choice(
    "the key",
    "Use the text of the secret key as the key.",
    (
        "key-with-newline",
        "used the secret key with a line break at its end, as a file or echo gives it.",
        _keyed(lambda key: f"{key}\n".encode()),
        "Strip the secret key when it is read.",
    ),
    (
        "key-with-carriage-return",
        "used the secret key with a Windows line break at its end.",
        _keyed(lambda key: f"{key}\r\n".encode()),
        "Strip the secret key when it is read.",
    ),
    (
        "key-stripped",
        "used the secret key without the blanks around it that the configuration has.",
        _keyed(lambda key: key.strip().encode()),
        "Strip the secret key in the configuration.",
    ),
    (
        "key-quoted",
        "used the secret key with the quotes around it.",
        _keyed(lambda key: f'"{key}"'.encode()),
        "Take the quotes off the secret key.",
    ),
    ("key-from-hex", "read the secret key as hex, and used the bytes that it stands for.", _keyed(bytes.fromhex)),
    (
        "key-from-base64",
        "read the secret key as base64, and used the bytes that it stands for.",
        _keyed(lambda key: base64.b64decode(key, validate=True)),
    ),
    (
        "key-in-upper-case",
        "used the secret key in upper case.",
        _keyed(lambda key: key.upper().encode()),
        "Use the text of the secret key as it is.",
    ),
    (
        "key-is-the-token",
        "used the API token as the key.",
        lambda draft, evidence: replace(draft, key=(evidence.api_token or evidence.secret_key).encode()),
        "Use the secret key that belongs to the token as the key.",
    ),
    (
        "key-empty",
        "used an empty key: it may not have found its secret.",
        _set(key=b""),
        "Give the client its secret key.",
    ),
)
_DIGEST = choice(
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
    IDS,
    BOOLEANS,
    EMPTIES,
    STRUCTURES,
    TIMES,
    ENCODING,
    COVERAGE,
    _ORDER,
    _EQUALS,
    _JOINER,
    _BEFORE,
    _BEHIND,
    _CHARSET,
    _KEY,
    _DIGEST,
)
"""In the order in which a client makes them, so that each is applied to what those before it left."""

FORMS = choice(
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
    "Take the signature out of the parameters before they are signed anew.",
    _unchanged,
)
ANY_ORDER = Deviation(
    "order-of-its-own",
    "signed the parameters in an order of its own, which changes from call to call where a map gives it, as in Go.",
    "Sort the parameters by name.",
    _unchanged,
)
LAST = (SIGNED_AGAIN, ANY_ORDER)
"""Looked for where no set of the others made the signature: each of them stands for many texts."""


def key_of(name: str) -> Deviation:
    """What a client did that signed by the key of another caller of that name."""
    return Deviation(
        "key-of-another-caller",
        f"used the secret key of {name}, which does not belong to its token.",
        "Give the client the token and the secret key of one caller.",
        _unchanged,
    )
