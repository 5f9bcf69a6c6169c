"""Both endpoints as the adapter asks them for a script's request, and who calls."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import BaseAdapter

from compat.config.settings import CallerSettings
from compat.core.call import Shim
from compat.errors import LegacyError
from compat.legacy.answer import ANSWERED_BY, Answer
from compat.legacy.routes import LegacyCall
from compat.legacy.verifier import token_of
from compat.migration.modes.router import Asker, Identity
from compat.regression.comparing.pairs import Answered, kept_answer, kept_error, kept_response, watch_response
from compat.upstream.senders import CallOptions

__all__ = [
    "Callers",
    "NewSide",
    "OldSide",
]

_PATIENCE = (10.0, 60.0)
"""Seconds to connect and to wait for a byte, where nobody waits for the answer and the script set no limit."""


@dataclass
class OldSide:
    """The old endpoint, by the adapter that the script would have used, and with its own signature.

    Args:
        previous: that adapter.
        request: the script's request.
        stream: as ``requests`` takes it, like the next four.
        timeout: seconds.
        verify: of certificates.
        cert: the script's own.
        proxies: scheme to URL.
    """

    previous: BaseAdapter
    request: requests.PreparedRequest
    stream: bool
    timeout: Any
    verify: bool | str
    cert: Any
    proxies: Mapping[str, str] | None
    begun: float = 0.0

    def ask(self) -> requests.Response:
        self.begun = time.perf_counter()
        return self._send(self.request, self.stream, self.timeout)

    def in_background(self) -> Asker:
        # The script is about to have its request back, and may change it.
        request = self.request.copy()

        def ask() -> Answered:
            begun = time.perf_counter()
            try:
                with self._send(request, False, self.timeout or _PATIENCE) as response:
                    _ = response.content
                    return kept_response(response, time.perf_counter() - begun)
            except (requests.RequestException, OSError) as error:
                return kept_error(error, time.perf_counter() - begun)

        return ask

    def watch(self, given: requests.Response, then: Callable[[Answered], object]) -> None:
        watch_response(given, self.begun, then)

    def failed(self, error: Exception) -> Answered:
        return kept_error(error, time.perf_counter() - self.begun)

    def _send(self, request: requests.PreparedRequest, stream: bool, timeout: Any) -> requests.Response:
        told = {"timeout": timeout, "verify": self.verify, "cert": self.cert, "proxies": self.proxies}
        response = self.previous.send(request, stream=stream, **told)
        response.headers[ANSWERED_BY] = "legacy"
        return response


@dataclass
class NewSide:
    """The new endpoint, through the shim.

    Args:
        shim: the way through.
        call: the call that the script's request is.
        options: how it was to be sent.
        respond: makes the script's response of an answer.
    """

    shim: Shim
    call: LegacyCall
    options: CallOptions
    respond: Callable[[Answer], requests.Response]
    begun: float = 0.0
    answer: Answer | None = None

    def ask(self) -> requests.Response:
        self.begun = time.perf_counter()
        self.answer = self.shim.answer(self.call, self.options)
        return self.respond(self.answer)

    def in_background(self) -> Asker:
        return self._ask_in_background

    def watch(self, given: requests.Response, then: Callable[[Answered], object]) -> None:
        if self.answer is not None:
            then(kept_answer(self.answer, time.perf_counter() - self.begun))

    def failed(self, error: Exception) -> Answered:
        return kept_error(error, time.perf_counter() - self.begun)

    def _ask_in_background(self) -> Answered:
        begun = time.perf_counter()
        try:
            return kept_answer(self.shim.answer(self.call, self.options), time.perf_counter() - begun)
        except LegacyError as error:
            return kept_error(error, time.perf_counter() - begun)


class Callers:
    """Tells callers apart by the token of their calls.

    Args:
        configured: those that have a name; the others are known by a digest.
    """

    def __init__(self, configured: Iterable[CallerSettings]) -> None:
        self._names = {each.caller.api_token: each.caller.name for each in configured}

    def of(self, authorization: str | None) -> Identity:
        """Whose call it is.

        Args:
            authorization: the header of that name, or None.
        """
        return self.by_token(token_of(authorization))

    def by_token(self, token: str) -> Identity:
        """Whose token it is."""
        name = self._names.get(token)
        if name is not None:
            return Identity(name, name)
        # Keyed by what the digest is for, so that it is of use nowhere else.
        digest = hashlib.blake2b(token.encode(errors="surrogatepass"), digest_size=16, person=b"compat caller")
        return Identity(None, digest.hexdigest())
