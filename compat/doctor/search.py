"""Which dialect made a signature: every set of a few deviations, the smaller sets first."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from urllib.parse import unquote

from compat.doctor.choices import Choice, Deviation
from compat.doctor.drafts import DIGESTS, Draft, Evidence
from compat.doctor.signed_names import COVERAGE, IDS
from compat.doctor.signed_text import BEFORE, BEHIND, CHARSET, DIGEST, EQUALS, JOINER, KEY, ORDER
from compat.doctor.signed_values import BOOLEANS, EMPTIES, ENCODING, STRUCTURES, TIMES

__all__ = [
    "CHOICES",
    "FORMS",
    "MOST",
    "Explanation",
    "SignatureForm",
    "documented",
    "draft_of",
    "explain",
    "read_signature",
]

CHOICES: tuple[Choice, ...] = (
    IDS,
    BOOLEANS,
    EMPTIES,
    STRUCTURES,
    TIMES,
    ENCODING,
    COVERAGE,
    ORDER,
    EQUALS,
    JOINER,
    BEFORE,
    BEHIND,
    CHARSET,
    KEY,
    DIGEST,
)
"""In the order in which a client makes them, so that each is applied to what those before it left."""

MOST = 3
"""Deviations that are looked for at once; three make 20,000 to 35,000 texts, a second's work."""

_LENGTHS = {20: ("hmac-sha1",), 16: ("hmac-md5",), 64: ("hmac-sha512",)}
_OF_SHA256 = tuple(name for name in DIGESTS if name not in ("hmac-sha1", "hmac-md5", "hmac-sha512"))


@dataclass(frozen=True)
class SignatureForm:
    """A signature read from its text.

    Attributes:
        digest: its bytes; nothing where the text is no signature at all.
        deviation: how the text differs from lower-case hex, or None.
    """

    digest: bytes
    deviation: Deviation | None


@dataclass(frozen=True)
class Explanation:
    """How a signature was made.

    Attributes:
        deviations: what the client did otherwise, in the order of :data:`CHOICES`; none for the documented way.
        draft: the signed text with these deviations.
    """

    deviations: tuple[Deviation, ...]
    draft: Draft


def documented(evidence: Evidence) -> Draft:
    """The draft of a signature as the documents want it."""
    return Draft(dict(evidence.values), key=evidence.secret_key.encode())


def draft_of(evidence: Evidence, deviations: tuple[Deviation, ...]) -> Draft:
    """The draft with these deviations, which stand in the order of :data:`CHOICES`."""
    draft = documented(evidence)
    for deviation in deviations:
        draft = deviation.apply(draft, evidence)
    return draft


def explain(evidence: Evidence, most: int = MOST) -> Explanation | None:
    """The smallest set of deviations that made the signature; None where none did.

    Args:
        evidence: the call.
        most: deviations at once.
    """
    form = read_signature(evidence.signature)
    if not form.digest:
        return None
    found = _found(evidence, form, most)
    if found is not None:
        return found
    for name, key in evidence.other_keys.items():
        # One more deviation at most: a search of its own for every caller would take too long.
        found = _found(replace(evidence, secret_key=key), form, min(most - 1, 1))
        if found is not None:
            return replace(found, deviations=(_key_of(name), *found.deviations))
    return None


def _key_of(name: str) -> Deviation:
    return Deviation(
        "key-of-another-caller",
        f"used the secret key of {name}, which does not belong to its token.",
        "Give the client the token and the secret key of one caller.",
        lambda draft, evidence: draft,
    )


def _found(evidence: Evidence, form: SignatureForm, most: int) -> Explanation | None:
    digests = _LENGTHS.get(len(form.digest), _OF_SHA256)
    seen: set[tuple[bytes, str, bytes]] = set()
    for deviations in _sets(_telling(evidence), most):
        draft = draft_of(evidence, deviations)
        text = draft.encoded()
        if text is None or draft.digest not in digests or (draft.key, draft.digest, text) in seen:
            continue
        seen.add((draft.key, draft.digest, text))
        if hmac.compare_digest(DIGESTS[draft.digest](draft.key, text), form.digest):
            return Explanation((*deviations, *([form.deviation] if form.deviation else [])), draft)
    return None


def _telling(evidence: Evidence) -> list[tuple[Deviation, ...]]:
    """The deviations of each choice that make a difference to this call."""
    right = documented(evidence)
    kept = (tuple(each for each in choice.deviations if each.apply(right, evidence) != right) for choice in CHOICES)
    return [deviations for deviations in kept if deviations]


def _sets(choices: list[tuple[Deviation, ...]], most: int) -> Iterator[tuple[Deviation, ...]]:
    for size in range(most + 1):
        for chosen in combinations(choices, size):
            yield from product(*chosen)


def read_signature(text: str) -> SignatureForm:
    """The bytes that a signature stands for, and how its text differs from lower-case hex."""
    plain = _from_hex(text)
    if plain and text == text.lower():
        return SignatureForm(plain, None)
    if plain:
        return SignatureForm(plain, _UPPER)
    bare = unquote(text).strip().strip("'\"")
    for prefix in ("sha256=", "sha256:", "0x"):
        bare = bare.removeprefix(prefix)
    if _from_hex(bare):
        return SignatureForm(_from_hex(bare), _SURROUNDED)
    decoded = _from_base64(bare)
    inner = _from_hex(decoded.decode("latin-1"))
    if inner:
        return SignatureForm(inner, _BASE64_OF_HEX)
    known = len(decoded) in (16, 20, 32, 64)
    return SignatureForm(decoded, _BASE64) if known else SignatureForm(b"", None)


def _from_hex(text: str) -> bytes:
    if len(text) not in (32, 40, 64, 128):
        return b""
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return b""


def _from_base64(text: str) -> bytes:
    # A query turns the + of base64 into a space.
    usual = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(usual + "=" * (-len(usual) % 4), validate=True)
    except ValueError:
        return b""


def _form(name: str, did: str) -> Deviation:
    return Deviation(
        name, did, "Send the signature as hex: 64 digits, a to f in lower case.", lambda draft, evidence: draft
    )


_UPPER = _form("signature-in-upper-case", "wrote the signature in upper-case hex.")
_SURROUNDED = _form("signature-with-more-around", "wrote more than the hex digits: a prefix, quotes or blanks.")
_BASE64 = _form("signature-in-base64", "wrote the signature in base64.")
_BASE64_OF_HEX = _form("signature-base64-of-hex", "wrote the signature's hex digits in base64.")
FORMS = (_UPPER, _SURROUNDED, _BASE64, _BASE64_OF_HEX)
"""How the text of a signature may differ; read off it, so never searched for."""
