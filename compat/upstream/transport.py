"""One HTTP request to an upstream, and what its answer means (contract, sections 2 and 4).

No message here holds a URL: a signed one is a secret.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, DecodeError, HTTPError, NewConnectionError, ReadTimeoutError

from compat.errors import InvalidParameter, NotAuthorized, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from compat.mapping.fast.scanner import REFUSED
from compat.text.json import check_utf_8, decode_masked, loads
from compat.upstream.connections import WholeAnswer
from compat.upstream.limits import SMALL, USUAL_LIMITS, AnswerLimits, place_of_a_large_answer
from compat.upstream.retries import (
    BREAKER_FAILURES,
    Cancelled,
    CircuitBreaker,
    Deadline,
    RetryPolicy,
    TryAgain,
    throttled,
    too_slow,
)
from compat.upstream.senders import CallOptions, GivenSession, Incoming, Outgoing, OwnPool
from compat.upstream.strict_responses import UNDER_WAY, Attempt, FramingError

__all__ = ["CallOptions", "Reply", "Transport", "Unreadable", "decode_page", "json_object"]

_T = TypeVar("_T")
_CHUNK = 1 << 16
_PAUSE = 0.001
"""Seconds between two pieces of a large answer."""


class Unreadable(UpstreamError):
    """An answer that is cut off, is no JSON or is not what was asked for."""


@dataclass(frozen=True)
class Reply:
    """An upstream's answer, read to its end.

    Attributes:
        hint: where it refused a request that is signed with the time, that the clocks differ; else empty.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    limits: AnswerLimits = USUAL_LIMITS
    hint: str = ""


