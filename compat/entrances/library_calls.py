"""Entrance: a call of any other HTTP library, brought to the adapter, and its answer brought back.

``requests`` has the adapter. Another library says what its call is and how it sends one by its own means
(:class:`LibraryCall`); modes, warnings, counting and the forgiveness of ``exam-compat run`` are then the adapter's.
"""

from __future__ import annotations

import io
import ssl
import threading
import weakref
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import quote
from urllib.request import BaseHandler, getproxies

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse, Timeout
from urllib3.exceptions import DecodeError

from compat.call_site import call_site, led_by, note_thread_origins
from compat.config.settings import Configuration, thread_origins_of
from compat.entrances.adapter import ExamStudentsAdapter
from compat.errors import UpstreamTimeout, UpstreamUnreachable
from compat.legacy.routes import ANSWERED_BY
from compat.legacy.verifier import Verifier
from compat.processes import ForkLock
from compat.upstream.base import Upstream
from compat.upstream.connections import leave_in_children
from compat.upstream.responses import cassette_in_use
from compat.upstream.senders import CallOptions, SendOptions
from exam_compat_libraries import PASSING_ON

if TYPE_CHECKING:
    import httpx
    from aiohttp import ClientMiddlewareType

__all__ = [
    "Answering",
    "Failure",
    "LibraryCall",
    "aiohttp_middleware",
    "answer",
    "checks_of",
    "httpx_async_transport",
    "httpx_transport",
    "limits_of",
    "passing_on",
    "proxies_of",
    "takes",
    "unpacked",
    "urllib_handler",
    "work_for",
]

_T = TypeVar("_T")

Failure = Literal["read timeout", "connect timeout", "proxy", "certificate", "connect", "broken"]
"""What a call fails with: nothing was sent, but for the first and the last one."""

_FAILURES: Mapping[str, Failure] = {
    "ConnectTimeoutError": "connect timeout",
    "NameResolutionError": "connect",
    "NewConnectionError": "connect",
    "ProxyError": "proxy",
    "SSLError": "certificate",
}
_OF_A_CONNECTION = ("Proxy-Authorization", "Transfer-Encoding")
"""Headers that are for whoever is next, which is not told here."""
_SHORTEST = 0.001
"""Seconds: a limit of 0 means not to wait at all."""


class Answering(Protocol):
    """What answers the calls of libraries: for deprecated ones an :class:`ExamStudentsAdapter`."""

    def matched(self, method: str, url: str) -> object | None:
        """What tells that a call is ours, by its method and URL alone; None for another's."""

    def send_after(
        self, previous: BaseAdapter, request: requests.PreparedRequest, how: SendOptions
    ) -> requests.Response:
        """The answer to a call that is ours; ``previous`` sends it as it was."""


class LibraryCall(ABC, Generic[_T]):
    """A call that is ours, as its library has it; ``_T`` is the library's response.

    Args:
        method: in capitals.
        options: how the call was to be sent, as far as the new one follows it.
    """

    status_name = "status"
    """What the library calls the status of a response."""

    def __init__(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, options: CallOptions
    ) -> None:
        self.request = requests.PreparedRequest()
        self.request.method, self.request.url = method, url
        self.request.headers = CaseInsensitiveDict(headers)
        for own in _OF_A_CONNECTION:
            self.request.headers.pop(own, None)
        if body:
            self.request.headers["Content-Length"] = str(len(body))
        self.request.body = body or None
        self.options = options

    @abstractmethod
    def send_on(self) -> _T:
        """Send the call by the library's own means, within :func:`passing_on`; what it raises reaches the script."""

    @abstractmethod
    def read(self, given: _T) -> tuple[_T, bytes]:
        """A response whose body the script can still read, and that body, unpacked."""

    def mark(self, given: Any, name: str, value: str) -> None:
        """Set a header of a response of :meth:`send_on`."""
        given.headers[name] = value

    @abstractmethod
    def respond(self, status: int, reason: str, headers: Mapping[str, str], body: bytes) -> _T:
        """The library's response with an answer of ours."""

    @abstractmethod
    def error(self, failure: Failure, message: str) -> Exception:
        """What the library raises for a failure."""


def takes(adapter: Answering, method: str, url: str) -> bool:
    """Whether a call is ours to answer.

    A deprecated one is not while it is passed on, nor where ``vcrpy`` has a cassette in use.
    """
    try:
        ours = adapter.matched(method, url) is not None
    except ValueError:
        # The library says by itself what is wrong with its URL.
        return False
    if ours and isinstance(adapter, ExamStudentsAdapter):
        return not PASSING_ON.get() and cassette_in_use() is None
    return ours


@contextmanager
def passing_on() -> Iterator[None]:
    """Take no call within for ours: a library may lie behind another one, and ours may stand before it twice."""
    token = PASSING_ON.set(True)
    try:
        yield
    finally:
        PASSING_ON.reset(token)


