"""Which dialect made a signature: every set of a few deviations, the smaller sets first."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from math import factorial
from typing import NamedTuple
from urllib.parse import unquote

from compat.doctor.calls import DIGESTS, Draft, Evidence
from compat.doctor.dialects import ANY_ORDER, CHOICES, FORMS, SIGNED_AGAIN, Deviation, key_of

__all__ = ["MOST", "Explanation", "SignatureForm", "documented", "draft_of", "explain", "read_signature"]

_UPPER, _SURROUNDED, _BASE64, _BASE64_OF_HEX = FORMS

MOST = 3
"""Deviations that are looked for at once; three make 20,000 to 35,000 texts, a second's work."""

_ATTEMPTS = 3
"""Attempts of one call with the same time and nonce, each of which signed the signature of the one before."""

_MOST_ORDERS = 50_000
_MOST_ORDERS_AT_ONCE = 5_040
"""Orders of parameters that are tried, by the command and behind a gateway's answer: eight and seven parameters."""

_LENGTHS = {20: ("hmac-sha1",), 16: ("hmac-md5",), 64: ("hmac-sha512",)}
_OF_SHA256 = tuple(name for name in DIGESTS if name not in ("hmac-sha1", "hmac-md5", "hmac-sha512"))


class SignatureForm(NamedTuple):
    """A signature read from its text.

    Attributes:
        digest: its bytes; nothing where the text is no signature at all.
        deviation: how the text differs from lower-case hex, or None.
    """

    digest: bytes
    deviation: Deviation | None = None


@dataclass(frozen=True)
class Explanation:
    """How a signature was made.

    Attributes:
        deviations: what the client did otherwise, in the order of ``CHOICES``; none for the documented way.
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
    """The smallest set of deviations, of ``most`` at once, that made the signature; None where none did."""
    form = read_signature(evidence.signature)
    if not form.digest:
        return None
    found = _found(evidence, form, most) or _signed_again(evidence, form, most) or _in_any_order(evidence, form, most)
    if found is not None:
        return found
    for name, key in evidence.other_keys.items():
        # One more deviation at most: a search of its own for every caller would take too long.
        found = _found(replace(evidence, secret_key=key), form, min(most - 1, 1))
        if found is not None:
            return replace(found, deviations=(key_of(name), *found.deviations))
    return None


def _signed_again(evidence: Evidence, form: SignatureForm, most: int) -> Explanation | None:
    """Whether a signature that was sent before was signed as a parameter of its own."""
    for deviations in _sets(_telling(evidence), min(most - 1, 1)):
        draft = draft_of(evidence, deviations)
        older = [*evidence.older_signatures]
        # Of calls that were sent again with the same time and nonce: each attempt signs the signature of the last.
        values = draft.values
        for _ in range(_ATTEMPTS):
            text = replace(draft, values=values).encoded()
            if text is None:
                break
            older.append(DIGESTS[draft.digest](draft.key, text).hex())
            values = {**draft.values, "signature": older[-1]}
        for signature in older:
            again = replace(draft, values={**draft.values, "signature": signature})
            if _made(again, form):
                return Explanation((*deviations, SIGNED_AGAIN), again)
    return None


def _in_any_order(evidence: Evidence, form: SignatureForm, most: int) -> Explanation | None:
    """Whether the parameters were signed in some order, beside one more deviation where that makes few texts."""
    tried = 0
    for deviations in _sets(_telling(evidence), min(most - 1, 1)):
        draft = draft_of(evidence, deviations)
        if draft.order is not None:
            continue
        tried += factorial(len(draft.values))
        if tried > (_MOST_ORDERS_AT_ONCE if most < MOST else _MOST_ORDERS):
            return None
        # Written out, not by the draft's own text: there may be thousands of orders.
        parameters = {f"{name}{draft.equals}{value}": name for name, value in draft.values.items()}
        digest = DIGESTS[draft.digest]
        for order in permutations(parameters):
            text = f"{draft.before}{draft.joiner.join(order)}{draft.after}"
            if digest(draft.key, text.encode(draft.charset, "replace")) == form.digest:
                ordered = replace(draft, order=tuple(map(parameters.__getitem__, order)))
                return Explanation((*deviations, ANY_ORDER), ordered) if _made(ordered, form) else None
    return None


def _made(draft: Draft, form: SignatureForm) -> bool:
    text = draft.encoded()
    if text is None or draft.digest not in _LENGTHS.get(len(form.digest), _OF_SHA256):
        return False
    return hmac.compare_digest(DIGESTS[draft.digest](draft.key, text), form.digest)


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
            return Explanation((*deviations, *filter(None, [form.deviation])), draft)
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
    if plain:
        return SignatureForm(plain, None if text == text.lower() else _UPPER)
    bare = unquote(text).strip().strip("'\"")
    for prefix in ("sha256=", "sha256:", "0x"):
        bare = bare.removeprefix(prefix)
    if _from_hex(bare):
        return SignatureForm(_from_hex(bare), _SURROUNDED)
    decoded = _from_base64(bare)
    inner = _from_hex(decoded.decode("latin-1"))
    if inner:
        return SignatureForm(inner, _BASE64_OF_HEX)
    return SignatureForm(decoded, _BASE64) if len(decoded) in (16, 20, 32, 64) else SignatureForm(b"")


def _from_hex(text: str) -> bytes:
    with suppress(ValueError):
        return binascii.unhexlify(text) if len(text) in (32, 40, 64, 128) else b""
    return b""


def _from_base64(text: str) -> bytes:
    # A query turns the + of base64 into a space.
    usual = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    with suppress(ValueError):
        return base64.b64decode(usual + "=" * (-len(usual) % 4), validate=True)
    return b""
