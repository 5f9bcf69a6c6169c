"""Lists of calls to record, asking them one by one, and whose account made a call."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from requests.auth import AuthBase

from compat.config.settings import Configuration
from compat.core.call import Shim
from compat.errors import LegacyError
from compat.legacy.parameters import gather
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall, match_route
from compat.legacy.signature import Caller, base_string, sign, signed
from compat.legacy.verifier import token_of
from compat.processes import renew_after_fork
from compat.regression.comparing.pairs import PAGE_COUNT, Answered, kept_answer, kept_error, kept_response
from compat.regression.recordings.format import RecordingError
from compat.text.json import dumps, loads
from compat.upstream.connections import leave_to_parent

__all__ = ["Accounts", "Asker", "NewEndpoint", "OldEndpoint", "calls_in", "further_pages", "listing", "pages_of"]

_SIGNED = ("timestamp", "nonce", "signature", "id")
_SHORT = re.compile(r"(?P<exam>[0-9]+)(?:\?(?P<query>.*))?", re.ASCII)


def listing(exam_id: str, parameters: Mapping[str, Any]) -> LegacyCall:
    """The call that lists an exam's students; a parameter is text, or what its JSON is, or None where not given."""
    given = {name: _text(value) for name, value in parameters.items() if value is not None and name not in _SIGNED}
    return LegacyCall(INDEX_STUDENTS, exam_id, urlencode(given))


def calls_in(lines: Iterable[str], where: str) -> Iterator[LegacyCall]:
    """The calls of some lines, without what was signed.

    A line is ``17`` or ``17?status=exam_finished``, a URL or path as a log has it, or a JSON object such as
    ``{"exam": 17, "filter": {"attempt": {"gt": 0}}}``. Blank lines, and those that begin with ``#``, say nothing.

    Raises:
        RecordingError: a line is none of these; the text names it by ``where`` and its number.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            call = _object(text) if text.startswith("{") else _url(text)
            if call is None:
                raise RecordingError(
                    f"{where}, line {number}: no call: write 17?status=exam_finished, the URL of a deprecated GET, "
                    'or {"exam": 17}'
                )
            yield call


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def _object(text: str) -> LegacyCall | None:
    with suppress(ValueError):
        content = loads(text)
        if isinstance(content, dict) and "exam" in content:
            return listing(_text(content.pop("exam")), content)
    return None


def _url(text: str) -> LegacyCall | None:
    short = _SHORT.fullmatch(text)
    if short is not None:
        return listing(short["exam"], dict(parse_qsl(short["query"] or "", keep_blank_values=True)))
    parts = urlsplit(text)
    begin = parts.path.find("/api/v3/")
    matched = match_route("GET", parts.path[begin:]) if begin >= 0 else None
    if matched is None:
        return None
    route, exam_id = matched
    given = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _SIGNED]
    return LegacyCall(route, exam_id, urlencode(given))


Asker = Callable[[LegacyCall], Answered]
"""Asks an endpoint; what fails is an answer too."""

_ACCEPT = "application/vnd.procwise.v3"
_CONNECT, _SILENCE = 10.0, 120.0
_MOST_PAGES = 10**9


class _Token(AuthBase):
    """Sets the header last, so that a ``.netrc`` entry for the host does not replace it."""

    def __init__(self, api_token: str) -> None:
        self._header = f"Token token={api_token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class OldEndpoint:
    """The old endpoint, asked with somebody's account."""

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
    """The shim over the new endpoint of a configuration."""

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

    Yields:
        each call once it was asked.
    """
    given = dict(parse_qsl(call.query, keep_blank_values=True))
    further = further_pages(call, ask(call))
    yield call
    for number in range(2, further + 2):
        following = replace(call, query=urlencode({**given, "page": str(number)}))
        ask(following)
        yield following


def further_pages(call: LegacyCall, first: Answered) -> int:
    """How many pages there are behind the first answer; none of a call that names its page, or lists nothing."""
    named = "page" in dict(parse_qsl(call.query, keep_blank_values=True))
    pages = first.number(PAGE_COUNT) or 0
    return max(0, pages - 1) if call.route.gives == "page" and not named and pages < _MOST_PAGES else 0


class Accounts:
    """The accounts that are known; of two with the same token the first counts."""

    def __init__(self, callers: Iterable[Caller]) -> None:
        self._callers = tuple(callers)

    def owner(self, call: LegacyCall, otherwise: str | None = None) -> str | None:
        """The name of the account by which a call was made; None where it is not known.

        Every token and signature is compared in constant time, whether one before it was the right one or not. A call
        without a token that no signature tells, as browsers save them, is of ``otherwise``.
        """
        token = token_of(call.authorization)
        values = gather(call).values
        base, signature = base_string(values), values.get("signature", "")
        by_token = [each.name for each in self._callers if _same(each.api_token, token)]
        by_signature = [each.name for each in self._callers if _same(sign(base, each.secret_key), signature)]
        return next(iter([*by_token, *by_signature]), None if token else otherwise)


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(errors="surrogatepass"), given.encode(errors="surrogatepass"))
