"""The same call answered by both endpoints: what shadow and canary keep, and what checks compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from compat.legacy.routes import LegacyCall

__all__ = ["Answered", "Pair"]


@dataclass(frozen=True)
class Answered:
    """What one endpoint answered to a call.

    Attributes:
        status: the HTTP status; 0 where no whole answer came.
        headers: name to value, as they came.
        body: all of it, unpacked; empty where none came.
        seconds: from sending the request to the last byte.
        failure: what failed where no whole answer came, such as ``timeout``; no secrets.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    failure: str | None = None


@dataclass(frozen=True)
class Pair:
    """A call and its two answers.

    Attributes:
        call: the call, as it came; a read.
        caller: whose it is by the configuration, or None.
        at: when it came, seconds since the epoch.
        old: what the old endpoint answered.
        new: what the shim answered from the new one.
        served: which of them the caller got.
    """

    call: LegacyCall
    caller: str | None
    at: float
    old: Answered
    new: Answered
    served: Literal["legacy", "new"]
