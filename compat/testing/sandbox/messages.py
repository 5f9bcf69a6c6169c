"""What goes over the wire: requests with the parameters of their path, query and body, and answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from compat.testing.sandbox.text import MOST_DIGITS, Number, Pairs, read_json

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


T = TypeVar("T")

Given = list[tuple[str, str]]
Problems = dict[str, list[str]]

SECRET_NAMES = frozenset({"signature", "client_id", "client_secret"})


@dataclass(frozen=True)
class Merged:
    """The merged parameters; ``conflicts`` leave no set to sign, ``empty`` ones do."""

    values: dict[str, str]
    conflicts: Problems
    empty: Problems

    def public(self) -> dict[str, str]:
        """The parameters that may be shown."""
        return {name: value for name, value in self.values.items() if name not in SECRET_NAMES}

    def refuse_conflicts(self) -> None:
        """Refuse what leaves no single set of parameters."""
        if self.conflicts:
            raise wrong_parameters({**self.conflicts, **self.empty})

    def refuse_empty(self) -> None:
        """Refuse parameters without a value."""
        if self.empty:
            raise wrong_parameters(self.empty)


def merge(incoming: Incoming, path: Mapping[str, str]) -> Merged:
    """Merge what path, query and body give; a name in the path wins over the same name elsewhere."""
    problems: Problems = {}
    query = parse_form(incoming.query)
    body = _read_body(incoming, problems)
    in_query, in_body = dict(query), dict(body)
    doubled = _doubled(query) | _doubled(body)
    values = {**in_query, **in_body, **path}
    for name in values:
        if name in doubled:
            problems.setdefault(name, []).append("Must be given once.")
        elif name not in path and in_query.get(name, values[name]) != values[name]:
            problems.setdefault(name, []).append("Must not differ between query and body.")
        if not _is_unicode(name) or not _is_unicode(values[name]):
            problems.setdefault(name, []).append("Must be UTF-8 text.")
    empty = {name: [missing_text(name)] for name, value in query + body if value == ""}
    return Merged(values, problems, empty)


def missing_text(name: str) -> str:
    """The documented message for a parameter that is missing or empty."""
    return f"Param is missing or the value is empty: '{name}'"


def parse_form(text: str) -> Given:
    """Names and values of a query or a form; bytes that are not UTF-8 stay recognisable."""
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def _doubled(given: Given) -> set[str]:
    return {name for name, count in Counter(name for name, _ in given).items() if count > 1}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_body(incoming: Incoming, problems: Problems) -> Given:
    if not incoming.body.strip():
        return []
    kind = incoming.content_type.partition(";")[0].strip().lower()
    try:
        text = incoming.body.decode()
        if kind == "application/json" or (not kind and text.lstrip().startswith("{")):
            return _read_json_body(text, problems)
        if kind in ("application/x-www-form-urlencoded", ""):
            return parse_form(text)
    except ValueError as error:
        problems["body"] = [f"Cannot be read: {error}"]
        return []
    problems["body"] = [f"Must be JSON or a form, not {kind!r}."]
    return []


def _read_json_body(text: str, problems: Problems) -> Given:
    value = read_json(text)
    if not isinstance(value, Pairs):
        raise ValueError("it must be a JSON object.")
    given = []
    for name, each in value.items:
        if isinstance(each, (str, bool, Number)):
            given.append((name, _as_text(each)))
        else:
            problems[name] = ["Must be a text, a number, true or false."]
    for name in value.doubled():
        problems[name] = ["Must be given once."]
    return given


def _as_text(value: str | bool | Number) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Number) else value


class Reader:
    """Reads parameters one by one and refuses all wrong ones together at the end."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: Problems = {}

    def optional(self, name: str, read: Callable[[str], T], default: T) -> T:
        """The parameter as ``read`` understands it, or the default where it is not given or wrong."""
        if name not in self._values:
            return default
        try:
            return read(self._values[name])
        except ValueError as error:
            self._problems.setdefault(name, []).append(str(error))
            return default

    def required(self, name: str, read: Callable[[str], T], stand_in: T) -> T:
        """The same for a parameter that has to be given; the stand-in is never used in the end."""
        if name not in self._values:
            self._problems.setdefault(name, []).append(missing_text(name))
        return self.optional(name, read, stand_in)

    def finish(self) -> None:
        """Refuse the request if any parameter was wrong."""
        if self._problems:
            raise wrong_parameters(self._problems)


def number(text: str) -> int:
    """Digits, and not more of them than anybody means."""
    if not re.fullmatch("[0-9]+", text) or len(text) > MOST_DIGITS:
        raise ValueError("Must be a number.")
    return int(text)


def positive_number(text: str) -> int:
    """Digits that do not amount to zero."""
    value = number(text)
    if value == 0:
        raise ValueError("Must be at least 1.")
    return value


def one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    """A reader of one of these texts."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"Must be one of: {', '.join(allowed)}.")
        return text

    return read


def boolean(text: str) -> bool:
    """A flag, in any case, as clients in use send Python's ``True``."""
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError("Must be one of: true, false, 1, 0.")
    return text.lower() in ("true", "1")
