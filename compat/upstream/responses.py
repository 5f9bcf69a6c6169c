"""Answers as ``requests`` holds them, also behind libraries that answer for the network in a test.

urllib3 leaves to ``http.client`` when a body ends, and ``http.client`` closes it there. A plain buffer never closes
itself: ``iter_content(None)`` would read its end again and again.

Mock libraries come before us, and what they let through comes to us.
Each of them takes the place of something that a plain ``requests`` call runs through, from the outside in: an adapter
of the session (``betamax``, an adapter of ``requests-mock``), ``HTTPAdapter.send`` (``responses``, ``mock.patch``), or
the connections of urllib3 (``vcrpy``). ``requests-mock`` also replaces ``Session.send``, outside of every adapter. A
deprecated call runs through the same places, in the same order, with our answer where the network would be; so it makes
no difference which of them was begun first.

What we ask an upstream for a call that was let through is not the test's own call, and no such library sees it.
"""

from __future__ import annotations

import http.client
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, urldefragauth
from urllib3 import HTTPResponse, Retry
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from compat.legacy.routes import Answer

__all__ = [
    "Received",
    "Sending",
    "answer_behind_mocks",
    "begun_mockers",
    "cassette_in_use",
    "every_session_is_mocked",
    "network_is_mocked",
    "reason_of",
    "response_of",
]

_REASONS = {422: "Unprocessable Entity"}
"""What Python 3.13 words in another way than the versions before, and than old servers."""
_NO_RETRY = Retry(0, read=False)


