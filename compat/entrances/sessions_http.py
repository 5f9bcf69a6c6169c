"""Student sessions in the manner of ``requests``, ``urllib`` and ``httpx``: for scripts that go on reading responses.

Whatever a script reads of a response stays as it is: the answer is one of its library, in the words that it knows from
the exam students list, and what fails is raised as that library raises it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from ssl import CERT_NONE, SSLContext
from types import new_class
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

import requests
from requests.adapters import BaseAdapter

from compat.config.settings import settings_of
from compat.core.call import Shim
from compat.entrances.adapter import UNREACHABLE, read_body
from compat.entrances.session import ScriptSession, options_of
from compat.entrances.urllib_handlers import ExamStudentsHandler, options_of_request
from compat.errors import (
    ConfigurationError,
    InvalidParameter,
    LegacyError,
    NotAuthorized,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from compat.legacy.routes import (
    ADD_STUDENT,
    DELETE_STUDENT,
    INDEX_STUDENTS,
    SHOW_STUDENT,
    Answer,
    LegacyCall,
    Route,
    failure,
    match_route,
)
from compat.upstream import StudentSessions
from compat.upstream.responses import response_of
from compat.upstream.senders import SendOptions
from compat.upstream.transport import CallOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncHttpxCalls", "HttpxCalls", "StudentSessionsHTTP", "shim_of"]

_API = "/api/v3"
_LIST = re.compile(r"/+exams/+(?P<exam>[^/]+)/+student_sessions(?:\.json)?/*")
_TOKEN = re.compile(r"\s*Token\s+token=\"?(?P<token>[^\s\",]+)", re.IGNORECASE)
_ONE = "student_session_id"
_MOST_ACCOUNTS = 64
_REFUSED = 400
_ESCAPE = re.compile(rb"\\(?:(?P<pair>u[dD][89abAB]..\\u[dD][c-fC-F]..)|u[dD][89a-fA-F]..|(?P<one>u....)|.)", re.DOTALL)
"""An escape in JSON; half of a character that takes two is left as it is."""
_ROUTES = {"POST": ADD_STUDENT, "DELETE": DELETE_STUDENT, "GET": INDEX_STUDENTS, "HEAD": INDEX_STUDENTS}


class StudentSessionsHTTP:
    """Calls of ``/exams/{exam_id}/student_sessions``, made and answered as ``requests`` makes and answers them.

    GET lists: ``status``, ``page``, ``limit``, ``filter`` and ``sort`` are taken from the query, or from a JSON or form
    body; the answer is ``{"students": [...]}`` with the four ``X-Pagination-*`` headers, and the records have the 57
    documented fields. With ``student_session_id`` GET shows that one, and DELETE deletes it. POST registers a student.
    Each call goes to the host that its URL names and is made for the user whose ``Authorization: Token token=…`` it
    has. Signatures are made here; ``timestamp``, ``nonce`` and ``signature`` are not needed, and do no harm. The names
    that the four deprecated routes had are understood too. Calls of other routes go out as they are.

    Args:
        secret_key: the key that signs the calls.
        base_url: what a URL without a host is below; no such URL is taken where it is not given.
        api_token: the user of calls without an Authorization header.

    Raises:
        ConfigurationError: the key is bytes that are no text.
    """

    def __init__(self, secret_key: str | bytes, *, base_url: str = "", api_token: str = "") -> None:
        try:
            self._key = secret_key.decode() if isinstance(secret_key, bytes) else secret_key
        except UnicodeDecodeError:
            raise ConfigurationError("secret_key: must be text, or its bytes in UTF-8") from None
        self._base_url = base_url.rstrip("/")
        self._api_token = api_token

    def __repr__(self) -> str:
        return f"StudentSessionsHTTP(base_url={self._base_url!r})"

    def request(
        self, method: str, url: str | bytes, *args: Any, session: requests.Session | None = None, **options: Any
    ) -> requests.Response:
        """As ``requests.request``, with all that it takes.

        Args:
            method: the HTTP method.
            url: the whole URL, or its path where the base URL is known.
            *args: as ``requests.Session.request`` takes them.
            session: the session whose headers, proxies, certificates, cookies and adapters count.
            **options: likewise.

        Raises:
            requests.RequestException: what ``requests`` would raise.
        """
        whole = urljoin(f"{self._base_url}/", url) if isinstance(url, str) and self._base_url else url
        if session is not None:
            return requests.Session.request(self._through(session), method, whole, *args, **options)
        with requests.Session() as own:
            return requests.Session.request(self._through(own), method, whole, *args, **options)

    def send(
        self, request: requests.PreparedRequest, *, session: requests.Session | None = None, **options: Any
    ) -> requests.Response:
        """As ``requests.Session.send``: a request that was prepared before.

        Raises:
            requests.RequestException: what ``requests`` would raise.
        """
        return requests.Session.send(self._through(session or requests.Session()), request, **options)

    def get(self, url: str | bytes, params: Any = None, **options: Any) -> requests.Response:
        """As ``requests.get``.

        Raises:
            requests.RequestException: as :meth:`request`; so do the others.
        """
        # As requests.Session.get does, and a call by its name does not.
        options.setdefault("allow_redirects", True)
        return self.request("GET", url, params=params, **options)

    def head(self, url: str | bytes, **options: Any) -> requests.Response:
        """As ``requests.head``."""
        options.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **options)

    def post(self, url: str | bytes, data: Any = None, json: Any = None, **options: Any) -> requests.Response:
        """As ``requests.post``."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str | bytes, data: Any = None, **options: Any) -> requests.Response:
        """As ``requests.put``."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str | bytes, data: Any = None, **options: Any) -> requests.Response:
        """As ``requests.patch``."""
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str | bytes, **options: Any) -> requests.Response:
        """As ``requests.delete``."""
        return self.request("DELETE", url, **options)

    def urlopen(
        self, url: str | Request, data: Any = None, timeout: float | None = None, *, context: SSLContext | None = None
    ) -> Any:
        """As ``urllib.request.urlopen``.

        Raises:
            urllib.error.URLError: what ``urllib`` would raise.
        """
        checks = HTTPSHandler(context=context) if context is not None else HTTPSHandler()
        opener = build_opener(_Handler(_Answering(self), context), checks)
        return opener.open(url, data) if timeout is None else opener.open(url, data, timeout)

    @property
    def httpx(self) -> HttpxCalls:
        """The same in the manner of ``httpx``: ``get(url, …)`` gives an ``httpx.Response``."""
        return HttpxCalls(_Answering(self))

    @property
    def httpx_async(self) -> AsyncHttpxCalls:
        """The same for an ``httpx.AsyncClient``, which ``client=`` names."""
        return AsyncHttpxCalls(_Answering(self))

    def _through(self, session: requests.Session) -> requests.Session:
        answering = _Answering(self)
        view: requests.Session = _view_of(
            session, get_adapter=lambda url: _Adapter(answering, session.get_adapter(url))
        )
        return view

    def _answer(self, call: LegacyCall, url: str, options: CallOptions) -> Answer:
        """The answer to a call that :class:`_Answering` found.

        Raises:
            UpstreamTimeout: the upstream is too slow.
            UpstreamUnreachable: it cannot be reached; all else that fails is an answer.
        """
        found = _TOKEN.match(call.authorization or "")
        token = found["token"] if found else self._api_token
        try:
            if not token or not self._key:
                raise NotAuthorized
            shim = shim_of(url.partition(_API)[0], token, self._key)
            try:
                answer = shim.answer(call, options)
                return replace(answer, body=_unescaped(answer.body))
            except InvalidParameter:
                _demand_account(shim, call, options)
                raise
        except (UpstreamTimeout, UpstreamUnreachable):
            raise
        except LegacyError as error:
            return _as_answered(error) or failure(error)


def _view_of(owner: Any, **replaced: Any) -> Any:
    """A session or a client itself, but for what it sends through: whatever somebody made of it stays.

    Both have one ``__dict__``, so that what a class of the script's own notes during a call it has afterwards.
    """
    kind: type = type(owner)
    view: Any = object.__new__(_view_class(kind, tuple(replaced)))
    object.__setattr__(view, "__dict__", vars(owner))
    object.__setattr__(view, "_compat_replaced", replaced)
    return view


class _Unannounced:
    """Before a class of the script's own: that does not hear of a view as of a subclass."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        pass


