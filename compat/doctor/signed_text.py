"""Choices about how parameters become one text, and the text a signature."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace

from compat.doctor.calls import Choice, Deviation, Draft, Evidence

__all__ = ["BEFORE", "BEHIND", "CHARSET", "DIGEST", "EQUALS", "JOINER", "KEY", "ORDER"]

_Apply = Callable[[Draft, Evidence], Draft]


def _in_order(order: Callable[[Draft, Evidence], list[str]]) -> _Apply:
    return lambda draft, evidence: replace(draft, order=tuple(order(draft, evidence)))


def _as_sent(draft: Draft, evidence: Evidence) -> list[str]:
    return [*(name for name in evidence.sent if name in draft.values), *_unsent(draft, evidence)]


def _id_first(draft: Draft, evidence: Evidence) -> list[str]:
    unsent = _unsent(draft, evidence)
    return [*unsent, *(name for name in evidence.sent if name in draft.values)]


def _unsent(draft: Draft, evidence: Evidence) -> list[str]:
    return [name for name in draft.values if name not in evidence.sent]


_SORT = "Sort the parameters by name."
ORDER = Choice(
    "the order of parameters",
    (
        Deviation(
            "order-as-sent", "signed the parameters in the order in which it sent them.", _SORT, _in_order(_as_sent)
        ),
        Deviation(
            "order-as-sent-id-first",
            "signed the path's id first, then the parameters in the order in which it sent them.",
            _SORT,
            _in_order(_id_first),
        ),
        Deviation(
            "order-reversed",
            "sorted the parameters backwards.",
            _SORT,
            _in_order(lambda draft, evidence: sorted(draft.values, reverse=True)),
        ),
    ),
)
_JOIN = "Join the parameters by ?, also where a URL has an &."


def _joined(joiner: str) -> _Apply:
    return lambda draft, evidence: replace(draft, joiner=joiner)


JOINER = Choice(
    "what joins parameters",
    (
        Deviation("joined-by-ampersand", "joined the parameters by &, as a URL does.", _JOIN, _joined("&")),
        Deviation("joined-by-nothing", "joined the parameters by nothing.", _JOIN, _joined("")),
        Deviation("joined-by-comma", "joined the parameters by commas.", _JOIN, _joined(",")),
        Deviation("joined-by-newline", "joined the parameters by line breaks.", _JOIN, _joined("\n")),
    ),
)
EQUALS = Choice(
    "what stands between name and value",
    (
        Deviation(
            "names-without-equals",
            "signed names and values with nothing between them.",
            "Write name=value.",
            lambda draft, evidence: replace(draft, equals=""),
        ),
        Deviation(
            "names-with-colon",
            "signed name:value.",
            "Write name=value.",
            lambda draft, evidence: replace(draft, equals=":"),
        ),
    ),
)


def _led_by(lead: Callable[[Evidence], str]) -> _Apply:
    return lambda draft, evidence: replace(draft, before=lead(evidence))


_ONLY = "Sign the parameters alone."
BEFORE = Choice(
    "what stands before the parameters",
    (
        Deviation("begins-with-question-mark", "began the signed text with a ?.", _ONLY, _led_by(lambda evidence: "?")),
        Deviation("path-included", "signed the path too.", _ONLY, _led_by(lambda evidence: f"{evidence.path}?")),
        Deviation(
            "method-and-path-included",
            "signed the method and the path too.",
            _ONLY,
            _led_by(lambda evidence: f"{evidence.method} {evidence.path}?"),
        ),
        Deviation(
            "method-joined-to-path",
            "signed the method and the path too, with nothing between them.",
            _ONLY,
            _led_by(lambda evidence: f"{evidence.method}{evidence.path}?"),
        ),
        Deviation(
            "method-included",
            "signed the method too.",
            _ONLY,
            _led_by(lambda evidence: f"{evidence.method}?"),
        ),
        Deviation(
            "url-included",
            "signed the whole URL.",
            _ONLY,
            _led_by(lambda evidence: f"{evidence.base_url}{evidence.path}?" if evidence.base_url else ""),
        ),
        Deviation(
            "path-on-a-line",
            "signed the path too, on a line of its own.",
            _ONLY,
            _led_by(lambda evidence: f"{evidence.path}\n"),
        ),
        Deviation(
            "method-and-path-on-lines",
            "signed the method and the path too, each on a line of its own.",
            _ONLY,
            _led_by(lambda evidence: f"{evidence.method}\n{evidence.path}\n"),
        ),
    ),
)
BEHIND = Choice(
    "what stands behind the parameters",
    (
        Deviation(
            "ends-with-newline",
            "signed a line break at the end of the text, as echo writes one.",
            "Write the text without a line break: printf '%s', not echo.",
            lambda draft, evidence: replace(draft, after="\n"),
        ),
        Deviation(
            "ends-with-joiner",
            "signed one joiner too many, at the end of the text.",
            "Put the ? between two parameters only.",
            lambda draft, evidence: replace(draft, after=draft.joiner),
        ),
        Deviation(
            "key-appended",
            "signed the secret key itself at the end of the text.",
            "Use the secret key as the key of the HMAC, and nowhere else.",
            lambda draft, evidence: replace(draft, after=evidence.secret_key),
        ),
    ),
)
CHARSET = Choice(
    "characters as bytes",
    (
        Deviation(
            "charset-latin-1",
            "signed the text as Latin-1.",
            "Sign the text as UTF-8.",
            lambda draft, evidence: replace(draft, charset="latin-1"),
        ),
        Deviation(
            "charset-windows-1252",
            "signed the text as Windows-1252.",
            "Sign the text as UTF-8.",
            lambda draft, evidence: replace(draft, charset="cp1252"),
        ),
        Deviation(
            "charset-utf-16",
            "signed the text as UTF-16.",
            "Sign the text as UTF-8.",
            lambda draft, evidence: replace(draft, charset="utf-16-le"),
        ),
    ),
)


def _keyed(key: Callable[[Evidence], bytes]) -> _Apply:
    def apply(draft: Draft, evidence: Evidence) -> Draft:
        try:
            return replace(draft, key=key(evidence))
        except (ValueError, binascii.Error):
            return draft

    return apply


KEY = Choice(
    "the key",
    (
        Deviation(
            "key-with-newline",
            "used the secret key with a line break at its end, as a file or echo gives it.",
            "Strip the secret key when it is read.",
            _keyed(lambda evidence: evidence.secret_key.encode() + b"\n"),
        ),
        Deviation(
            "key-with-carriage-return",
            "used the secret key with a Windows line break at its end.",
            "Strip the secret key when it is read.",
            _keyed(lambda evidence: evidence.secret_key.encode() + b"\r\n"),
        ),
        Deviation(
            "key-stripped",
            "used the secret key without the blanks around it that the configuration has.",
            "Strip the secret key in the configuration.",
            _keyed(lambda evidence: evidence.secret_key.strip().encode()),
        ),
        Deviation(
            "key-quoted",
            "used the secret key with the quotes around it.",
            "Take the quotes off the secret key.",
            _keyed(lambda evidence: b'"' + evidence.secret_key.encode() + b'"'),
        ),
        Deviation(
            "key-from-hex",
            "read the secret key as hex, and used the bytes that it stands for.",
            "Use the text of the secret key as the key.",
            _keyed(lambda evidence: bytes.fromhex(evidence.secret_key)),
        ),
        Deviation(
            "key-from-base64",
            "read the secret key as base64, and used the bytes that it stands for.",
            "Use the text of the secret key as the key.",
            _keyed(lambda evidence: base64.b64decode(evidence.secret_key, validate=True)),
        ),
        Deviation(
            "key-in-upper-case",
            "used the secret key in upper case.",
            "Use the text of the secret key as it is.",
            _keyed(lambda evidence: evidence.secret_key.upper().encode()),
        ),
        Deviation(
            "key-is-the-token",
            "used the API token as the key.",
            "Use the secret key that belongs to the token as the key.",
            _keyed(lambda evidence: (evidence.api_token or evidence.secret_key).encode()),
        ),
        Deviation(
            "key-empty",
            "used an empty key: it may not have found its secret.",
            "Give the client its secret key.",
            _keyed(lambda evidence: b""),
        ),
    ),
)
_SHA256 = "Use HMAC with SHA-256, keyed by the secret key, over the text."


def _digested(name: str) -> _Apply:
    return lambda draft, evidence: replace(draft, digest=name)


DIGEST = Choice(
    "the digest",
    (
        Deviation("digest-sha1", "used SHA-1.", _SHA256, _digested("hmac-sha1")),
        Deviation("digest-sha512", "used SHA-512.", _SHA256, _digested("hmac-sha512")),
        Deviation("digest-md5", "used MD5.", _SHA256, _digested("hmac-md5")),
        Deviation(
            "digest-of-key-and-text",
            "hashed the key and then the text, without HMAC.",
            _SHA256,
            _digested("key-then-text"),
        ),
        Deviation(
            "digest-of-text-and-key",
            "hashed the text and then the key, without HMAC.",
            _SHA256,
            _digested("text-then-key"),
        ),
        Deviation("digest-swapped", "swapped the key and the text.", _SHA256, _digested("text-as-key")),
        Deviation("digest-without-key", "hashed the text without any key.", _SHA256, _digested("text-alone")),
    ),
)
