"""The part of ASGI that the gateway speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from compat.legacy.answer import Answer

__all__ = ["Headers", "Receive", "Scope", "Send", "header", "may_have_body", "send_answer"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first header of a name, which is given in small letters."""
    return next((value for each, value in headers if each.lower() == name), None)


def may_have_body(scope: Scope) -> bool:
    """Whether a request can have a body: in HTTP/1 its headers announce one (RFC 9112, section 6.3)."""
    names = {name.lower() for name, _ in scope["headers"]}
    return not (names.isdisjoint((b"content-length", b"transfer-encoding")) and scope["http_version"].startswith("1"))


def encoded(headers: Mapping[str, str]) -> Headers:
    """Headers as they go over the wire."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def send_answer(send: Send, answer: Answer, further: Headers) -> None:
    """Send a whole answer, with further headers."""
    headers = encoded(answer.headers) + further
    if "Content-Length" not in answer.headers:
        headers.append((b"Content-Length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
