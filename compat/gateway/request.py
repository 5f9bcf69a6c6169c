"""A request of the gateway: the part of ASGI that it speaks, bodies within limits, and what logs may know of it.

A body is read before anybody knows who sends it: the signature is over what is in it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compat.errors import LegacyError, NotAuthorized
from compat.gateway.refusals import BODY_TOO_LARGE, BODY_TOO_SLOW, TOO_MANY_BODIES
from compat.gateway.settings import GatewaySettings
from compat.legacy.routes import Answer

__all__ = [
    "OTHER_ROUTE",
    "Bodies",
    "CallerDisconnected",
    "Exchange",
    "Headers",
    "Observer",
    "Receive",
    "Scope",
    "Send",
    "StreamedBody",
    "by_name",
    "disconnected",
    "encoded",
    "may_have_body",
    "note_failure",
    "request_id",
    "send_answer",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

OTHER_ROUTE = "other"
"""The route of a request that is none of the deprecated ones."""

_ID_BYTES = 16
_SANE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass
class Exchange:
    """A request, and what became of it.

    Attributes:
        request_id: the caller's own where it is sane, else a fresh one.
        at: when it came, seconds since the epoch.
        route: the action of a deprecated route, or :data:`OTHER_ROUTE`.
        exam_id: the exam, where the call was admitted.
        caller: the name of whose call it is; None where nobody was told by a token.
        status: the HTTP status of the answer; 0 where the caller went away before one.
        seconds: from the request's head to the answer's end.
        refusal: why a call was not admitted.
        answered_by: "new", "legacy", or "gateway" for what the gateway says by itself.
        failure: what went wrong where it was not the call; an error's text, which holds no secret.
        details: more of a refused call, for ``exam-compat doctor``; nothing secret, nothing of anybody's data.
        attempts: the status of each answer upstream, None where no whole one came.
        user_agent: the header of that name, for the inventory alone: it may be anything.
        slash: whether the path ended with one.
        parameters: the names of the parameters that an admitted call used; no value.
        dialect: how it was made and signed, in words of ours.
    """

    request_id: str
    method: str
    at: float = field(default_factory=time.time)
    route: str = OTHER_ROUTE
    exam_id: str | None = None
    caller: str | None = None
    status: int = 0
    seconds: float = 0.0
    refusal: str | None = None
    answered_by: str = "gateway"
    failure: str | None = None
    details: Mapping[str, Any] | None = None
    attempts: list[int | None] = field(default_factory=list)
    user_agent: str | None = None
    slash: bool = False
    parameters: tuple[str, ...] = ()
    dialect: str | None = None

    def attempted(self, status: int | None) -> None:
        """Note a request upstream; from whichever thread sent it."""
        self.attempts.append(status)


def note_failure(exchange: Exchange, error: LegacyError) -> None:
    """Note an error for the log, unless it is the call's own."""
    if error.status >= 500:
        exchange.failure = error.message
    elif isinstance(error, NotAuthorized) and error.hint:
        exchange.failure = error.hint


Observer = Callable[[Sequence[Exchange]], None]
"""Told of requests whose answers have ended, some at a time; called from the event loop, so it must not block."""


def request_id(given: bytes | None) -> str:
    """The caller's own id of a request where a header and a log line can hold it, else a fresh one."""
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return os.urandom(_ID_BYTES).hex()


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
        parts: list[bytes] = [message.get("body", b"")]
        if not message.get("more_body"):
            if len(parts[0]) > most:
                raise BODY_TOO_LARGE(most)
            return parts[0]
        return await self._read_on(parts, receive)

    async def _read_on(self, parts: list[bytes], receive: Receive) -> bytes:
        settings = self._settings
        clock = asyncio.get_running_loop().time
        ends = clock() + settings.body_timeout
        size, more = len(parts[0]), True
        self._held += size
        try:
            while more:
                if size > settings.max_body:
                    raise BODY_TOO_LARGE(settings.max_body)
                if self._held > settings.max_bodies:
                    raise TOO_MANY_BODIES()
                if ends - clock() < settings.body_silence:
                    message = await _within(max(0.0, ends - clock()), receive, settings.body_timeout)
                else:
                    message = await _within(settings.body_silence, receive)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._held += len(parts[-1])
                more = message.get("more_body", False)
            if size > settings.max_body:
                raise BODY_TOO_LARGE(settings.max_body)
            return b"".join(parts)
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
    """A body that goes on as it comes, unless nothing comes for so many seconds.

    Attributes:
        failure: what it ended with, where that was not its end.
    """

    def __init__(self, receive: Receive, silence: float) -> None:
        self._receive = receive
        self._silence = silence
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


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by their names in small letters; of one that came twice, the first."""
    return {name.lower(): value for name, value in reversed([*headers])}


def may_have_body(scope: Scope, given: Mapping[bytes, bytes]) -> bool:
    """Whether a request can have a body: in HTTP/1 its headers announce one (RFC 9112, section 6.3)."""
    return b"content-length" in given or b"transfer-encoding" in given or not scope["http_version"].startswith("1")


def encoded(headers: Mapping[str, str]) -> Headers:
    """Headers as they go over the wire."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def disconnected(receive: Receive) -> None:
    """Wait until the caller has gone; what is left of its request is not kept."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_answer(send: Send, answer: Answer, further: Headers) -> None:
    """Send a whole answer, with further headers."""
    headers = encoded(answer.headers) + further
    if "Content-Length" not in answer.headers:
        headers.append((b"Content-Length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
