"""Both endpoints as the client class asks them, with an account of its own, and the mode that it follows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl

from compat.config.settings import Configuration
from compat.core.call import Shim
from compat.errors import LegacyError, NotAuthorized, StudentSessionNotFound
from compat.legacy.answer import ANSWERED_BY, Answer
from compat.legacy.routes import LegacyCall
from compat.legacy.signature import Caller, signed
from compat.migration.modes.router import Asker, Endpoint, ModeRouter
from compat.migration.modes.sides import Callers
from compat.regression.comparing.pairs import Answered, kept_answer, kept_error
from compat.upstream import Upstream
from compat.upstream.limits import USUAL_LIMITS
from compat.upstream.retries import RetryPolicy
from compat.upstream.senders import Outgoing
from compat.upstream.transport import CallOptions, Reply, Transport, json_object, refused_parameters, unexpected

__all__ = [
    "AnswerSide",
    "ClientModes",
    "OldEndpoint",
    "Sides",
]

_OPTIONS = CallOptions()
_ACCEPT = "application/vnd.procwise.v3"


class OldEndpoint:
    """Calls the old endpoint with an account of our own; reads are tried again as upstream, writes are not.

    Its requests pass by whatever is installed or mounted in ``requests``.

    Args:
        base_url: its base.
        account: what calls are signed with.
        retries: how often reads are tried, and how long.
    """

    def __init__(self, base_url: str, account: Caller, retries: RetryPolicy = RetryPolicy()) -> None:
        self._base_url = base_url
        self._account = account
        self._transport = Transport(retries, None, "old", USUAL_LIMITS)

    def answer(self, call: LegacyCall, options: CallOptions = _OPTIONS) -> Answer:
        """The old endpoint's answer to a call, whose parameters are all in its query.

        Raises:
            LegacyError: as the shim raises for the same answers of the new one.
        """
        values = dict(parse_qsl(call.query, keep_blank_values=True))
        send = self._transport.read if call.method == "GET" else self._transport.write
        return send(lambda: self._request(call, values), lambda reply: _accepted(reply, values), options)

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
        raise NotAuthorized
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


@dataclass
class Sides:
    """Both endpoints, for one call.

    Args:
        old: the old one; the new one where there is no old one.
        new: the new one.
    """

    old: AnswerSide
    new: AnswerSide

    @property
    def asked_last(self) -> Endpoint:
        """Which one was asked for the caller: the old one is asked alone, or after the new one has failed."""
        return "legacy" if self.old is not self.new and self.old.begun else "new"


@dataclass
class AnswerSide:
    """An endpoint whose answers are whole at once.

    Args:
        answer: gives one.
    """

    answer: Callable[[], Answer]
    begun: float = 0.0

    def ask(self) -> Answer:
        self.begun = time.perf_counter()
        return self.answer()

    def in_background(self) -> Asker:
        return self._ask_in_background

    def watch(self, given: Answer, then: Callable[[Answered], object]) -> None:
        then(kept_answer(given, time.perf_counter() - self.begun))

    def failed(self, error: Exception) -> Answered:
        return kept_error(error, time.perf_counter() - self.begun)

    def _ask_in_background(self) -> Answered:
        begun = time.perf_counter()
        try:
            return kept_answer(self.answer(), time.perf_counter() - begun)
        except LegacyError as error:
            return kept_error(error, time.perf_counter() - begun)


class ClientModes:
    """Answers a client's calls by their modes.

    Args:
        given: the client's upstream or configuration. Without a configuration there is no old endpoint.
        shim: asks the new endpoint.

    Raises:
        ConfigurationError: a mode needs the old endpoint, and no base URL or no account for it was named.
    """

    def __init__(self, given: Upstream | Configuration, shim: Shim) -> None:
        self._shim = shim
        self._old: OldEndpoint | None = None
        if not isinstance(given, Configuration):
            self.router = ModeRouter(legacy=False)
            token = given.account.api_token if given.account is not None else ""
            self._who = Callers(()).by_token(token)
            return
        base_url, account = given.legacy_base_url, given.legacy_account
        if base_url is not None and account is not None:
            self._old = OldEndpoint(base_url, account)
        lacking = "base_url in [legacy]" if base_url is None else "api_token and secret_key in [legacy]"
        self.router = ModeRouter.of(given, legacy=self._old is not None, lacking=lacking)
        self._who = Callers(given.callers).by_token(account.api_token if account is not None else "")

    def sides(self, call: LegacyCall) -> Sides:
        """Both endpoints, for a call."""
        new = AnswerSide(partial(self._shim.answer, call))
        # Where there is no old endpoint, no mode leads there.
        return Sides(new if self._old is None else AnswerSide(partial(self._old.answer, call)), new)

    def answer(self, call: LegacyCall, sides: Sides) -> Answer:
        """The answer to a call from one of its sides.

        Raises:
            LegacyError: what the endpoint that answers failed with.
            ConfigurationError: ``EXAM_COMPAT_MODE`` names no mode, or one that needs an old endpoint.
        """
        return self.router.answer(call, self._who, sides.old, sides.new)
