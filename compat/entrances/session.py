"""The script's own session: what it says of a call, which an adapter is not told.

``requests`` hands an adapter the proxies that hold for the old endpoint, with the environment's mixed in. What the
session trusts, what the call itself said and which adapters the session has now are still there, in the frames of
``Session.send`` and ``Session.request`` that wait for the adapter. An adapter may serve several sessions, copies and
unpickled ones among them, so it cannot remember one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import requests
from requests import sessions
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import Retry

from compat.upstream.connections import leave_in_children
from compat.upstream.responses import network_is_mocked
from compat.upstream.senders import CallOptions, SendOptions, timeout_of

__all__ = ["ScriptSession", "options_of"]


@dataclass(frozen=True)
class ScriptSession:
    """A session that waits for an adapter's answer.

    Attributes:
        session: the session, or None where the adapter is used without one.
        said: the proxies of the call as ``Session.request`` has them, the environment's mixed in; None where the
            session was given a request that was prepared before.
    """

    session: requests.Session | None = field(repr=False)
    said: Mapping[str, str | None] | None = field(default=None, repr=False)

    @classmethod
    def waiting(cls) -> ScriptSession:
        """The one that waits for whoever calls this."""
        frame: FrameType | None = sys._getframe(1)
        session: requests.Session | None = None
        while frame is not None:
            # What a method calls its own object: frames of other functions are passed over without a look at them.
            if frame.f_code.co_varnames[:1] == ("self",):
                own = frame.f_locals.get("self")
                session = own if session is None and isinstance(own, requests.Session) else session
                of_requests = frame.f_code.co_name == "request" and frame.f_globals is vars(sessions)
                if own is session is not None and of_requests:
                    said = frame.f_locals.get("proxies")
                    return cls(session, said if isinstance(said, Mapping) else None)
            frame = frame.f_back
        return cls(session)

    def own_adapter(self, url: str) -> HTTPAdapter | None:
        """The session's adapter for a URL, where somebody made one that is more than a plain one: with certificates,
        an address or a pace of its own, say. A test's mock would take that one's requests for the script's."""
        if self.session is None or network_is_mocked():
            return None
        found = next(
            (
                each if isinstance(each, HTTPAdapter) and type(each) is not HTTPAdapter else None
                for prefix, each in self.session.adapters.items()
                if url.lower().startswith(prefix.lower())
            ),
            None,
        )
        if found is not None:
            leave_in_children(found)
        return found


def options_of(
    script: ScriptSession, previous: BaseAdapter, request: requests.PreparedRequest, how: SendOptions
) -> CallOptions:
    """What an adapter was told and what the session says, as the requests upstream follow it.

    Args:
        previous: the adapter that would have sent the call to the old endpoint.
        how: what the adapter was told of it; proxies hold for the old endpoint.

    Raises:
        ValueError: the timeout is none.
    """
    of_session = dict((script.session.proxies if script.session is not None else None) or {})
    trusted, said = _proxies_said(script, request.url or "", dict(how.proxies or {}), of_session)
    return CallOptions(
        timeout=timeout_of(how.timeout),
        # An adapter takes every false value for no check, where None would have us ask the environment.
        verify=how.verify or False,
        cert=how.cert,
        proxies=said,
        session_proxies=of_session if trusted else None,
        trust_env=trusted,
        retries=_retries_of(previous),
        adapter_for=script.own_adapter,
    )


def _proxies_said(
    script: ScriptSession, url: str, given: dict[str, str], of_session: dict[str, Any]
) -> tuple[bool, dict[str, str | None]]:
    """Whether the environment counts, and the proxies that the call itself named."""
    trusted = script.session is None or script.session.trust_env
    if not (given or script.said or script.said is None):
        # Nobody named one, the environment neither: to go through all of its variables again takes a tenth of a call.
        return trusted, {}
    environment = get_environ_proxies(url, no_proxy=given.get("no_proxy"))
    if script.said is None and select_proxy(url, environment):
        # Given to the session or the adapter ready made: the environment's were mixed in, or are not wanted.
        trusted = trusted and select_proxy(url, given) is not None
    if not trusted:
        # All that holds for the old endpoint holds for every host.
        return trusted, dict(given)
    if script.said is not None:
        return trusted, {scheme: proxy for scheme, proxy in script.said.items() if environment.get(scheme, "") != proxy}
    return trusted, _apart(given, environment, of_session)


def _apart(given: Mapping[str, str], environment: Mapping[str, str], of_session: Mapping[str, Any]) -> dict[str, Any]:
    """What neither the environment nor the session gave: a request that was prepared before says it no more."""
    return {
        scheme: proxy
        for scheme, proxy in given.items()
        if proxy != (environment[scheme] if scheme in environment else of_session.get(scheme))
    }


def _retries_of(adapter: BaseAdapter) -> Retry | None:
    """The retries that somebody gave an adapter; ``requests`` gives none by itself."""
    retries = getattr(adapter, "max_retries", None)
    if isinstance(retries, int):
        retries = Retry.from_int(retries)
    if not isinstance(retries, Retry) or (retries.total == 0 and retries.read is False):
        return None
    return retries