@lru_cache(maxsize=64)
def _view_class(owner: type, replaced: tuple[str, ...]) -> type:
    def look_up(name: str) -> property:
        return property(lambda view: view._compat_replaced[name])

    body: dict[str, Any] = {name: look_up(name) for name in replaced}
    body |= {"__slots__": ("_compat_replaced",), "__class__": property(lambda view: owner)}
    return new_class(owner.__name__, (_Unannounced, owner), exec_body=lambda space: space.update(body))


def _unescaped(body: bytes) -> bytes:
    """JSON as the exam students list writes it: characters beyond ASCII as they are."""
    return _ESCAPE.sub(_character, body) if b"\\u" in body else body


def _character(match: re.Match[bytes]) -> bytes:
    if match.lastgroup is None:
        return match[0]
    text: str = json.loads(b'"%b"' % match[0])
    return text.encode() if text > "\x7f" else match[0]


def _demand_account(shim: Shim, call: LegacyCall, options: CallOptions) -> None:
    """Let the endpoint refuse the account, or fail, before a parameter is refused here: as the old one did.

    Raises:
        LegacyError: it did.
    """
    if call.exam_id.isdigit() and isinstance(shim.upstream, StudentSessions):
        shim.upstream.source(int(call.exam_id), {}, options).fetch(0, 1, 1, None)


