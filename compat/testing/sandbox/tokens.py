"""Access tokens: issued for client credentials, good for a while."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import threading
import time
from collections.abc import Mapping

from compat.testing.sandbox.messages import RefusalError, SandboxAnswer, json_answer

SCOPE = "https://purl.imsglobal.org/spec/caliper/v1p2/scope/events.readonly"


class Tokens:
    """Issues access tokens to one client and knows which of them still hold."""

    def __init__(self, client_id: str, client_secret: str, lifetime: float) -> None:
        """Tokens for that client, each good for ``lifetime`` seconds."""
        self._client_id = client_id
        self._client_secret = client_secret
        self._lifetime = lifetime
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def answer(self, authorization: str, parameters: Mapping[str, str], readable: bool) -> SandboxAnswer:
        """Answer a token request as RFC 6749 says; not ``readable`` are ones that contradict themselves."""
        if not self._is_client(authorization):
            return _error(401, "invalid_client", {"WWW-Authenticate": 'Basic realm="sandbox"'})
        if not readable or not parameters.get("grant_type"):
            return _error(400, "invalid_request")
        if parameters["grant_type"] != "client_credentials":
            return _error(400, "unsupported_grant_type")
        if parameters.get("scope", SCOPE) != SCOPE:
            return _error(400, "invalid_scope")
        value = {
            "access_token": self._issue(),
            "token_type": "Bearer",
            "expires_in": int(self._lifetime),
            "scope": SCOPE,
        }
        return json_answer(200, value, {"Cache-Control": "no-store", "Pragma": "no-cache"})

    def check(self, authorization: str) -> None:
        """Refuse a request without a token that holds."""
        match = re.fullmatch(r"Bearer\s+(\S+)", authorization.strip(), re.IGNORECASE)
        with self._lock:
            ends = self._ends.get(match[1], 0.0) if match else 0.0
        if time.monotonic() >= ends:
            raise RefusalError(401, "invalid_token", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    def revoke_all(self) -> None:
        """Let every token that was issued end now."""
        with self._lock:
            self._ends.clear()

    def _issue(self) -> str:
        token = secrets.token_urlsafe(32)
        now = time.monotonic()
        with self._lock:
            self._ends = {each: ends for each, ends in self._ends.items() if ends > now}
            self._ends[token] = now + self._lifetime
        return token

    def _is_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.strip().partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        expected = f"{self._client_id}:{self._client_secret}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, expected)


def _error(status: int, code: str, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    return json_answer(status, {"error": code}, {"Cache-Control": "no-store", **(headers or {})})
