"""Entrance: a ``requests`` transport adapter, so that an unchanged script gets the old answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from types import MethodType
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from compat.config.settings import Configuration, settings_of, sunset_of, thread_origins_of, upstream_of
from compat.entrances.session import ScriptSession, options_of
from compat.errors import ConfigurationError, LegacyError, UpstreamTimeout, UpstreamUnreachable
from compat.legacy.routes import LegacyCall, Route, failure, match_route
from compat.processes import renew_after_fork
from compat.settings_checks import checked_url, without_api_path
from compat.upstream.base import Upstream
from compat.upstream.connections import leave_to_parent
from compat.upstream.responses import Sending, answer_behind_mocks, network_is_mocked, response_of
from compat.upstream.senders import CallOptions, SendOptions

if TYPE_CHECKING:
    from compat.legacy.verifier import Verifier

__all__ = ["UNREACHABLE", "ExamStudentsAdapter", "mount", "read_body"]

_PORTS = {"http": 80, "https": 443}
UNREACHABLE: Mapping[str, type[requests.ConnectionError]] = {
    "ConnectTimeoutError": requests.ConnectTimeout,
    "ProxyError": requests.exceptions.ProxyError,
    "SSLError": requests.exceptions.SSLError,
}
"""What ``requests`` raises for these; each of them is a ``ConnectionError`` too."""


class ExamStudentsAdapter(BaseAdapter):
    """Answers the deprecated routes of one host from an upstream; everything else goes on untouched.

    Mount it with :func:`mount`, which also keeps the adapters that were there.

    Args:
        legacy_base_url: the old endpoint's base, such as ``https://acme.proctorexam.com``; None to take that of a
            configuration.
        upstream: an upstream or a configuration.
        previous: URL prefix to adapter, for what goes on untouched; None for a plain ``HTTPAdapter``.
        verifier: checks the signatures of the old calls; without one they are not looked at.

    Raises:
        ConfigurationError: the base URL cannot be used, or nothing says which it is.
    """

    def __init__(
        self,
        legacy_base_url: str | None,
        upstream: Upstream | Configuration,
        *,
        previous: Mapping[str, BaseAdapter] | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        super().__init__()
        if legacy_base_url is None and isinstance(upstream, Configuration):
            legacy_base_url = upstream.legacy_base_url
        if legacy_base_url is None:
            raise ConfigurationError("[legacy] base_url: needed to know which calls are the old endpoint's")
        self.legacy_base_url = checked_url("legacy_base_url", without_api_path(legacy_base_url))
        parts = urlsplit(_as_sent(self.legacy_base_url))
        self._origin = _origin_of(parts.scheme, parts.netloc.rpartition("@")[2])
        self._base_path = parts.path.rstrip("/")
        self._sunset = sunset_of(upstream)
        # Imported here: an adapter is what needs the way through, and importing this package makes none.
        from compat.core.call import Shim
        from compat.migration.inventory.recorder import InventoryRecorder
        from compat.migration.modes.router import ModeRouter
        from compat.migration.modes.sides import Callers

        self._shim = Shim(upstream_of(upstream), settings_of(upstream), verifier)
        configuration = upstream if isinstance(upstream, Configuration) else None
        self._callers = Callers(configuration.callers if configuration else ())
        # What is not the old endpoint's is not asked here, so there is one whatever the configuration says.
        self.router = ModeRouter.of(configuration, legacy=True) if configuration else ModeRouter(legacy=True)
        self._recorder = InventoryRecorder.of(upstream, "adapter")
        self._previous = dict(sorted((previous or {}).items(), key=lambda each: -len(each[0])))
        self._follows_session = previous is None
        self._plain = HTTPAdapter()
        renew_after_fork(self.renew)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Leave the connections of what goes on untouched to the parent of this process."""
        leave_to_parent(self._plain)
        leave_to_parent(self._previous)

    @property
    def origin(self) -> str:
        """The old endpoint's scheme and host, and its port where it is not the default one."""
        scheme, host, port = self._origin
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}" if port == _PORTS[scheme] else f"{scheme}://{shown}:{port}"

    @property
    def max_retries(self) -> Any:
        """Those of the adapter before this one; what a script sets here is set there, and counts upstream too."""
        return self._before_all.max_retries  # type: ignore[attr-defined]  # where there is none, that is the error

    @max_retries.setter
    def max_retries(self, retries: Any) -> None:
        self._before_all.max_retries = retries  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        """What scripts read of an ``HTTPAdapter``, such as ``config``, of the one before this one."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "dial":
            # The name that it had at first.
            return self.router
        return getattr(self._before_all, name)

    @property
    def _before_all(self) -> BaseAdapter:
        return self._first_of(self._previous, self.origin) or self._plain

    def __repr__(self) -> str:
        return f"ExamStudentsAdapter({self.legacy_base_url!r}, {self._shim.upstream!r})"

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer a deprecated call by its mode, or pass the request on.

        Raises:
            LegacyApiWarning: where the warnings filter makes an error of it.
            ConfigurationError: ``EXAM_COMPAT_MODE`` names no mode.
            requests.ConnectionError: the upstream cannot be reached.
            requests.ReadTimeout: the upstream is too slow.
        """
        session = ScriptSession.waiting().session if self._follows_session else None
        adapters = session.adapters if session is not None else {}
        if not any(each is self for each in adapters.values()):
            adapters = self._previous
        previous = self._first_of(adapters, request.url or "") or self._plain
        return self.send_behind_mocks(previous, request, SendOptions(stream, timeout, verify, cert, proxies))

    def send_behind_mocks(
        self, previous: BaseAdapter, request: requests.PreparedRequest, how: SendOptions
    ) -> requests.Response:
        """As :meth:`send_after`, once a test's mocks have let a deprecated call through."""
        if not network_is_mocked(previous) or not self.takes(request):
            return self.send_after(previous, request, how)
        sending = Sending(
            request,
            how._asdict(),
            lambda onward, streamed: self.send_after(onward, request, how._replace(stream=streamed)),
        )
        return answer_behind_mocks(previous, sending)

    def takes(self, request: requests.PreparedRequest) -> bool:
        """Whether a request is a deprecated call."""
        return self.legacy_call(request) is not None

    def send_after(
        self, previous: BaseAdapter, request: requests.PreparedRequest, how: SendOptions
    ) -> requests.Response:
        """As :meth:`send`, with the adapter that takes what is not for us."""
        call = self.legacy_call(request)
        if call is None:
            # By name, as requests does it: some adapters take it in no other way.
            return previous.send(request, **how._asdict())
        # Imported here: only a deprecated call warns, and has a mode.
        from compat.deprecation import warn_of
        from compat.migration.modes.rules import MODE_VARIABLE

        warn_of(f"{call.route.methods[0]} exams/:id/{call.route.action}", self._sunset)
        # Another library than requests says by itself how its call was to be sent.
        options = getattr(previous, "call_options", None) or options_of(ScriptSession.waiting(), previous, request, how)
        if self.router.configured or self._recorder is not None or os.environ.get(MODE_VARIABLE):
            return self._by_mode(call, previous, request, how, options)
        try:
            return response_of(request, self._shim.answer(call, options), how.stream, self)
        except LegacyError as error:
            return self._failed(error, request, how.stream)

    def _by_mode(
        self,
        call: LegacyCall,
        previous: BaseAdapter,
        request: requests.PreparedRequest,
        how: SendOptions,
        options: CallOptions,
    ) -> requests.Response:
        """The answer of the endpoint that the caller's mode names, counted where that is wanted."""
        from compat.migration.modes.sides import AnswerSide, OldSide

        old = OldSide(previous, request, how)
        new = AnswerSide(
            lambda: self._shim.answer(call, options), lambda answer: response_of(request, answer, how.stream, self)
        )
        who = self._callers.of(call.authorization)

        def answered() -> requests.Response:
            try:
                return self.router.answer(call, who, old, new)
            except LegacyError as error:
                return self._failed(error, request, how.stream)

        if self._recorder is None:
            return answered()
        # The old one is asked alone, or after the new one has failed.
        return self._recorder.request(call, request, who.caller, answered, lambda: "legacy" if old.begun else "new")

    def _failed(self, error: LegacyError, request: requests.PreparedRequest, stream: bool) -> requests.Response:
        """What the old call would have met: an exception of ``requests``, or the answer that an error stands for."""
        if isinstance(error, UpstreamTimeout):
            raise requests.ReadTimeout(error.message, request=request) from None
        if isinstance(error, UpstreamUnreachable):
            raise UNREACHABLE.get(error.cause, requests.ConnectionError)(error.message, request=request) from None
        return response_of(request, failure(error), stream, self)

    def close(self) -> None:
        """Close what the adapter opened, and what it passes on to."""
        self._plain.close()
        for adapter in self._previous.values():
            adapter.close()

    def covers(self, url: str) -> bool:
        """Whether a URL lies at the old endpoint."""
        return self.usual(url) is not None

    def usual(self, url: str) -> str | None:
        """A URL of the old endpoint in the usual spelling of its host, or None where it is another's."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if _origin_of(parts.scheme, parts.netloc.rpartition("@")[2]) != self._origin:
            return None
        return f"{self.origin}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"

    def legacy_call(self, request: requests.PreparedRequest) -> LegacyCall | None:
        """The deprecated call that a request is, or None where it is none."""
        matched = self.matched(request.method or "", request.url or "")
        if matched is None:
            return None
        given = map(request.headers.get, ("Content-Type", "Authorization", "Content-Encoding"))
        kind, authorization, encoding = (each.decode("latin-1") if isinstance(each, bytes) else each for each in given)
        return LegacyCall(
            *matched,
            query=urlsplit(request.url or "").query,
            content_type=kind,
            body=b"" if request.body is None else read_body(request),
            authorization=authorization,
            method=(request.method or "GET").upper(),
            content_encoding=encoding,
        )

    def matched(self, method: str, url: str) -> tuple[Route, str] | None:
        """The deprecated route and the exam's id where a request is a deprecated call, by its method and URL alone.

        Raises:
            ValueError: the URL is none.
        """
        parts = urlsplit(url)
        origin = _origin_of(parts.scheme, parts.netloc.rpartition("@")[2])
        if origin != self._origin or not parts.path.startswith(self._base_path):
            return None
        return match_route(method, parts.path[len(self._base_path) :])

    def _first_of(self, adapters: Mapping[str, BaseAdapter], url: str) -> BaseAdapter | None:
        for prefix, mounted in adapters.items():
            # Where this adapter is mounted, the one that had the place before is meant.
            adapter = self._previous.get(prefix) if mounted is self else mounted
            if adapter is not None and url.lower().startswith(prefix.lower()):
                return adapter
        return None


def mount(
    session: requests.Session,
    legacy_base_url: str | None,
    upstream: Upstream | Configuration,
    *,
    verifier: Verifier | None = None,
) -> ExamStudentsAdapter:
    """Let a session's calls of the deprecated routes be answered from an upstream.

    Args:
        session: the script's session; its other calls stay as they are.
        legacy_base_url: the old endpoint's base, such as ``https://acme.proctorexam.com``; None to take that of a
            configuration, which may itself say None.
        upstream: an upstream or a configuration.
        verifier: checks the signatures of the old calls; without one they are not looked at.

    Returns:
        the adapter, mounted.

    Raises:
        ConfigurationError: the base URL cannot be used, or nothing says which it is; the text names the key.
    """
    adapter = ExamStudentsAdapter(legacy_base_url, upstream, previous=session.adapters, verifier=verifier)
    adapter._follows_session = True
    if thread_origins_of(upstream):
        # Imported here: it brings the pools of threads, which importing this package leaves out.
        from compat.call_site import note_thread_origins

        note_thread_origins()
    # Without path and default port, so that a call may write them in its own way.
    prefix = adapter.origin
    # A longer prefix mounted before would be asked first, and the deprecated routes lie below it or beside it.
    within = [mounted for mounted in session.adapters if mounted.lower().startswith(prefix.lower())]
    for place in {prefix, *within}:
        session.mount(place, adapter)
    _find_all_spellings(session)
    return adapter


def _find_all_spellings(session: requests.Session) -> None:
    """Let a session find us for a URL that begins in another way than our prefix: with a user, or another port's form.

    Whichever adapter the usual spelling leads to is taken: one that was mounted later for a longer prefix, say.
    """
    held = vars(session).get("get_adapter")
    if getattr(held, "__func__", None) is not _get_adapter:
        session._compat_asked_before = held  # type: ignore[attr-defined]  # what another tool put there
        session.get_adapter = MethodType(_get_adapter, session)  # type: ignore[method-assign]


def _get_adapter(self: requests.Session, url: str) -> BaseAdapter:
    """As ``Session.get_adapter``; it stands in the session itself, which copies and pickles leave out."""
    ask = vars(self).get("_compat_asked_before") or MethodType(type(self).get_adapter, self)
    found: BaseAdapter = ask(url)
    if isinstance(found, ExamStudentsAdapter):
        return found
    for adapter in self.adapters.values():
        usual = adapter.usual(url) if isinstance(adapter, ExamStudentsAdapter) else None
        ours = ask(usual) if usual is not None else None
        if isinstance(ours, ExamStudentsAdapter):
            return ours
    return found


def _as_sent(url: str) -> str:
    """A base URL as ``requests`` writes it: a host with letters beyond ASCII in its encoded form."""
    try:
        return requests.Request("GET", url).prepare().url or url
    except requests.RequestException as error:
        raise ConfigurationError(f"legacy_base_url: {error}") from None


@lru_cache(maxsize=64)
def _origin_of(scheme: str, netloc: str) -> tuple[str, str, int | None]:
    """Scheme, host and port as they compare; given without user and password, which are not for a cache to keep."""
    parts = SplitResult(scheme, netloc, "", "", "")
    host = parts.hostname or ""
    with suppress(ValueError):
        host = ip_address(host).compressed
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        port = -1
    return parts.scheme, host.rstrip("."), port


def read_body(request: requests.PreparedRequest) -> bytes:
    """The body, which stays there for the old endpoint."""
    body = _body(request.body)
    if request.body is not None and not isinstance(request.body, bytes | str):
        # A file or a generator can be read once.
        request.body = body
    return body


def _body(body: Any) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return _body(body.read())
    return b"".join(_body(part) for part in body)
