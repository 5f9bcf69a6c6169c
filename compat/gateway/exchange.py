"""One request of the gateway as logs and counts may know it: no secret, no signature, nobody's data."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OTHER_ROUTE", "Exchange", "Observer", "request_id"]

OTHER_ROUTE = "other"
"""The route of a request that is none of the deprecated ones."""

_ID_BYTES = 16
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
        failure: what went wrong where it was not the call; an error's text, which holds no secret.
        details: more of a refused call, for ``exam-compat doctor``; nothing secret, nothing of anybody's data.
        attempts: the status of each answer upstream, None where no whole one came.
        user_agent: the header of that name, for the inventory alone: it may be anything.
        slash: whether the path ended with one.
        parameters: the names of the parameters that an admitted call used; no value.
        dialect: how it was made and signed, in words of ours.
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
    failure: str | None = None
    details: Mapping[str, Any] | None = None
    attempts: list[int | None] = field(default_factory=list)
    user_agent: str | None = None
    slash: bool = False
    parameters: tuple[str, ...] = ()
    dialect: str | None = None

    def attempted(self, status: int | None) -> None:
        """Note a request upstream; from whichever thread sent it."""
        self.attempts.append(status)


Observer = Callable[[Sequence[Exchange]], None]
"""Told of requests whose answers have ended, some at a time; called from the event loop, so it must not block."""


def request_id(given: bytes | None) -> str:
    """The caller's own id of a request where a header and a log line can hold it, else a fresh one."""
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return os.urandom(_ID_BYTES).hex()
