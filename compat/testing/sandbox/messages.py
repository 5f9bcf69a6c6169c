"""What goes over the wire, and what tests see of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_AUTHORISED = "You are not authorized to access this page."


@dataclass(frozen=True)
class SandboxRequest:
    """A request as an intercept sees it; ``parameters`` holds no secrets."""

    interface: str
    method: str
    path: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class SandboxAnswer:
    """An answer before it is written; Content-Length follows from the body unless a header gives it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Call:
    """One request that the sandbox received; status 0 means that it was reset without an answer."""

    interface: str
    method: str
    target: str
    parameters: Mapping[str, str]
    status: int
    fault: str | None


@dataclass(frozen=True)
class Incoming:
    """A request as it came off the wire."""

    method: str
    path: str
    query: str
    content_type: str
    authorization: str = field(repr=False)
    body: bytes = field(repr=False)


class RefusalError(Exception):
    """Ends the handling of a request with an error answer."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """An error of that status; ``errors`` maps parameters to what is wrong with them."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})

    def answer(self) -> SandboxAnswer:
        """The refusal as an answer."""
        return json_answer(self.status, {"error": self.message, "errors": self.errors}, self.headers)


def not_authorised() -> RefusalError:
    """The one refusal for everything that is wrong with a signature."""
    return RefusalError(403, NOT_AUTHORISED)


def wrong_parameters(errors: Mapping[str, list[str]]) -> RefusalError:
    """A refusal of one or more parameters."""
    return RefusalError(422, next(iter(errors.values()))[0], errors)


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    """An answer whose body is JSON; escaped, since an error may quote text that UTF-8 cannot write."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return text_answer(status, body, headers)


def text_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    """An answer whose JSON body is written already."""
    return SandboxAnswer(status, {"Content-Type": "application/json", **(headers or {})}, body)
