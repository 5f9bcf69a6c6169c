"""Calls in which the old endpoint has a part: it answers, or is asked beside or after the new one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from compat.errors import LegacyError, UpstreamError
from compat.gateway.comparing import KeptAnswer, asking_behind
from compat.gateway.exchange import Exchange
from compat.gateway.limits import Slots
from compat.gateway.passing import Passing
from compat.legacy.answer import Answer, failure
from compat.migration.answers_kept import kept_answer, kept_error
from compat.migration.dial import Dial
from compat.migration.turns import Asker, Turn
from compat.regression.pairs import Answered
from compat.shim import Admitted, Shim
from compat.steps import Steps
from compat.upstream.transport import CallOptions

if TYPE_CHECKING:
    from compat.gateway.entrance import Request

__all__ = ["Divided", "Part"]


@dataclass(frozen=True)
class Part:
    """What there is of an answer when the thread is left.

    Attributes:
        turn: what is to be done with the call.
        admitted: the call.
        answer: what the new endpoint gave; None where the old one answers, for which the slot is kept.
        given: the same as it is kept for comparing.
    """

    turn: Turn
    admitted: Admitted
    answer: Answer | None = None
    given: Answered = field(default_factory=lambda: Answered(0))


class Divided:
    """Answers calls that are not the new endpoint's alone.

    Args:
        dial: compares behind them.
        shim: asks the new endpoint.
        slots: of the callers.
        old: leads to the old endpoint.
    """

    def __init__(self, dial: Dial, shim: Shim, slots: Slots, old: Passing) -> None:
        self._dial = dial
        self._shim = shim
        self._slots = slots
        self._old = old

    def begin(self, turn: Turn, admitted: Admitted, exchange: Exchange, options: CallOptions) -> Steps[Part]:
        """The new endpoint's part of an answer, in a thread."""
        if turn.served == "legacy":
            return Part(turn, admitted)
        begun = time.perf_counter()
        try:
            answer = yield from self._shim.steps(admitted, options)
        except LegacyError as error:
            if error.status >= 500:
                exchange.failure = error.message
            if turn.falls_back and isinstance(error, UpstreamError):
                return Part(turn, admitted)
            return Part(turn, admitted, failure(error), kept_error(error, time.perf_counter() - begun))
        return Part(turn, admitted, answer, kept_answer(answer, time.perf_counter() - begun))

    async def finish(self, request: Request, part: Part) -> None:
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
        if part.turn.compared:
            old = asking_behind(self._old, request.scope, part.admitted.call.body)
            self._compare(request.exchange, part, lambda: part.given, old, len(part.given.body))

    def give_back(self, part: Part) -> None:
        """End the call of a part that the old endpoint was to answer."""
        if part.answer is None and part.admitted.caller is not None:
            self._slots.give_back(part.admitted.caller.name)

    async def _pass_on(self, request: Request, part: Part) -> None:
        body = part.admitted.call.body
        if not part.turn.compared:
            await request.pass_on(self._old, body)
            return
        kept = KeptAnswer(request.send)
        try:
            await replace(request, send=kept).pass_on(self._old, body)
        except LegacyError as error:
            failed = kept_error(error, kept.seconds)
            self._compare(request.exchange, part, lambda: failed, self._asking_new(part), 0)
            raise
        if kept.whole:
            self._compare(request.exchange, part, kept.answered, self._asking_new(part), kept.size)

    def _asking_new(self, part: Part) -> Asker:
        def ask() -> Answered:
            begun = time.perf_counter()
            try:
                return kept_answer(self._shim.answer_admitted(part.admitted), time.perf_counter() - begun)
            except LegacyError as error:
                return kept_error(error, time.perf_counter() - begun)

        return ask

    def _compare(self, exchange: Exchange, part: Part, given: Asker, other: Asker, size: int) -> None:
        self._dial.compare(part.admitted.call, exchange.caller, exchange.at, part.turn.served, given, other, size)
