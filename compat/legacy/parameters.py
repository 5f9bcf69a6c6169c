"""The parameters of a legacy call, gathered from path, query and body (contract, section 1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from compat.errors import InvalidParameter
from compat.json_text import Number, dumps
from compat.legacy.bodies import Body, UnreadableBody, form_pairs, read_body, shown
from compat.legacy.routes import LegacyCall, Route

__all__ = ["FLAGS", "QUERY_CHARSET", "Parameters", "check", "gather", "missing", "number", "refusal", "shown"]

FLAGS = ("true", "false", "1", "0")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_LONGEST_NUMBER = 4000
_ENVELOPES = ("student", "student_session")

QUERY_CHARSET = "the query is not UTF-8"
"""Why a query cannot be read; the reasons of bodies are those of :mod:`compat.legacy.bodies`."""


@dataclass(frozen=True)
class Parameters:
    """The merged set that a server sees, each value as the text that the client signed.

    Attributes:
        values: name to text; the path's id wins over any other.
        problems: name to messages, of parameters that no one value can be told of.
        unread: why the body or the query could not be read, in words that hold nothing of it; None where it could.
    """

    values: Mapping[str, str] = field(repr=False)
    problems: Mapping[str, list[str]]
    unread: str | None = None


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
    body = read_body(call) if call.body else Body(())
    unread = body.faults[0].reason if body.faults else None
    for fault in body.faults:
        _report(problems, fault.name, fault.message)
    try:
        query = form_pairs(call.query)
    except UnreadableBody as fault:
        _report(problems, "query", fault.message)
        query, unread = [], QUERY_CHARSET
    for place, pairs in (("query", query), ("body", body.pairs)):
        for name, value in _once(place, call.route, pairs, problems).items():
            if name in merged and merged[name] != value and name != "id":
                _report(problems, name, f"Must not differ between query and body: '{_told(name, value)}'.")
            merged[name] = value
    merged["id"] = call.exam_id
    return Parameters(merged, problems, unread)


def _once(place: str, route: Route, pairs: Iterable[tuple[str, Any]], problems: dict[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, given in pairs:
        value = given if isinstance(given, str) else _scalar(name, given, problems)
        if name in found:
            _report(problems, name, f"Must be given once in the {place}: '{_told(name, value)}'.")
        elif value == "":
            _report(problems, name, missing(name))
        elif "[" in name and (meant := _within_brackets(route, name)):
            form = "one parameter of stringified JSON" if meant in route.json else f"the parameter {meant}"
            _report(problems, meant, f"Must be sent as {form}: brackets are not read in '{shown(name)}'.")
        found[name] = value
    return found


def _within_brackets(route: Route, name: str) -> str | None:
    """The parameter of the route that Rails would find in a name such as ``filter[name][eq]``; None for none.

    It would be ignored as a name that nobody knows, and a list without its filter is a wrong list.
    """
    head, *inner = re.split(r"[\[\]]+", name.rstrip("]"))
    if head in route.known:
        return head
    inner = inner if head in _ENVELOPES else []
    return next((each for each in inner if each in route.known), None)


def _report(problems: dict[str, list[str]], name: str, message: str) -> None:
    problems.setdefault(name, []).append(message)


def _scalar(name: str, value: Any, problems: dict[str, list[str]]) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        # As Ruby writes it; it is a parameter without a value.
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
