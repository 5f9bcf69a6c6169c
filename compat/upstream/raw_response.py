"""The answer as ``requests`` holds one that came over the network, so that it is read in every way that one is.

urllib3 leaves to ``http.client`` when a body ends, and ``http.client`` closes it there. A plain buffer never closes
itself: ``iter_content(None)`` would read its end again and again.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPResponse, Retry

from compat.legacy.answer import Answer

__all__ = ["raw_of", "response_of"]

_REASONS = {422: "Unprocessable Entity"}
"""What Python 3.13 words in another way than the versions before, and than old servers."""
_NO_RETRY = Retry(0, read=False)


def response_of(
    request: requests.PreparedRequest, answer: Answer, stream: bool, connection: BaseAdapter
) -> requests.Response:
    """The response to a request.

    Args:
        request: what was asked.
        answer: what is answered.
        stream: whether the script reads the body itself.
        connection: the adapter that scripts find as ``response.connection``.
    """
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    response = requests.Response()
    response.status_code = answer.status
    response.reason = _REASONS.get(answer.status) or HTTPStatus(answer.status).phrase
    response.headers = CaseInsensitiveDict(headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.url, response.request = request.url or "", request
    response.connection = connection  # type: ignore[assignment]  # any adapter will do, whatever its stubs say
    response.raw = raw_of(request, answer.status, response.reason, headers, answer.body)
    if not stream and not request.hooks.get("response"):
        # What the session would read now, in pieces of ten kilobytes, is there already. A hook may read for itself.
        response._content = response.raw.read()
    return response


def raw_of(
    request: requests.PreparedRequest, status: int, reason: str, headers: Mapping[str, str], body: bytes
) -> HTTPResponse:
    """What ``response.raw`` is, its body still to be read.

    Args:
        request: what was asked.
        status: the answer's, like the next three.
        reason: the words of the status.
        headers: name to value.
        body: as sent, before any decoding.
    """
    received = _Received(request.method or "GET", status, reason, headers, body)
    return HTTPResponse(
        body=received,
        headers=headers,
        status=status,
        reason=reason,
        version=11,
        version_string="HTTP/1.1",
        preload_content=False,
        decode_content=False,
        original_response=received,
        retries=_NO_RETRY,
        request_method=request.method,
        request_url=request.path_url,
    )


class _Received(http.client.HTTPResponse):
    """A response whose head was read: what ``begin`` sets is given, and the body is all that is left."""

    def __init__(self, method: str, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(cast(Any, _Socket(body)), method=method)
        self.headers = self.msg = http.client.HTTPMessage()
        for name, value in headers.items():
            self.headers[name] = value
        self.version, self.code, self.status, self.reason = 11, status, status, reason
        self.chunked = self.will_close = False
        self.chunk_left: int | None = None
        self.length: int | None = 0 if method.upper() == "HEAD" else len(body)


class _Socket:
    """What ``http.client`` asks of a connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._body)
