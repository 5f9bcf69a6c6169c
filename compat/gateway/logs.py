"""The gateway's log: one JSON line a call, and every other message in the same form.

No line holds a token, a signature, a key, a nonce, a value of a query, a body or anything of a student's record.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from compat.gateway.request import Exchange

if TYPE_CHECKING:
    from compat.gateway.metrics import Metrics

__all__ = ["CallLog", "JsonLines", "log_line", "log_settings", "source_line", "write_lines"]

_encode = msgspec.json.Encoder().encode


_AT_ONCE = 4096
"""Bytes that a pipe takes as one, whoever else writes to it (POSIX asks for 512, Linux takes these)."""


def write_lines(lines: bytes) -> None:
    """Write lines to the standard error in one go, so that the lines of several processes do not mix."""
    try:
        os.write(sys.stderr.fileno(), lines)
    except (OSError, ValueError, AttributeError):
        # Nobody reads it, or a test has put something else in its place: no reason to fail a call.
        return


class CallLog:
    """Counts requests whose answers have ended, and writes a line for each; an ``Observer``.

    Args:
        metrics: counts them.
        write: writes their lines, as many at a time as do not mix with those of other processes.
    """

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
    """A request as a line of JSON."""
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
        """The line, without its end."""
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
    """The file and line that an error came from."""
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
