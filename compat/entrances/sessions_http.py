"""Student sessions in the manner of ``requests``: for scripts that go on reading responses.

Whatever a script reads of a response stays as it is: the answer is a ``requests.Response``, in the words that it
knows from the exam students list, and what fails is raised as ``requests`` raises it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from ssl import SSLContext
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request

import requests
from requests.adapters import BaseAdapter

from compat.config.settings import settings_of
from compat.core.call import Shim
from compat.entrances.adapter import UNREACHABLE, read_body
from compat.entrances.session import ScriptSession, options_of
from compat.entrances.sessions_openers import AsyncHttpxCalls, HttpxCalls, urlopen
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

__all__ = ["StudentSessionsHTTP", "call_of", "shim_of"]

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
            return requests.Session.request(self._answering(session), method, whole, *args, **options)
        with requests.Session() as own:
            return requests.Session.request(self._answering(own), method, whole, *args, **options)

    def send(
        self, request: requests.PreparedRequest, *, session: requests.Session | None = None, **options: Any
    ) -> requests.Response:
        """As ``requests.Session.send``: a request that was prepared before.

        Raises:
            requests.RequestException: what ``requests`` would raise.
        """
        return requests.Session.send(self._answering(session or requests.Session()), request, **options)

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
        return urlopen(self._asked, url, data, timeout, context)

    @property
    def httpx(self) -> HttpxCalls:
        """The same in the manner of ``httpx``: ``get(url, …)`` gives an ``httpx.Response``."""
        return HttpxCalls(self._asked)

    @property
    def httpx_async(self) -> AsyncHttpxCalls:
        """The same for an ``httpx.AsyncClient``, which ``client=`` names."""
        return AsyncHttpxCalls(self._asked)

    def _asked(
        self, method: str, url: str, headers: Any, read: Callable[[], bytes], options: CallOptions
    ) -> Answer | None:
        call = call_of(method, url, headers, read)
        return None if call is None else self._answer(call, url, options)

    def _answering(self, session: requests.Session) -> requests.Session:
        """The session itself, but for the adapters that it finds: whatever somebody made of it stays."""
        view: requests.Session = object.__new__(type(session))
        view.__dict__.update(vars(session))
        view.get_adapter = lambda url: _Adapter(self, session.get_adapter(url))  # type: ignore[method-assign]
        return view

    def _answer(self, call: LegacyCall, url: str, options: CallOptions) -> Answer:
        """The answer to a call that :func:`call_of` found.

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


class _Adapter(BaseAdapter):
    """Answers the calls that are ours, and leaves the others to the session's own adapter."""

    def __init__(self, http: StudentSessionsHTTP, previous: BaseAdapter) -> None:
        super().__init__()
        self._http, self._previous = http, previous

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        how = SendOptions(*arguments, **options)
        url, headers = request.url or "", request.headers
        call = call_of(request.method or "GET", url, headers, lambda: read_body(request))
        if call is None:
            # By name, as requests does it: some adapters take it in no other way.
            return self._previous.send(request, **how._asdict())
        try:
            told = options_of(ScriptSession.waiting(), self._previous, request, how)
            answer = self._http._answer(call, url, told)
        except UpstreamTimeout as error:
            raise requests.ReadTimeout(error.message, request=request) from None
        except UpstreamUnreachable as error:
            raise UNREACHABLE.get(error.cause, requests.ConnectionError)(error.message, request=request) from None
        return response_of(request, answer, how.stream, self._previous)

    def close(self) -> None:
        """The session closes its own."""


def call_of(method: str, url: str, headers: Mapping[str, Any], read: Callable[[], bytes]) -> LegacyCall | None:
    """The call of student sessions that a request is, in the old interface's terms; None where it is another.

    Args:
        method: in capitals.
        url: the whole URL.
        headers: names in any case.
        read: gives the body.
    """
    parts = urlsplit(url)
    _, found, path = parts.path.partition(_API)
    if not found:
        return None
    matched = _LIST.fullmatch(path)
    if matched is None:
        old = match_route(method, _API + path)
        return None if old is None else _call(*old, method, parts.query, headers, read())
    route = _ROUTES.get(method)
    if route is None:
        return None
    call = _call(route, unquote(matched["exam"]), method, parts.query, headers, read())
    names_one = _ONE in call.query or _ONE.encode() in call.body
    return replace(call, route=SHOW_STUDENT) if route is INDEX_STUDENTS and names_one else call


def _call(route: Route, exam_id: str, method: str, query: str, headers: Mapping[str, Any], body: bytes) -> LegacyCall:
    names = ("Content-Type", "Authorization", "Content-Encoding")
    kind, authorization, encoding = (_text(headers.get(name)) for name in names)
    return LegacyCall(route, exam_id, query, kind, body, authorization, method, encoding)


def _text(header: str | bytes | None) -> str | None:
    return header.decode("latin-1") if isinstance(header, bytes) else header


@lru_cache(maxsize=_MOST_ACCOUNTS)
def shim_of(base_url: str, api_token: str, secret_key: str) -> Shim:
    """One for an account, so that later pages come from the reading of the first."""
    upstream = StudentSessions(base_url, api_token=api_token, secret_key=secret_key)
    return Shim(upstream, settings_of(upstream))
