"""Calls that concern the old endpoint too: it answers, or is asked beside or after the new one, to compare them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
import zlib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from compat.core.call import Admitted, Shim, finished
from compat.core.walks import Steps
from compat.errors import LegacyError, UpstreamError
from compat.gateway.limits import CallSlots
from compat.gateway.passing import AnswerCutOff, PassThrough
from compat.gateway.request import Exchange, Scope, Send, note_failure
from compat.legacy.routes import Answer, failure
from compat.migration.modes.router import Asker, Decision, ModeRouter
from compat.regression.comparing.pairs import LONGEST, Answered, kept_answer, kept_error
from compat.upstream.transport import CallOptions

if TYPE_CHECKING:
    from compat.gateway.application import Request

_BEHIND = 60.0  # seconds for the old endpoint's whole answer where nobody waits for it
_PARTS_OF_A_REQUEST = ("type", "http_version", "method", "raw_path", "query_string", "headers")
_EITHER = zlib.MAX_WBITS | 32  # lets zlib find out whether it is gzip or deflate
_GZIP = b"\x1f\x8b"


class KeptAnswer:
    """An ASGI ``send`` that keeps what goes through it, up to a limit.

    Args:
        send: takes the answer; None where it goes nowhere else.

    Attributes:
        size: bytes of the body.
    """

    def __init__(self, send: Send | None = None) -> None:
        self._send = send
        self._begun = time.perf_counter()
        self._ended = 0.0
        self._start: Mapping[str, Any] = {}
        self._parts: list[bytes] = []
        self.size = 0

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            part = message.get("body", b"")
            self.size += len(part)
            if self.size <= LONGEST:
                self._parts.append(part)
            if not message.get("more_body"):
                self._ended = time.perf_counter()
        if self._send is not None:
            await self._send(message)

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end and was kept."""
        return bool(self._ended) and self.size <= LONGEST

    @property
    def seconds(self) -> float:
        """From the request to now."""
        return time.perf_counter() - self._begun

    def answered(self) -> Answered:
        """The answer, unpacked.

        Raises:
            ValueError: it is packed in a way that is not known here, or wrongly.
        """
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._start["headers"]}
        named = {name.lower(): value for name, value in headers.items()}
        body = _unpacked(b"".join(self._parts), named.get("content-encoding", "").strip().lower())
        return Answered(self._start["status"], headers, body, self._ended - self._begun)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in ("identity", "") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"the content encoding {encoding[:20]!r} is not known")
    found = b""
    # Of several members of gzip each is packed by itself; what else stands behind one is padding.
    while True:
        unpacking = zlib.decompressobj(_EITHER)
        try:
            found += unpacking.decompress(body, LONGEST - len(found) + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if not unpacking.eof or len(found) > LONGEST:
            raise ValueError("the body is cut off, or too long")
        body = unpacking.unused_data
        if not body.startswith(_GZIP):
            return found


def _old_endpoint_asker(old: PassThrough, scope: Scope, body: bytes) -> Asker:
    """What asks the old endpoint for what a request was; made in the event loop's thread, called in any other."""
    loop = asyncio.get_running_loop()
    # The server may take the rest down once the request has been answered.
    request = {name: scope[name] for name in _PARTS_OF_A_REQUEST if name in scope}

    def ask() -> Answered:
        kept = KeptAnswer()
        passing = asyncio.run_coroutine_threadsafe(old.pass_on(request, _nothing_more, kept, [], body), loop)
        try:
            passing.result(_BEHIND)
            return kept.answered()
        except (LegacyError, AnswerCutOff, concurrent.futures.TimeoutError) as error:
            return kept_error(error, kept.seconds)
        finally:
            passing.cancel()

    return ask


async def _nothing_more() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


@dataclass(frozen=True)
class PartialAnswer:
    """What is known of an answer when the call leaves its thread."""

    decision: Decision
    admitted: Admitted
    answer: Answer | None = None  # what the new endpoint gave; None where the old one answers: its slot is kept
    given: Answered = field(default_factory=lambda: Answered(0))  # the same as it is kept for comparing


@dataclass(frozen=True)
class TwoEndpointCalls:
    """Answers calls that are not the new endpoint's alone, and has the router compare both answers behind them."""

    router: ModeRouter
    shim: Shim
    slots: CallSlots
    old: PassThrough

    def begin(
        self, decision: Decision, admitted: Admitted, exchange: Exchange, options: CallOptions
    ) -> Steps[PartialAnswer]:
        """The new endpoint's part of an answer, in a thread."""
        if decision.served == "legacy":
            return PartialAnswer(decision, admitted)
        begun = time.perf_counter()
        try:
            answer = yield from self.shim.steps(admitted, options)
        except LegacyError as error:
            note_failure(exchange, error)
            if decision.falls_back and isinstance(error, UpstreamError):
                return PartialAnswer(decision, admitted)
            return PartialAnswer(decision, admitted, failure(error), kept_error(error, time.perf_counter() - begun))
        return PartialAnswer(decision, admitted, answer, kept_answer(answer, time.perf_counter() - begun))

    async def finish(self, request: Request, part: PartialAnswer) -> None:
        """Answer, and have the other endpoint asked behind that.

        Raises:
            LegacyError: the old endpoint gave nothing.
        """
        if part.answer is None:
            try:
                await self._pass_on(request, part)
            finally:
                self.give_back(part)
            return
        await request.answer(part.answer)
        if part.decision.compared:
            old = _old_endpoint_asker(self.old, request.scope, part.admitted.call.body)
            self._compare(request.exchange, part, lambda: part.given, old, len(part.given.body))

    def give_back(self, part: Answer | PartialAnswer) -> None:
        """End the call of a part that the old endpoint was to answer."""
        if isinstance(part, PartialAnswer) and part.answer is None and part.admitted.caller is not None:
            self.slots.give_back(part.admitted.caller.name)

    async def _pass_on(self, request: Request, part: PartialAnswer) -> None:
        body = part.admitted.call.body
        if not part.decision.compared:
            await request.pass_on(self.old, body)
            return
        kept = KeptAnswer(request.send)
        try:
            await replace(request, send=kept).pass_on(self.old, body)
        except LegacyError as error:
            failed = kept_error(error, kept.seconds)
            self._compare(request.exchange, part, lambda: failed, partial(self._ask_new, part), 0)
            raise
        if kept.whole:
            self._compare(request.exchange, part, kept.answered, partial(self._ask_new, part), kept.size)

    def _ask_new(self, part: PartialAnswer) -> Answered:
        begun = time.perf_counter()
        try:
            return kept_answer(finished(self.shim.steps(part.admitted)), time.perf_counter() - begun)
        except LegacyError as error:
            return kept_error(error, time.perf_counter() - begun)

    def _compare(self, exchange: Exchange, part: PartialAnswer, given: Asker, other: Asker, size: int) -> None:
        self.router.compare(part.admitted.call, exchange.caller, exchange.at, part.decision.served, given, other, size)