def _as_answered(error: LegacyError) -> Answer | None:
    """The endpoint's own refusal, where it is one in the words that scripts read."""
    status, body = error.answered or (0, b"")
    try:
        content = json.loads(body) if status >= _REFUSED else None
    except ValueError:
        return None
    return Answer(status, failure(error).headers, body) if isinstance(content, dict) and "error" in content else None


class _Answering:
    """Answers calls for every library, in the way in which an :class:`ExamStudentsAdapter` does."""

    def __init__(self, http: StudentSessionsHTTP) -> None:
        self._http = http

    def matched(self, method: str, url: str) -> tuple[Route, str] | None:
        """The old interface's route that a call of student sessions stands for, and its exam's id; None for others."""
        path = _path_of(url)
        listed = _LIST.fullmatch(path)
        if listed is None:
            return match_route(method, _API + path)
        return (_ROUTES[method], unquote(listed["exam"])) if method in _ROUTES else None

    def send_after(
        self, previous: BaseAdapter, request: requests.PreparedRequest, how: SendOptions
    ) -> requests.Response:
        """The answer to a call; one of another route is sent by another adapter.

        Raises:
            requests.RequestException: what ``requests`` would raise.
        """
        url = request.url or ""
        matched = self.matched(request.method or "GET", url)
        if matched is None:
            # By name, as requests does it: some adapters take it in no other way.
            return previous.send(request, **how._asdict())
        # Another library than requests says by itself how its call was to be sent.
        options = getattr(previous, "call_options", None) or options_of(ScriptSession.waiting(), previous, request, how)
        try:
            answer = self._http._answer(_call_of(request, *matched), url, options)
        except UpstreamTimeout as error:
            raise requests.ReadTimeout(error.message, request=request) from None
        except UpstreamUnreachable as error:
            raise UNREACHABLE.get(error.cause, requests.ConnectionError)(error.message, request=request) from None
        return response_of(request, answer, how.stream, previous)


class _Adapter(BaseAdapter):
    """Answers the calls that are ours, and leaves the others to the session's own adapter."""

    def __init__(self, answering: _Answering, previous: BaseAdapter) -> None:
        super().__init__()
        self._answering, self._previous = answering, previous

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        return self._answering.send_after(self._previous, request, SendOptions(*arguments, **options))

    def close(self) -> None:
        """The session closes its own."""


