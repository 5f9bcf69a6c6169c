"""A request of the gateway: the part of ASGI that it speaks, what logs may know of it, and what it is refused for."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from compat.errors import LegacyError, NotAuthorized
from compat.legacy.routes import Answer


@dataclass(frozen=True)
class RefusalKind:
    """A kind of refusal; called with what its text has places for, it makes one."""

    status: int
    text: str = "{}"  # the message, a template of :meth:`str.format`
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *about: object) -> Refusal:
        return Refusal(self, *about)


class Refusal(LegacyError):
    """What the gateway refuses by itself."""

    def __init__(self, kind: RefusalKind, *about: object) -> None:
        super().__init__(kind.text.format(*about))
        self.status = kind.status
        self._headers = kind.headers

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers


_SOON = {"Retry-After": "1"}
# Where the rest of a body may still come, nothing else can be asked on the connection.
_LAST = {"Connection": "close"}

BAD_REQUEST = RefusalKind(400)
NO_SUCH_PATH = RefusalKind(
    404,
    "There is no such path here: the deprecated exam students routes are answered from paginated sessions, and the old "
    "endpoint's other paths have no counterpart there.",
)
NOTHING_PASSES_THROUGH = RefusalKind(
    404,
    "There is no such path here: this gateway answers the deprecated exam students routes and passes nothing else "
    "through; call the new endpoint at its own address.",
)
# Passed on, it would be asked of an endpoint that may read it as the route and does not check who calls.
MISSPELT_PATH = RefusalKind(404, "There is no such path: {}; it is /api/v3/exams/<id>/ and one of {}.")
METHOD_NOT_ALLOWED = RefusalKind(405, "This path answers {} alone.")
HEAD_TOO_SLOW = RefusalKind(408, "The head of the request did not come within {} seconds.")
BODY_TOO_SLOW = RefusalKind(408, headers=_LAST)
BODY_TOO_LARGE = RefusalKind(413, "The body is too large: it may have {} bytes.")
URL_TOO_LONG = RefusalKind(414, "The URL is too long: its path and query may have {} bytes.")
TOO_MANY_CALLS = RefusalKind(429, "Too many calls at once: {} may run at a time.", _SOON)
HEADERS_TOO_LARGE = RefusalKind(431, "The headers are too large: they may have {} bytes.")
CALLER_GONE = RefusalKind(499, "The caller went away before it was answered.")
GATEWAY_FAILED = RefusalKind(500, "The gateway failed; its log says where.")
TRANSFER_CODING_UNKNOWN = RefusalKind(501, "Transfer-Encoding: {:.60} is not understood here, but chunked alone.")
TOO_MANY_BODIES = RefusalKind(
    503, "Too many unfinished bodies are being read; send the call again, signed anew.", {**_SOON, **_LAST}
)
TOO_MANY_CONNECTIONS = RefusalKind(503, "Too many connections: {} calls are being answered; come back later.", _SOON)
VERSION_NOT_SUPPORTED = RefusalKind(505, "HTTP/{} is not spoken here, but 1.1 and 1.0.")


def method_not_allowed(methods: tuple[str, ...]) -> Refusal:
    return replace(METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(methods)})(" and ".join(methods))


class TooManyCalls(Refusal):
    """A caller has as many calls running as it may have. The call spent nothing and may be sent again as it is."""

    def __init__(self, most: int, caller: str) -> None:
        super().__init__(TOO_MANY_CALLS, most)
        self.caller = caller


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

OTHER_ROUTE = "other"
"""The route of a request that is none of the deprecated ones."""

_SANE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass
class Exchange:
    """A request, and what became of it."""

    request_id: str  # the caller's own where it is sane, else a fresh one
    method: str
    at: float = field(default_factory=time.time)  # when it came, seconds since the epoch
    route: str = OTHER_ROUTE  # the action of a deprecated route, or what others have
    exam_id: str | None = None  # where the call was admitted
    caller: str | None = None  # the name of whose call it is; None where nobody was told by a token
    status: int = 0  # the answer's; 0 where the caller went away before one
    seconds: float = 0.0  # from the request's head to the answer's end
    refusal: str | None = None  # why a call was not admitted
    answered_by: str = "gateway"  # "new", "legacy", or "gateway" for what the gateway says by itself
    failure: str | None = None  # what went wrong where it was not the call; an error's text, which holds no secret
    # More of a refused call, for ``exam-compat doctor``; nothing secret, nothing of anybody's data.
    details: Mapping[str, Any] | None = None
    attempts: list[int | None] = field(default_factory=list)  # each answer's status upstream; None for no whole one
    user_agent: str | None = None  # for the inventory alone: it may be anything
    slash: bool = False  # whether the path ended with one
    parameters: tuple[str, ...] = ()  # the names that an admitted call used; no value
    dialect: str | None = None  # how it was made and signed, in words of ours

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
    return os.urandom(16).hex()


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by their names in small letters; of one that came twice, the first."""
    return {name.lower(): value for name, value in reversed([*headers])}


def may_have_body(scope: Scope, given: Mapping[bytes, bytes]) -> bool:
    """Whether a request can have a body: in HTTP/1 its headers announce one (RFC 9112, section 6.3)."""
    return b"content-length" in given or b"transfer-encoding" in given or not scope["http_version"].startswith("1")


def encoded(headers: Mapping[str, str]) -> Headers:
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