def answer(adapter: Answering, call: LibraryCall[_T]) -> _T:
    """The response to a call that is ours.

    Raises:
        LegacyApiWarning: where a filter makes an error of it.
        ConfigurationError: ``EXAM_COMPAT_MODE`` names no mode.
        Exception: what the library raises where an endpoint cannot be reached or is too slow.
    """
    try:
        response = adapter.send_after(_ByLibrary(call), call.request, SendOptions(timeout=call.options.timeout))
    except _BrokenOffError as error:
        raise error.__cause__ or error from None
    except requests.RequestException as error:
        # The adapter's error was raised for the upstream's, which knows what failed.
        raise call.error(_failure_of(error.__context__), str(error)) from None
    if isinstance(response, _LibraryResponse):
        given: _T = response.given
        if ANSWERED_BY in response.headers:
            call.mark(given, ANSWERED_BY, response.headers[ANSWERED_BY])
        return given
    return call.respond(response.status_code, response.reason, response.headers, response.content)


def work_for(adapter: Answering, call: LibraryCall[_T]) -> Callable[[], _T]:
    """:func:`answer` as another thread does it for this one: warnings name the line that leads here."""
    site = call_site()

    def work() -> _T:
        with led_by(site):
            return answer(adapter, call)

    return work


def limits_of(connect: float | None, read: float | None) -> Timeout:
    """A call's limits; None is none."""
    connect, read = (each if each is None else max(float(each), _SHORTEST) for each in (connect, read))
    return Timeout(connect=connect, read=read)


def proxies_of(proxy: str | None, authorization: str | None = None) -> dict[str, str | None]:
    """What a call's own proxy means for the upstream; one of the environment's counts by host, so it is not the call's.

    Args:
        proxy: its host and port, perhaps with a scheme.
        authorization: the header that it is shown.
    """
    if not proxy or any(_place_of(proxy) == _place_of(each) for each in getproxies().values()):
        return {}
    scheme, found, place = proxy.rpartition("//")
    kind, _, user = (authorization or "").partition(" ")
    if kind.lower() == "basic":
        name, _, password = b64decode(user).decode("latin-1").partition(":")
        place = f"{quote(name, safe='')}:{quote(password, safe='')}@{place}"
    whole = f"{scheme}{found}{place}" if found else f"http://{place}"
    return {"http": whole, "https": whole}


def unpacked(coding: str | None, body: bytes) -> bytes:
    """A body without its ``Content-Encoding``."""
    codings = [each.strip() for each in (coding or "").split(",") if each.strip().lower() not in ("", "identity")]
    headers = {"Content-Encoding": ", ".join(codings)} if codings else {}
    try:
        return HTTPResponse(io.BytesIO(body), headers, preload_content=False).read(decode_content=True)
    except DecodeError:
        # The script finds that out by itself, if it looks.
        return body


def _place_of(proxy: str) -> str:
    """Host and port of a proxy, which some write without a scheme, and some with a user."""
    return proxy.rpartition("//")[2].rpartition("@")[2].rstrip("/").lower()


def checks_of(owner: object, context: Callable[[], ssl.SSLContext | None]) -> Callable[[str], HTTPAdapter | None]:
    """Adapters that check certificates, and show one, as a library's own connections do; kept as long as their owner.

    Args:
        owner: the transport or the handler whose connections these are.
        context: gives what it makes connections with; None where it does not tell.

    Returns:
        gives the adapter for a URL, or None where the usual one will do.
    """

    def adapter_for(url: str) -> HTTPAdapter | None:
        if not url.lower().startswith("https:"):
            return None
        with _making:
            found = _adapters.get(owner)
            own = context() if found is None else None
            if own is not None:
                found = _adapters[owner] = _OwnChecks(own)
                leave_in_children(found)
            return found

    return adapter_for


def _failure_of(error: BaseException | None) -> Failure:
    if isinstance(error, UpstreamTimeout):
        return "read timeout"
    return _FAILURES.get(error.cause, "broken") if isinstance(error, UpstreamUnreachable) else "broken"


class _OwnChecks(HTTPAdapter):
    """Connects by a context of TLS that is somebody's own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, **kwargs, ssl_context=self._context)

    def cert_verify(self, *_: Any) -> None:
        """Leave the context as it is: nobody's certificates are added to those that it trusts."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        how = SendOptions(*arguments, **options)
        checked = self._context.verify_mode != ssl.CERT_NONE
        return super().send(request, **how._replace(verify=checked, cert=None)._asdict())


_making = ForkLock()
_adapters: weakref.WeakKeyDictionary[object, _OwnChecks] = weakref.WeakKeyDictionary()


class _BrokenOffError(requests.RequestException):
    """An old answer that is compared could not be read; the library's own error is the cause."""


