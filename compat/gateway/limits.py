"""Who may call (contract, section 6), how much a request may be, and how many calls a caller may have running."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter

from compat.config.settings import CallerSettings, Configuration
from compat.errors import ConfigurationError
from compat.gateway.refusals import BAD_REQUEST, HEADERS_TOO_LARGE, TRANSFER_CODING_UNKNOWN, URL_TOO_LONG, TooManyCalls
from compat.gateway.request import Scope
from compat.gateway.settings import GatewaySettings
from compat.legacy.signature import Caller
from compat.legacy.verifier import Verifier
from compat.processes import renew_after_fork
from compat.stores import Store

__all__ = ["CallSlots", "check_head", "make_verifier"]

_BETWEEN = 4
"""Bytes of a header beside its name and value, as HTTP/1.1 writes it."""


_HOST = re.compile(rb"[!$%&'()*+;=:\[\]\w.~-]*")


def check_head(scope: Scope, settings: GatewaySettings) -> None:
    """Refuse a head beyond its limits, or one that others could read otherwise, before anything is made of it.

    Raises:
        LegacyError: 400, 414, 431 or 501.
    """
    if scope["http_version"] == "1.1":
        _check_host([value for name, value in scope["headers"] if name == b"host"])
    _check_framing(scope)
    if len(scope["raw_path"]) + 1 + len(scope["query_string"]) > settings.max_url:
        raise URL_TOO_LONG(settings.max_url)
    if sum([len(name) + len(value) + _BETWEEN for name, value in scope["headers"]]) > settings.max_headers:
        raise HEADERS_TOO_LARGE(settings.max_headers)


def _check_host(hosts: list[bytes]) -> None:
    """RFC 9112, section 3.2."""
    if len(hosts) != 1:
        raise BAD_REQUEST(f"The header Host has to come once in a request of HTTP/1.1; it came {len(hosts)} times.")
    if not _HOST.fullmatch(hosts[0]):
        raise BAD_REQUEST("The header Host has to name one host, and its port where it needs one.")


def _check_framing(scope: Scope) -> None:
    """RFC 9112, section 6.1: what comes between caller and gateway must find the same end of a body."""
    codings = [value for name, value in scope["headers"] if name == b"transfer-encoding"]
    if not codings:
        return
    if scope["http_version"] == "1.0":
        raise BAD_REQUEST("The header Transfer-Encoding has no meaning in HTTP/1.0.")
    if any(name == b"content-length" for name, _ in scope["headers"]):
        raise BAD_REQUEST("The headers Transfer-Encoding and Content-Length contradict each other; send one of them.")
    coding = b", ".join(codings).decode("latin-1")
    if coding.strip().lower() != "chunked":
        raise TRANSFER_CODING_UNKNOWN(coding)


class CallSlots:
    """The calls of each caller that run in this process, so that one of them cannot take all the threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin with no call, in a process that was forked: the calls that run are its parent's."""
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, caller: str) -> None:
        """Take a slot that :meth:`give_back` ends; TooManyCalls where all of them are taken."""
        with self._lock:
            if self._taken[caller] >= self._most:
                raise TooManyCalls(self._most, caller)
            self._taken[caller] += 1

    def give_back(self, caller: str) -> None:
        """End what :meth:`take` took."""
        with self._lock:
            self._taken[caller] -= 1


def make_verifier(configuration: Configuration, store: Store, slots: CallSlots) -> Verifier:
    """The verifier of the configured callers.

    Args:
        configuration: whose ``callers`` may call.
        store: where nonces and signatures are recorded; of a caller whose nonces are seconds, the signature alone.
        slots: of the callers. A call that holds has taken one, which is given back when the call has ended. It is
            taken before the nonce is recorded: a call that is refused for load may be sent again as it is.

    Raises:
        ConfigurationError: there are none, or two that could not be told apart.
    """
    callers = configuration.callers
    if not callers:
        raise ConfigurationError("[[callers]]: the gateway knows nobody who may call; name at least one")
    _refuse_twins(callers)
    digests = {each.caller.api_token: hashlib.sha256(each.caller.api_token.encode()).digest() for each in callers}
    tolerant = {each.caller.api_token for each in callers if each.replay == "signature"}

    def spend(caller: Caller, nonce: str, signature: str) -> bool:
        token = caller.api_token
        slots.take(caller.name)
        new = False
        try:
            new = store.spend(digests[token], None if token in tolerant else nonce, signature)
        finally:
            if not new:
                slots.give_back(caller.name)
        return new

    return Verifier([each.caller for each in callers], spend=spend, born=store.born)


def _refuse_twins(callers: tuple[CallerSettings, ...]) -> None:
    names: set[str] = set()
    tokens: set[str] = set()
    for each in callers:
        if each.caller.name in names:
            raise ConfigurationError(f"[[callers]]: two are called {each.caller.name!r}")
        if each.caller.api_token in tokens:
            raise ConfigurationError(f"[[callers]]: {each.caller.name!r} has the api_token of another one")
        names.add(each.caller.name)
        tokens.add(each.caller.api_token)
