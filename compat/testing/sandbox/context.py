"""What the interfaces share: the data, and who calls, by signature or by access token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from compat.testing.sandbox.dataset import Dataset
from compat.testing.sandbox.messages import Incoming, Merged, RefusalError, SandboxAnswer, json_answer, not_authorised

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


SCOPE = "https://purl.imsglobal.org/spec/caliper/v1p2/scope/events.readonly"


class Tokens:
    """Issues access tokens to one client and knows which of them still hold."""

    def __init__(self, client_id: str, client_secret: str, lifetime: float) -> None:
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


@dataclass(frozen=True)
class Context:
    """What every request meets."""

    dataset: Dataset
    zone: tzinfo
    clamp: int
    pushdown: frozenset[str]
    signatures: SignatureCheck
    tokens: Tokens


@dataclass(frozen=True)
class ReadRequest:
    """A request as it came, its parameters, and whether it may use up its nonce."""

    incoming: Incoming
    path_parameters: Mapping[str, str]
    merged: Merged
    spend_nonce: bool


def signed_parameters(context: Context, request: ReadRequest) -> Mapping[str, str]:
    """The parameters of a request whose signature holds.

    The token comes first, then whatever leaves no single set of parameters to verify, then the signature,
    and only then parameters without a value.
    """
    context.signatures.check_token(request.incoming.authorization)
    request.merged.refuse_conflicts()
    context.signatures.check_parameters(request.merged.values, spend=request.spend_nonce)
    request.merged.refuse_empty()
    return request.merged.values
