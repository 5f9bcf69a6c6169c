"""One more request on a connection that is open already, as nearly all requests of a gateway are.

urllib3 opens connections, finds its way through proxies, sends again, follows redirects and decodes. For one more GET
on a connection of its pool nothing of that is left to do, and finding that out takes most of a request's processor
time. Here the head is what the library wrote on that connection before, but for its target, and the answer is read as
any other. Whatever is otherwise is left to ``urlopen``.
"""

from __future__ import annotations

import http.client
import logging
import re
import ssl
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, connection, connectionpool
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError, SSLError

from compat.upstream.answers_in_step import AnswerInStep
from compat.upstream.http_client import ConnectionInStep
from compat.upstream.large_answers import SMALL

__all__ = ["WholeAnswer", "ask_again"]

_TARGET = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*")
"""What urllib3 sends as it is."""

_log = logging.getLogger("urllib3.connectionpool")
_PASSED_BY = (
    (HTTPConnectionPool, "urlopen", connectionpool),
    (HTTPConnectionPool, "_make_request", connectionpool),
    (connection.HTTPConnection, "request", connection),
    (connection.HTTPConnection, "getresponse", connection),
    (http.client.HTTPConnection, "putrequest", http.client),
    (http.client.HTTPConnection, "getresponse", http.client),
)
"""Where tracing puts functions of its own, to see each request or to add headers to it."""


class WholeAnswer:
    """An answer without an encoding, read to its end."""

    def __init__(self, status: int, headers: HTTPHeaderDict, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    def read1(self, amt: int | None = None, decode_content: bool | None = True) -> bytes:
        """All of the body, and then nothing."""
        body, self._body = self._body, b""
        return body

    def drain_conn(self) -> None:
        """Nothing: the connection is given back already."""

    def close(self) -> None:
        """Nothing, likewise."""


def ask_again(
    pool: HTTPConnectionPool, target: str, headers: Mapping[str, str], silence: float
) -> WholeAnswer | HTTPResponse | None:
    """The answer to a GET, where the pool has an open connection on which the same headers were sent before.

    Args:
        pool: of connections that are kept in step.
        target: path and query.
        headers: all but those that the library adds.
        silence: seconds to wait for a byte.

    Returns:
        None where nothing was sent: it is for ``urlopen`` then.

    Raises:
        HTTPError: as ``urlopen`` does.
        UpstreamError: the answer passed a limit.
    """
    if pool.proxy is not None or _TARGET.fullmatch(target) is None or not _unobserved():
        return None
    kept: Any = pool._get_conn()
    again = kept.head_again(headers) if isinstance(kept, ConnectionInStep) else None
    if again is None:
        pool._put_conn(kept)
        return None
    try:
        answer = kept.ask(b"GET %b HTTP/1.1\r\n%b" % (target.encode("ascii"), again), silence)
        found = HTTPHeaderDict(answer.pairs)
        if answer.length is None or answer.length > SMALL or "Content-Encoding" in found:
            return _by_library(pool, kept, answer, found, target)
        with answer:
            body = answer.read()
    except BaseException as error:
        kept.close()
        pool._put_conn(kept)
        raised = _as_urllib3(error, pool, target)
        if raised is None:
            raise
        raise raised from error
    if answer.will_close:
        kept.close()
    pool._put_conn(kept)
    return WholeAnswer(answer.status, found, body)


def _unobserved() -> bool:
    """Whether nobody would miss what is passed by."""
    if _log.isEnabledFor(logging.DEBUG):
        return False
    for owner, name, module in _PASSED_BY:
        found = getattr(owner, name)
        if type(found) is not FunctionType or found.__globals__ is not vars(module):
            return False
    return True


def _by_library(
    pool: HTTPConnectionPool, kept: Any, answer: AnswerInStep, headers: HTTPHeaderDict, target: str
) -> HTTPResponse:
    """The library's answer, which decodes, and gives the connection back."""
    response = HTTPResponse(
        body=answer,
        headers=headers,
        status=answer.status,
        version=answer.version,
        version_string="HTTP/1.1",
        reason=answer.reason,
        preload_content=False,
        original_response=answer,
        pool=pool,
        connection=kept,
        request_method="GET",
        request_url=target,
    )
    if answer.will_close:
        kept.close()
    return response


def _as_urllib3(error: BaseException, pool: HTTPConnectionPool, target: str) -> HTTPError | None:
    """What ``urlopen`` makes of an error; None for one that it lets pass."""
    if isinstance(error, TimeoutError):
        return ReadTimeoutError(pool, target, "Read timed out.")
    if isinstance(error, ssl.SSLError):
        return SSLError(error)
    if isinstance(error, http.client.HTTPException | OSError):
        return ProtocolError("Connection aborted.", error)
    return None