class Transport:
    """Sends requests to one upstream.

    Args:
        session: the session to send with, with its adapters, proxies and certificates; None for one of our own,
            which then follows the proxies and certificates of each old call.
        name: what the upstream is called in messages.
        breaker_failures: attempts in a row that fail before one call at a time goes on trying; 0 for no such stop.
    """

    def __init__(
        self,
        retries: RetryPolicy,
        session: requests.Session | None,
        name: str,
        limits: AnswerLimits,
        breaker_failures: int = BREAKER_FAILURES,
    ) -> None:
        self.retries = retries
        self._sender = OwnPool() if session is None else GivenSession(session)
        self._name = name
        self._limits = limits
        self._breaker = CircuitBreaker(breaker_failures)

    def close(self) -> None:
        """Close the connections that nobody uses; a session that the user gave stays open."""
        self._sender.close()

    def read(
        self,
        build: Callable[[], Outgoing],
        accept: Callable[[Reply], _T],
        options: CallOptions,
        walk: Deadline | None = None,
    ) -> _T:
        """Send a request that may be sent again, each attempt built and signed anew.

        Raises:
            LegacyError: as contract 2 says for what failed.
            Cancelled: nobody waits for the answer any more, as ``options`` say.
        """
        retries = self.retries if options.retries is None else self.retries.wished(options.retries)
        deadline = retries.deadline(walk)
        call = object() if walk is None else walk

        def attempt() -> _T:
            with ExitStack() as room:
                reply = self._try(build, options, deadline, room, call)
                if reply.status >= HTTPStatus.BAD_REQUEST:
                    _raise_for_retry(reply)
                if options.retries is not None and options.retries.is_retry("GET", reply.status):
                    raise TryAgain(unexpected(reply), reply.headers.get("Retry-After"))
                try:
                    return accept(reply)
                except Unreadable as error:
                    raise TryAgain(error) from None

        try:
            return retries.run(attempt, deadline, partial(self._enough, options, call))
        finally:
            self._breaker.ended(call)

    def write(self, build: Callable[[], Outgoing], accept: Callable[[Reply], _T], options: CallOptions) -> _T:
        """Send a request that must not be sent twice: tried again only where no connection came about.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """
        deadline = self.retries.deadline()
        call = object()

        def attempt() -> Reply:
            try:
                with ExitStack() as room:
                    return self._try(build, options, deadline, room, call)
            except TryAgain as failed:
                if isinstance(failed.error, _NothingSent):
                    raise
                raise failed.error from None

        try:
            reply = self.retries.run(attempt, deadline, partial(self._enough, options, call))
        finally:
            self._breaker.ended(call)
        try:
            _raise_for_retry(reply)
        except TryAgain as failed:
            raise failed.error from None
        return accept(reply)

    def _enough(self, options: CallOptions, call: object) -> bool:
        """Whether a call should make no further attempt."""
        return options.cancelled() or self._breaker.refuses(call)

    def _try(
        self, build: Callable[[], Outgoing], options: CallOptions, deadline: Deadline, room: ExitStack, call: object
    ) -> Reply:
        """One attempt, unless nobody waits for it or the upstream keeps failing."""
        if options.cancelled():
            raise Cancelled
        if self._breaker.refuses(call):
            raise TryAgain(self._breaker.refusal())
        try:
            reply = self._answer(build, options, deadline, room)
        except (TryAgain, UpstreamTimeout) as failed:
            self._breaker.failed(failed.error if isinstance(failed, TryAgain) else failed)
            raise
        if reply.status in (429, 503):
            self._breaker.failed(throttled(reply.status, reply.headers.get("Retry-After")).error)
        elif reply.status >= 500:
            self._breaker.failed(unexpected(reply))
        else:
            self._breaker.succeeded()
        return reply

    def _answer(
        self, build: Callable[[], Outgoing], options: CallOptions, deadline: Deadline, room: ExitStack
    ) -> Reply:
        """The answer to one attempt, which a connection that died while it was idle does not count for."""
        request = build()
        # A write is sent once, so it does not go to a connection that may be dead already.
        attempt = Attempt.begun(self._limits, deadline, fresh=request.method != "GET")
        try:
            try:
                reply = self._send(request, options, attempt, room)
            except _DiedWhileIdle:
                # Signed anew: the upstream may have seen the nonce.
                reply = self._send(build(), options, Attempt.begun(self._limits, deadline, fresh=True), room)
            return reply if reply.status not in (401, 403) else replace(reply, hint=_clock_hint(request, reply))
        except UpstreamTimeout as error:
            # Imported here, as below: most calls never fail.
            from compat.upstream.failures import place_of

            called = f"The {self._name} upstream at {place_of(request.url)}"
            raise too_slow(error.limit, called) if error.limit else error from None

    def _send(self, request: Outgoing, options: CallOptions, attempt: Attempt, room: ExitStack) -> Reply:
        deadline = attempt.deadline
        connect, read, limit = options.limits(deadline.remaining())
        answered: int | None = None
        token = UNDER_WAY.set(attempt)
        try:
            incoming = self._sender.send(request, options, (connect, read))
            reply = Reply(incoming.status, incoming.headers, _body(incoming, attempt, room), self._limits)
            answered = reply.status
            return reply
        except (requests.ConnectTimeout, ConnectTimeoutError) as error:
            raise TryAgain(self._unreachable(error, request, options, attempt, connect)) from None
        except (requests.Timeout, ReadTimeoutError):
            raise too_slow(limit or deadline.name) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
            # The script's proxy is none, or needs another package: no attempt mends that.
            raise
        except (requests.RequestException, HTTPError) as error:
            if _timed_out(error):
                raise too_slow(limit or deadline.name) from None
            unreachable = self._unreachable(error, request, options, attempt, connect)
            if attempt.reused and not attempt.received and not attempt.fresh:
                raise _DiedWhileIdle(unreachable) from None
            raise TryAgain(unreachable) from None
        finally:
            UNDER_WAY.reset(token)
            if options.attempted is not None:
                options.attempted(answered)

    def _unreachable(
        self, error: BaseException, request: Outgoing, options: CallOptions, attempt: Attempt, seconds: float
    ) -> UpstreamUnreachable:
        cause = _cause(error)
        for each in cause.args:
            if isinstance(each, FramingError):
                return UpstreamUnreachable(
                    f"The {self._name} upstream's answer is not HTTP/1.1 that can be read: it has {each}."
                )
        if isinstance(cause, DecodeError):
            return UpstreamUnreachable(
                f"The {self._name} upstream's answer is not encoded as its Content-Encoding says."
            )
        from compat.upstream.failures import connection_failure

        proxy = self._sender.proxy_to(request.url, options)
        failure = connection_failure(error, request.url, proxy, seconds, began=attempt.received > 0)
        kind = _NothingSent if isinstance(cause, NewConnectionError | ConnectTimeoutError) else UpstreamUnreachable
        return kind(failure.told(f"{self._name} upstream"), type(cause).__name__)


class _NothingSent(UpstreamUnreachable):
    """No connection came about, so that nothing can have been sent."""


class _DiedWhileIdle(TryAgain):
    """A connection that was used before broke off without a byte."""


