"""The part of ASGI that the gateway speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from compat.legacy.answer import Answer

__all__ = ["Headers", "Receive", "Scope", "Send", "by_name", "disconnected", "may_have_body", "send_answer"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by their names in small letters; of one that came twice, the first."""
    return {name.lower(): value for name, value in reversed([*headers])}


def may_have_body(scope: Scope, given: Mapping[bytes, bytes]) -> bool:
    """Whether a request can have a body: in HTTP/1 its headers announce one (RFC 9112, section 6.3).

    Args:
        scope: the request's.
        given: its headers, :func:`by_name`.
    """
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
