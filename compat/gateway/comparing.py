"""The old endpoint's answer in the gateway: kept as it streams by, or asked for behind the new one's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
import zlib
from collections.abc import MutableMapping
from typing import Any

from compat.errors import LegacyError
from compat.gateway.asgi import Scope, Send
from compat.gateway.passing import Cut, Passing
from compat.migration.answers_kept import LONGEST, kept_error
from compat.migration.turns import Asker
from compat.regression.pairs import Answered

__all__ = ["KeptAnswer", "asking_behind"]

_PATIENCE = 60.0
"""Seconds for the old endpoint's whole answer where nobody waits for it."""
_PARTS_OF_A_REQUEST = ("type", "http_version", "method", "raw_path", "query_string", "headers")
_EITHER = zlib.MAX_WBITS | 32
"""Tells zlib to look whether it is gzip or deflate."""
_GZIP = b"\x1f\x8b"


class KeptAnswer:
    """An ASGI ``send`` that keeps what goes through it, up to a limit.

    Args:
        send: takes the answer; None where it goes nowhere else.
    """

    def __init__(self, send: Send | None = None) -> None:
        self._send = send
        self._begun = time.perf_counter()
        self._ended = 0.0
        self._status = 0
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = 0

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        else:
            part = message.get("body", b"")
            self._size += len(part)
            if self._size <= LONGEST:
                self._parts.append(part)
            if not message.get("more_body"):
                self._ended = time.perf_counter()
        if self._send is not None:
            await self._send(message)

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end and was kept."""
        return bool(self._ended) and self._size <= LONGEST

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self._size

    @property
    def seconds(self) -> float:
        """From the request to now."""
        return time.perf_counter() - self._begun

    def answered(self) -> Answered:
        """The answer, unpacked.

        Raises:
            ValueError: it is packed in a way that is not known here, or wrongly.
        """
        named = {name.lower(): value for name, value in self._headers.items()}
        body = _unpacked(b"".join(self._parts), named.get("content-encoding", "identity").strip().lower())
        return Answered(self._status, self._headers, body, self._ended - self._begun)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in ("identity", "") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"the content encoding {encoding[:20]!r} is not known")
    found = b""
    # Of several members of gzip each is packed by itself; what else stands behind one is padding.
    while True:
        unpacking = zlib.decompressobj(_EITHER)
        try:
            found += unpacking.decompress(body, LONGEST - len(found) + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if not unpacking.eof or len(found) > LONGEST:
            raise ValueError("the body is cut off, or too long")
        body = unpacking.unused_data
        if not body.startswith(_GZIP):
            return found


def asking_behind(old: Passing, scope: Scope, body: bytes) -> Asker:
    """Asks the old endpoint for what a request was, from any thread but the event loop's.

    Args:
        old: leads to it.
        scope: the request, in the event loop's thread.
        body: its body.
    """
    loop = asyncio.get_running_loop()
    # The server may take the rest down once the request has been answered.
    request = {name: scope[name] for name in _PARTS_OF_A_REQUEST if name in scope}

    def ask() -> Answered:
        kept = KeptAnswer()
        passing = asyncio.run_coroutine_threadsafe(old.pass_on(request, _nothing_more, kept, [], body), loop)
        try:
            passing.result(_PATIENCE)
            return kept.answered()
        except (LegacyError, Cut, concurrent.futures.TimeoutError) as error:
            return kept_error(error, kept.seconds)
        finally:
            passing.cancel()

    return ask


async def _nothing_more() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}
