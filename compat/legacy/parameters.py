"""The parameters of a legacy call, gathered from path, query and body (contract, section 1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from compat.errors import InvalidParameter
from compat.json_text import DuplicateKeyError, Number, dumps, loads_strictly
from compat.legacy.routes import LegacyCall, Route

__all__ = ["FLAGS", "Parameters", "check", "gather", "missing", "number", "refusal", "shown"]

FLAGS = ("true", "false", "1", "0")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_LONGEST_NUMBER = 4000


@dataclass(frozen=True)
class Parameters:
    """The merged set that a server sees, each value as the text that the client signed.

    Attributes:
        values: name to text; the path's id wins over any other.
        problems: name to messages, of parameters that no one value can be told of.
    """

    values: Mapping[str, str] = field(repr=False)
    problems: Mapping[str, list[str]]


def shown(value: str) -> str:
    """A caller's own value, short enough for a message that goes back to that caller."""
    return value if len(value) <= 80 else value[:77] + "..."


def _told(name: str, value: str) -> str:
    return "…" if name == "signature" else shown(value)


def missing(name: str) -> str:
    """The documented text for a parameter that is not there or is empty (API facts, add_student)."""
    return f"Param is missing or the value is empty: '{name}'"


def number(text: str) -> int | None:
    """The digits as a number, or None where they are not digits."""
    if _DIGITS.fullmatch(text) is None or len(text) > _LONGEST_NUMBER:
        return None
    return int(text)


def gather(call: LegacyCall) -> Parameters:
    """Merge path, query and body, whichever entrance they reached; nothing is refused yet.

    A request whose parameters contradict each other still has a base string to check, so that a stranger learns
    nothing from a 422 (contract, section 6); the contradictions are kept as ``problems``.
    """
    problems: dict[str, list[str]] = {}
    merged: dict[str, str] = {}
    for place, pairs in (("query", _pairs("query", call.query, problems)), ("body", _body(call, problems))):
        for name, value in _once(place, pairs, problems).items():
            if name in merged and merged[name] != value and name != "id":
                _report(problems, name, f"Must not differ between query and body: '{_told(name, value)}'.")
            merged[name] = value
    merged["id"] = call.exam_id
    return Parameters(merged, problems)


def _once(place: str, pairs: Iterable[tuple[str, str]], problems: dict[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            _report(problems, name, f"Must be given once in the {place}: '{_told(name, value)}'.")
        elif value == "":
            _report(problems, name, missing(name))
        found[name] = value
    return found


def _report(problems: dict[str, list[str]], name: str, message: str) -> None:
    problems.setdefault(name, []).append(message)


def _body(call: LegacyCall, problems: dict[str, list[str]]) -> list[tuple[str, str]]:
    if not call.body.strip():
        return []
    declared = (call.content_type or "").partition(";")[0].strip().lower()
    if declared == "application/json" or (not declared and call.body.lstrip()[:1] == b"{"):
        return _json_body(call.body, problems)
    if declared in ("application/x-www-form-urlencoded", ""):
        return _pairs("body", call.body.decode("latin-1"), problems)
    _report(problems, "body", f"Must be JSON or a form, not '{shown(declared)}'.")
    return []


def _pairs(place: str, text: str, problems: dict[str, list[str]]) -> list[tuple[str, str]]:
    try:
        return _decoded(text if text.isascii() else text.encode("latin-1").decode())
    except UnicodeError:
        _report(problems, place, "Must be UTF-8.")
        return []


def _decoded(text: str) -> list[tuple[str, str]]:
    """Names and values, as ``urllib.parse.parse_qsl`` reads them; it looks for escapes where there are none too.

    Raises:
        UnicodeError: what is escaped is no UTF-8.
    """
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    return [(name, value) for name, _, value in pairs]


def _json_body(body: bytes, problems: dict[str, list[str]]) -> list[tuple[str, str]]:
    try:
        content = loads_strictly(body.decode())
    except DuplicateKeyError as error:
        _report(problems, error.key, f"Must be given once in the body: the key '{shown(error.key)}' stands twice.")
        return []
    except ValueError:
        _report(problems, "body", "Must be a JSON object: it is not JSON.")
        return []
    if not isinstance(content, dict):
        _report(problems, "body", "Must be a JSON object.")
        return []
    return [(name, _scalar(name, value, problems)) for name, value in content.items()]


def _scalar(name: str, value: Any, problems: dict[str, list[str]]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    _report(problems, name, f"Must be a String; JSON goes in stringified: '{shown(dumps(value))}'.")
    return dumps(value)


def check(route: Route, parameters: Parameters) -> Mapping[str, str]:
    """Refuse what breaks a rule that needs no more than the parameter itself.

    Raises:
        InvalidParameter: names every such parameter.
    """
    values = parameters.values
    if not parameters.problems and _sound(route, values):
        return values
    problems = {name: list(messages) for name, messages in parameters.problems.items()}
    for name in route.required:
        if name not in parameters.values:
            _report(problems, name, missing(name))
    for name, value in parameters.values.items():
        if name not in problems and (message := refusal(route, name, value)) is not None:
            _report(problems, name, message)
    if problems:
        raise InvalidParameter(problems, parameters.values)
    return parameters.values


def _sound(route: Route, values: Mapping[str, str]) -> bool:
    """Whether nothing is to be refused; looks at no parameter that has no rule."""
    ruled = [refusal(route, name, values[name]) for name in route.ruled if name in values]
    return ruled.count(None) == len(ruled) and all(name in values for name in route.required)


def refusal(route: Route, name: str, value: str) -> str | None:
    """Why a number or a flag of that route is refused; None where it is not, or is neither."""
    if name in route.numbers:
        found = number(value)
        if found is None:
            return "Must be a number."
        if found < 1 and name in ("page", "limit"):
            return "Must be at least 1."
    elif name in route.flags and value.lower() not in FLAGS:
        return "Must be one of: true, false, 1, 0."
    return None
