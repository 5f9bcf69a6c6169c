"""One HTTP request to an upstream, and what its answer means (contract, sections 2 and 4).

No message here holds a URL: a signed one is a secret.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from compat.errors import InvalidParameter, NotAuthorized, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from compat.json_text import loads
from compat.upstream.retries import Deadline, RetryPolicy, TryAgain, throttled
from compat.upstream.senders import CallOptions, GivenSession, Incoming, Outgoing, OwnPool, Sender

__all__ = ["CallOptions", "Reply", "Transport", "Unreadable", "json_object"]

_T = TypeVar("_T")
_CHUNK = 1 << 16


class Unreadable(UpstreamError):
    """An answer that is cut off, is no JSON or is not what was asked for."""


@dataclass(frozen=True)
class Reply:
    """An upstream's answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport:
    """Sends requests to one upstream.

    Args:
        retries: how often and how long.
        session: the session to send with, with its adapters, proxies and certificates; None for one of our own,
            which then follows the proxies and certificates of each old call.
        name: what the upstream is called in messages.
    """

    def __init__(self, retries: RetryPolicy, session: requests.Session | None, name: str) -> None:
        self.retries = retries
        self._sender: Sender = OwnPool() if session is None else GivenSession(session)
        self._name = name

    def send_by(self, sender: Sender) -> None:
        """Send in another way from now on; a session that the user gave goes before it."""
        if not isinstance(self._sender, GivenSession):
            self._sender = sender

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
        """
        retries = self.retries.wished(options.retries)
        deadline = retries.deadline(walk)

        def attempt() -> _T:
            reply = self._send(build(), options, deadline)
            _raise_for_retry(reply)
            if options.retries is not None and options.retries.is_retry("GET", reply.status):
                raise TryAgain(unexpected(reply), reply.headers.get("Retry-After"))
            try:
                return accept(reply)
            except Unreadable as error:
                raise TryAgain(error) from None

        return retries.run(attempt, deadline)

    def write(
        self,
        build: Callable[[], Outgoing],
        accept: Callable[[Reply], _T],
        options: CallOptions,
    ) -> _T:
        """Send a request that must not be sent twice: tried again only where no connection came about.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """
        deadline = self.retries.deadline()

        def attempt() -> Reply:
            try:
                return self._send(build(), options, deadline)
            except TryAgain as failed:
                if isinstance(failed.error, _NothingSent):
                    raise
                raise failed.error from None

        reply = self.retries.run(attempt, deadline)
        try:
            _raise_for_retry(reply)
        except TryAgain as failed:
            raise failed.error from None
        return accept(reply)

    def _send(self, request: Outgoing, options: CallOptions, deadline: Deadline) -> Reply:
        connect, read, limit = options.limits(deadline.remaining())
        answered: int | None = None
        try:
            incoming = self._sender.send(request, options, (connect, read))
            reply = Reply(incoming.status, incoming.headers, _body(incoming, deadline))
            answered = reply.status
            return reply
        except (requests.ConnectTimeout, ConnectTimeoutError) as error:
            raise TryAgain(_unreachable(self._name, error)) from None
        except (requests.Timeout, ReadTimeoutError):
            raise _too_slow(limit, deadline) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
            # The script's proxy is none, or needs another package: no attempt mends that.
            raise
        except (requests.RequestException, HTTPError) as error:
            if _timed_out(error):
                raise _too_slow(limit, deadline) from None
            raise TryAgain(_unreachable(self._name, error)) from None
        finally:
            if options.attempted is not None:
                options.attempted(answered)


class _NothingSent(UpstreamUnreachable):
    """No connection came about, so that nothing can have been sent."""


def _body(incoming: Incoming, deadline: Deadline) -> bytes:
    """Read to the end; a body that drips byte by byte does not outlive the deadline."""
    parts: list[bytes] = []
    try:
        # read would wait for as many bytes as it asks for, each of which may take a whole timeout; read1 does not.
        while part := incoming.read1(_CHUNK, decode_content=True):
            parts.append(part)
            if time.monotonic() > deadline.at:
                raise deadline.passed()
    except BaseException:
        incoming.close()
        raise
    incoming.drain_conn()
    return b"".join(parts)


def _too_slow(limit: str, deadline: Deadline) -> UpstreamTimeout:
    return UpstreamTimeout(f"The upstream was too slow: {limit} was reached.") if limit else deadline.passed()


def _cause(error: BaseException) -> BaseException:
    reason = error.args[0] if error.args else None
    inner = getattr(reason, "reason", reason)
    return inner if isinstance(inner, BaseException) else error


def _timed_out(error: BaseException) -> bool:
    return type(_cause(error)).__name__ == "ReadTimeoutError"


def _unreachable(name: str, error: BaseException) -> UpstreamUnreachable:
    cause = _cause(error)
    kind = _NothingSent if isinstance(cause, NewConnectionError | ConnectTimeoutError) else UpstreamUnreachable
    return kind(f"The {name} upstream could not be reached: {type(cause).__name__}.", type(cause).__name__)


def _raise_for_retry(reply: Reply) -> None:
    if reply.status in (429, 503):
        raise throttled(reply.status, reply.headers.get("Retry-After"))
    if reply.status in (502, 504):
        raise TryAgain(unexpected(reply))
    if reply.status == 403:
        raise NotAuthorized


def unexpected(reply: Reply) -> UpstreamError:
    """The error for a status that nothing provides for."""
    return UpstreamError(f"The upstream answered with status {reply.status}.")


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
