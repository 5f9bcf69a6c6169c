"""What is told of requests whose answers have ended: the log's lines, the inventory's counts, clues for refused calls.

The log has one JSON line a call, and every other message in the same form. No line holds a token, a signature, a key,
a nonce, a value of a query, a body or anything of a student's record.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from compat.config.settings import CallerSettings
from compat.core.call import Admitted
from compat.doctor import CLUED, clues, token_clue
from compat.gateway.request import OTHER_ROUTE, Exchange, Observer
from compat.legacy.routes import LegacyCall
from compat.legacy.verifier import STRANGER
from compat.migration.inventory.calls import Inventory
from compat.migration.inventory.recorder import dialect_of, names_of
from compat.processes import renew_after_fork
from compat.stores.ledger import CallRecord

if TYPE_CHECKING:
    from compat.gateway.metrics import Metrics

_log = logging.getLogger("compat.gateway")
_encode = msgspec.json.Encoder().encode

_AT_ONCE = 4096  # bytes that a pipe takes as one, whoever else writes to it (POSIX asks for 512, Linux takes these)


def write_lines(lines: bytes) -> None:
    """Write lines to the standard error in one go, so that the lines of several processes do not mix."""
    # Where nobody reads it, or a test has put something else in its place, that is no reason to fail a call.
    with suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), lines)


class CallLog:
    """Counts requests whose answers have ended, and writes a line for each: as many at a time as do not mix."""

    def __init__(self, metrics: Metrics, write: Callable[[bytes], object] = write_lines) -> None:
        self._metrics = metrics
        self._write = write

    def __call__(self, ended: Sequence[Exchange]) -> None:
        self._metrics.count(ended)
        lines = b""
        for exchange in ended:
            line = log_line(exchange)
            if len(lines) + len(line) > _AT_ONCE and lines:
                self._write(lines)
                lines = b""
            lines += line
        self._write(lines)


def log_line(exchange: Exchange) -> bytes:
    exam_id = exchange.exam_id or ""
    line = _Line(
        time=_time(exchange.at),
        event="call",
        request_id=exchange.request_id,
        method=exchange.method,
        route=exchange.route,
        caller=exchange.caller,
        # What is no number is a text of the caller's, and may be anything.
        exam_id=exam_id if exam_id.isascii() and exam_id.isdigit() else None,
        status=exchange.status,
        answered_by=exchange.answered_by,
        milliseconds=round(exchange.seconds * 1000, 1),
        upstream_calls=len(exchange.attempts),
        refusal=exchange.refusal,
        failure=exchange.failure,
        details=exchange.details,
    )
    return _encode(line) + b"\n"


class _Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a line says, in its order; what is None is left out."""

    time: str
    event: str
    request_id: str
    method: str
    route: str
    caller: str | None = None
    exam_id: str | None = None
    status: int
    answered_by: str
    milliseconds: float
    upstream_calls: int
    refusal: str | None = None
    failure: str | None = None
    details: Mapping[str, Any] | None = None


class JsonLines(logging.Formatter):
    """Messages of the standard ``logging`` in the form of the calls' lines.

    Of an exception it shows the type and the places that it came through: its text may hold what a log must not.
    """

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "time": _time(record.created),
            "event": "message",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            shown["exception"] = kind.__name__
            shown["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
        return _encode(shown).decode()


def source_line(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def log_settings() -> dict[str, Any]:
    """What ``logging.config.dictConfig`` takes to write every message as a JSON line to the standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }


def _time(seconds: float) -> str:
    second, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_time_of_second(second)}.{rest // 1000:03}Z"


@lru_cache(maxsize=8)
def _time_of_second(second: int) -> str:
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


_TOLD_WITHIN = 0.02
"""Seconds from an answer's end until it is told of: told of one by one, they cost a twentieth of a call more."""

_REMEMBERED, _SHORT = 4, 16_384
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


def _tell(observe: Observer, ended: Sequence[Exchange]) -> None:
    try:
        observe(ended)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others are told
        _log.error("%d calls are not told of: %s at %s", len(ended), type(error).__name__, source_line(error))


def describe(exchange: Exchange, admitted: Admitted) -> None:
    """Note what the inventory wants of an admitted call, and no value of it."""
    values = admitted.parameters.values
    exchange.parameters = names_of(values)
    exchange.dialect = dialect_of(admitted.call, values.get("nonce"), slash=exchange.slash)


def count_calls(inventory: Inventory, ended: Sequence[Exchange]) -> None:
    """Count each deprecated call in an inventory when its answer has ended."""
    for exchange in ended:
        if exchange.route != OTHER_ROUTE:
            inventory.note(_record_of(exchange))


def _record_of(exchange: Exchange) -> CallRecord:
    # What strangers send is not kept: it could be anything, and as much as they like.
    known = exchange.caller not in (None, "unknown")
    signed_as = (exchange.details or {}).get("signed_as")
    return CallRecord(
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
