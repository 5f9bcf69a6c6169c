"""A request of the gateway: its body within limits, what logs may know of it, and its answer's own headers.

A body is read before anybody knows who sends it: the signature is over what is in it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from compat.config.settings import Configuration
from compat.errors import LegacyError
from compat.gateway.settings import GatewaySettings
from compat.gateway.threads import Headers, Receive, Scope, may_have_body
from compat.upstream import PaginatedSessions, StudentSessions

__all__ = [
    "OTHER_ROUTE",
    "Bodies",
    "BodyTooSlow",
    "BrokenOff",
    "Exchange",
    "Incoming",
    "Observer",
    "deprecation_headers",
    "request_id",
]

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
        method: its HTTP method.
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


Observer = Callable[[Sequence[Exchange]], None]
"""Told of requests whose answers have ended, some at a time; called from the event loop, so it must not block."""


def request_id(given: bytes | None) -> str:
    """The caller's own id of a request where a header and a log line can hold it, else a fresh one."""
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return os.urandom(_ID_BYTES).hex()


class _BodyTooLarge(LegacyError):
    status = 413

    def __init__(self, most: int) -> None:
        super().__init__(f"The body is too large: it may have {most} bytes.")


class BodyTooSlow(LegacyError):
    """The rest of a body did not come in time: 408."""

    status = 408

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer says beside its text: nothing else can be asked on this connection."""
        return {"Connection": "close"}


class _TooManyBodies(LegacyError):
    status = 503

    def __init__(self) -> None:
        super().__init__("Too many unfinished bodies are being read; send the call again, signed anew.")

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1", "Connection": "close"}


class BrokenOff(ConnectionError):
    """The caller went away before its request was whole."""


class Bodies:
    """Reads the bodies of deprecated calls in this process.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._held = 0

    async def read(self, scope: Scope, given: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body of a deprecated call.

        Args:
            scope: the request's.
            given: its headers, :func:`compat.gateway.threads.by_name`.
            receive: gives the body.

        Raises:
            LegacyError: 408, 413 or 503; what is announced as too long is not read at all.
            ConnectionError: the caller went away before its end.
        """
        if not may_have_body(scope, given):
            return b""
        most = self._settings.max_body
        announced = given.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > most:
            raise _BodyTooLarge(most)
        message = await _within(self._settings.body_silence, receive)
        parts: list[bytes] = [message.get("body", b"")]
        if not message.get("more_body"):
            if len(parts[0]) > most:
                raise _BodyTooLarge(most)
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
                    raise _BodyTooLarge(settings.max_body)
                if self._held > settings.max_bodies:
                    raise _TooManyBodies
                if ends - clock() < settings.body_silence:
                    message = await _within(max(0.0, ends - clock()), receive, settings.body_timeout)
                else:
                    message = await _within(settings.body_silence, receive)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._held += len(parts[-1])
                more = message.get("more_body", False)
            if size > settings.max_body:
                raise _BodyTooLarge(settings.max_body)
            return b"".join(parts)
        finally:
            self._held -= size


async def _within(seconds: float, receive: Receive, whole: float | None = None) -> Mapping[str, Any]:
    """The next message of a body.

    Args:
        seconds: that it may take.
        receive: gives it.
        whole: the limit on the whole body, where that is what the seconds are left of.
    """
    try:
        message = await asyncio.wait_for(receive(), seconds)
    except asyncio.TimeoutError:
        raise BodyTooSlow(
            f"Nothing of the body came for {seconds:g} seconds."
            if whole is None
            else f"The body did not end within {whole:g} seconds."
        ) from None
    if message["type"] == "http.disconnect":
        raise BrokenOff
    return message


class Incoming:
    """A body that goes on as it comes.

    Args:
        receive: gives it.
        silence: seconds for which nothing may come.

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


def deprecation_headers(configuration: Configuration, settings: GatewaySettings) -> Headers:
    """``Deprecation``, ``Sunset`` and ``Link``, as the configuration has them.

    A day without a time means its beginning in UTC. A day that is not configured has no header.
    """
    links = [
        f'<{_successor(configuration)}>; rel="successor-version"',
        f'<{settings.deprecation_page}>; rel="deprecation"',
    ]
    headers = [(b"Link", ", ".join(links).encode())]
    if configuration.deprecated is not None:
        headers.append((b"Deprecation", b"@%d" % _beginning(configuration.deprecated).timestamp()))
    if configuration.sunset is not None:
        headers.append((b"Sunset", format_datetime(_beginning(configuration.sunset), usegmt=True).encode()))
    return headers


def _successor(configuration: Configuration) -> str:
    """Where the new list is: student sessions at the gateway itself, which passes them through."""
    upstream = configuration.upstream
    if isinstance(upstream, PaginatedSessions):
        return quote(upstream.base_url + upstream.path, safe=":/?&=%[]~")
    if isinstance(upstream, StudentSessions):
        return "/api/v3/student_sessions"
    return "/"


def _beginning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
