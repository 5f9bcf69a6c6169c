"""The signatures of both sides, as short as they can be written by hand."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping

__all__ = ["EXAM", "KEY", "TOKEN", "UPSTREAM", "accepted", "upstream_parameters"]

UPSTREAM = os.environ.get("BENCHMARK_UPSTREAM", "")
KEY = "benchmark-secret"
TOKEN = "benchmark-token"
EXAM = "17"
_WINDOW = 5 * 60 * 1000
_spent: set[str] = set()


def _signature(parameters: Mapping[str, str]) -> str:
    base = "?".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature")
    return hmac.new(KEY.encode(), base.encode(), hashlib.sha256).hexdigest()


def accepted(authorization: str, query: Mapping[str, str], exam: str) -> bool:
    """Whether an old call is signed by the caller, just now, and new."""
    if authorization != f"Token token={TOKEN}":
        return False
    if not hmac.compare_digest(_signature({**query, "id": exam}), query.get("signature", "")):
        return False
    if abs(int(query["timestamp"]) - time.time() * 1000) > _WINDOW or query["nonce"] in _spent:
        return False
    _spent.add(query["nonce"])
    return True


def upstream_parameters(query: Mapping[str, str], exam: str) -> dict[str, str]:
    """The parameters of the new call."""
    sent = {
        "page": query.get("page", "1"),
        "limit": query.get("limit", "300"),
        "nonce": str(secrets.randbelow(10**18)),
        "timestamp": str(time.time_ns() // 1_000_000),
    }
    sent["signature"] = _signature({**sent, "exam_id": exam})
    return sent
