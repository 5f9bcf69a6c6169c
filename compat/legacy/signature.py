"""The vendor's signature, made (contract, section 6); :mod:`compat.legacy.verifier` checks it."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Caller", "base_string", "sign", "signed"]


def base_string(parameters: Mapping[str, str]) -> str:
    """The text that is signed: every parameter but the signature, sorted by name, values as they are."""
    return "?".join([f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature"])


def sign(base: str, secret_key: str) -> str:
    """Hex HMAC-SHA256 of a base string."""
    return hmac.digest(secret_key.encode(), base.encode(errors="surrogatepass"), "sha256").hex()


def signed(parameters: Mapping[str, str], secret_key: str, path: Mapping[str, str]) -> dict[str, str]:
    """The parameters to send: with a fresh timestamp and nonce and the signature over these and the path's ids.

    Args:
        parameters: name to text, without the path's ids.
        path: the ids of the path under their route's names; signed, and not sent again.
    """
    sent = {**parameters, "timestamp": str(time.time_ns() // 1_000_000), "nonce": str(secrets.randbelow(10**18))}
    sent["signature"] = sign(base_string({**sent, **path}), secret_key)
    return sent


@dataclass(frozen=True)
class Caller:
    """An old integration, known by its token.

    Attributes:
        name: what people call it; the only part that logs show.
    """

    name: str
    api_token: str = field(repr=False)
    secret_key: str = field(repr=False)