class _Handler(ExamStudentsHandler):
    """The same for an opener of ``urllib``, which lives for one call: the connections are the upstream's own."""

    def __init__(self, answering: _Answering, context: SSLContext | None) -> None:
        super().__init__(answering)
        self._verify = False if context is not None and context.verify_mode == CERT_NONE else None

    def options_of(self, request: Request) -> CallOptions:
        return options_of_request(request, verify=self._verify)


class HttpxCalls:
    """``httpx`` calls: ``get(url, …)`` takes what ``httpx.get`` takes, and ``client=`` beside it."""

    def __init__(self, answering: _Answering) -> None:
        self._answering = answering

    def request(self, method: str, url: Any, *, client: httpx.Client | None = None, **options: Any) -> httpx.Response:
        """As ``httpx.request``, with all that it takes.

        Args:
            method: the HTTP method.
            url: the whole URL, or one that the client completes.
            client: the client whose base URL, headers, cookies and hooks count.
            **options: as ``httpx.Client.request`` takes them.

        Raises:
            httpx.HTTPError: what ``httpx`` would raise.
        """
        import httpx

        if client is None:
            made = {name: options.pop(name) for name in tuple(options) if name in _OF_CLIENT}
            with httpx.Client(**made) as own:
                # By name: a subclass with a request of its own is asked once.
                return HttpxCalls.request(self, method, url, client=own, **options)
        from compat.entrances.httpx_transports import ExamStudentsTransport

        view = _view_of(
            client,
            _transport_for_url=lambda url: ExamStudentsTransport(self._answering, client._transport_for_url(url)),
        )
        response: httpx.Response = httpx.Client.request(view, method, url, **options)
        return response

    def get(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.get``."""
        return self.request("GET", url, **options)

    def post(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.post``."""
        return self.request("POST", url, **options)

    def delete(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.delete``."""
        return self.request("DELETE", url, **options)


class AsyncHttpxCalls:
    """The same for ``httpx.AsyncClient``: what answers waits in a thread."""

    def __init__(self, answering: _Answering) -> None:
        self._answering = answering

    async def request(self, method: str, url: Any, *, client: httpx.AsyncClient, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.request``.

        Raises:
            httpx.HTTPError: what ``httpx`` would raise.
        """
        import httpx

        from compat.entrances.httpx_transports import AsyncExamStudentsTransport

        view = _view_of(
            client,
            _transport_for_url=lambda url: AsyncExamStudentsTransport(self._answering, client._transport_for_url(url)),
        )
        response: httpx.Response = await httpx.AsyncClient.request(view, method, url, **options)
        return response

    async def get(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.get``."""
        return await self.request("GET", url, **options)

    async def post(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.post``."""
        return await self.request("POST", url, **options)

    async def delete(self, url: Any, **options: Any) -> httpx.Response:
        """As ``httpx.AsyncClient.delete``."""
        return await self.request("DELETE", url, **options)


_OF_CLIENT = frozenset(("verify", "cert", "trust_env", "proxy", "proxies", "cookies", "timeout"))


def _path_of(url: str) -> str:
    return urlsplit(url).path.partition(_API)[2]


def _call_of(request: requests.PreparedRequest, route: Route, exam_id: str) -> LegacyCall:
    kind, authorization, encoding = (
        header.decode("latin-1") if isinstance(header, bytes) else header
        for header in map(request.headers.get, ("Content-Type", "Authorization", "Content-Encoding"))
    )
    url, body = request.url or "", read_body(request)
    query = urlsplit(url).query
    names_one = _ONE in query or _ONE.encode() in body
    if route is INDEX_STUDENTS and names_one and _LIST.fullmatch(_path_of(url)):
        route = SHOW_STUDENT
    return LegacyCall(route, exam_id, query, kind, body, authorization, request.method or "GET", encoding)


@lru_cache(maxsize=_MOST_ACCOUNTS)
def shim_of(base_url: str, api_token: str, secret_key: str) -> Shim:
    """One for an account, so that later pages come from the reading of the first."""
    upstream = StudentSessions(base_url, api_token=api_token, secret_key=secret_key)
    return Shim(upstream, settings_of(upstream))
