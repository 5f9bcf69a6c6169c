"""Bodies of requests as they come in, within limits of size, of time and of what all of them together may take.

A body is read before anybody knows who sends it: the signature is over what is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from compat.errors import LegacyError
from compat.gateway.asgi import Receive, Scope, may_have_body
from compat.gateway.settings import GatewaySettings

__all__ = ["Bodies", "BodyTooSlow", "BrokenOff", "Incoming"]


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
            given: its headers, :func:`compat.gateway.asgi.by_name`.
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
