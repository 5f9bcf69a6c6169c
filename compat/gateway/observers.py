"""Observers of answered requests: a queue that tells them, with clues for refused calls, and the inventory's."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from compat.config.settings import CallerSettings
from compat.core.call import Admitted
from compat.doctor import CLUED, clues, token_clue
from compat.gateway.logs import source_line
from compat.gateway.request import OTHER_ROUTE, Exchange, Observer
from compat.legacy.routes import LegacyCall
from compat.legacy.verifier import STRANGER
from compat.migration.inventory.calls import Inventory
from compat.migration.inventory.recorder import dialect_of, names_of
from compat.processes import renew_after_fork
from compat.stores.ledger import CallRecord

__all__ = ["InventoryObserver", "ObserverQueue", "describe"]

_log = logging.getLogger("compat.gateway")

_TOLD_WITHIN = 0.02
"""Seconds from an answer's end until it is told of: told of one by one, they cost a twentieth of a call more."""

_REMEMBERED = 4
_SHORT = 16_384
"""Calls of a caller that are remembered for the next clues, and bytes of a body beyond which one is not."""

_MOST_WAITING = 16
"""Refused calls that wait to be looked at; where there are more, somebody tries keys, and no clue is of use."""


class ObserverQueue:
    """Tells observers of every request, with clues where a known caller's signature or time was wrong.

    They are looked for when the answer is gone, and in one thread, so that neither the time that a refusal takes tells
    a caller's token from a stranger's nor a client that signs wrongly costs the others much.
    """

    def __init__(self, callers: Iterable[CallerSettings], observers: Iterable[Observer]) -> None:
        self._callers = {each.caller.name: each.caller for each in callers}
        self._observers = tuple(observers)
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin with nothing to tell, in a process that was forked: what was answered is its parent's to tell."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-clues")
        self._waiting: set[asyncio.Future[dict[str, Any]]] = set()
        self._ended: list[Exchange] = []
        self._lately: dict[str, deque[LegacyCall]] = {}

    def ended(self, exchange: Exchange, call: LegacyCall | None) -> None:
        """A request has been answered; ``call`` is the deprecated call that it was, where it got that far."""
        caller = self._callers.get(exchange.caller or "")
        if call is not None and exchange.refusal == STRANGER:
            exchange.details = token_clue(call.authorization)
        earlier = self._remembered(exchange, call)
        if call is None or caller is None or exchange.refusal not in CLUED or len(self._waiting) >= _MOST_WAITING:
            self._tell(exchange)
            return
        loop = asyncio.get_running_loop()
        looking = loop.run_in_executor(self._thread, clues, call, caller, exchange.at, earlier)
        self._waiting.add(looking)
        looking.add_done_callback(lambda done: self._found(exchange, done))

    def _remembered(self, exchange: Exchange, call: LegacyCall | None) -> tuple[LegacyCall, ...]:
        """The last calls of a caller, whose signatures it may have signed again; this one is kept for the next."""
        if call is None or exchange.caller not in self._callers:
            return ()
        lately = self._lately.setdefault(exchange.caller, deque(maxlen=_REMEMBERED))
        earlier = tuple(lately)
        if len(call.body) <= _SHORT:
            lately.append(call)
        return earlier

    async def close(self) -> None:
        """Wait for what is being looked for, so that no request goes untold."""
        await asyncio.gather(*self._waiting, return_exceptions=True)
        self._thread.shutdown()
        self._observe()

    def _found(self, exchange: Exchange, done: asyncio.Future[dict[str, Any]]) -> None:
        self._waiting.discard(done)
        if not done.cancelled() and done.exception() is None:
            exchange.details = done.result()
        self._tell(exchange)

    def _tell(self, exchange: Exchange) -> None:
        if not self._ended:
            asyncio.get_running_loop().call_later(_TOLD_WITHIN, self._observe)
        self._ended.append(exchange)

    def _observe(self) -> None:
        ended, self._ended = self._ended, []
        if not ended:
            return
        for observe in self._observers:
            _tell(observe, ended)


_STRANGER = "unknown"


def describe(exchange: Exchange, admitted: Admitted) -> None:
    """Note what the inventory wants of an admitted call, and no value of it."""
    values = admitted.parameters.values
    exchange.parameters = names_of(values)
    exchange.dialect = dialect_of(admitted.call, values.get("nonce"), slash=exchange.slash)


def _tell(observe: Observer, ended: Sequence[Exchange]) -> None:
    try:
        observe(ended)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others are told
        _log.error("%d calls are not told of: %s at %s", len(ended), type(error).__name__, source_line(error))


class InventoryObserver:
    """Counts each deprecated call in an inventory when its answer has ended."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __call__(self, ended: Sequence[Exchange]) -> None:
        for exchange in ended:
            if exchange.route != OTHER_ROUTE:
                self._note(exchange)

    def _note(self, exchange: Exchange) -> None:
        # What strangers send is not kept: it could be anything, and as much as they like.
        known = exchange.caller is not None and exchange.caller != _STRANGER
        signed_as = (exchange.details or {}).get("signed_as")
        self._inventory.note(
            CallRecord(
                at=exchange.at,
                entrance="gateway",
                route=exchange.route,
                caller=exchange.caller,
                user_agent=exchange.user_agent if known else None,
                parameters=exchange.parameters,
                dialect=" ".join(signed_as) if signed_as else exchange.dialect,
                answered_by=exchange.answered_by,
                status=exchange.status,
            )
        )
