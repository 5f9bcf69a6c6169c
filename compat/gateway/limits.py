"""How much the gateway takes: the ``[gateway]`` table, heads and bodies within it, and who may call how often at once.

A body is read before anybody knows who sends it: the signature is over what is in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from compat.config.settings import Configuration
from compat.errors import ConfigurationError, LegacyError
from compat.gateway.request import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    HEADERS_TOO_LARGE,
    TOO_MANY_BODIES,
    TRANSFER_CODING_UNKNOWN,
    URL_TOO_LONG,
    Receive,
    Scope,
    TooManyCalls,
    may_have_body,
)
from compat.legacy.signature import Caller
from compat.legacy.verifier import Verifier
from compat.processes import renew_after_fork
from compat.stores import Store

_GUIDE = "https://exam-students-compat.readthedocs.io/en/stable/MIGRATION.html"
"""MIGRATION.md as it is published; the same address as in the distribution's project URLs."""


@dataclass(frozen=True)
class GatewaySettings:
    """The keys of ``[gateway]``, with what they are where none is given."""

    max_url: int = 16 * 1024  # bytes of path and query together; longer ones are a 414
    max_headers: int = 32 * 1024  # bytes of all header names and values together; more is a 431
    # Bytes of the body of a deprecated call; a longer one is a 413. What is passed through is not kept, nor counted.
    max_body: int = 1024 * 1024
    max_bodies: int = 32 * 1024 * 1024  # bytes of all unfinished bodies that a worker process holds; beyond, a 503
    body_silence: int = 20  # seconds for which nothing of a body may come, a passed one too; then a 408
    body_timeout: int = 60  # seconds that the whole body of a deprecated call may take; then a 408
    head_timeout: int = 20  # seconds that a request's head may take; then a 408
    idle_timeout: int = 75  # seconds that a connection of a caller stays open between two requests
    # Connections of callers that a worker process keeps; one more takes the place of the one that has waited longest
    # for a request, and where all are busy it is a 503.
    max_connections: int = 1000
    pass_through: bool = True  # whether other paths go on to the upstream; where not they are a 404
    # Calls of one caller that a worker process has running at once; one more is a 429. None for as many as leave more
    # than half of the threads to others, and one at least.
    max_calls_per_caller: int | None = None
    threads: int = 32  # calls that a worker process asks the upstream for at once; others wait
    workers: int = 1
    tls_certificate: str | None = None  # a file with the certificate and its chain, PEM; None for plain HTTP
    tls_key: str | None = None
    deprecation_page: str = _GUIDE  # what ``Link: rel="deprecation"`` leads to

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigurationError("[gateway]: tls_certificate and tls_key go together")

    @property
    def calls_per_caller(self) -> int:
        return self.max_calls_per_caller or max(1, (self.threads - 1) // 2)

    @classmethod
    def of(cls, configuration: Configuration) -> GatewaySettings:
        """The settings of a configuration; ConfigurationError where they do not go together."""
        return cls(**configuration.gateway)


def deprecation_headers(configuration: Configuration, settings: GatewaySettings) -> list[tuple[bytes, bytes]]:
    """``Deprecation``, ``Sunset``, ``Link``; a day means its beginning in UTC, without one there is no header."""
    successor = quote(configuration.upstream.successor_path, safe=":/?&=%[]~")
    links = f'<{successor}>; rel="successor-version", <{settings.deprecation_page}>; rel="deprecation"'
    headers = [(b"Link", links.encode())]
    if configuration.deprecated is not None:
        headers.append((b"Deprecation", b"@%d" % _beginning(configuration.deprecated).timestamp()))
    if configuration.sunset is not None:
        headers.append((b"Sunset", format_datetime(_beginning(configuration.sunset), usegmt=True).encode()))
    return headers


def _beginning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


_BETWEEN = 4  # bytes of a header beside its name and value, as HTTP/1.1 writes it
_HOST = re.compile(rb"[!$%&'()*+;=:\[\]\w.~-]*")


def check_head(scope: Scope, settings: GatewaySettings) -> None:
    """Refuse a head beyond its limits, or one that others could read otherwise, before anything is made of it."""
    if scope["http_version"] == "1.1":
        # RFC 9112, section 3.2.
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            raise BAD_REQUEST(f"The header Host has to come once in a request of HTTP/1.1; it came {len(hosts)} times.")
        if not _HOST.fullmatch(hosts[0]):
            raise BAD_REQUEST("The header Host has to name one host, and its port where it needs one.")
    codings = [value for name, value in scope["headers"] if name == b"transfer-encoding"]
    if codings:
        _check_framing(scope, b", ".join(codings).decode("latin-1"))
    if len(scope["raw_path"]) + 1 + len(scope["query_string"]) > settings.max_url:
        raise URL_TOO_LONG(settings.max_url)
    if sum([len(name) + len(value) + _BETWEEN for name, value in scope["headers"]]) > settings.max_headers:
        raise HEADERS_TOO_LARGE(settings.max_headers)


def _check_framing(scope: Scope, coding: str) -> None:
    """RFC 9112, section 6.1: what comes between caller and gateway must find the same end of a body."""
    if scope["http_version"] == "1.0":
        raise BAD_REQUEST("The header Transfer-Encoding has no meaning in HTTP/1.0.")
    if any(name == b"content-length" for name, _ in scope["headers"]):
        raise BAD_REQUEST("The headers Transfer-Encoding and Content-Length contradict each other; send one of them.")
    if coding.strip().lower() != "chunked":
        raise TRANSFER_CODING_UNKNOWN(coding)


class CallerDisconnected(ConnectionError):
    """The caller went away before its request was whole."""


class Bodies:
    """Reads the bodies of deprecated calls in this process, within limits."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._held = 0

    async def read(self, scope: Scope, given: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body of a deprecated call, whose headers are given by their names.

        Raises:
            LegacyError: 408, 413 or 503; what is announced as too long is not read at all.
            ConnectionError: the caller went away before its end.
        """
        if not may_have_body(scope, given):
            return b""
        most = self._settings.max_body
        announced = given.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > most:
            raise BODY_TOO_LARGE(most)
        message = await _within(self._settings.body_silence, receive)
        first: bytes = message.get("body", b"")
        if message.get("more_body"):
            return await self._read_on(first, receive)
        if len(first) > most:
            raise BODY_TOO_LARGE(most)
        return first

    async def _read_on(self, first: bytes, receive: Receive) -> bytes:
        settings, clock = self._settings, asyncio.get_running_loop().time
        ends = clock() + settings.body_timeout
        parts, size, more = [first], len(first), True
        self._held += size
        try:
            while size <= settings.max_body:
                if not more:
                    return b"".join(parts)
                if self._held > settings.max_bodies:
                    raise TOO_MANY_BODIES()
                left = ends - clock()
                if left < settings.body_silence:
                    message = await _within(max(0.0, left), receive, settings.body_timeout)
                else:
                    message = await _within(settings.body_silence, receive)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._held += len(parts[-1])
                more = message.get("more_body", False)
            raise BODY_TOO_LARGE(settings.max_body)
        finally:
            self._held -= size


async def _within(seconds: float, receive: Receive, whole: float | None = None) -> Mapping[str, Any]:
    """The next message of a body, within seconds; ``whole`` is the limit that they are the rest of, if they are."""
    try:
        message = await asyncio.wait_for(receive(), seconds)
    except asyncio.TimeoutError:
        raise BODY_TOO_SLOW(
            f"Nothing of the body came for {seconds:g} seconds."
            if whole is None
            else f"The body did not end within {whole:g} seconds."
        ) from None
    if message["type"] == "http.disconnect":
        raise CallerDisconnected
    return message


class StreamedBody:
    """A body that goes on as it comes, unless nothing comes for so many seconds."""

    def __init__(self, receive: Receive, silence: float) -> None:
        self._receive = receive
        self._silence = silence
        # What it ended with, where that was not its end.
        self.failure: LegacyError | ConnectionError | None = None

    async def opened(self) -> bytes | AsyncIterator[bytes] | None:
        """The whole of it where it is there at once, else what it is to be read from; None where it is empty."""
        first = await _within(self._silence, self._receive)
        if first.get("more_body"):
            return self._parts(first.get("body", b""))
        return first.get("body") or None

    async def _parts(self, first: bytes) -> AsyncIterator[bytes]:
        if first:
            yield first
        more = True
        while more:
            try:
                message = await _within(self._silence, self._receive)
            except (LegacyError, ConnectionError) as error:
                # Whoever sends it on would say that the other end failed.
                self.failure = error
                raise
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)


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
        with self._lock:
            self._taken[caller] -= 1


def make_verifier(configuration: Configuration, store: Store, slots: CallSlots) -> Verifier:
    """The verifier of the configured callers.

    Args:
        store: where nonces and signatures are recorded; of a caller whose nonces are seconds, the signature alone.
        slots: of the callers. A call that holds has taken one, which is given back when the call has ended. It is
            taken before the nonce is recorded: a call that is refused for load may be sent again as it is.

    Raises:
        ConfigurationError: there are none, or two that could not be told apart.
    """
    callers = configuration.callers
    if not callers:
        raise ConfigurationError("[[callers]]: the gateway knows nobody who may call; name at least one")
    names: set[str] = set()
    digests: dict[str, bytes] = {}
    for each in callers:
        name, token = each.caller.name, each.caller.api_token
        if name in names:
            raise ConfigurationError(f"[[callers]]: two are called {name!r}")
        if token in digests:
            raise ConfigurationError(f"[[callers]]: {name!r} has the api_token of another one")
        names.add(name)
        digests[token] = hashlib.sha256(token.encode()).digest()
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
