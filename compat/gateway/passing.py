"""Requests passed through as they came, streamed both ways, by the proxies and certificates of the environment.

Method, path as it was written, query, headers and body go on untouched, but for what belongs to one connection alone
(RFC 9110, section 7.6.1) and the name of the host. Redirects are the caller's to follow, and compressed bodies the
caller's to unpack.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from yarl import URL

from compat.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from compat.gateway.limits import StreamedBody
from compat.gateway.request import BAD_REQUEST, Headers, Receive, Scope, Send, by_name, disconnected, may_have_body
from compat.processes import renew_after_fork
from compat.upstream.failures import connection_failure, place_of
from compat.upstream.limits import AnswerLimits
from exam_compat_libraries import PASSING_ON


def environment_of(url: str) -> tuple[str | None, str]:
    """The proxy that leads to a URL, or None, and the file with the certificates that its server is trusted by."""
    with requests.Session() as session:
        settings = session.merge_environment_settings(url, {}, True, None, None)
    verify = settings["verify"]
    return select_proxy(url, settings["proxies"]), verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH


_OF_THE_CONNECTION = frozenset(
    b"connection expect keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)
_ADDED_BY_THE_CLIENT = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CONNECT = 10.0
_SILENCE = 120.0  # seconds without a byte after which an upstream counts as too slow
_LONGEST_LINE = 64 * 1024
_inherited: list[aiohttp.ClientSession] = []
"""Of the parent of this process, kept as they are: to close them would write to its connections and its event loop."""


class AnswerCutOff(ConnectionError):
    """An answer ended early after its beginning had been sent: the caller must not take it for whole."""


class PassThrough:
    """Passes requests on to one base URL; nothing of a request gets into the URL but its path and query, behind it.

    Args:
        answers_as: "new" or "legacy", which of the two interfaces is there.
        silence: seconds for which nothing of a request's body may come.
        keep_alive: seconds that an idle connection is trusted; 0 opens one for each request.
    """

    def __init__(
        self, base_url: str, answers_as: str, silence: float, keep_alive: float = AnswerLimits.keep_alive
    ) -> None:
        self._base_url = base_url
        self._silence = silence
        self._keep_alive = keep_alive
        self._below_a_path = urlsplit(base_url).path not in ("", "/")
        self.answers_as = answers_as
        self._name = {"new": "upstream", "legacy": "old endpoint"}[answers_as]
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin without connections, in a process that was forked."""
        if self._session is not None:
            _inherited.append(self._session)
        self._session = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def pass_on(
        self, scope: Scope, receive: Receive, send: Send, further: Headers, body: bytes | None = None
    ) -> int:
        """Send a request on and its answer back, and give the status that was sent.

        Args:
            further: headers that the answer gets, unless it has some of that name.
            body: the request's body, where it was read already.

        Raises:
            LegacyError: nothing came back; nothing was sent.
            AnswerCutOff: the answer ended early.
        """
        incoming = StreamedBody(receive, self._silence)
        data: bytes | AsyncIterator[bytes] | None = body or None
        if body is None and may_have_body(scope, by_name(scope["headers"])):
            data = await incoming.opened()
        try:
            response = await self._request(scope, data)
        except aiohttp.SocketTimeoutError:
            slow = f"The {self._name} at {place_of(self._base_url)} was too slow"
            raise UpstreamTimeout(f"{slow}: nothing came for {_SILENCE:g} seconds.") from None
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            if incoming.failure is not None:
                raise incoming.failure from None
            # In a thread: it may look at the certificate.
            failure = await asyncio.to_thread(connection_failure, error, self._base_url, self._proxy, _CONNECT)
            raise UpstreamUnreachable(failure.told(self._name)) from None
        async with response:
            self._check_framing(response)
            await _send_back(response, receive, send, further)
            return response.status

    async def _request(self, scope: Scope, data: bytes | AsyncIterator[bytes] | None) -> aiohttp.ClientResponse:
        headers = [(_text(name), _text(value)) for name, value in _forwarded(scope["headers"], (b"host",))]
        # Under EXAM_COMPAT=1 the old endpoint's own answer would be asked of the shim.
        token = PASSING_ON.set(True)
        try:
            return await self._opened().request(
                _AsWritten(scope["method"]),
                self._url(scope),
                headers=headers,
                data=data,
                allow_redirects=False,
                skip_auto_headers=_ADDED_BY_THE_CLIENT,
                proxy=self._proxy,
            )
        finally:
            PASSING_ON.reset(token)

    def _check_framing(self, response: aiohttp.ClientResponse) -> None:
        """Refuse an answer whose body would come out as something else (RFC 9112, section 6.1)."""
        codings = [
            value.strip().lower() for name, value in response.raw_headers if name.lower() == b"transfer-encoding"
        ]
        if codings not in ([], [b"chunked"]):
            response.close()
            coding = b", ".join(codings).decode("latin-1")[:60]
            raise UpstreamError(f"The {self._name} answered in Transfer-Encoding: {coding}, which nobody asked for.")

    def _url(self, scope: Scope) -> URL:
        path = scope["raw_path"].decode("latin-1")
        climbs = self._below_a_path and any(unquote(part) in (".", "..") for part in path.split("/"))
        if not path.startswith("/") or climbs or not path.isascii():
            raise BAD_REQUEST("The path cannot be passed on.")
        query = scope["query_string"].decode("latin-1")
        # Marked as encoded: whatever else reads a URL tidies it up, and a signature may be over what it was.
        return URL(f"{self._base_url}{path}?{query}" if query else self._base_url + path, encoded=True)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._proxy, trusted = environment_of(self._base_url)
            context = ssl.create_default_context(cafile=trusted) if self._base_url.startswith("https:") else True
            kept: Any = {"keepalive_timeout": self._keep_alive} if self._keep_alive else {"force_close": True}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=context, **kept),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
        return self._session


class _AsWritten(str):
    """A method that stays in the caller's letters, which tell methods apart; aiohttp would put it in capitals."""

    __slots__ = ()

    def upper(self) -> str:
        return self


def _forwarded(headers: Headers, without: tuple[bytes, ...] = ()) -> Headers:
    """Headers that are meant for the other end."""
    named = b",".join(value for name, value in headers if name.lower() == b"connection").lower()
    dropped = _OF_THE_CONNECTION.union(without, (part.strip() for part in named.split(b",")))
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BAD_REQUEST("A header that is not UTF-8 cannot be passed on.") from None


async def _send_back(response: aiohttp.ClientResponse, receive: Receive, send: Send, further: Headers) -> None:
    headers = _forwarded(list(response.raw_headers))
    there = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in further if name.lower() not in there]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    left = response.content_length if b"content-length" in there else None
    leaving: asyncio.Task[Any] | None = None
    try:
        async for part in response.content.iter_any():
            left = None if left is None else left - len(part)
            await send({"type": "http.response.body", "body": part, "more_body": left != 0})
            if left == 0:
                return
            leaving = leaving or asyncio.ensure_future(disconnected(receive))
            if leaving.done():
                return
        await send({"type": "http.response.body", "body": b""})
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        if isinstance(error, asyncio.TimeoutError):
            raise AnswerCutOff(f"the answer broke off: nothing came for {_SILENCE:g} seconds") from None
        reason = connection_failure(error, str(response.url.origin()), began=True).reason
        raise AnswerCutOff(f"the answer broke off: {reason}") from None
    finally:
        if leaving is not None:
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
