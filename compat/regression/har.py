"""Deprecated calls in a HAR file, as browsers and proxies save what they saw."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from compat.doctor.requests_seen import SeenRequest, legacy_call
from compat.legacy.answer import ANSWERED_BY
from compat.legacy.routes import LegacyCall
from compat.regression.errors import RecordingError
from compat.regression.pairs import Answered

__all__ = ["SeenCall", "calls_of_har"]


class _Pair(msgspec.Struct):
    name: str
    value: str


class _Text(msgspec.Struct):
    text: str = ""
    encoding: str | None = None


class _Request(msgspec.Struct, rename="camel"):
    method: str
    url: str
    headers: list[_Pair] = []
    post_data: _Text | None = None


class _Response(msgspec.Struct):
    status: int
    headers: list[_Pair] = []
    content: _Text = msgspec.field(default_factory=_Text)


class _Entry(msgspec.Struct, rename="camel"):
    request: _Request
    response: _Response
    time: float = 0.0
    started_date_time: datetime | None = None


class _Log(msgspec.Struct):
    entries: list[_Entry]


class _Har(msgspec.Struct):
    log: _Log


class SeenCall(msgspec.Struct, frozen=True):
    """A deprecated call and the answer that it got.

    Attributes:
        call: the call, as it was sent.
        at: when, seconds since the epoch.
        answered: the answer.
        by_shim: whether the shim gave it.
    """

    call: LegacyCall
    at: float
    answered: Answered
    by_shim: bool


def calls_of_har(path: Path) -> Iterator[SeenCall]:
    """The reads of deprecated routes in a file, in its order; everything else is passed over.

    Raises:
        RecordingError: it is no HAR file; the text says where it is none, without its content.
    """
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=_Har).log.entries
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: no HAR file: {error}") from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from None
    for entry in entries:
        seen = _seen(entry)
        if seen is not None:
            yield seen


def _seen(entry: _Entry) -> SeenCall | None:
    asked = entry.request
    body = asked.post_data.text.encode() if asked.post_data is not None else b""
    headers = {pair.name.lower(): pair.value for pair in asked.headers}
    found = legacy_call(SeenRequest(asked.method.upper(), asked.url, headers, body))
    if found is None or not found[1] or "GET" not in found[0].route.methods:
        return None
    given = {pair.name: pair.value for pair in entry.response.headers}
    began = entry.started_date_time
    return SeenCall(
        found[0],
        0.0 if began is None else _seconds(began),
        _answered(entry, given),
        any(name.lower() == ANSWERED_BY.lower() and value == "new" for name, value in given.items()),
    )


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _answered(entry: _Entry, headers: dict[str, Any]) -> Answered:
    """The answer; a status of 0 is how a HAR file says that none came."""
    response = entry.response
    seconds = max(entry.time, 0.0) / 1000
    if response.status <= 0:
        return Answered(0, seconds=seconds, failure="no answer")
    text = response.content.text
    body = base64.b64decode(text) if response.content.encoding == "base64" else text.encode()
    return Answered(response.status, headers, body, seconds)
