"""Whether a secret stands in some bytes, as it is or in a form that is easily turned back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

__all__ = ["SHORTEST", "Sought", "forms_of"]

SHORTEST = 6
"""Characters that a secret has at least, to be looked for: a shorter one stands everywhere by chance."""


def forms_of(secret: str) -> frozenset[bytes]:
    """The bytes that betray a secret: itself, quoted for a URL or JSON, in hex, in base64 at any offset, reversed.

    Args:
        secret: at least :data:`SHORTEST` characters; of a shorter one there are none.
    """
    if len(secret) < SHORTEST:
        return frozenset()
    octets = secret.encode(errors="surrogatepass")
    found = {octets, octets[::-1], secret[::-1].encode(errors="surrogatepass")}
    found |= {octets.hex().encode(), octets.hex().upper().encode()}
    found |= {write(octets).encode() for write in (quote, _quoted, quote_plus, _quoted_wholly)}
    found |= {write(octets).lower().encode() for write in (quote, _quoted, quote_plus) if "%" in write(octets)}
    found |= {
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode("utf-8", "replace"),
    }
    found |= {part for encode in (base64.b64encode, base64.urlsafe_b64encode) for part in _inner(octets, encode)}
    found |= {base64.b32encode(octets).rstrip(b"=")[:-1], base64.b32hexencode(octets).rstrip(b"=")[:-1]}
    return frozenset(found)


def _quoted(octets: bytes) -> str:
    return quote(octets, safe="")


def _quoted_wholly(octets: bytes) -> str:
    return "".join(f"%{octet:02X}" for octet in octets)


def _inner(octets: bytes, encode: Callable[[bytes], bytes]) -> Iterable[bytes]:
    """What base64 makes of bytes wherever they stand in what is encoded: all but the characters shared with others."""
    for offset in range(3):
        padded = encode(b"\0" * offset + octets).rstrip(b"=")
        whole = (offset + len(octets)) * 8 // 6
        yield padded[-(-offset * 8 // 6) : whole]


class Sought:
    """Secrets that must not stand anywhere.

    Args:
        secrets: texts; those that are too short to be looked for are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = sorted({form for secret in secrets for form in forms_of(secret)})

    def __repr__(self) -> str:
        return f"Sought(forms={len(self._forms)})"

    def stands_in(self, octets: bytes) -> bool:
        """Whether one of them does."""
        return any(form in octets for form in self._forms)
