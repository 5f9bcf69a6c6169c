"""Asks the old endpoint and the shim the same, for a recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import requests
from requests.auth import AuthBase

from compat.config import Configuration
from compat.errors import LegacyError
from compat.forks import renew_after_fork
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import Caller, signed
from compat.migration.answers_kept import kept_answer, kept_error, kept_response
from compat.regression.pairs import Answered
from compat.shim import Shim
from compat.upstream.inherited import leave_to_parent

__all__ = ["Asker", "NewEndpoint", "OldEndpoint", "pages_of"]

Asker = Callable[[LegacyCall], Answered]
"""Asks an endpoint; what fails is an answer too."""

_ACCEPT = "application/vnd.procwise.v3"
_CONNECT, _SILENCE = 10.0, 120.0


class _Token(AuthBase):
    """Sets the header last, so that a ``.netrc`` entry for the host does not replace it."""

    def __init__(self, api_token: str) -> None:
        self._header = f"Token token={api_token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class OldEndpoint:
    """The old endpoint.

    Args:
        base_url: its base.
        account: whose calls these are.
    """

    def __init__(self, base_url: str, account: Caller) -> None:
        self._base_url = base_url.rstrip("/")
        self._account = account
        self._session = requests.Session()
        self._session.auth = _Token(account.api_token)
        self._session.headers["Accept"] = _ACCEPT
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Leave the connections to the parent of this process."""
        leave_to_parent(self._session)

    def __call__(self, call: LegacyCall) -> Answered:
        """Sign a call anew and send it."""
        given = dict(parse_qsl(call.query, keep_blank_values=True))
        sent = signed(given, self._account.secret_key, {"id": call.exam_id})
        url = f"{self._base_url}/api/v3/exams/{call.exam_id}/{call.route.action}"
        begun = time.perf_counter()
        try:
            answer = self._session.get(url, params=sent, timeout=(_CONNECT, _SILENCE), allow_redirects=False)
        except requests.RequestException as error:
            return kept_error(error, time.perf_counter() - begun)
        return kept_response(answer, time.perf_counter() - begun)


class NewEndpoint:
    """The shim over the new endpoint.

    Args:
        given: says which.
    """

    def __init__(self, given: Configuration) -> None:
        self._shim = Shim(given.upstream, given.settings)

    def __call__(self, call: LegacyCall) -> Answered:
        """Answer a call."""
        begun = time.perf_counter()
        try:
            answer = self._shim.answer(call)
        except LegacyError as error:
            return kept_error(error, time.perf_counter() - begun)
        return kept_answer(answer, time.perf_counter() - begun)


def pages_of(call: LegacyCall, ask: Callable[[LegacyCall], Answered]) -> Iterator[LegacyCall]:
    """Ask a call, and the pages behind it as far as the answer says that there are any.

    A call that names its page, or lists nothing, is asked alone.

    Args:
        call: the call, unsigned.
        ask: asks, and gives the answer that says how many pages there are.

    Yields:
        each call once it was asked.
    """
    given = dict(parse_qsl(call.query, keep_blank_values=True))
    pages = _page_count(ask(call))
    yield call
    if call.route is not INDEX_STUDENTS or "page" in given:
        return
    for number in range(2, pages + 1):
        following = replace(call, query=urlencode({**given, "page": str(number)}))
        ask(following)
        yield following


def _page_count(answered: Answered) -> int:
    counts = (value for name, value in answered.headers.items() if name.lower() == "x-pagination-page-count")
    text = next(counts, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
