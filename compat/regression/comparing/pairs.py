"""The same call answered by both endpoints, and what is kept of each answer for comparing."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import requests

from compat.errors import LegacyError, UpstreamError, UpstreamThrottled, UpstreamTimeout, UpstreamUnreachable
from compat.legacy.routes import Answer, LegacyCall, failure

__all__ = [
    "LONGEST",
    "Answered",
    "Pair",
    "kept_answer",
    "kept_error",
    "kept_response",
    "watch_response",
]


@dataclass(frozen=True)
class Answered:
    """What one endpoint answered to a call.

    Attributes:
        status: the HTTP status; 0 where no whole answer came.
        headers: name to value, as they came.
        body: all of it, unpacked; empty where none came.
        seconds: from sending the request to the last byte.
        failure: what failed where no whole answer came, such as ``timeout``; no secrets.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    failure: str | None = None


@dataclass(frozen=True)
class Pair:
    """A call and its two answers.

    Attributes:
        call: the call, as it came; a read.
        caller: whose it is by the configuration, or None.
        at: when it came, seconds since the epoch.
        old: what the old endpoint answered.
        new: what the shim answered from the new one.
        served: which of them the caller got.
    """

    call: LegacyCall
    caller: str | None
    at: float
    old: Answered
    new: Answered
    served: Literal["legacy", "new"]


LONGEST = 8 * 1024 * 1024
"""Bytes of the longest body that is kept: the pages of lists have far fewer."""

_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((UpstreamTimeout, requests.Timeout, concurrent.futures.TimeoutError), "timeout"),
    ((UpstreamUnreachable, requests.ConnectionError), "unreachable"),
    ((UpstreamThrottled,), "throttled"),
    ((UpstreamError,), "unreadable"),
)


def kept_answer(answer: Answer, seconds: float, failure: str | None = None) -> Answered:
    """An answer of the shim."""
    return Answered(answer.status, dict(answer.headers), answer.body, seconds, failure)


def kept_error(error: Exception, seconds: float) -> Answered:
    """A failure: the answer that the old interface has for it, and in a word what happened where an endpoint failed."""
    word = next((word for kinds, word in _WORDS if isinstance(error, kinds)), None)
    if isinstance(error, LegacyError):
        return kept_answer(failure(error), seconds, word)
    return Answered(0, seconds=seconds, failure=word or "broken")


def kept_response(response: requests.Response, seconds: float) -> Answered:
    """A response that was read to its end."""
    return Answered(response.status_code, dict(response.headers), response.content, seconds)


def watch_response(response: requests.Response, begun: float, then: Callable[[Answered], object]) -> None:
    """Tell of a response when its reader has come to its end.

    Nothing is read ahead of the reader, who may have asked for a stream. One who leaves off, who reads the raw body
    itself, or whose body is too long to keep, is not told of.

    Args:
        response: the response, before anything of it was read.
        begun: when its request was sent, by ``time.perf_counter``.
        then: told of it.
    """

    def tell(body: bytes) -> None:
        then(Answered(response.status_code, dict(response.headers), body, time.perf_counter() - begun))

    content = response._content
    if isinstance(content, bytes) or response.raw is None:
        # An adapter of the script's own made it, or another library than requests did.
        tell(response.content or b"")
        return
    raw: Any = response.raw
    stream = getattr(raw, "stream", None)
    if stream is None:
        return

    def watched(amt: int = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        parts: list[bytes] | None = [] if decode_content else None
        size = 0
        for part in stream(amt, decode_content=decode_content):
            size += len(part)
            if parts is not None and size <= LONGEST:
                parts.append(part)
            yield part
        if parts is not None and size <= LONGEST:
            tell(b"".join(parts))

    raw.stream = watched
