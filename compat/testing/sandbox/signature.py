"""Signed requests: who calls, whether the signature holds, and whether the nonce is new."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Mapping

from compat.testing.sandbox.messages import not_authorised

WINDOW_MILLISECONDS = 5 * 60 * 1000


def base_string(parameters: Mapping[str, str]) -> str:
    """The text that is signed: every parameter but the signature, by name, joined by question marks."""
    return "?".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature")


def sign(parameters: Mapping[str, str], secret_key: str) -> str:
    """The signature of these parameters."""
    return hmac.new(secret_key.encode(), base_string(parameters).encode(), hashlib.sha256).hexdigest()


def token_of(authorization: str) -> str:
    """The token of an ``Authorization: Token token=...`` header, or nothing."""
    match = re.fullmatch(r'Token\s+token="?([^"\s]+)"?', authorization.strip())
    return match[1] if match else ""


class SignatureCheck:
    """Checks the requests of the one caller that the sandbox knows."""

    def __init__(self, api_token: str, secret_key: str) -> None:
        """A check for that caller."""
        self._api_token = api_token
        self._secret_key = secret_key
        self._nonces: set[str] = set()
        self._lock = threading.Lock()

    def check_token(self, authorization: str) -> None:
        """Refuse a request that does not carry the caller's token."""
        if not hmac.compare_digest(token_of(authorization).encode("utf-8", "replace"), self._api_token.encode()):
            raise not_authorised()

    def check_parameters(self, parameters: Mapping[str, str], *, spend: bool) -> None:
        """Refuse a wrong signature, a stale time and a used nonce; the nonce is spent only after all held."""
        expected = sign(parameters, self._secret_key)
        given = parameters.get("signature", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise not_authorised()
        _check_time(parameters.get("timestamp", ""))
        self._check_nonce(parameters.get("nonce", ""), spend=spend)

    def _check_nonce(self, nonce: str, *, spend: bool) -> None:
        if not re.fullmatch("[0-9]+", nonce):
            raise not_authorised()
        with self._lock:
            if nonce in self._nonces:
                raise not_authorised()
            if spend:
                self._nonces.add(nonce)


def _check_time(timestamp: str) -> None:
    if not re.fullmatch("[0-9]{1,20}", timestamp):
        raise not_authorised()
    if abs(time.time() * 1000 - int(timestamp)) > WINDOW_MILLISECONDS:
        raise not_authorised()
