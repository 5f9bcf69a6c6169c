"""Bearer tokens by client credentials (RFC 6749, section 4.4); oauthlib reads and writes the protocol."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from copy import copy
from typing import Any
from urllib.parse import quote_plus

from compat.errors import LegacyError, NotAuthorized, UpstreamError
from compat.processes import ForkLock
from compat.settings_checks import sendable
from compat.upstream.retries import Deadline
from compat.upstream.senders import Outgoing
from compat.upstream.transport import CallOptions, Reply, Transport, Unreadable, unexpected

__all__ = ["ClientCredentials", "FixedToken"]

_USUAL_LIFETIME = 3600.0
_LONGEST_LIFETIME = 1e9
_RENEW_BEFORE = 30.0
"""Seconds before its end that a token is renewed, so that none ends on its way."""


class FixedToken:
    """A bearer token that was given, and cannot be renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self, options: CallOptions, walk: Deadline | None) -> str:
        """A token that is good now."""
        return self._token

    def renew(self, refused: str, options: CallOptions, walk: Deadline | None) -> str | None:
        """Another token after this one was refused, or None where there is no other."""
        return None


class ClientCredentials(FixedToken):
    """Fetches a token, and keeps it until shortly before it ends.

    Attributes:
        url: where tokens are given out.
    """

    def __init__(
        self, token_url: str, client_id: str, client_secret: str, scope: str | None, transport: Transport
    ) -> None:
        self.url = token_url
        self._basic = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()
        self._client_id = client_id
        self._scope = scope
        self._transport = transport
        # Of a forked process its own; a token that is good now is good there too.
        self._lock = ForkLock()
        super().__init__("")
        self._ends = 0.0
        self._fetches = 0
        self._failure: LegacyError | None = None

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name != "_lock"}
        return kept | {"_token": "", "_ends": 0.0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = ForkLock()

    def current(self, options: CallOptions, walk: Deadline | None) -> str:
        before = self._fetches
        with self._lock:
            if time.monotonic() >= self._ends:
                self._fetch_once(before, options, walk)
            return self._token

    def renew(self, refused: str, options: CallOptions, walk: Deadline | None) -> str | None:
        before = self._fetches
        with self._lock:
            # Another thread may have renewed it in the meantime.
            if self._token == refused:
                self._fetch_once(before, options, walk)
            return self._token

    def _fetch_once(self, before: int, options: CallOptions, walk: Deadline | None) -> None:
        """Fetch a token; whoever waited while another thread tried in vain takes that thread's failure for its own."""
        if self._fetches != before and self._failure is not None:
            raise copy(self._failure)
        self._failure = None
        try:
            self._fetch(options, walk)
        except LegacyError as error:
            self._failure = error
            raise
        finally:
            self._fetches += 1

    def _fetch(self, options: CallOptions, walk: Deadline | None) -> None:
        # Imported here: only this upstream needs it.
        from oauthlib.oauth2 import BackendApplicationClient

        client: Any = BackendApplicationClient(self._client_id, scope=self._scope)
        body = client.prepare_request_body(include_client_id=False)
        # A server may well grant another scope than asked for, which oauthlib would take for an error.
        client.scope = None

        def build() -> Outgoing:
            headers = {
                "Authorization": f"Basic {self._basic}",
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            return Outgoing("POST", self.url, headers=headers, data=body.encode())

        # Asking for a token changes nothing: it may be sent again.
        asked = time.monotonic()
        self._token, lifetime = self._transport.read(build, _reader(client), options, walk)
        self._ends = asked + max(lifetime - _RENEW_BEFORE, lifetime / 2)


def _reader(client: Any) -> Callable[[Reply], tuple[str, float]]:
    from oauthlib.oauth2 import OAuth2Error

    def accept(reply: Reply) -> tuple[str, float]:
        if reply.status in (400, 401):
            raise NotAuthorized
        if reply.status != 200:
            raise unexpected(reply)
        try:
            token = client.parse_request_body_response(reply.body.decode())
        except (OAuth2Error, ValueError, TypeError, AttributeError, OverflowError):
            raise Unreadable("The upstream's token endpoint gave no token that can be read.") from None
        if str(token.get("token_type", "")).lower() != "bearer":
            raise UpstreamError("The upstream's token endpoint gave another kind of token than Bearer.")
        if not sendable(token["access_token"]):
            raise Unreadable("The upstream's token endpoint gave a token that no header can hold.")
        return token["access_token"], _lifetime(token.get("expires_in"))

    return accept


def _lifetime(seconds: Any) -> float:
    try:
        given = float(seconds)
    except (TypeError, ValueError, OverflowError):
        return _USUAL_LIFETIME
    return given if 0 < given < _LONGEST_LIFETIME else _USUAL_LIFETIME