def response_of(
    request: requests.PreparedRequest, answer: Answer, stream: bool, connection: BaseAdapter
) -> requests.Response:
    """The response to a request.

    Args:
        stream: whether the script reads the body itself.
        connection: the adapter that scripts find as ``response.connection``.
    """
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    response = requests.Response()
    response.status_code = answer.status
    response.reason = reason_of(answer.status)
    response.headers = CaseInsensitiveDict(headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.url, response.request = request.url or "", request
    response.connection = connection  # type: ignore[assignment]  # any adapter will do, whatever its stubs say
    response.raw = _raw_of(request, answer.status, response.reason, headers, answer.body)
    if not stream and not request.hooks.get("response"):
        # What the session would read now, in pieces of ten kilobytes, is there already. A hook may read for itself.
        response._content = response.raw.read()
    return response


@lru_cache(maxsize=64)
def reason_of(status: int) -> str:
    """The words of a status, as old servers write them."""
    return _REASONS.get(status) or HTTPStatus(status).phrase


def _raw_of(
    request: requests.PreparedRequest, status: int, reason: str, headers: Mapping[str, str], body: bytes
) -> HTTPResponse:
    """What ``response.raw`` is, its body, as sent, still to be read."""
    received = Received(request.method or "GET", status, reason, headers, body)
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


class Received(http.client.HTTPResponse):
    """A response of ``http.client`` whose head was read: what ``begin`` sets is given, the body is to come."""

    def __init__(self, method: str, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(cast(Any, SimpleNamespace(makefile=lambda mode: io.BytesIO(body))), method=method)
        self.headers = self.msg = http.client.HTTPMessage()
        for name, value in headers.items():
            self.headers[name] = value
        self.version, self.code, self.status, self.reason = 11, status, status, reason
        self.chunked = self.will_close = False
        self.chunk_left: int | None = None
        self.length: int | None = 0 if method.upper() == "HEAD" else len(body)


_REQUESTS = "requests.adapters"
_ADAPTERS = ("betamax", "requests_mock")
"""Libraries that answer as an adapter."""


@dataclass
class Sending:
    """A deprecated call on its way.

    Attributes:
        told: what else an adapter is told, by name: stream, timeout, verify, cert, proxies.
        answer: answers it, with the adapter of the old endpoint and whether the body is streamed.
    """

    request: requests.PreparedRequest
    told: dict[str, Any]
    answer: Callable[[BaseAdapter, bool], requests.Response]

    def by(self, send: Callable[..., requests.Response], stream: bool | None = None) -> requests.Response:
        """Send it, as ``requests`` does: some adapters take what they are told by name alone."""
        told = self.told if stream is None else {**self.told, "stream": stream}
        return send(self.request, **told)


def network_is_mocked(adapter: BaseAdapter | None = None) -> bool:
    """Whether one of them is answering at this moment, for all or as the adapter that is given."""
    send_is_replaced = getattr(HTTPAdapter.send, "__module__", "") != _REQUESTS
    return send_is_replaced or cassette_in_use() is not None or _library_of(type(adapter).__mro__) is not None


def every_session_is_mocked() -> bool:
    """Whether one of them is answering for whatever ``requests`` sends."""
    return network_is_mocked() or next(begun_mockers(), None) is not None


def answer_behind_mocks(previous: BaseAdapter, sending: Sending) -> requests.Response:
    """Let them answer or refuse a deprecated call, and answer what they let through.

    Raises:
        Exception: what they refuse it with.
    """
    library = _library_of(type(previous).__mro__)
    if library == "betamax":
        # What it was handed stays as it is: it passes on to this copy's adapters, which are us.
        copy: Any = _copy_of(previous)
        onward = previous.find_adapter(sending.request.url)  # type: ignore[attr-defined]
        copy.old_adapters = {"": _Onward(lambda stream: _below_session(onward, sending, stream))}
        return sending.by(copy.send)
    if library is not None:
        return sending.by(previous.send)
    return _below_session(previous, sending, bool(sending.told["stream"]))


def begun_mockers() -> Iterator[Any]:
    """What ``requests-mock`` has answering for every session; each puts back the ``get_adapter`` that it found."""
    send: Any = requests.Session.send
    while True:
        cells = getattr(send, "__closure__", None) or ()
        mocker = next((each.cell_contents for each in cells if hasattr(each.cell_contents, "_last_get_adapter")), None)
        if mocker is None:
            return
        yield mocker
        send = mocker._last_send


def _below_session(previous: BaseAdapter, sending: Sending, stream: bool) -> requests.Response:
    if getattr(HTTPAdapter.send, "__module__", "") == _REQUESTS or not isinstance(previous, HTTPAdapter):
        return _below_send(previous, previous.send, sending, stream)
    copy: Any = _copy_of(previous)
    # What the replacement calls is ``requests``' own send, on this copy: its connection is our answer.
    copy.get_connection_with_tls_context = lambda *_, **__: _Answered(
        _below_send(previous, _real_send(previous), sending, stream)
    )
    copy.cert_verify = lambda *_: None
    copy.build_response = lambda request, found: (
        found if isinstance(found, requests.Response) else previous.build_response(request, found)
    )
    return sending.by(copy.send, stream)


def _below_send(
    previous: BaseAdapter, send: Callable[..., requests.Response], sending: Sending, stream: bool
) -> requests.Response:
    cassette = cassette_in_use()
    if cassette is not None:
        return _by_cassette(cassette, previous, send, sending, stream)
    return sending.answer(_sending_by(previous, send), stream)


def _by_cassette(
    cassette: Any, previous: BaseAdapter, send: Callable[..., requests.Response], sending: Sending, stream: bool
) -> requests.Response:
    """By ``vcrpy``: it plays or refuses what it would of a plain call; else our answer is what it records."""
    from vcr.patch import force_reset
    from vcr.request import Request

    request = sending.request
    asked = Request(request.method, _usual_url(request), request.body, dict(request.headers))
    refused = cassette.write_protected and cassette.filter_request(asked)
    if refused or cassette.can_play_response_for(asked):
        return sending.by(send, stream)
    with force_reset():
        response = sending.answer(_sending_by(previous, send), True)
        body = response.raw.read(decode_content=False) if response.raw is not None else response.content
    headers = {name: value for name, value in response.headers.items() if name.lower() != "transfer-encoding"}
    response.raw = _raw_of(request, response.status_code, response.reason, headers, body)
    cassette.append(
        asked,
        {
            "status": {"code": response.status_code, "message": response.reason},
            "headers": {name: [value] for name, value in headers.items()},
            "body": {"string": body},
        },
    )
    return response


class _Onward(BaseAdapter):
    """An adapter whose answer is a function's."""

    def __init__(self, answer: Callable[..., requests.Response]) -> None:
        super().__init__()
        self._answer = answer

    def send(self, request: requests.PreparedRequest, stream: bool = False, *_: Any, **__: Any) -> requests.Response:
        return self._answer(stream)

    def close(self) -> None:
        """It holds nothing."""


class _Answered:
    """A pool of connections that has the answer."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    def urlopen(self, **_: Any) -> requests.Response:
        return self._response


@lru_cache(maxsize=64)
def _library_of(classes: tuple[type, ...]) -> str | None:
    """Which of the libraries that answer as an adapter made one of these classes."""
    packages = [each.__module__.partition(".")[0] for each in classes]
    return next((name for name in _ADAPTERS if name in packages), None)


def _real_send(adapter: HTTPAdapter) -> Callable[..., requests.Response]:
    """The send of an adapter as it was before ``responses`` began; another replacement's is not known."""
    real = getattr(sys.modules.get("responses"), "_real_send", None)
    if real is None or type(adapter).send is not HTTPAdapter.send:
        return adapter.send
    return real.__get__(adapter)  # type: ignore[no-any-return]


def cassette_in_use() -> Any:
    """The cassette of ``vcrpy`` that is in use, or None."""
    classes = (HTTPConnectionPool.ConnectionCls, HTTPSConnectionPool.ConnectionCls)
    cassettes = (getattr(each, "cassette", None) for each in classes)
    # One that is empty yet is false.
    return next((each for each in cassettes if each is not None), None)


def _sending_by(adapter: BaseAdapter, send: Callable[..., requests.Response]) -> BaseAdapter:
    """The adapter, sending in another way than by its own."""
    if send == adapter.send:
        return adapter
    copy = _copy_of(adapter)
    copy.send = send  # type: ignore[method-assign]
    return copy


def _copy_of(adapter: BaseAdapter) -> BaseAdapter:
    """An adapter of the same kind, with the same connections and what else it holds."""
    copy = object.__new__(type(adapter))
    vars(copy).update(vars(adapter))
    return copy


def _usual_url(request: requests.PreparedRequest) -> str:
    """A URL as a connection knows it: without user, fragment and usual port."""
    url = str(urldefragauth(request.url or ""))
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return url.replace(f":{usual}", "", 1) if parts.port == usual and parts.port is not None else url