def _body(incoming: Incoming | WholeAnswer, attempt: Attempt, room: ExitStack) -> bytes:
    """Read to the end, within the limits of the attempt; what is large holds a place for as long as the room does."""
    limits = attempt.limits
    if isinstance(incoming, WholeAnswer):
        if len(incoming.body) > limits.answer_decoded_bytes:
            raise limits.expands_too_far()
        return incoming.body
    parts: list[bytes] = []
    size, has_place = 0, False
    try:
        while True:
            try:
                # read would wait for as many bytes as it asks for, each of which may take a whole timeout.
                part = incoming.read1(_CHUNK, decode_content=True)
            except zlib.error:
                # Only at the end: what cannot be decoded is a DecodeError. urllib3 passes over what stands behind a
                # gzip body, such as zeros, and flushes its decoder all the same, which zlib 1.3.2 refuses.
                break
            if not part:
                break
            parts.append(part)
            size += len(part)
            attempt.deadline.remaining()
            if size > limits.answer_decoded_bytes:
                raise limits.expands_too_far()
            if has_place:
                # Each piece lets others have the interpreter and the processor first.
                time.sleep(_PAUSE)
            elif size > SMALL:
                room.enter_context(place_of_a_large_answer(attempt.deadline))
                has_place = True
    except BaseException:
        incoming.close()
        raise
    incoming.drain_conn()
    body = b"".join(parts)
    limits.check_values(body)
    return body


def _clock_hint(request: Outgoing, reply: Reply) -> str:
    """That this machine's clock is off, where a request says the time and the answer does too; else nothing."""
    from compat.upstream.failures import clock_hint

    timed = "timestamp" in (request.params or ()) or b'"timestamp"' in (request.data or b"")
    return clock_hint(reply.headers.get("Date"), request.url) if timed else ""


def _cause(error: BaseException) -> BaseException:
    reason = error.args[0] if error.args else None
    inner = getattr(reason, "reason", reason)
    return inner if isinstance(inner, BaseException) else error


def _timed_out(error: BaseException) -> bool:
    return type(_cause(error)).__name__ == "ReadTimeoutError"


def _raise_for_retry(reply: Reply) -> None:
    if reply.status in (429, 503):
        raise throttled(reply.status, reply.headers.get("Retry-After"))
    if reply.status in (502, 504):
        raise TryAgain(unexpected(reply))
    if reply.status == 403:
        raise NotAuthorized(hint=reply.hint)


def unexpected(reply: Reply) -> UpstreamError:
    """The error for a status that nothing provides for."""
    error = UpstreamError(f"The upstream answered with status {reply.status}.")
    error.answered = reply.status, bytes(reply.body)
    return error


def json_object(reply: Reply) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        Unreadable: it is none.
    """
    try:
        content = loads(reply.body)
    except ValueError:
        raise Unreadable("The upstream's answer is not JSON, or is cut off.") from None
    if not isinstance(content, dict):
        raise Unreadable("The upstream's answer is not a JSON object.")
    return content


def decode_texts(decode: Callable[[bytes], _T], body: bytes) -> tuple[_T, bool]:
    """What a decoder makes of a body whose records it leaves as texts, and whether lone surrogates are masked there.

    Raises:
        ValueError: it does not take it, or the body is no UTF-8: what is skipped over is not looked at by a decoder.
    """
    check_utf_8(body)
    return decode_masked(decode, body)


def decode_page(
    reply: Reply, decode: Callable[[bytes], Any], texts: Callable[[bytes], Any], plainly: Callable[[Reply], Any]
) -> Any:
    """A page as wanted, else with its records as texts, else as the plain reader has it.

    Args:
        decode: decodes it as wanted; it and the next see to it that all of the body is UTF-8.
        texts: decodes it with its records as texts.
        plainly: decides whether it is a page where the fast readers would not take it.

    Raises:
        Unreadable: it is no page.
    """
    for read in (decode, texts):
        with suppress(*REFUSED):
            return read(reply.body)
    return plainly(reply)


def refused_parameters(reply: Reply) -> InvalidParameter:
    """The parameters that an upstream refused with 422, in its words where they can be read."""
    try:
        content = json_object(reply)
    except Unreadable:
        content = {}
    errors = content.get("errors", content)
    named = {
        str(name): [str(text) for text in (texts if isinstance(texts, list) else [texts])]
        for name, texts in (errors.items() if isinstance(errors, dict) else ())
        if isinstance(texts, list | str) and texts
    }
    return InvalidParameter(named or {"request": ["The upstream refused the parameters."]})