class _LibraryResponse(requests.Response):
    """A library's own response, whose body is read only where it is compared."""

    def __init__(self, call: LibraryCall[Any], given: Any) -> None:
        super().__init__()
        self._call, self.given = call, given
        self.status_code = getattr(given, call.status_name)
        self.headers = CaseInsensitiveDict(given.headers.items())
        self.request, self.url = call.request, call.request.url or ""

    @property
    def content(self) -> bytes:
        """The whole body, unpacked."""
        if not isinstance(self._content, bytes):
            try:
                self.given, self._content = self._call.read(self.given)
            except Exception as error:
                raise _BrokenOffError from error
        return self._content


class _ByLibrary(BaseAdapter):
    """Sends to the old endpoint by the library's own means."""

    def __init__(self, call: LibraryCall[Any]) -> None:
        super().__init__()
        self._call = call
        self._thread = threading.get_ident()
        self.call_options = call.options

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        if threading.get_ident() == self._thread:
            return _LibraryResponse(self._call, self._call.send_on())
        # A comparison, behind the call: the client may be closed by now, and so may the loop that its connections need.
        with_timeout, url = SendOptions(*arguments, **options).timeout, request.url or ""
        verify, cert, proxies = self.call_options.settings_for(url)
        own = self.call_options.adapter_for
        with closing(HTTPAdapter()) as plain:
            sent_by = (own(url) if own is not None else None) or plain
            response = sent_by.send(request, timeout=with_timeout, verify=verify, cert=cert, proxies=proxies)
            _ = response.content
            return response

    def close(self) -> None:
        """The library closes its own."""


def httpx_transport(
    legacy_base_url: str,
    upstream: Upstream | Configuration,
    transport: httpx.BaseTransport | None = None,
    *,
    verifier: Verifier | None = None,
) -> httpx.BaseTransport:
    """A transport for one ``httpx.Client``: ``httpx.Client(transport=…)``, or ``mounts={legacy_base_url: …}``.

    Args:
        legacy_base_url: the old endpoint's base, such as ``https://acme.proctorexam.com``.
        upstream: an upstream or a configuration.
        transport: takes all other calls; None for a plain ``httpx.HTTPTransport``.
        verifier: checks the signatures of the old calls; without one they are not looked at.

    Raises:
        ConfigurationError: the base URL cannot be used.
        ImportError: there is no ``httpx``.
    """
    import httpx

    from compat.entrances.httpx_transports import ExamStudentsTransport

    adapter = _adapter_of(legacy_base_url, upstream, verifier)
    return ExamStudentsTransport(adapter, transport or httpx.HTTPTransport())


def httpx_async_transport(
    legacy_base_url: str,
    upstream: Upstream | Configuration,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    verifier: Verifier | None = None,
) -> httpx.AsyncBaseTransport:
    """As :func:`httpx_transport`, for one ``httpx.AsyncClient``. Its loop is not held up: a thread answers.

    Raises:
        ConfigurationError: the base URL cannot be used.
        ImportError: there is no ``httpx``.
    """
    import httpx

    from compat.entrances.httpx_transports import AsyncExamStudentsTransport

    adapter = _adapter_of(legacy_base_url, upstream, verifier)
    return AsyncExamStudentsTransport(adapter, transport or httpx.AsyncHTTPTransport())


def urllib_handler(
    legacy_base_url: str, upstream: Upstream | Configuration, *, verifier: Verifier | None = None
) -> BaseHandler:
    """A handler for one opener of ``urllib.request``: ``build_opener(…)``, or ``opener.add_handler(…)``.

    The arguments are those of :func:`httpx_transport`.

    Raises:
        ConfigurationError: the base URL cannot be used.
    """
    from compat.entrances.urllib_handlers import ExamStudentsHandler

    return ExamStudentsHandler(_adapter_of(legacy_base_url, upstream, verifier))


def aiohttp_middleware(
    legacy_base_url: str, upstream: Upstream | Configuration, *, verifier: Verifier | None = None
) -> ClientMiddlewareType:
    """A middleware for one ``aiohttp.ClientSession(middlewares=(…,))``, behind others. Its loop is not held up.

    The arguments are those of :func:`httpx_transport`.

    Raises:
        ConfigurationError: the base URL cannot be used.
        ImportError: there is no ``aiohttp``.
    """
    from compat.entrances.aiohttp_middlewares import ExamStudentsMiddleware

    return ExamStudentsMiddleware(_adapter_of(legacy_base_url, upstream, verifier))


def _adapter_of(
    legacy_base_url: str, upstream: Upstream | Configuration, verifier: Verifier | None
) -> ExamStudentsAdapter:
    if thread_origins_of(upstream):
        note_thread_origins()
    return ExamStudentsAdapter(legacy_base_url, upstream, previous={}, verifier=verifier)
