"""One request of the gateway as logs and counts may know it: no secret, no signature, nobody's data."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["OTHER_ROUTE", "Exchange", "Observer", "request_id"]

OTHER_ROUTE = "other"
"""The route of a request that is none of the deprecated ones."""

_SANE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass
class Exchange:
    """A request, and what became of it.

    Attributes:
        request_id: the caller's own where it is sane, else a fresh one.
        at: when it came, seconds since the epoch.
        method: its HTTP method.
        route: the action of a deprecated route, or :data:`OTHER_ROUTE`.
        exam_id: the exam, where the call was admitted.
        caller: the name of whose call it is; None where nobody was told by a token.
        status: the HTTP status of the answer; 0 where the caller went away before one.
        seconds: from the request's head to the answer's end.
        refusal: why a call was not admitted.
        answered_by: "new", "legacy", or "gateway" for what the gateway says by itself.
    """

    request_id: str
    method: str
    at: float = field(default_factory=time.time)
    route: str = OTHER_ROUTE
    exam_id: str | None = None
    caller: str | None = None
    status: int = 0
    seconds: float = 0.0
    refusal: str | None = None
    answered_by: str = "gateway"


Observer = Callable[[Exchange], None]
"""Told of every request when its answer has ended; called from the event loop, so it must not block."""


def request_id(given: bytes | None) -> str:
    """The caller's own id of a request where a header and a log line can hold it, else a fresh one."""
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return secrets.token_hex(16)
