"""Both endpoints as the adapter and the client ask them for one call, and who calls."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

import requests
from requests.adapters import BaseAdapter

from compat.config.settings import CallerSettings
from compat.errors import LegacyError, NotAuthorized, StudentSessionNotFound
from compat.legacy.routes import ANSWERED_BY, Answer, LegacyCall
from compat.legacy.signature import Caller, signed
from compat.legacy.verifier import token_of
from compat.migration.modes.router import Asker, Identity
from compat.regression.comparing.pairs import Answered, kept_answer, kept_error, kept_response, watch_response
from compat.upstream.limits import USUAL_LIMITS
from compat.upstream.retries import RetryPolicy
from compat.upstream.senders import Outgoing, SendOptions
from compat.upstream.transport import CallOptions, Reply, Transport, json_object, refused_parameters, unexpected

__all__ = ["AnswerSide", "Callers", "LegacyEndpoint", "OldSide"]

_T = TypeVar("_T")

_PATIENCE = (10.0, 60.0)
"""Seconds to connect and to wait for a byte, where nobody waits for the answer and the script set no limit."""
_OPTIONS = CallOptions()
_ACCEPT = "application/vnd.procwise.v3"


@dataclass
class _Side:
    begun: float = field(default=0.0, init=False)

    def failed(self, error: Exception) -> Answered:
        return kept_error(error, time.perf_counter() - self.begun)


@dataclass
class OldSide(_Side):
    """The old endpoint, by the adapter that the script would have used, and with its own signature."""

    previous: BaseAdapter
    request: requests.PreparedRequest
    how: SendOptions

    def ask(self) -> requests.Response:
        self.begun = time.perf_counter()
        return self._send(self.request, self.how)

    def in_background(self) -> Asker:
        # The script is about to have its request back, and may change it.
        request = self.request.copy()
        how = self.how._replace(stream=False, timeout=self.how.timeout or _PATIENCE)

        def ask() -> Answered:
            begun = time.perf_counter()
            try:
                with self._send(request, how) as response:
                    _ = response.content
                    return kept_response(response, time.perf_counter() - begun)
            except (requests.RequestException, OSError) as error:
                return kept_error(error, time.perf_counter() - begun)

        return ask

    def watch(self, given: requests.Response, then: Callable[[Answered], object]) -> None:
        watch_response(given, self.begun, then)

    def _send(self, request: requests.PreparedRequest, how: SendOptions) -> requests.Response:
        response = self.previous.send(request, **how._asdict())
        response.headers[ANSWERED_BY] = "legacy"
        return response


@dataclass
class AnswerSide(_Side, Generic[_T]):
    """An endpoint whose answers are whole at once; ``give`` makes what the caller gets of one."""

    answer: Callable[[], Answer]
    give: Callable[[Answer], _T]
    found: Answer | None = field(default=None, init=False)

    def ask(self) -> _T:
        self.begun = time.perf_counter()
        self.found = self.answer()
        return self.give(self.found)

    def in_background(self) -> Asker:
        return self._ask_in_background

    def watch(self, given: _T, then: Callable[[Answered], object]) -> None:
        if self.found is not None:
            then(kept_answer(self.found, time.perf_counter() - self.begun))

    def _ask_in_background(self) -> Answered:
        begun = time.perf_counter()
        try:
            return kept_answer(self.answer(), time.perf_counter() - begun)
        except LegacyError as error:
            return kept_error(error, time.perf_counter() - begun)


class LegacyEndpoint:
    """Calls the old endpoint with an account of our own; reads are tried again as upstream, writes are not.

    Its requests pass by whatever is installed or mounted in ``requests``.
    """

    def __init__(self, base_url: str, account: Caller, retries: RetryPolicy = RetryPolicy()) -> None:
        self._base_url = base_url
        self._account = account
        self._transport = Transport(retries, None, "old", USUAL_LIMITS)

    def answer(self, call: LegacyCall) -> Answer:
        """The old endpoint's answer to a call, whose parameters are all in its query.

        Raises:
            LegacyError: as the shim raises for the same answers of the new one.
        """
        values = dict(parse_qsl(call.query, keep_blank_values=True))
        send = self._transport.read if call.method == "GET" else self._transport.write
        return send(lambda: self._request(call, values), lambda reply: _accepted(reply, values), _OPTIONS)

    def _request(self, call: LegacyCall, values: dict[str, str]) -> Outgoing:
        sent = signed(values, self._account.secret_key, {"id": call.exam_id})
        headers = {"Authorization": f"Token token={self._account.api_token}", "Accept": _ACCEPT}
        url = f"{self._base_url}/api/v3/exams/{call.exam_id}/{call.route.action}"
        if call.method == "POST":
            headers["Content-Type"] = "application/json"
            return Outgoing(call.method, url, headers=headers, data=json.dumps(sent).encode())
        return Outgoing(call.method, url, headers=headers, params=sent)


def _accepted(reply: Reply, values: dict[str, str]) -> Answer:
    if reply.status == 401:
        raise NotAuthorized(hint=reply.hint)
    if reply.status == 404 and values.get("student_session_id", "").isdecimal():
        raise StudentSessionNotFound(int(values["student_session_id"]))
    if reply.status == 422:
        raise refused_parameters(reply)
    if reply.status not in (200, 201):
        raise unexpected(reply)
    # An answer that is cut off is asked for again.
    json_object(reply)
    headers = {**{name.title(): value for name, value in reply.headers.items()}, ANSWERED_BY: "legacy"}
    return Answer(reply.status, headers, reply.body)


class Callers:
    """Tells callers apart by the token of their calls: those configured have a name, the others a digest."""

    def __init__(self, configured: Iterable[CallerSettings]) -> None:
        self._names = {each.caller.api_token: each.caller.name for each in configured}

    def of(self, authorization: str | None) -> Identity:
        """Whose call it is, by the header ``Authorization``."""
        return self.by_token(token_of(authorization))

    def by_token(self, token: str) -> Identity:
        """Whose token it is."""
        name = self._names.get(token)
        if name is not None:
            return Identity(name, name)
        # Keyed by what the digest is for, so that it is of use nowhere else.
        digest = hashlib.blake2b(token.encode(errors="surrogatepass"), digest_size=16, person=b"compat caller")
        return Identity(None, digest.hexdigest())
